"""Les transformations de l’extension Sphinx, une à une."""

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from docutils import nodes
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError
from sphinx.util.docutils import docutils_namespace

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


PREMIERE = """
# Première

Voir le [drift](annexes.ipynb#terme-drift), la [figure](#fig-b), le [tableau](annexes.ipynb#tab-b)
et [le même](#tab-b).
"""

TABLEAU = (
    '<table class="tableau" id="tab-{nom}"><caption>Légende</caption><tbody><tr><td>'
    '<a href="premiere.ipynb">p</a> <a href="annexes.ipynb#{ancre}">a</a> '
    '<a href="https://exemple.fr/x.ipynb">e</a> <a href="inconnu.ipynb">i</a>'
    "</td></tr></tbody></table>"
)


@pytest.fixture
def construire(livre, tmp_path, monkeypatch):
    """Construit un livre de deux pages et donne le HTML de chacune."""

    def notebook(nom, texte, *sorties):
        noyau = {"name": "python3", "display_name": "Python 3", "language": "python"}
        cellules = [new_markdown_cell(texte)]
        for donnees, reglages in sorties:
            sortie = new_output("display_data", donnees)
            cellules.append(new_code_cell("1", outputs=[sortie], metadata=reglages))
        document = new_notebook(cells=cellules, metadata={"kernelspec": noyau})
        nbformat.write(document, tmp_path / f"{nom}.ipynb")

    def figure(nom):
        svg = '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"></svg>'
        reglages = {"figure": {"name": f"fig-{nom}", "caption": f"Figure {nom}."}}
        return {"image/svg+xml": svg}, {"mystnb": reglages | {"image": {"alt": "Un carré."}}}

    def html(nom, ancre):
        return {"text/html": TABLEAU.format(nom=nom, ancre=ancre)}, {}

    def lancer(premiere=PREMIERE, ancre="terme-drift", tableau="b"):
        (tmp_path / "index.md").write_text("# Livre\n\n```{toctree}\npremiere\nannexes\n```\n")
        notebook("premiere", premiere, figure("a"), html("a", ancre))
        terme = {"text/html": '<dl><dt id="terme-drift">drift</dt><dd>dérive</dd></dl>'}, {}
        notebook("annexes", "# Annexes", terme, figure("b"), html(tableau, ancre))
        reglages = {
            "extensions": ["myst_nb", "livre"],
            "nb_execution_mode": "off",
            "numfig": True,
            "html_theme": "basic",
        }
        monkeypatch.setitem(sys.modules, "livre", livre)
        monkeypatch.setattr(livre, "finir", lambda app, erreur: None)
        monkeypatch.setattr(livre, "situer_le_livre", lambda app, reglages: None)
        dossier = str(tmp_path)
        with docutils_namespace():
            app = Sphinx(
                dossier, None, f"{dossier}/html", f"{dossier}/doctrees", "html", reglages,
                status=None, warning=None, warningiserror=True,
            )  # fmt: skip
            app.build()
        pages = ("premiere", "annexes")
        return [(tmp_path / "html" / f"{page}.html").read_text() for page in pages]

    return lancer


def test_renvois_numerotes(construire):
    # Étant donné deux pages, chacune avec une figure et un tableau, qui se citent
    premiere, annexes = construire()
    # Alors les liens trouvent leur page, et les mots « figure » et « tableau » leur numéro
    assert 'href="annexes.html#terme-drift">' in premiere
    assert 'href="annexes.html#fig-b">figure\u00a02</a>' in premiere
    assert 'href="annexes.html#tab-b">tableau\u00a02</a>' in premiere
    assert re.search('href="annexes.html#tab-b"><span[^>]*>le même<', premiere), (
        "Autre texte gardé."
    )
    # Et les tableaux sont numérotés dans l’ordre du sommaire
    for page, numero in ((premiere, 1), (annexes, 2)):
        assert f'<span class="caption-number">Tableau {numero}. </span>Légende' in page


def test_liens_des_sorties(construire):
    premiere, annexes = construire()
    assert '<a href="premiere.html">p</a> <a href="#terme-drift">a</a>' in annexes
    assert '<a href="annexes.html#terme-drift">a</a>' in premiere
    for intact in ("https://exemple.fr/x.ipynb", "inconnu.ipynb"):
        assert f'href="{intact}"' in premiere, "Ce qui n’est pas du livre ne change pas."


def test_figure_ouverte_en_grand(construire):
    # Alors l’image d’une figure mène à son fichier, et garde son texte de remplacement
    premiere, _ = construire()
    lien = re.search(
        r'<a [^>]*href="(_images/[^"]+\.svg)"[^>]*><img [^>]*alt="Un carré\."', premiere
    )
    assert lien, "La figure ne s’ouvre pas en grand."


@pytest.mark.parametrize(
    ("ecart", "perdu"),
    [
        ({"premiere": "# P\n\n[x](annexes.ipynb#terme-absent)"}, "premiere → annexes#terme-absent"),
        ({"premiere": "# P\n\n[x](absente.ipynb#ref-K23)"}, "premiere → absente#ref-K23"),
        ({"premiere": "# P\n\n[figure](#fig-absente)"}, "premiere → premiere#fig-absente"),
        ({"ancre": "ref-absente"}, "annexes → annexes#ref-absente"),
    ],
)
def test_ancre_absente(construire, ecart, perdu):
    # Étant donné un lien du texte ou d’une sortie vers une ancre qui n’existe pas
    # Alors la construction s’arrête en nommant la page et l’ancre
    with pytest.raises(ExtensionError, match=f"ancres absentes du livre.*{perdu}"):
        construire(**ecart)


def test_deux_tableaux_du_meme_nom(construire):
    with pytest.raises(ExtensionError, match="deux tableaux se nomment « tab-a »"):
        construire(premiere="# P", tableau="a")


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
