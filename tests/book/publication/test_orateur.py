import nbformat
from publication.orateur import etapes, exercices, versions


def marquer(fichier, **reglages):
    """Fait de chaque cellule nommée ce que disent ses réglages."""
    notebook = nbformat.read(fichier, as_version=4)
    for cellule in notebook.cells:
        slideshow = reglages.get(cellule.id.replace("-", "_"))
        if slideshow:
            cellule.metadata["slideshow"] = slideshow
    nbformat.write(notebook, fichier)


def test_versions_comptees(depot):
    marquer(
        depot / "book" / "1_chapitre.ipynb",
        titre={"slide_type": "slide"},
        texte_0={"slide_type": "subslide", "version": "ordinaire"},
        code_0={"slide_type": "subslide", "version": "atelier"},
    )
    comptes = {ligne["fichier"]: ligne["diapositives"] for ligne in versions(depot)}
    assert comptes == {"courte.html": "1", "index.html": "2", "atelier.html": "3"}


def test_etapes_avec_leurs_diapositives_et_leur_duree(deja_execute):
    premiere, seconde = "notebooks/41_premier.ipynb", "notebooks/42_second.ipynb"
    marquer(
        deja_execute / premiere,
        titre={"slide_type": "slide"},
        code_0={"slide_type": "subslide", "titre": "Le résultat"},
    )
    un, deux = etapes(deja_execute)
    assert (un["etape"], un["diapositives"]) == ("41_premier", ["41_premier", "Le résultat"])
    assert un["duree"] == "0\u00a0min\u00a002", "Le relevé d’essai dit une seconde et demie."
    assert premiere in un["commande"]
    assert (deux["diapositives"], seconde in deux["commande"]) == (["aucune"], True)


def test_exercices_de_l_atelier(depot):
    marquer(
        depot / "notebooks" / "41_premier.ipynb",
        titre={"slide_type": "slide"},
        texte_0={"slide_type": "notes", "version": "atelier", "exercice": 4},
    )
    [exercice] = exercices(depot)
    assert exercice["ou"] == {"texte": "41_premier", "adresse": "../notebooks/41_premier.ipynb"}
    assert (exercice["essai"], exercice["minutes"]) == ("Une phrase.", "4")
