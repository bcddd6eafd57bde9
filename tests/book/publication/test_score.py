"""Le ML Test Score : un point par test réussi, et rien pour ce qui ne l’est pas."""

import json
import subprocess
import sys

import pytest
from publication import score
from publication.depot import RACINE, ErreurPublication
from publication.score import identifiants_marques, lecture, noter, par_section
from publication.tableaux import charger

GRILLE = charger("ml_test_score")
DEUX = [
    {"n": "D1", "section": "Données", "exigence": "…"},
    {"n": "M1", "section": "Modèle", "exigence": "…", "raison": "pas de relecture"},
]


def execute(exigence, issue="réussi", test="tests/ml_test_score/test_a.py::test_un"):
    return {"exigence": exigence, "test": test, "issue": issue, "mesure": "trois sur trois"}


def test_la_grille_a_ses_28_lignes():
    attendues = [f"{lettre}{i}" for lettre in "DMIS" for i in range(1, 8)]
    assert [x["n"] for x in GRILLE] == attendues, "sept lignes par section, dans l’ordre"


def test_chaque_numero_a_un_test_ou_dit_pourquoi_pas():
    marques = {
        f"{section} {rang}"
        for fichier in (RACINE / score.TESTS).glob("test_*.py")
        for section in ("Données", "Modèle", "Infrastructure", "Surveillance")
        for rang in range(1, 8)
        if f'ml_test_score("{section} {rang}")' in fichier.read_text(encoding="utf-8")
    }
    for ligne in GRILLE:
        numero = f"{ligne['section']} {ligne['n'][1:]}"
        assert (numero in marques) != ("raison" in ligne), f"{numero} : un test, ou une raison"


def test_un_test_reussi_donne_son_point_et_sa_mesure():
    note, _ = noter(DEUX, {"tests": [execute("Données 1")]})
    assert (note.points, note.mesure) == (1, "trois sur trois")
    assert note.tests == ["tests/ml_test_score/test_a.py::test_un"]


@pytest.mark.parametrize("issue", ["échoué", "sauté", "réussi malgré xfail", "non exécuté"])
def test_un_test_non_reussi_ne_donne_rien_et_se_nomme(issue):
    tests = [execute("Données 1"), execute("Données 1", issue, "t.py::test_deux")]
    note, _ = noter(DEUX, {"tests": tests})
    assert note.points == 0, "un seul test manqué suffit"
    assert note.mesure == f"test_deux : {issue}"


def test_un_test_absent_ne_donne_rien():
    un, deux = noter(DEUX, {"tests": []})
    assert (un.points, deux.points) == (0, 0)
    assert deux.mesure == "pas de relecture", "la raison de la grille"


def test_le_score_est_le_minimum_des_sections():
    tests = [execute(f"{x['section']} {x['n'][1:]}") for x in GRILLE if x["n"] != "M1"]
    notes = noter(GRILLE, {"tests": tests})
    assert par_section(notes) == {
        "Données": 7,
        "Modèle": 6,
        "Infrastructure": 7,
        "Surveillance": 7,
    }
    assert score.score(notes) == 6, "le point faible fait le score"
    for section in ("Données", "Infrastructure", "Surveillance"):
        moins = [t for t in tests if t["exigence"] not in (f"{section} 1", f"{section} 2")]
        assert score.score(noter(GRILLE, {"tests": moins})) == 5, section


@pytest.mark.parametrize(
    ("valeur", "debut"),
    [
        *((0, "plutôt"), (0.5, "pas tot"), (1, "pas tot"), (1.5, "première"), (2, "première")),
        *((2.5, "raison"), (3, "raison"), (3.5, "fort"), (5, "fort"), (5.5, "niveau")),
    ],
)
def test_lecture_des_deux_cotes_de_chaque_palier(valeur, debut):
    assert lecture(valeur).startswith(debut), "chaque palier comprend sa borne haute"


@pytest.fixture
def depot(tmp_path):
    """Un petit dépôt dont le dossier de tests a le vrai enregistreur."""
    dossier = tmp_path / score.TESTS
    dossier.mkdir(parents=True)
    vrai = (RACINE / score.TESTS / "conftest.py").read_text(encoding="utf-8")
    (dossier / "conftest.py").write_text(vrai, encoding="utf-8")
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers = ml_test_score\n", encoding="utf-8")
    return tmp_path


TESTS_D_ESSAI = """
import pytest

@pytest.mark.ml_test_score("Données 1")
def test_bon(mesure):
    mesure("tout va bien")

@pytest.mark.ml_test_score("Données 2")
def test_rouge():
    assert False

@pytest.mark.ml_test_score("Données 3")
def test_saute():
    pytest.skip("plus tard")

@pytest.mark.ml_test_score("Données 4")
@pytest.mark.xfail
def test_attendu_en_echec():
    assert False

@pytest.mark.ml_test_score("Données 5")
@pytest.mark.xfail
def test_reussi_malgre_tout():
    pass

@pytest.fixture
def casse():
    yield
    raise RuntimeError

@pytest.mark.ml_test_score("Données 6")
def test_mal_range(casse):
    pass

def test_sans_numero():
    pass
"""


def test_le_rapport_dit_l_issue_de_chaque_test(depot):
    (depot / score.TESTS / "test_a.py").write_text(TESTS_D_ESSAI, encoding="utf-8")
    subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", score.TESTS],
        cwd=depot,
        capture_output=True,
        check=False,
    )
    rapport = score.lire_rapport(depot)
    issues = {t["exigence"][-1]: t["issue"] for t in rapport["tests"]}
    assert issues == {
        "1": "réussi",
        "2": "échoué",
        "3": "sauté",
        "4": "sauté",
        "5": "réussi malgré xfail",
        "6": "échoué",
    }
    assert rapport["tests"][0]["mesure"] == "tout va bien"
    points = [n.points for n in noter(GRILLE, rapport)]
    assert sum(points) == points[0] == 1, "un seul a réussi"


def test_un_rapport_perime_ou_incomplet_se_refait(depot):
    test = depot / score.TESTS / "test_a.py"
    test.write_text(TESTS_D_ESSAI.split("@pytest.mark", maxsplit=1)[0] + "def test_rien(): pass\n")
    bon = '@pytest.mark.ml_test_score("Données 1")\ndef test_bon():\n    pass\n'
    test.write_text(f"import pytest\n{bon}", encoding="utf-8")
    score.assurer_rapport(depot)
    fichier = depot / score.RAPPORT
    premier = fichier.stat().st_mtime_ns
    score.assurer_rapport(depot)
    assert fichier.stat().st_mtime_ns == premier, "rien n’a changé : rien n’est refait"
    assert identifiants_marques(depot) == {f"{score.TESTS}/test_a.py::test_bon"}
    test.write_text(test.read_text(encoding="utf-8") + bon.replace("bon", "autre"))
    score.assurer_rapport(depot)
    assert len(score.lire_rapport(depot)["tests"]) == 2, "un test de plus : tout est refait"
    tronque = json.loads(fichier.read_text(encoding="utf-8"))
    tronque["tests"].pop()
    fichier.write_text(json.dumps(tronque))
    score.assurer_rapport(depot)
    assert len(score.lire_rapport(depot)["tests"]) == 2, "un rapport partiel ne compte pas"


def test_sans_rapport_l_erreur_dit_quoi_faire(tmp_path):
    with pytest.raises(ErreurPublication, match="make book"):
        score.lire_rapport(tmp_path)


def test_des_tests_qui_ne_s_executent_pas_sont_dits(depot):
    (depot / score.TESTS / "conftest.py").write_text("import absent_du_depot\n")
    with pytest.raises(ErreurPublication, match="ne s’exécutent pas"):
        score.assurer_rapport(depot)
    assert "absent_du_depot" in (depot / "_build" / "journal-erreur.txt").read_text()
