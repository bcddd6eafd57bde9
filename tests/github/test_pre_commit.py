"""Les vérifications d’avant commit : celles du Makefile, et elles arrêtent ce qu’il faut."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

RACINE = Path(__file__).resolve().parents[2]
CONFIGURATION = RACINE / ".pre-commit-config.yaml"
# Le clone peut être à un autre compte.
GIT = {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "safe.directory", "GIT_CONFIG_VALUE_0": "*"}


def lancer(dossier, *commande, **reglages):
    """Lance une commande dans un dossier ; rend ce qu’elle a fait."""
    return subprocess.run(
        [str(mot) for mot in commande],
        cwd=dossier,
        env={**os.environ, **GIT, **reglages},
        capture_output=True,
        encoding="utf-8",
        check=False,
        timeout=300,
    )


@pytest.fixture
def clone(tmp_path):
    """Un clone du dépôt, avec les commandes d’ici et le Python des tests."""
    dossier = tmp_path / "clone"
    fait = lancer(tmp_path, "git", "clone", "--quiet", RACINE, dossier)
    assert fait.returncode == 0, fait.stderr
    for nom in (CONFIGURATION.name, "Makefile"):
        (dossier / nom).write_bytes((RACINE / nom).read_bytes())
        lancer(dossier, "git", "add", nom)
    python = dossier / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n', encoding="utf-8")
    python.chmod(0o755)
    # Ainsi marqué, cet environnement passe pour installé : make ne le refait pas.
    temoin = (RACINE / ".venv" / ".verrou").read_text(encoding="utf-8")
    (python.parents[1] / ".verrou").write_text(temoin.replace(str(RACINE), str(dossier)))
    return dossier


def verifier(outils, dossier, tmp_path):
    """Lance les vérifications sur tout le dépôt."""
    options = ("run", "--all-files", "--color=never")
    return lancer(dossier, outils / "pre-commit", *options, PRE_COMMIT_HOME=str(tmp_path / "pc"))


def test_un_notebook_qui_garde_une_sortie_arrete_le_commit(outils, clone, tmp_path):
    fautif = clone / "notebooks" / "41_donnees.ipynb"
    contenu = json.loads(fautif.read_text(encoding="utf-8"))
    code = next(c for c in contenu["cells"] if c["cell_type"] == "code")
    code["execution_count"] = 1
    fautif.write_text(json.dumps(contenu), encoding="utf-8")
    fait = verifier(outils, clone, tmp_path)
    assert fait.returncode != 0
    assert "garde une sortie ou un numéro d’exécution" in fait.stdout


def test_make_lint_passe_avant_chaque_commit(outils, tmp_path):
    fait = verifier(outils, RACINE, tmp_path)
    assert fait.returncode == 0, fait.stdout + fait.stderr
    assert "make lint" in fait.stdout


def test_les_commandes_make_sont_celles_du_makefile():
    makefile = (RACINE / "Makefile").read_text(encoding="utf-8")
    (depot,) = yaml.safe_load(CONFIGURATION.read_text(encoding="utf-8"))["repos"]
    assert [c["entry"] for c in depot["hooks"]] == ["make lint"]
    assert re.search(r"^lint:", makefile, re.MULTILINE)
