"""Les vérificateurs de .github/, installés aux empreintes de outils.txt."""

import subprocess
import sys
from pathlib import Path

import pytest

RACINE = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def outils():
    """Le dossier des vérificateurs, le même que celui de « make audit »."""
    dossier, uv = RACINE / "_build" / "outils_ci", Path(sys.executable).with_name("uv")
    verrou = Path(__file__).with_name("outils.txt")
    for commande in (
        ["venv", "--allow-existing", dossier],
        ["pip", "sync", "--require-hashes", "--python", dossier / "bin" / "python", verrou],
    ):
        fait = subprocess.run(
            [uv, commande[0], "--quiet", *commande[1:]], capture_output=True, text=True, check=False
        )
        assert fait.returncode == 0, fait.stderr
    return dossier / "bin"
