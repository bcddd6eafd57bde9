import re

import pytest
from publication.depot import ErreurPublication
from publication.reference import valeur
from publication.tableaux import charger, tableau


def test_tableau_accessible():
    # Quand on compose un tableau
    lignes = [{"nom": "Airflow & Cie", "etape": "41_donnees"}]
    html = tableau(lignes, {"nom": "Outil", "etape": "Étape"}, "Les outils")._repr_html_()
    # Alors il a une légende, des têtes de colonne et de ligne, et son texte est échappé
    assert "<caption>Les outils</caption>" in html
    assert '<th scope="col">Outil</th>' in html
    assert '<th scope="row">Airflow &amp; Cie</th>' in html
    assert '<a href="../notebooks/41_donnees.ipynb">41, données</a>' in html


def test_tableau_en_markdown():
    lignes = [{"nom": "a | b", "source": "MS"}]
    markdown = tableau(lignes, {"nom": "Nom", "source": "Source"}, "Essai")._repr_markdown_()
    assert markdown.splitlines()[:2] == ["| Nom | Source |", "| --- | --- |"]
    assert "a \\| b" in markdown, "Une barre verticale ne doit pas ouvrir une colonne."
    assert "[Microsoft, modèle de maturité](annexes.ipynb#ref-MS)" in markdown


def test_plusieurs_sources():
    html = tableau([{"source": ["MS", "K23"]}], {"source": "Source"}, "Essai")._repr_html_()
    assert (
        '<a href="annexes.ipynb#ref-MS">Microsoft, modèle de maturité</a>\u202f; '
        '<a href="annexes.ipynb#ref-K23">Kreuzberger et al., 2023</a>'
    ) in html, "Chaque source mène à son entrée de la bibliographie."


def test_un_texte_appelle_un_nombre_de_la_reference():
    # Étant donné un texte, seul ou avec une adresse, qui nomme une valeur
    appel = "{{ gestes_0 }} gestes"
    lignes = [{"seul": appel, "lie": {"texte": appel, "adresse": "page.ipynb"}}]
    html = tableau(lignes, {"seul": "Seul", "lie": "Lié"}, "Essai")._repr_html_()
    # Alors le nombre de l’exécution prend la place de son nom, et un nom inconnu est refusé
    ecrit = f"{valeur('gestes_0')} gestes"
    assert f'<th scope="row">{ecrit}</th><td><a href="page.ipynb">{ecrit}</a></td>' in html
    with pytest.raises(ErreurPublication, match="« inconnue »"):
        tableau([{"seul": "{{ inconnue }}"}], {"seul": "Seul"}, "Essai")


def test_tableau_nomme_et_filtrable():
    # Étant donné le même tableau, avec et sans filtre
    lignes, titres = (
        [{"nom": "Airflow", "licence": "libre"}],
        {"nom": "Outil", "licence": "Licence"},
    )
    simple = tableau(lignes, titres, "Essai", nom="tab-outils")._repr_html_()
    filtre = tableau(lignes, titres, "Essai", nom="tab-outils", filtrable=True)._repr_html_()
    # Alors le filtre n’ajoute qu’un attribut, et l’ancre est là dans les deux cas
    assert '<table class="tableau" id="tab-outils">' in simple
    assert '<table class="tableau" id="tab-outils" data-filtrable>' in filtre
    assert re.sub("<[^>]*>", "|", simple) == re.sub("<[^>]*>", "|", filtre)


def test_langue_d_une_citation():
    lignes = [{"nom": "x", "citation": {"texte": "a practice", "langue": "en"}}]
    html = tableau(lignes, {"nom": "Nom", "citation": "Citation"}, "Essai")._repr_html_()
    assert '<span lang="en">a practice</span>' in html


def test_source_inconnue():
    with pytest.raises(ErreurPublication, match=r"« XX » n’est pas dans references\.bib"):
        tableau([{"source": "XX"}], {"source": "Source"}, "Essai")


def test_donnees_inconnues():
    with pytest.raises(ErreurPublication, match=r"« rien\.yaml » est introuvable"):
        charger("rien")
