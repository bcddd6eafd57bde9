import nbformat
import pytest
from publication.depot import RACINE, ErreurPublication, ecrire, ecrire_json
from publication.plan import fichier_releve
from publication.temps import (
    DEBIT,
    Section,
    debuts,
    depassements,
    duree,
    lire_sections,
    presenter,
    repartir,
)

PLAN = """
- {partie: Ouverture, minutes: 2}
- {partie: {texte: Un chapitre, adresse: 1_chapitre.ipynb}, minutes: 8}
- {partie: {texte: La démonstration, adresse: ../notebooks/41_premier.ipynb}, minutes: 9}
- {partie: Questions, minutes: 2}
"""


@pytest.fixture
def planifie(depot):
    """Le dépôt jetable, avec un plan de quatre parties."""
    ecrire(depot / "book" / "donnees" / "plan.yaml", PLAN)
    return depot


def noter(cellule, texte):
    """Fait d’une cellule de texte une cellule de notes."""
    cellule.metadata["slideshow"] = {"slide_type": "notes"}
    cellule.source = texte


def test_une_minute_de_notes():
    assert duree("mot " * DEBIT) == pytest.approx(60), "Le débit annoncé est celui qui compte."
    assert duree("[un lien](https://exemple.org/long/chemin)") == duree("un lien")


def test_chaque_page_est_dans_une_partie(planifie):
    contenu = [pages for _, pages in repartir(planifie)]
    assert contenu == [
        ["book/accueil.ipynb"],
        ["book/1_chapitre.ipynb"],
        ["notebooks/41_premier.ipynb", "notebooks/42_second.ipynb"],
        [],
    ]
    assert debuts(planifie) == {
        "book/accueil.ipynb": 0,
        "book/1_chapitre.ipynb": 120,
        "notebooks/41_premier.ipynb": 600,
    }


def test_plan_qui_cite_une_page_absente(planifie):
    fautif = PLAN.replace("1_chapitre", "2_absent")
    ecrire(planifie / "book" / "donnees" / "plan.yaml", fautif)
    with pytest.raises(ErreurPublication, match="2_absent"):
        lire_sections(planifie)


def test_temps_estime_et_mesure(planifie):
    # Étant donné une minute de notes au chapitre, et une démonstration de 100 secondes
    chemin = planifie / "book" / "1_chapitre.ipynb"
    notebook = nbformat.read(chemin, as_version=4)
    noter(notebook.cells[1], "mot " * DEBIT)
    nbformat.write(notebook, chemin)
    for nom, secondes in (("41_premier", 60), ("42_second", 40)):
        ecrire_json(fichier_releve(planifie, f"notebooks/{nom}.ipynb"), {"duree": secondes})
    # Quand on lit les sections
    _, chapitre, demonstration, questions = lire_sections(planifie)
    # Alors chacune a le sien, et la démonstration compte pour ce qu’elle a duré
    assert (chapitre.estime, chapitre.mesure) == (pytest.approx(60), None)
    assert (demonstration.estime, demonstration.mesure, demonstration.retenu) == (0, 100, 100)
    assert questions.retenu == 0


@pytest.mark.parametrize(("estime", "fautes"), [(720, 0), (721, 1)])
def test_une_section_ne_depasse_pas_d_un_cinquieme(estime, fautes):
    trouvees = depassements([Section("Chapitre", 600, estime, None)])
    assert len(trouvees) == fautes, trouvees


@pytest.mark.parametrize(("mesure", "fautes"), [(648, 0), (649, 1)])
def test_la_demonstration_tient_dans_son_temps(mesure, fautes):
    assert len(depassements([Section("Démonstration", 540, 300, mesure)])) == fautes


@pytest.mark.parametrize(("questions", "fautes"), [(120, 0), (121, 2)])
def test_l_expose_tient_en_45_minutes(questions, fautes):
    sections = [Section("Exposé", 43 * 60, 43 * 60, None), Section("Questions", questions, 0, None)]
    trouvees = depassements(sections)
    assert len(trouvees) == fautes, trouvees


def test_tableau_des_temps():
    texte = presenter([Section("Chapitre", 600, 660, None), Section("Démo", 540, 300, 200)])
    assert "−1 min 00" in texte, "Une marge négative se voit."
    assert f"{DEBIT} par minute" in texte
    assert "sans étude à l’appui" in texte, "Le débit dit d’où il vient."


def test_le_vrai_expose_tient():
    assert depassements(lire_sections(RACINE)) == []
