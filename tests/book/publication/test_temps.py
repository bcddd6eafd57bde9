import re

import nbformat
import pytest
from publication.depot import RACINE, ErreurPublication, ecrire, ecrire_json
from publication.plan import fichier_releve
from publication.temps import (
    DEBIT,
    VERSIONS,
    Section,
    debuts,
    depassements,
    duree,
    lire_sections,
    presenter,
    repartir,
    retenues,
)

CHAPITRE = "{texte: Un chapitre, adresse: 1_chapitre.ipynb}"
DEMONSTRATION = "{texte: La démonstration, adresse: ../notebooks/41_premier.ipynb}"
PLAN = f"""
- {{partie: Ouverture, minutes: 2, courte: 1, atelier: 4}}
- {{partie: {CHAPITRE}, minutes: 8, courte: 6, atelier: 20}}
- {{partie: {DEMONSTRATION}, minutes: 9, courte: 7, atelier: 40}}
- {{partie: Questions, minutes: 2, courte: 2, atelier: 6}}
"""


@pytest.fixture
def planifie(depot):
    """Le dépôt jetable, avec un plan de quatre parties."""
    ecrire(depot / "book" / "donnees" / "plan.yaml", PLAN)
    return depot


def noter(cellule, texte, **reglages):
    """Fait d’une cellule de texte une cellule de notes."""
    cellule.metadata["slideshow"] = {"slide_type": "notes", **reglages}
    cellule.source = texte


def cellule(identifiant, **slideshow):
    """Une cellule réduite à ses réglages de diapositive."""
    return {"id": identifiant, "metadata": {"slideshow": slideshow} if slideshow else {}}


CELLULES = [
    cellule("texte"),
    cellule("partout", slide_type="slide"),
    cellule("partout-notes", slide_type="notes"),
    cellule("partout-exercice", slide_type="notes", version="atelier"),
    cellule("longue", slide_type="subslide", version="ordinaire"),
    cellule("longue-suite", slide_type="-"),
    cellule("longue-notes", slide_type="notes"),
    cellule("essai", slide_type="subslide", version="atelier"),
    cellule("essai-notes", slide_type="notes"),
    cellule("fin", slide_type="subslide"),
]


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


@pytest.mark.parametrize(
    ("version", "absentes"),
    [
        (
            "courte",
            {"partout-exercice", "longue", "longue-suite", "longue-notes", "essai", "essai-notes"},
        ),
        ("ordinaire", {"partout-exercice", "essai", "essai-notes"}),
        ("atelier", set()),
    ],
)
def test_chaque_version_contient_la_precedente(version, absentes):
    gardees = [c["id"] for c in retenues(CELLULES, version)]
    assert gardees == [c["id"] for c in CELLULES if c["id"] not in absentes]


def test_version_inconnue():
    with pytest.raises(ErreurPublication, match="faute.*brève"):
        retenues([cellule("faute", slide_type="slide", version="brève")], "courte")


def test_un_exercice_compte_en_atelier_seulement(planifie):
    chemin = planifie / "book" / "1_chapitre.ipynb"
    notebook = nbformat.read(chemin, as_version=4)
    noter(notebook.cells[1], "mot " * DEBIT, version="atelier", exercice=3)
    nbformat.write(notebook, chemin)
    durees = {v: lire_sections(planifie, v)[1] for v in VERSIONS}
    assert {v: (s.prevu, s.estime) for v, s in durees.items()} == {
        "courte": (360, 0),
        "ordinaire": (480, 0),
        "atelier": (1200, pytest.approx(240)),
    }
    assert debuts(planifie, "atelier")["notebooks/41_premier.ipynb"] == 24 * 60


@pytest.mark.parametrize(("estime", "fautes"), [(720, 0), (721, 1)])
def test_une_section_ne_depasse_pas_d_un_cinquieme(estime, fautes):
    trouvees = depassements([Section("Chapitre", 600, estime, None)])
    assert len(trouvees) == fautes, trouvees


@pytest.mark.parametrize(("mesure", "fautes"), [(648, 0), (649, 1)])
def test_la_demonstration_tient_dans_son_temps(mesure, fautes):
    assert len(depassements([Section("Démonstration", 540, 300, mesure)])) == fautes


@pytest.mark.parametrize(("estime", "fautes"), [(450, 0), (449, 1)])
def test_l_orateur_ne_reste_pas_sans_rien_dire(estime, fautes):
    trouvees = depassements([Section("Chapitre", 600, estime, None)])
    assert len(trouvees) == fautes, trouvees


@pytest.mark.parametrize(
    ("version", "plafond"), [("courte", 35), ("ordinaire", 45), ("atelier", 90)]
)
@pytest.mark.parametrize(("questions", "fautes"), [(120, 0), (121, 2)])
def test_chaque_version_tient_sous_son_plafond(version, plafond, questions, fautes):
    parole = 60 * plafond - 120
    sections = [Section("Exposé", parole, parole, None), Section("Questions", questions, 0, None)]
    trouvees = depassements(sections, version)
    assert len(trouvees) == fautes, trouvees


def test_tableaux_des_temps(planifie):
    chemin = planifie / "book" / "1_chapitre.ipynb"
    notebook = nbformat.read(chemin, as_version=4)
    noter(notebook.cells[1], "mot " * 9 * DEBIT)
    nbformat.write(notebook, chemin)
    texte = presenter(planifie)
    for titre in ("Version courte, 35 min", "L’exposé, 45 min", "Atelier, 90 min"):
        assert titre in texte
    perdue = r"9\u00a0min\u00a000 +— +−1\u00a0min\u00a000$"
    assert re.search(perdue, texte, re.MULTILINE), "Une marge négative se voit."
    assert f"{DEBIT} par minute" in texte
    assert "sans étude à l’appui" in texte, "Le débit dit d’où il vient."


@pytest.mark.parametrize("version", VERSIONS)
def test_le_vrai_expose_tient(version):
    assert depassements(lire_sections(RACINE, version), version) == []


def test_les_versions_se_distinguent():
    """Chaque version a plus à dire que la précédente."""
    dites = [sum(s.estime for s in lire_sections(RACINE, v)) for v in VERSIONS]
    assert dites == sorted(set(dites)), dites


@pytest.mark.lent
def test_la_demonstration_mesuree_tient_dans_chaque_version(livre):
    """Les relevés de l’exécution que le livre vient de faire, et non d’une absence de mesure."""
    for version in VERSIONS:
        sections = lire_sections(RACINE, version)
        assert sum(s.mesure is not None for s in sections) == 1, "La démonstration a été mesurée."
        assert depassements(sections, version) == []
