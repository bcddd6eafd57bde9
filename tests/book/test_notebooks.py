"""La forme des notebooks du livre : ce que git garde et ce que le lecteur voit."""

from pathlib import Path
from statistics import median

import nbformat
import pytest
from publication.depot import RACINE, lire_sommaire
from publication.plan import CHAINE, lire_releve


@pytest.fixture(params=lire_sommaire(RACINE))
def notebook(request):
    """Chaque notebook du livre, lu tel quel."""
    return nbformat.read(RACINE / request.param, as_version=nbformat.NO_CONVERT)


def test_format(notebook):
    nbformat.validate(notebook)
    assert (notebook.nbformat, notebook.nbformat_minor >= 5) == (4, True)
    assert notebook.metadata.kernelspec.name == "python3"
    identifiants = [cellule.id for cellule in notebook.cells]
    assert len(identifiants) == len(set(identifiants)), "Deux cellules ont le même identifiant."


def test_le_livre_n_est_pas_l_expose(notebook):
    """Les diapositives, leurs notes et leurs textes sont dans book/expose."""
    assert [c.id for c in notebook.cells if "slideshow" in c.metadata] == []
    assert [c.id for c in notebook.cells if "remove-cell" in c.metadata.get("tags", [])] == []


def test_sans_sortie(notebook):
    for cellule in notebook.cells:
        if cellule.cell_type == "code":
            assert not cellule.outputs, "Une sortie est restée dans git."
            assert cellule.execution_count is None, "Un numéro d’exécution est resté dans git."


def test_une_phrase_avant_chaque_code(notebook):
    precedent = "code"
    for cellule in notebook.cells:
        if cellule.cell_type == "code":
            assert precedent == "markdown", f"Pas de phrase avant : {cellule.source}"
            assert len(cellule.source.splitlines()) <= 20
            assert "!pip" not in cellule.source
            assert ".." not in cellule.source, "Pas de chemin parent dans un notebook."
        precedent = cellule.cell_type


def test_le_code_qui_ne_fait_que_montrer_est_replie(notebook):
    for cellule in notebook.cells:
        if cellule.cell_type == "code" and cellule.source.startswith(("schema(", "outils(")):
            assert "hide-input" in cellule.metadata.get("tags", []), cellule.source


def test_autant_de_texte_que_de_code(notebook):
    genres = [cellule.cell_type for cellule in notebook.cells]
    assert genres.count("markdown") >= genres.count("code"), "Moins de texte que de code."


def test_cellules_courtes():
    notebooks = [nbformat.read(RACINE / page, as_version=4) for page in lire_sommaire(RACINE)]
    code = [c for notebook in notebooks for c in notebook.cells if c.cell_type == "code"]
    longueur = median(len(cellule.source.splitlines()) for cellule in code)
    assert longueur <= 5, "La moitié des cellules de code du livre dépasse cinq lignes."


def test_ouverture(notebook):
    premiere = notebook.cells[0]
    assert premiere.source.startswith("# "), "Un notebook s’ouvre sur son titre."
    assert any(c.cell_type == "code" for c in notebook.cells), "Chaque page s’exécute."


def test_les_chapitres_s_executent_vite(livre):
    """Les trois chapitres et la conclusion : quarante secondes là où partir en prend cinq.

    Une durée, même de processeur, triple d’une machine partagée à l’autre, et d’une heure à
    l’autre : on la rapporte à un travail connu, démarrer le noyau et importer, fait juste avant
    dans le même processus.
    """
    # « Passer à l’échelle » et « Un pas de LLMOps », à lire après l’exposé, calculent.
    a_lire_apres = ("book/echelle.ipynb", "book/llmops.ipynb")
    pages = [
        page
        for page in lire_sommaire(RACINE)
        if not page.startswith(CHAINE) and page not in a_lire_apres
    ]
    releves = {Path(page).stem: lire_releve(RACINE, page) for page in pages}
    temps = {nom: releve["processeur"] for nom, releve in releves.items()}
    assert all(temps.values()), f"Une page n’a pas été mesurée : {temps}"
    # Ces deux chapitres importent les mêmes bibliothèques.
    etalon = (releves["2_workflow"]["preambule"] + releves["3_principes"]["preambule"]) / 2
    chapitres = ("1_definitions", "2_workflow", "3_principes", "conclusion")
    duree = sum(temps[nom] for nom in chapitres)
    assert duree < 40 / 5 * etalon, f"Chapitres trop lents, pour {etalon:.1f} s : {temps}"
    assert sum(temps.values()) < 60 / 5 * etalon, f"Trop lents, pour {etalon:.1f} s : {temps}"
