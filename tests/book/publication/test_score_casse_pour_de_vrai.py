"""Le vrai dépôt, cassé exprès dans chaque section : ses vrais tests échouent, le score tombe."""

import os
import shutil
import subprocess
import sys
from typing import NamedTuple

import pytest
from publication.depot import RACINE
from publication.score import TESTS, assurer_rapport, lire_rapport, noter, par_section, score
from publication.tableaux import charger

pytestmark = pytest.mark.lent
GRILLE = charger("ml_test_score")


class Casse(NamedTuple):
    """Une ligne changée dans une copie du dépôt, le vrai test qui doit la voir, et sa plainte."""

    fichier: str
    avant: str
    apres: str
    test: str
    plainte: str


# Une vraie cause par section : l’étiquette du jour même fuit dans les variables de la veille ; le
# modèle n’apprend presque plus rien ; il apprend des vols tirés sans graine ; un paquet n’est plus
# celui du verrou.
CASSES = {
    "Données": Casse(
        "notebooks/mlops_demo/features.sql",
        "SELECT flight_date + 1 AS flight_date",
        "SELECT flight_date AS flight_date",
        "test_donnees.py::test_les_dix_neuf_variables_recalculees_autrement_sont_les_memes",
        "late_origin_d1",
    ),
    "Modèle": Casse(
        "notebooks/mlops_demo/entrainement.py",
        'LogisticRegression(solver="newton-cholesky")',
        'LogisticRegression(solver="newton-cholesky", C=1e-9)',
        "test_modele.py::test_un_modele_plus_simple_ne_fait_pas_mieux",
        "fait aussi bien : gardez-le",
    ),
    "Infrastructure": Casse(
        "notebooks/mlops_demo/entrainement.py",
        "    connus = etiquetes(exemples)\n",
        "    connus = etiquetes(exemples).sample(frac=0.9)\n",
        "test_infrastructure.py::test_deux_apprentissages_sont_identiques_au_bit_pres",
        "naïf : même graine, mêmes données, autre modèle",
    ),
    "Surveillance": Casse(
        "requirements/lock.txt",
        "papermill==2.7.0",
        "papermill==2.6.0",
        "test_surveillance.py::test_tout_changement_de_dependance_est_signale",
        "papermill n’est pas ==2.6.0",
    ),
}


def casser(copie, casse):
    """Le rapport brut et la sortie d’un vrai test, joué seul dans une copie cassée du dépôt."""
    for dossier in ("notebooks/mlops_demo", "book/publication", "book/donnees", "requirements"):
        shutil.copytree(RACINE / dossier, copie / dossier)
    shutil.copytree(RACINE / TESTS, copie / TESTS)
    shutil.copy(RACINE / "tests" / "conftest.py", copie / "tests")
    shutil.copy(RACINE / "pyproject.toml", copie)
    (copie / "data").symlink_to(RACINE / "data")
    texte = (copie / casse.fichier).read_text(encoding="utf-8")
    assert texte.count(casse.avant) == 1, f"la ligne à casser de {casse.fichier} a changé"
    refait = texte.replace(casse.avant, casse.apres)
    (copie / casse.fichier).write_text(refait, encoding="utf-8")
    env = {n: v for n, v in os.environ.items() if n != "DATABASE_URL" and "MLOPS_" not in n}
    joue = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"{TESTS}/{casse.test}"],
        cwd=copie,
        env=env | {"PYTHONPATH": f"{copie / 'notebooks'}:{copie / 'book'}"},
        capture_output=True,
        text=True,
        check=False,
    )
    (test,) = lire_rapport(copie)["tests"]
    return test, joue.stdout


@pytest.fixture(scope="module")
def casses(tmp_path_factory):
    """Chaque casse à part : une autre ne doit pas faire échouer son test à sa place."""
    return {
        section: casser(tmp_path_factory.mktemp("cassé") / "dépôt", casse)
        for section, casse in CASSES.items()
    }


@pytest.fixture(scope="module")
def entier():
    """Le rapport brut de ce dépôt, où tout a été joué."""
    assurer_rapport(RACINE)
    return lire_rapport(RACINE)["tests"]


def avec(entier, casses):
    """Le rapport entier, où ces tests-là ont l’issue qu’ils ont eue une fois cassés."""
    noms = {c["test"] for c in casses}
    return {"tests": [t for t in entier if t["test"] not in noms] + casses}


@pytest.mark.parametrize("section", CASSES)
def test_casser_une_vraie_cause_fait_echouer_le_vrai_test_et_tomber_sa_section(
    casses, entier, section
):
    sien, sortie = casses[section]
    assert CASSES[section].plainte in sortie, sortie
    assert sien["issue"] == "échoué"
    avant = par_section(noter(GRILLE, {"tests": entier}))
    apres = par_section(noter(GRILLE, avec(entier, [sien])))
    assert apres.pop(section) == avant.pop(section) - 1
    assert apres == avant


def test_un_vrai_test_casse_dans_chaque_section_fait_tomber_le_score(casses, entier):
    avant = score(noter(GRILLE, {"tests": entier}))
    apres = score(noter(GRILLE, avec(entier, [test for test, _ in casses.values()])))
    assert apres == avant - 1
