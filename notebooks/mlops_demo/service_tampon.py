"""Le tampon du service : sur disque, les demandes servies que la base n’a pas encore reçues.

Un dossier de segments, des fichiers où l’on ne fait qu’ajouter des lignes. Qui écrit dans un
segment le garde verrouillé (``flock``) ; le noyau lâche ce verrou quand le processus meurt, même
d’un SIGKILL. Un segment libre est donc fini : n’importe quel réplica peut le livrer, puis
l’effacer. Effacer ne demande pas de place : un volume plein se vide dès que la base revient.

Une ligne est écrite avant que le service réponde : la mort d’un processus n’en perd aucune. Tant
que la base est là, elle la reçoit en une fraction de seconde ; sinon ``synchroniser`` met la ligne
à l’abri du disque dans le même délai. Seule une panne de la machine entière peut donc perdre ce
délai-là : attendre le disque à chaque réponse en doublerait la durée.
"""

import contextlib
import errno
import fcntl
import functools
import os
import threading
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import IO

OCTETS_PAR_SEGMENT = 4 * 1024**2


class Tampon:
    """Des lignes gardées dans un dossier, que plusieurs processus peuvent partager."""

    def __init__(self, dossier: Path) -> None:
        """Prépare le tampon ; rien n’est écrit avant la première ligne."""
        self.dossier = dossier
        self._segment: IO[bytes] | None = None
        self._sur_disque: dict[Path, int] = {}
        self._verrou = threading.Lock()

    def ajouter(self, ligne: bytes) -> None:
        """Ajoute une ligne, en entier ou pas du tout.

        Raises:
            OSError: le volume est plein, ou ne répond plus.
        """
        octets = ligne + b"\n"
        with self._verrou:
            if self._segment is None:
                self._segment = self._nouveau()
            debut = self._segment.tell()
            try:
                if self._segment.write(octets) != len(octets):
                    raise OSError(errno.ENOSPC, "volume plein", str(self.dossier))
            except OSError:
                self._revenir(debut)
                raise
            if debut + len(octets) > OCTETS_PAR_SEGMENT:
                self._finir()

    def tourner(self) -> None:
        """Finit le segment en cours : il peut être livré."""
        with self._verrou:
            self._finir()

    def synchroniser(self) -> None:
        """Attend que toutes les lignes soient sur le disque."""
        tailles = {segment: _taille(segment) for segment in self.segments()}
        for segment, taille in tailles.items():
            if self._sur_disque.get(segment) != taille:
                _synchroniser(segment)
        _synchroniser(self.dossier)
        self._sur_disque = tailles

    def segments(self) -> list[Path]:
        """Tous les segments, finis ou non, les plus anciens d’abord."""
        return sorted(self.dossier.glob("*.lignes"), key=_date)

    def lignes(self) -> int:
        """Nombre de lignes du dossier."""
        return sum(_compter(segment, _taille(segment)) for segment in self.segments())

    def octets(self) -> int:
        """Place prise par les lignes du dossier."""
        return sum(map(_taille, self.segments()))

    def _nouveau(self) -> IO[bytes]:
        chemin = self.dossier / f"{uuid.uuid4()}.lignes"
        segment = chemin.open("xb", buffering=0)
        fcntl.flock(segment, fcntl.LOCK_EX)
        if not chemin.exists():  # un autre l’a cru fini, avant notre verrou, et l’a effacé
            segment.close()
            return self._nouveau()
        return segment

    def _revenir(self, debut: int) -> None:
        """Retire une ligne à demi écrite ; à défaut, elle finit le segment, où on l’ignorera."""
        try:
            self._segment.truncate(debut)
            self._segment.seek(debut)
        except OSError:
            self._finir()

    def _finir(self) -> None:
        if self._segment is not None:
            self._segment.close()
            self._segment = None


@contextlib.contextmanager
def lire(segment: Path) -> Iterator[list[bytes] | None]:
    """Réserve un segment fini et rend ses lignes ; ``None`` s’il sert encore, ou n’est plus.

    Une dernière ligne sans fin a été coupée par un arrêt brutal, avant toute réponse : elle est
    ignorée.
    """
    try:
        fichier = segment.open("rb")
    except FileNotFoundError:
        yield None
        return
    with fichier:
        try:
            fcntl.flock(fichier, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield None
            return
        yield fichier.read().split(b"\n")[:-1]


def _synchroniser(chemin: Path) -> None:
    with contextlib.suppress(FileNotFoundError):  # livré entre-temps
        descripteur = os.open(chemin, os.O_RDONLY)
        try:
            os.fsync(descripteur)
        finally:
            os.close(descripteur)


def _taille(segment: Path) -> int:
    try:
        return segment.stat().st_size
    except FileNotFoundError:  # livré entre-temps
        return 0


def _date(segment: Path) -> float:
    try:
        return segment.stat().st_mtime
    except FileNotFoundError:
        return 0


@functools.lru_cache(maxsize=10_000)
def _compter(segment: Path, taille: int) -> int:
    """Lignes d’un segment, qui ne change que si sa taille change."""
    try:
        return segment.read_bytes()[:taille].count(b"\n")
    except FileNotFoundError:
        return 0
