"""Ce que plusieurs dossiers de tests partagent : le vrai livre, construit une fois."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

RACINE = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def livre() -> Path:
    """Construit le livre du dépôt comme le ferait « make book » et donne son dossier."""
    resultat = subprocess.run(
        [sys.executable, "-m", "publication", "livre"],
        cwd=RACINE,
        env={n: v for n, v in os.environ.items() if n != "DATABASE_URL" and "MLOPS_" not in n},
        capture_output=True,
        text=True,
        check=False,
    )
    assert resultat.returncode == 0, f"Le livre ne se construit pas.\n{resultat.stderr}"
    return RACINE / "_build" / "html"
