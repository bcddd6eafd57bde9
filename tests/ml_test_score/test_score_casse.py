"""Casser un test fait tomber sa section, et le score dès qu’elle est la plus basse."""

import pytest
from publication.score import noter, par_section, score
from publication.tableaux import charger

SECTIONS = ("Données", "Modèle", "Infrastructure", "Surveillance")
GRILLE = charger("ml_test_score")


def rapport(**casses):
    """Le rapport d’une exécution où tout réussit, hors les numéros cassés de chaque section."""
    tests = []
    for ligne in GRILLE:
        rang = int(ligne["n"][1:])
        if "raison" not in ligne:
            issue = "échoué" if rang in casses.get(ligne["section"], ()) else "réussi"
            exigence = f"{ligne['section']} {rang}"
            tests.append({"exigence": exigence, "test": "t.py::t", "issue": issue, "mesure": ""})
    return {"tests": tests}


@pytest.mark.parametrize("section", SECTIONS)
@pytest.mark.parametrize("rang", range(2, 8))
def test_un_test_casse_retire_un_point_a_sa_section_et_a_elle_seule(section, rang):
    avant = par_section(noter(GRILLE, rapport()))
    notes = noter(GRILLE, rapport(**{section: [rang]}))
    apres = par_section(notes)
    assert apres.pop(section) == avant.pop(section) - 1
    assert apres == avant
    assert score(notes) == min([*apres.values(), par_section(notes)[section]])


@pytest.mark.parametrize("section", SECTIONS)
def test_casser_toute_une_section_met_le_score_a_zero(section):
    assert score(noter(GRILLE, rapport(**{section: range(1, 8)}))) == 0
