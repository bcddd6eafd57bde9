"""Les pages de l’orateur et du participant : les commandes qu’elles citent."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from mlops_demo.__main__ import analyseur
from publication import orateur
from publication.depot import RACINE, lire_yaml
from publication.tableaux import charger

PAGES = ("orateur", "participant", "plan")
CODE = re.compile(r"```bash\n(.*?)```|`([^`\n]+)`", re.DOTALL)
COMMANDES = ("make", "git", "cd", "sudo", ".venv/bin/mlops-demo", ".venv/bin/papermill")
AFFECTATION = re.compile(r"[A-Z_]+=\S+")
# Les variables d’environnement que le projet lit, et les réglages du Makefile.
VARIABLES = {"DATABASE_URL", "MLOPS_UTILISATEUR", "PORT", "PYTHON"}


def commandes():
    """Les commandes que citent les trois pages, leurs données et leurs tableaux."""
    for page in PAGES:
        for cellule in nbformat.read(RACINE / "book" / f"{page}.ipynb", as_version=4).cells:
            if cellule.cell_type == "markdown":
                for bloc, ligne in CODE.findall(cellule.source):
                    for suite in (ligne or bloc).replace("\\\n", " ").strip().splitlines():
                        yield from suite.split(" && ")
    for panne in charger("pannes"):
        yield from re.findall(r"(?:[A-Z_]+=\w+ )?make [a-z]+(?: PORT=\d+)?", panne["geste"])
    yield from (etape["commande"] for etape in orateur.etapes(RACINE))


def lire(commande):
    """Sépare les mots d’une commande ; rien que ses variables si ce n’en est pas une."""
    mots = shlex.split(commande.removeprefix("export "))
    while mots and AFFECTATION.fullmatch(mots[0]):
        yield mots.pop(0)
    if mots and mots[0] in COMMANDES:
        yield from mots


CITEES = sorted({c for c in commandes() if any(m in COMMANDES for m in lire(c))})


@pytest.mark.parametrize("commande", CITEES)
def test_chaque_commande_citee_existe(commande):
    mots = list(lire(commande))
    variables = {mot.partition("=")[0] for mot in mots if AFFECTATION.fullmatch(mot)}
    assert variables <= VARIABLES, f"Variable inconnue : {variables - VARIABLES}"
    programme, *arguments = [mot for mot in mots if not AFFECTATION.fullmatch(mot)]
    if programme == "make":
        makefile = (RACINE / "Makefile").read_text(encoding="utf-8")
        cibles = re.search(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)[1].split()
        assert arguments == [] or set(arguments) <= set(cibles), commande
    elif programme == ".venv/bin/mlops-demo":
        assert analyseur().parse_args(arguments).faire
    elif programme == ".venv/bin/papermill":
        assert (Path(sys.executable).parent / "papermill").is_file()
        assert (RACINE / next(a for a in arguments if a.startswith("notebooks/"))).is_file()
    elif programme == "git":
        depot = lire_yaml(RACINE / "_config.yml")["repository"]["url"]
        assert arguments == ["clone", depot]
    elif programme == "cd" and arguments != ["~"]:
        assert lire_yaml(RACINE / "_config.yml")["repository"]["url"].endswith(f"/{arguments[0]}")
    elif "install" in arguments:
        readme = (RACINE / "README.md").read_text(encoding="utf-8")
        assert commande in readme, "Le README et cette page installent les mêmes paquets."


def test_les_commandes_attendues_sont_citees():
    """Sans elles, l’orateur ou le participant devrait deviner."""
    cibles = {mot for commande in CITEES for mot in lire(commande)}
    assert {"book", "slides", "pdf", "temps", "demo", "lab", "serve", "clean"} <= cibles


def test_les_reglages_de_la_salle_existent():
    """Ce que la page de l’orateur dit de local/ est ce que local/ lit et écrit."""
    exemple = (RACINE / "local" / ".env.exemple").read_text(encoding="utf-8")
    lanceur = (RACINE / "local" / "lancer.py").read_text(encoding="utf-8")
    page = (RACINE / "book" / "orateur.ipynb").read_text(encoding="utf-8")
    for reglage in ("PARTICIPANTS", "ADRESSE_HUB"):
        assert reglage in page
        assert re.search(rf"^{reglage}=", exemple, re.MULTILINE), reglage
    coeur, participant = re.search(r"PAR_PARTICIPANT = ([\d.]+), ([\d.]+)", lanceur).groups()
    dits = (
        f"{float(coeur):g} Gio de mémoire, et {participant.replace('.', ',')} Gio par participant"
    )
    assert dits in page
    assert "cartes.html" in lanceur
    assert "local/secrets/cartes.html" in page


@pytest.mark.lent
def test_une_etape_se_rejoue_d_une_commande(tmp_path):
    """La commande de la page du participant, exécutée telle quelle, dans un schéma à elle."""
    commande = next(c for c in CITEES if "papermill" in c and " -p " in c)
    arguments = shlex.split(commande)
    arguments[0] = str(Path(sys.executable).parent / "papermill")
    sortie = tmp_path / "essai.ipynb"
    arguments = [str(sortie) if a.startswith("_build/") else a for a in arguments]
    resultat = subprocess.run(
        arguments,
        cwd=RACINE,
        env={**os.environ, "MLOPS_UTILISATEUR": "essai", "MLOPS_TRAVAIL": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert resultat.returncode == 0, resultat.stderr[-2000:]
    execute = nbformat.read(sortie, as_version=4)
    assert "2013-07" in "".join(c.source for c in execute.cells if "injected" in str(c.metadata))
    sorties = [str(c.outputs) for c in execute.cells if c.cell_type == "code"]
    assert any("**refusé**" in sortie for sortie in sorties), "Le lot de juillet aussi est refusé."
