"""Le service local du livre construit."""

import errno
import gzip
import sys
from functools import partial
from http import HTTPStatus
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

from publication.depot import ErreurPublication

# Ce qui se compresse : le reste (images PNG, polices) l’est déjà.
COMPRESSIBLES = {".html", ".css", ".js", ".svg", ".json", ".ipynb"}


class Demandes(SimpleHTTPRequestHandler):
    """Sert des fichiers comme le fait GitHub Pages : compressés, et 404.html à défaut.

    Ce qu’on mesure ici, le poids d’une page et le temps qu’elle prend, vaut alors pour le lecteur.
    """

    protocol_version = "HTTP/1.1"

    def send_head(self) -> BytesIO | BinaryIO | None:
        """Envoie l’en-tête ; donne le contenu, compressé s’il gagne à l’être."""
        fichier = Path(self.translate_path(self.path))
        if fichier.is_dir() and self.path.endswith("/"):
            fichier /= "index.html"
        accepte = "gzip" in self.headers.get("Accept-Encoding", "")
        if not (accepte and fichier.suffix in COMPRESSIBLES and fichier.is_file()):
            return super().send_head()
        contenu = gzip.compress(fichier.read_bytes())
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", self.guess_type(fichier))
        self.send_header("Content-Encoding", "gzip")
        self.send_header("Content-Length", str(len(contenu)))
        self.end_headers()
        return BytesIO(contenu)

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Montre la page du livre à une adresse qui n’existe pas."""
        perdue = Path(self.directory, "404.html")
        if code != HTTPStatus.NOT_FOUND or not perdue.is_file():
            super().send_error(code, message, explain)
            return
        page = perdue.read_bytes()
        self.send_response(code)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(page)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(page)

    def log_message(self, format: str, *args: object) -> None:
        """Ne dit rien : le terminal montre l’adresse, pas le trafic."""


class Serveur(ThreadingHTTPServer):
    """Un serveur que n’émeut pas un navigateur parti avant la fin de sa page."""

    def handle_error(self, request: object, client_address: object) -> None:
        """Ne signale que les erreurs qui viennent d’ici."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


def preparer(racine: Path, port: int) -> ThreadingHTTPServer:
    """Ouvre le serveur du livre sur 127.0.0.1 ; le port 0 en choisit un libre.

    Raises:
        ErreurPublication: livre absent, port pris ou interdit.
    """
    html = racine / "_build" / "html"
    if not (html / "index.html").is_file():
        raise ErreurPublication("le livre n’est pas construit : lancez d’abord « make book ».")
    try:
        return Serveur(("127.0.0.1", port), partial(Demandes, directory=str(html)))
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
