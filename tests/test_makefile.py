"""Les commandes : make les liste, et dit en une phrase ce qui empêche de les lancer."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

RACINE = Path(__file__).resolve().parents[1]
OUTILS = ("awk", "env", "find", "make", "rm", "sed", "sh")


@pytest.fixture
def depot(tmp_path):
    """Un clone neuf réduit à l’installation, dans un chemin avec espaces et accents."""
    racine = tmp_path / "é t é"
    shutil.copytree(
        RACINE / "requirements",
        racine / "requirements",
        ignore=shutil.ignore_patterns("__pycache__"),
    )
    shutil.copy(RACINE / "Makefile", racine)
    shutil.copy(RACINE / "pyproject.toml", racine)
    return racine


@pytest.fixture
def machine(tmp_path):
    """Un PATH sans aucun Python, où chaque test pose ceux qu’il veut."""
    dossier = tmp_path / "bin"
    dossier.mkdir()
    for outil in OUTILS:
        (dossier / outil).symlink_to(shutil.which(outil))
    return dossier


def poser_python(machine, nom, corps):
    """Pose sous ce nom un Python de théâtre."""
    (machine / nom).write_text(f"#!/bin/sh\n{corps}\n", encoding="utf-8")
    (machine / nom).chmod(0o755)


# Le Python des tests, qui se dit d’une version trop ancienne.
TROP_ANCIEN = (
    f'exec "{sys.executable}" -c "import runpy, sys; sys.version_info = (3, 8, 10); '
    'sys.argv = sys.argv[1:]; runpy.run_path(sys.argv[0], run_name=\'__main__\')" "$@"'
)


def lancer(depot, machine, *arguments, **variables):
    """Lance make avec ce seul PATH."""
    return subprocess.run(
        ["make", *arguments],
        cwd=depot,
        env={"PATH": str(machine), "LC_ALL": "C", **variables},
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=60,
        check=False,
    )


def cibles():
    """Les commandes que déclare le Makefile."""
    texte = (RACINE / "Makefile").read_text(encoding="utf-8")
    return set(re.search(r"^\.PHONY: (.*)$", texte, re.MULTILINE).group(1).split())


def test_make_seul_liste_chaque_commande(depot, machine):
    resultat = lancer(depot, machine)
    assert resultat.returncode == 0, resultat.stderr
    listees = re.findall(r"^  make ([\w-]+) +\S.*$", resultat.stdout, re.MULTILINE)
    assert len(resultat.stdout.splitlines()) == len(listees), "une ligne par commande"
    # « environnement » ne se lance pas : chaque commande le lance.
    assert set(listees) == cibles() - {"environnement"}


def test_sans_python_une_phrase_dit_quoi_installer(depot, machine):
    resultat = lancer(depot, machine, "test")
    assert resultat.returncode != 0
    assert "Python est introuvable : installez Python 3.11" in resultat.stdout


def test_un_python_trop_ancien_est_refuse_en_une_phrase(depot, machine):
    poser_python(machine, "python3", TROP_ANCIEN)
    resultat = lancer(depot, machine, "book")
    assert resultat.returncode != 0
    assert resultat.stdout.startswith("Python 3.8 ne convient pas : il faut Python 3.11")
    assert "Traceback" not in resultat.stdout + resultat.stderr
    assert not (depot / ".venv").exists(), "un environnement a été commencé"


@pytest.mark.parametrize("present", ["python3.11", "python3.12", "python3.13"])
def test_un_python_convenable_sert_a_la_place_du_trop_ancien(depot, machine, present):
    poser_python(machine, "python3", TROP_ANCIEN)
    poser_python(machine, present, '[ "$1" = -c ] || echo "$0 lance $1"')
    resultat = lancer(depot, machine, "book")
    assert f"{present} lance requirements/installer.py" in resultat.stdout


def test_un_lanceur_qui_ne_mene_a_rien_n_est_pas_suivi(depot, machine):
    poser_python(machine, "python3", TROP_ANCIEN)
    poser_python(machine, "python3.12", "exit 127")
    assert lancer(depot, machine, "book").stdout.startswith("Python 3.8 ne convient pas")


def test_un_python_qui_ment_sur_sa_version_n_est_pas_suivi(depot, machine):
    poser_python(machine, "python3", TROP_ANCIEN)
    autre = next(
        nom for nom in ("python3.13", "python3.12") if nom[-2:] != f"{sys.version_info[1]}"
    )
    poser_python(machine, autre, f'[ "$1" = -c ] && exec "{sys.executable}" "$@"; echo suivi')
    assert lancer(depot, machine, "book").stdout.startswith("Python 3.8 ne convient pas")


def test_un_python_sans_lien_python3_est_trouve(depot, machine):
    poser_python(machine, "python3.12", 'echo "$0 lance $1"; exit 1')
    resultat = lancer(depot, machine, "book")
    assert "python3.12 lance requirements/installer.py" in resultat.stdout


def test_le_terminal_ne_regle_pas_le_python_des_etapes(depot, machine):
    """Les variables de Python s’arrêtent à make ; celles du réseau et les nôtres passent."""
    (machine / "python3").symlink_to(shutil.which("true"))
    (depot / ".venv" / "bin").mkdir(parents=True)
    faux = depot / ".venv" / "bin" / "python"
    faux.write_text("#!/bin/sh\nexec env\n", encoding="utf-8")
    faux.chmod(0o755)
    retires = ("PYTHONPATH", "PYTHONHOME", "PYTHONIOENCODING", "PYTHONWARNINGS", "MPLBACKEND")
    gardes = ("MLOPS_UTILISATEUR", "DATABASE_URL", "https_proxy", "PIP_INDEX_URL")
    vu = lancer(depot, machine, "demo", **dict.fromkeys((*retires, *gardes), "x")).stdout
    noms = {ligne.partition("=")[0] for ligne in vu.splitlines()}
    assert noms & {*retires, *gardes} == set(gardes)
    assert "UV_SYSTEM_CERTS=true" in vu
    assert "PYTHONUTF8=1" in vu


def test_un_venv_d_ailleurs_est_refuse_en_une_phrase(depot, machine):
    (machine / "python3").symlink_to(sys.executable)
    (depot / ".venv" / "lib").mkdir(parents=True)
    resultat = lancer(depot, machine, "lint")
    assert resultat.returncode != 0
    assert "Le dossier .venv existe déjà" in resultat.stdout
    assert "Traceback" not in resultat.stdout + resultat.stderr


def test_clean_efface_ce_qui_est_construit_et_rien_d_autre(depot, machine):
    for chemin in ("_build/html", ".ruff_cache", "notebooks/.ipynb_checkpoints", "a b/__pycache__"):
        (depot / chemin).mkdir(parents=True)
    precieux = depot / ".venv" / "lib" / "__pycache__"
    precieux.mkdir(parents=True)
    avant = {"Makefile", "pyproject.toml", "requirements", "notebooks", "a b", ".venv"}

    resultat = lancer(depot, machine, "clean")

    assert resultat.returncode == 0, resultat.stderr
    assert {chemin.name for chemin in depot.iterdir()} == avant
    assert not (depot / "notebooks" / ".ipynb_checkpoints").exists()
    assert not (depot / "a b" / "__pycache__").exists()
    assert precieux.exists(), "l’environnement n’est pas un cache"


def test_clean_dit_que_la_base_n_a_pas_pu_etre_effacee_mais_efface_le_reste(depot, machine):
    (depot / "_build").mkdir()
    for nom in ("mlops-demo", "python"):
        faux = depot / ".venv" / "bin" / nom
        faux.parent.mkdir(parents=True, exist_ok=True)
        faux.write_text("#!/bin/sh\necho panne >&2\nexit 3\n", encoding="utf-8")
        faux.chmod(0o755)
    resultat = lancer(depot, machine, "clean")
    assert resultat.returncode != 0
    assert "panne" in resultat.stderr
    assert not (depot / "_build").exists()


def test_aucune_commande_ne_depend_d_un_chemin_absolu():
    texte = (RACINE / "Makefile").read_text(encoding="utf-8")
    # make coupe un chemin à ses espaces : seuls les chemins relatifs y survivent.
    assert not re.search(r"\$\((CURDIR|PWD|abspath|realpath)", texte)
    for dossier in re.findall(r"(?<![\w.$])/(\w+)", texte):
        assert dossier == "dev", f"/{dossier} est un chemin absolu"
