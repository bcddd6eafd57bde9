"""Lancer un programme pour un test, attendre qu’il soit prêt, l’arrêter."""

import contextlib
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest


def environnement(dossier: Path, verrou: Path) -> Path:
    """Fait un environnement Python d’un verrou, empreintes exigées ; rend son dossier « bin »."""
    uv, python = Path(sys.executable).with_name("uv"), dossier / "bin" / "python"
    for commande in (
        [uv, "venv", "--quiet", "--python", sys.executable, dossier],
        [uv, "pip", "sync", "--quiet", "--python", python, "--require-hashes", verrou],
    ):
        fait = subprocess.run(commande, capture_output=True, text=True, check=False)
        assert fait.returncode == 0, fait.stderr
    return dossier / "bin"


def construire(image: str, dockerfile: str) -> None:
    """Construit une image du dépôt ; ce qui n’a pas changé vient du cache du moteur."""
    fait = subprocess.run(
        ["docker", "build", "-q", "-t", image, "-f", dockerfile, "."],
        cwd=Path(__file__).resolve().parents[2],
        capture_output=True,
        text=True,
        check=False,
    )
    assert fait.returncode == 0, f"{fait.stderr}\nSans moteur Docker : sudo .ci/moteur"


def attendre(adresse, programme, journal, limite_s=240):
    """Attend qu’une adresse réponde ; montre le journal si elle n’y vient pas."""
    fin = time.monotonic() + limite_s
    while time.monotonic() < fin and programme.poll() is None:
        with contextlib.suppress(OSError):
            urllib.request.urlopen(adresse, timeout=5)
            return
        time.sleep(0.2)
    pytest.fail(f"{adresse} ne répond pas :\n{journal.read_text()[-3000:]}")


@contextlib.contextmanager
def programme(commande, journal, env, pret):
    """Lance un programme, attend qu’il soit prêt, et l’arrête à la fin."""
    with journal.open("w") as sortie:
        lance = subprocess.Popen(
            commande, env=env, stdout=sortie, stderr=sortie, cwd=journal.parent
        )
    try:
        attendre(pret, lance, journal)
        yield lance
    finally:
        lance.terminate()
        lance.wait(60)
