from nbformat.v4 import new_markdown_cell
from publication.orateur import etapes, exercices, versions


def test_versions_comptees(exposer, diapositive):
    racine = exposer(
        diapositive("a"),
        diapositive("b", version="ordinaire"),
        diapositive("c", version="atelier"),
    )
    comptes = {ligne["fichier"]: ligne["diapositives"] for ligne in versions(racine)}
    assert comptes == {"courte.html": "1", "index.html": "2", "atelier.html": "3"}


def test_etapes_et_leur_duree(deja_execute):
    un, deux = etapes(deja_execute)
    assert (un["etape"], un["duree"]) == ("41_premier", "0\u00a0min\u00a002")
    assert "notebooks/42_second.ipynb" in deux["commande"]


def test_exercices_de_l_atelier(exposer, diapositive):
    essai = new_markdown_cell("À vous. Lancez `make demo`.", id="essai")
    essai.metadata["slideshow"] = {"slide_type": "notes", "version": "atelier", "exercice": 4}
    (exercice,) = exercices(exposer([*diapositive("a", titre="Le contrat"), essai]))
    assert exercice == {"ou": "Le contrat", "essai": "Lancez make demo.", "minutes": "4"}
