"""Lancer des processus qui ne survivent pas à celui qui les a lancés."""

import ctypes
import functools
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

from mlops_demo.configuration import ErreurUtilisateur


def mourir_avec_le_parent(recu: int = signal.SIGTERM) -> Callable[[], None]:
    """Fonction à donner en ``preexec_fn`` : sous Linux, le noyau enverra ce signal à l’enfant."""

    return functools.partial(_demander_la_mort, recu)


def _demander_la_mort(recu: int) -> None:
    if sys.platform == "linux":
        pr_set_pdeathsig = 1
        ctypes.CDLL(None).prctl(pr_set_pdeathsig, recu)


def port_libre() -> int:
    """Un port TCP libre de 127.0.0.1."""
    with socket.socket() as prise:
        prise.bind(("127.0.0.1", 0))
        return prise.getsockname()[1]


def verifier_port(port: int, reglage: str) -> None:
    """Vérifie qu’un port de 127.0.0.1 est libre ; ``reglage`` nomme ce qui en choisit un autre.

    Raises:
        ErreurUtilisateur: s’il est pris ou interdit.
    """
    with socket.socket() as prise:
        prise.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            prise.bind(("127.0.0.1", port))
        except (OSError, OverflowError) as erreur:
            raise ErreurUtilisateur(
                f"le port {port} n’est pas disponible ({erreur}) : arrêtez ce qui l’occupe, ou "
                f"choisissez-en un autre ({reglage}=…)."
            ) from erreur


class Serveur:
    """Un serveur HTTP local, lancé en arrière-plan et arrêté avec ce processus."""

    def __init__(
        self, nom: str, commande: list[str], adresse: str, journal: Path, **env: str
    ) -> None:
        """Lance la commande sans attendre ; ``pret()`` attend qu’elle réponde.

        Args:
            nom: nom montré dans les messages.
            commande: programme et arguments.
            adresse: URL qui répond 200 quand le serveur est prêt.
            journal: fichier qui reçoit ses sorties.
            env: variables d’environnement de ce seul serveur.
        """
        self.nom, self.adresse, self.journal = nom, adresse, journal
        with journal.open("w") as sortie:
            self.processus = subprocess.Popen(
                commande,
                env=os.environ | env,
                stdin=subprocess.DEVNULL,
                stdout=sortie,
                stderr=subprocess.STDOUT,
                preexec_fn=mourir_avec_le_parent(),  # noqa: PLW1509 (n’appelle que prctl)
            )

    def pret(self, limite_s: float = 120) -> None:
        """Attend que le serveur réponde.

        Raises:
            ErreurUtilisateur: s’il s’arrête ou tarde, avec la fin de son journal.
        """
        limite = time.monotonic() + limite_s
        while time.monotonic() < limite and self.processus.poll() is None:
            try:
                with urllib.request.urlopen(self.adresse, timeout=5):
                    return
            except (urllib.error.URLError, ConnectionError, TimeoutError):
                time.sleep(0.05)
        self.arreter()
        fin = self.journal.read_text(errors="replace")[-1500:]
        raise ErreurUtilisateur(f"{self.nom} n’a pas démarré. Fin de « {self.journal} » :\n{fin}")

    def arreter(self) -> None:
        """Arrête le serveur, s’il tourne."""
        if self.processus.poll() is None:
            self.processus.terminate()
            try:
                self.processus.wait(10)
            except subprocess.TimeoutExpired:
                self.processus.kill()
                self.processus.wait()
