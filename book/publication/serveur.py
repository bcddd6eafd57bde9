"""Le service local du livre construit."""

import errno
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from publication.depot import ErreurPublication


class Demandes(SimpleHTTPRequestHandler):
    """Sert des fichiers sans écrire une ligne par demande."""

    def log_message(self, format: str, *args: object) -> None:
        """Ne dit rien : le terminal montre l’adresse, pas le trafic."""


def preparer(racine: Path, port: int) -> ThreadingHTTPServer:
    """Ouvre le serveur du livre sur 127.0.0.1 ; le port 0 en choisit un libre.

    Raises:
        ErreurPublication: livre absent, port pris ou interdit.
    """
    html = racine / "_build" / "html"
    if not (html / "index.html").is_file():
        raise ErreurPublication("le livre n’est pas construit : lancez d’abord « make book ».")
    try:
        return ThreadingHTTPServer(("127.0.0.1", port), partial(Demandes, directory=str(html)))
    except (PermissionError, OverflowError) as erreur:
        raise ErreurPublication(
            f"le port {port} n’est pas permis : choisissez-en un entre 1024 et 65535."
        ) from erreur
    except OSError as erreur:
        if erreur.errno != errno.EADDRINUSE:
            raise
        raise ErreurPublication(
            f"le port {port} est déjà pris : arrêtez ce qui l’occupe ou choisissez-en un autre."
        ) from erreur


def servir(racine: Path, port: int) -> None:
    """Sert le livre jusqu’à Ctrl+C."""
    with preparer(racine, port) as serveur:
        print(f"Le livre est servi sur http://127.0.0.1:{serveur.server_port}/ (Ctrl+C arrête).")
        serveur.serve_forever()
