"""Le suivi d’une exécution : une ligne vivante au terminal, des lignes dans un journal."""

import sys
import threading
import time
from pathlib import Path

LARGEUR = 78


class Suivi:
    """Dit quel notebook et quelle cellule s’exécutent, et depuis combien de secondes."""

    def __init__(self, flux=None) -> None:
        self._flux = flux or sys.stdout
        self._vivant = self._flux.isatty()
        self._verrou = threading.Lock()
        self._rangs: dict[str, str] = {}
        self._debuts: dict[str, float] = {}

    def commencer(self, chemins: list[str]) -> None:
        """Annonce les notebooks qui vont être exécutés."""
        self._rangs = {c: f"[{i}/{len(chemins)}]" for i, c in enumerate(chemins, start=1)}

    def debut(self, chemin: str) -> None:
        """Un notebook commence."""
        self._debuts[chemin] = time.monotonic()
        if not self._vivant:
            self._ecrire(f"{self._nom(chemin)} : exécution…\n")

    def cellule(self, chemin: str, rang: int, total: int) -> None:
        """Une cellule commence."""
        if self._vivant:
            secondes = time.monotonic() - self._debuts[chemin]
            ligne = f"{self._nom(chemin)} : cellule {rang}/{total}, {secondes:.0f} s"
            self._ecrire(f"\r{ligne:<{LARGEUR}.{LARGEUR}}")

    def fin(self, chemin: str, secondes: float) -> None:
        """Un notebook est exécuté."""
        ligne = f"{self._nom(chemin)} : exécuté en {secondes:.1f} s".replace(".", ",")
        self._ecrire(f"\r{ligne:<{LARGEUR}}\n" if self._vivant else f"{ligne}\n")

    def _nom(self, chemin: str) -> str:
        return f"{self._rangs[chemin]} {Path(chemin).stem}"

    def _ecrire(self, texte: str) -> None:
        with self._verrou:
            self._flux.write(texte)
            self._flux.flush()
