import re
from urllib.parse import unquote

import pytest
from markdown_it import MarkdownIt
from publication.depot import RACINE
from publication.markdown import FICHIER, FIGURES, ancre, ecrire_presentation, stabiliser
from publication.references import references

FIGURE = {"genre": "figure", "nom": "fig-x", "svg": "<svg><metadata>ce jour</metadata></svg>"}
FIGURE |= {"alt": "Un carré."}
TABLE = {"genre": "table", "colonnes": ["a", "b"], "lignes": [["un | deux", "3"]]}


@pytest.fixture
def ecrire(exposer, tmp_path):
    """Écrit le document d’un exposé d’essai ; donne son texte."""

    def ecrire(*diapositives):
        ecrire_presentation(exposer(*diapositives), tmp_path)
        return (tmp_path / FICHIER).read_text(encoding="utf-8")

    return ecrire


@pytest.mark.parametrize(
    ("titre", "attendue"),
    [
        ("Le vol de 21\u00a0h", "le-vol-de-21h"),
        ("D’où vient `cela`\u202f?", "doù-vient-cela"),
        ("10\u00a0% annoncés, 37\u00a0% observés", "10-annoncés-37-observés"),
        ("Un — deux", "un--deux"),
        ("Continuous_X", "continuous_x"),
    ],
)
def test_ancres_de_github(titre, attendue):
    assert ancre(titre) == attendue


def test_une_section_par_diapositive(ecrire, diapositive):
    # Étant donné une partie de trois diapositives, dont une d’atelier, et deux titres pareils
    texte = ecrire(
        diapositive(
            "a", FIGURE, titre="La partie", texte="Le A.\n\nSources : R1.", slide_type="slide"
        ),
        diapositive("b", TABLE, titre="Qui répond ?", texte="Le B."),
        diapositive("c", FIGURE, titre="Qui répond ?", texte="Le C.", version="ordinaire"),
        diapositive("d", FIGURE, titre="L’atelier", texte="Le D.", version="atelier"),
    )
    # Alors chacune de l’exposé a sa section : titre, image, paragraphe, sources
    assert f"\n\n## La partie\n\n![Un carré.]({FIGURES}/fig-x.svg)\n\nLe A.\n\n*Sources" in texte
    assert (
        "\n\n### Qui répond\u202f?\n\n| a | b |\n| --- | --- |\n| un \\| deux | 3 |\n\nLe B."
        in texte
    )
    assert "Le D." not in texte, "L’atelier n’est pas l’exposé de 45 minutes."
    assert "mot mot" not in texte, "Les notes se disent, et ne s’écrivent pas."
    # Et le sommaire mène à chacune, un numéro à la suite du titre répété
    sommaire = texte.partition("## Sommaire\n\n")[2].partition("\n\n")[0]
    assert re.findall(r"\]\(#([^)]+)\)", sommaire) == ["la-partie", "qui-répond", "qui-répond-1"]
    # Et la source citée a sa référence, avec son adresse
    citees = texte.partition("## Références citées")[2].partition("\n## ")[0]
    assert f"*{references()['R1'].titre}*" in citees
    assert f"<{references()['R1'].adresse}>" in citees


def test_l_ecriture_ne_laisse_rien_d_ancien(ecrire, diapositive, tmp_path):
    place = tmp_path / FIGURES
    place.mkdir(parents=True)
    (place / "fig-ancienne.svg").write_text("<svg/>")
    ecrire(diapositive("a", FIGURE))
    assert [f.name for f in place.iterdir()] == ["fig-x.svg"]
    assert (place / "fig-x.svg").read_text() == "<svg></svg>\n", "Sa date est retirée."


def test_motifs_d_un_dessin_numerotes():
    dessin = '<svg><clipPath id="pfa0bb8c3e5"/><path clip-path="url(#pfa0bb8c3e5)"/></svg>'
    assert stabiliser(dessin) == '<svg><clipPath id="p1"/><path clip-path="url(#p1)"/></svg>\n'


def test_le_document_du_depot_se_lit_sur_github():
    # Étant donné le document commité, rendu selon la syntaxe de GitHub
    texte = (RACINE / FICHIER).read_text(encoding="utf-8")
    jetons = MarkdownIt("gfm-like").parse(texte)
    enfants = [e for jeton in jetons for e in [jeton, *(jeton.children or [])]]
    # Alors il n’a ni HTML ni directive
    assert [e.content for e in enfants if e.type.startswith("html")] == []
    assert not re.search(r"^:::|^```\{|\{(numref|cite|term|ref|doc)\}|\{\{", texte, re.MULTILINE)
    assert texte.startswith("# ")
    # Et chaque lien mène à un titre, ou à un fichier du dépôt
    titres = [ligne.lstrip("# ") for ligne in re.findall(r"^#+ .+$", texte, re.MULTILINE)]
    ancres, perdus = {ancre(titre) for titre in titres}, []
    ancres |= {f"{a}-{n}" for a in ancres for n in (1, 2)}
    for e in enfants:
        cible = unquote(e.attrGet("href") or e.attrGet("src") or "")
        connue = cible[1:] in ancres if cible.startswith("#") else (RACINE / cible).exists()
        if not connue and "://" not in cible:
            perdus.append(cible)
    assert perdus == []
    # Et aucune marque ne reste dans le texte
    lu = [e.content for e in enfants if e.type == "text"]
    assert [t for t in lu if re.search(r"\*\*|\]\(|^#+ ", t)] == []
