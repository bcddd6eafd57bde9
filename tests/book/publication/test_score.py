"""Le ML Test Score : 28 lignes, des preuves qui existent, et rien sans preuve."""

import pytest
from publication.score import identifiants_des_tests, lecture, noter, par_section, score
from publication.tableaux import charger

GRILLE = charger("ml_test_score")


@pytest.fixture
def depot(tmp_path):
    """Un petit dépôt : deux tests, un document."""
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "test_a.py").write_text(
        "def test_un():\n    pass\n\ndef test_deux():\n    pass\n\ndef aide():\n    pass\n"
    )
    (tmp_path / "mesures.md").write_text("Mesuré le 3 mars.\n")
    identifiants_des_tests.cache_clear()
    yield tmp_path
    identifiants_des_tests.cache_clear()


def ligne(n, section, **preuve):
    return {"n": n, "section": section, "exigence": "…", "raison": "parce que", **preuve}


def test_la_grille_a_ses_28_lignes():
    attendues = [f"{lettre}{i}" for lettre in "DMIS" for i in range(1, 8)]
    assert [x["n"] for x in GRILLE] == attendues, "sept lignes par section, dans l’ordre"


@pytest.mark.parametrize("exigence", GRILLE, ids=lambda x: x["n"])
def test_chaque_ligne_a_sa_preuve_ou_dit_ce_qui_manque(exigence):
    inconnus = set(exigence.get("tests", [])) - identifiants_des_tests()
    assert not inconnus, f"{exigence['n']} nomme des tests qui n’existent pas : {inconnus}"
    sans_preuve = not {"tests", "document"} & exigence.keys()
    assert ("a_ecrire" in exigence) == sans_preuve, "sans preuve, dire le test à écrire"
    assert exigence["raison"], "chaque note est expliquée"


def test_un_point_par_preuve(depot):
    notes = noter(
        [
            ligne(
                "D1", "Données", tests=["tests/test_a.py::test_un", "tests/test_a.py::test_deux"]
            ),
            ligne("D2", "Données", document="mesures.md"),
            ligne("D3", "Données"),
        ],
        depot,
    )
    assert [n.points for n in notes] == [1, 0.5, 0], "automatique, à la main, rien"


@pytest.mark.parametrize("faux", ["tests/test_a.py::aide", "tests/test_b.py::test_un"])
def test_un_test_introuvable_ne_rapporte_rien(depot, faux):
    (note,) = noter([ligne("D1", "Données", tests=["tests/test_a.py::test_un", faux])], depot)
    assert note.points == 0, "un seul test absent suffit à perdre le point"
    assert faux in note.raison, "la raison nomme le test absent"


def test_un_document_introuvable_ne_rapporte_rien(depot):
    (note,) = noter([ligne("S6", "Surveillance", document="absent.md")], depot)
    assert (note.points, "absent.md" in note.raison) == (0, True), "pas de document, pas de point"


def test_retirer_un_test_fait_baisser_le_score(depot):
    grille = [
        ligne("D1", "Données", tests=["tests/test_a.py::test_un"]),
        ligne("M1", "Modèle", tests=["tests/test_a.py::test_deux"]),
    ]
    assert score(noter(grille, depot)) == 1, "les deux sections ont leur point"
    fichier = depot / "tests" / "test_a.py"
    fichier.write_text(fichier.read_text().replace("test_deux", "autre_nom"))
    identifiants_des_tests.cache_clear()
    assert score(noter(grille, depot)) == 0, "la section sans test plafonne tout"


def test_le_score_est_le_minimum_des_sections():
    notes = noter(GRILLE)
    totaux = par_section(notes)
    assert list(totaux) == ["Données", "Modèle", "Infrastructure", "Surveillance"]
    assert score(notes) == min(totaux.values()), "le point faible fait le score"
    assert sum(totaux.values()) == sum(n.points for n in notes), "aucun point perdu en route"


@pytest.mark.parametrize(
    ("valeur", "debut"),
    [
        *((0, "plutôt"), (0.5, "pas tot"), (1, "pas tot"), (1.5, "première"), (2, "première")),
        *((2.5, "raison"), (3, "raison"), (3.5, "fort"), (5, "fort"), (5.5, "niveau")),
    ],
)
def test_lecture_des_deux_cotes_de_chaque_palier(valeur, debut):
    assert lecture(valeur).startswith(debut), "chaque palier comprend sa borne haute"
