"""Les transformations de l’extension Sphinx, une à une."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest
from docutils import nodes
from sphinx.errors import ExtensionError

RACINE = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def livre():
    """L’extension, chargée depuis son fichier comme le fait Sphinx."""
    spec = importlib.util.spec_from_file_location("ext_livre", RACINE / "book/_ext/livre.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def citation(*premiers, suite=()):
    """Une citation dans un document, telle que MyST la produit."""
    document = nodes.section()
    bloc = nodes.block_quote()
    paragraphe = nodes.paragraph()
    paragraphe += [nodes.Text(""), *premiers]
    bloc += [paragraphe, *suite]
    document += bloc
    return document, bloc


@pytest.mark.parametrize(("titre", "style"), [("À retenir.", "important"), ("Note.", "note")])
def test_citation_titree_devient_encadre(livre, titre, style):
    # Étant donné une citation qui commence par un titre connu en gras
    document, bloc = citation(
        nodes.strong("", titre),
        nodes.Text(" Le reste."),
        suite=[nodes.paragraph("", "Et un second paragraphe.")],
    )
    # Quand on la transforme
    livre.encadrer(bloc)
    # Alors elle devient un encadré, titre et texte séparés
    encadre = document.children[0]
    assert isinstance(encadre, nodes.admonition)
    assert encadre["classes"] == [style]
    assert [n.astext() for n in encadre.children] == [
        titre.rstrip("."),
        "Le reste.",
        "Et un second paragraphe.",
    ]


@pytest.mark.parametrize("premier", [nodes.strong("", "Autre."), nodes.Text("À retenir.")])
def test_autres_citations_intactes(livre, premier):
    document, bloc = citation(premier)
    livre.encadrer(bloc)
    assert document.children == [bloc], "Une citation ordinaire reste une citation."


def test_image_titree_devient_figure(livre):
    # Étant donné une image seule dans son paragraphe, avec un titre
    document, paragraphe = nodes.section(), nodes.paragraph()
    image = nodes.image(uri="a.svg", alt="Trois anneaux", title="Le MLOps, schéma INNOQ")
    paragraphe += image
    document += paragraphe
    livre.legender(image)
    # Alors elle devient une figure légendée et numérotable
    figure = document.children[0]
    assert isinstance(figure, nodes.figure)
    assert figure["ids"] == ["figure-le-mlops-schema-innoq"]
    assert figure.children[1].astext() == "Le MLOps, schéma INNOQ"


def test_image_dans_une_phrase_intacte(livre):
    document, paragraphe = nodes.section(), nodes.paragraph()
    image = nodes.image(uri="a.svg", title="Icône")
    paragraphe += [nodes.Text("Voici "), image]
    document += paragraphe
    livre.legender(image)
    assert document.children == [paragraphe]


def test_espaces_du_texte_mais_pas_du_code(livre):
    from docutils.utils import new_document

    document = new_document("essai")
    paragraphe = nodes.paragraph("", "Pourquoi ? ")
    paragraphe += nodes.literal("", "a ? b : c")
    document += paragraphe
    livre.transformer(None, document)
    assert document.astext() == "Pourquoi\u202f? a ? b : c"


def test_liens_entre_notebooks(livre):
    # Étant donné une sortie de cellule qui renvoie à des notebooks
    corps = (
        '<a href="../notebooks/41_donnees.ipynb">a</a> <a href="voisin.ipynb">b</a> '
        '<a href="https://exemple.fr/x.ipynb">c</a> <a href="inconnu.ipynb">d</a>'
    )
    pages = {"notebooks/41_donnees", "book/voisin"}
    # Alors ceux du livre mènent à leur page, les autres restent
    assert livre.lier_pages(corps, pages, "book/accueil") == (
        '<a href="../notebooks/41_donnees.html">a</a> <a href="voisin.html">b</a> '
        '<a href="https://exemple.fr/x.ipynb">c</a> <a href="inconnu.ipynb">d</a>'
    )


def page_du_theme(livre):
    """Une page qui contient tout ce que l’extension remplace."""
    scripts = '<script defer src="../_static/scripts/fontawesome.js?digest=1"></script>'
    return "\n".join([*(avant for avant, _ in livre.PAGES), scripts])


def test_textes_du_theme_remplaces(livre, tmp_path):
    page = tmp_path / "page.html"
    page.write_text(page_du_theme(livre))
    livre.corriger_pages([page])
    for avant, apres in livre.PAGES:
        assert apres in page.read_text(), f"« {avant} » n’est pas traduit."
    assert "fontawesome" not in page.read_text()


def test_texte_du_theme_disparu(livre, tmp_path):
    # Étant donné un thème qui n’écrit plus l’un des textes à remplacer
    page = tmp_path / "page.html"
    page.write_text(page_du_theme(livre).replace("Suggest edit", "Edit this page"))
    # Alors la construction s’arrête en le nommant
    with pytest.raises(ExtensionError, match=r"introuvables.*Suggest edit"):
        livre.corriger_pages([page])


def test_script_du_theme_change(livre, tmp_path):
    script = tmp_path / "togglebutton.js"
    script.write_text("autre chose")
    with pytest.raises(ExtensionError, match=r"« Toggle » introuvable dans togglebutton\.js"):
        livre.remplacer_dans(script, "Toggle", "Afficher")
    with pytest.raises(ExtensionError, match=r"introuvable dans absent\.js"):
        livre.remplacer_dans(tmp_path / "absent.js", "a", "b")
    with pytest.raises(ExtensionError, match=r"n’a pas produit absent\.js"):
        livre.ajouter(tmp_path / "absent.js", "a")


@pytest.mark.parametrize("mot", ["données", "entraînement", "été", "où"])
def test_recherche_sans_accent(livre, mot):
    recherche = livre.RechercheSansAccent({})
    sans = livre.sans_accent(mot)
    assert sans.isascii()
    assert recherche.stem(mot) == recherche.stem(sans), f"« {sans} » doit trouver « {mot} »."


def test_extension_connue_de_la_configuration():
    # La configuration charge l’extension sous ce nom et depuis ce dossier
    code = "import sys; sys.path.insert(0, 'book/_ext'); import livre; livre.setup"
    subprocess.run([sys.executable, "-c", code], cwd=RACINE, check=True)
