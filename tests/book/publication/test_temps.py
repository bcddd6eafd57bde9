import re

import pytest
from nbformat.v4 import new_markdown_cell
from publication import reference
from publication.depot import RACINE, ErreurPublication, ecrire
from publication.temps import (
    DEBIT,
    VERSIONS,
    Section,
    debuts,
    depassements,
    duree,
    lire_sections,
    presenter,
)

CHAPITRE = "{texte: Un chapitre, adresse: 1_chapitre.ipynb}"
DEMONSTRATION = "{texte: La démonstration, adresse: ../notebooks/41_premier.ipynb}"
PLAN = f"""
- {{partie: Ouverture, minutes: 2, courte: 1, atelier: 4}}
- {{partie: {CHAPITRE}, expose: 1_essai, minutes: 8, courte: 6, atelier: 20}}
- {{partie: {DEMONSTRATION}, expose: 4_demo, minutes: 9, courte: 7, atelier: 40}}
- {{partie: Marge, minutes: 2, courte: 2, atelier: 6}}
"""


@pytest.fixture
def planifie(exposer, diapositive, monkeypatch):
    """Un exposé d’une minute, avec un exercice d’atelier, et un plan de quatre parties."""
    monkeypatch.setattr(reference, "charger", lambda: {"durees": {"41": 60, "42": 40, "2": 9}})
    cellules = diapositive("a", notes=DEBIT * "mot ")
    exercice = new_markdown_cell(DEBIT * "mot ", id="exercice")
    exercice.metadata["slideshow"] = {"slide_type": "notes", "version": "atelier", "exercice": 3}
    racine = exposer([*cellules, exercice])
    ecrire(racine / "book" / "donnees" / "plan.yaml", PLAN)
    return racine


def test_une_minute_de_notes():
    assert duree("mot " * DEBIT) == pytest.approx(60), "Le débit annoncé est celui qui compte."
    assert duree("[un lien](https://exemple.org/long/chemin)") == duree("un lien")


def test_temps_estime_et_mesure(planifie):
    _, chapitre, demonstration, marge = lire_sections(planifie)
    assert (chapitre.estime, chapitre.mesure) == (pytest.approx(60), None)
    # La démonstration dure ce que la référence a mesuré des étapes du chapitre 4
    assert (demonstration.estime, demonstration.mesure, demonstration.retenu) == (0, 100, 100)
    assert marge.retenu == 0


def test_un_exercice_compte_en_atelier_seulement(planifie):
    durees = {v: lire_sections(planifie, v)[1] for v in VERSIONS}
    assert {v: (s.prevu, s.estime) for v, s in durees.items()} == {
        "courte": (360, pytest.approx(60)),
        "ordinaire": (480, pytest.approx(60)),
        "atelier": (1200, pytest.approx(300)),
    }
    assert debuts(planifie, "atelier") == {"1_essai": 240, "4_demo": 24 * 60}


def test_une_partie_absente_du_plan(planifie):
    ecrire(planifie / "book" / "donnees" / "plan.yaml", PLAN.replace("1_essai", "2_autre"))
    with pytest.raises(ErreurPublication, match="plan.yaml n’a pas les parties.*1_essai"):
        lire_sections(planifie)


@pytest.mark.parametrize(
    ("section", "fautes"),
    [
        # Une partie ne dépasse pas son temps de plus d’un cinquième, mesure comprise
        (Section("Chapitre", 600, 720, None), 0),
        (Section("Chapitre", 600, 721, None), 1),
        (Section("Démonstration", 540, 300, 648), 0),
        (Section("Démonstration", 540, 300, 649), 1),
        # Et l’orateur n’en laisse pas plus d’un quart sans paroles
        (Section("Chapitre", 600, 450, None), 0),
        (Section("Chapitre", 600, 449, None), 1),
    ],
)
def test_une_partie_tient_dans_son_temps(section, fautes):
    assert len(depassements([section])) == fautes


@pytest.mark.parametrize(("version", "plafond"), VERSIONS.items())
@pytest.mark.parametrize(("marge", "fautes"), [(120, 0), (121, 2)])
def test_chaque_version_tient_sous_son_plafond(version, plafond, marge, fautes):
    parole = 60 * plafond - 120
    sections = [Section("Exposé", parole, parole, None), Section("Marge", marge, 0, None)]
    assert len(depassements(sections, version)) == fautes


def test_tableaux_des_temps(planifie):
    texte = presenter(planifie)
    for titre in ("Version courte, 35 min", "L’exposé, 45 min", "Atelier, 90 min"):
        assert titre in texte
    assert re.search(r"Un chapitre +8 min 00 +1 min 00 +— +7 min 00", texte.replace("\u00a0", " "))
    assert f"{DEBIT} par minute" in texte
    assert "sans étude à l’appui" in texte, "Le débit dit d’où il vient."


@pytest.mark.parametrize("version", VERSIONS)
def test_le_vrai_expose_tient(version):
    """Notes, exercices et démonstration mesurée, partie par partie et en tout."""
    sections = lire_sections(RACINE, version)
    assert sum(s.mesure is not None for s in sections) == 1, "La démonstration a été mesurée."
    assert depassements(sections, version) == []


def test_les_versions_se_distinguent():
    """Chaque version a plus à dire que la précédente."""
    dites = [sum(s.estime for s in lire_sections(RACINE, v)) for v in VERSIONS]
    assert dites == sorted(set(dites)), dites
