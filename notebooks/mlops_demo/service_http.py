"""Le protocole HTTP du service : ce qu’uvicorn ne borne pas, l’en-tête et le temps d’un envoi.

``uvicorn --http mlops_demo.service_http:Protocole …``
"""

import asyncio

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

ENTETE_MAX = 64 * 1024  # octets, hors du corps
DELAI_S = 30  # pour envoyer une requête entière : 8 Mio à 2 Mbit/s


class Protocole(HttpToolsProtocol):
    """Celui d’uvicorn, qui coupe une requête dont l’en-tête ou l’envoi ne finit pas."""

    def connection_made(self, transport: asyncio.Transport) -> None:
        """Compte le temps dès l’ouverture : un client muet est coupé aussi."""
        super().connection_made(transport)
        self._delai: asyncio.TimerHandle | None = None
        self._commencer()

    def connection_lost(self, exc: Exception | None) -> None:
        """Oublie le délai."""
        self._finir()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Coupe si ce qui n’est pas du corps dépasse la borne (et le corps : petits morceaux)."""
        self._recus += len(data)
        super().data_received(data)
        if self._delai and self._recus > ENTETE_MAX + 2 * self._corps:
            self._couper(b"431 Request Header Fields Too Large", f"en-tête de plus de {ENTETE_MAX}")

    def on_message_begin(self) -> None:
        """Une requête commence, la première ou une autre sur la même connexion."""
        self._commencer()
        super().on_message_begin()

    def on_body(self, body: bytes) -> None:
        """Compte le corps, que le service borne lui-même."""
        self._corps += len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Une requête est arrivée entière."""
        self._finir()
        super().on_message_complete()

    def _commencer(self) -> None:
        self._finir()
        self._recus = self._corps = 0
        self._delai = self.loop.call_later(
            DELAI_S, self._couper, b"408 Request Timeout", f"envoi de plus de {DELAI_S} s"
        )

    def _finir(self) -> None:
        if self._delai:
            self._delai.cancel()
            self._delai = None

    def _couper(self, etat: bytes, motif: str) -> None:
        self._finir()
        self.logger.warning("Requête coupée : %s", motif)
        if self.cycle is None or not self.cycle.response_started:
            self.transport.write(b"HTTP/1.1 " + etat + b"\r\nconnection: close\r\n\r\n")
        self.transport.close()
