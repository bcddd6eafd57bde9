import re
import shutil

import nbformat
import pytest
from nbformat.v4 import new_output
from publication.depot import RACINE
from publication.markdown import (
    FIGURES,
    ancre_github,
    composer,
    ecrire_presentation,
    masquer,
)
from publication.plan import copie_executee

PAGE = "book/1_chapitre.ipynb"
LIEN = re.compile(r"(!?)\[(?:[^\[\]]|\[[^\]]*\])*\]\(([^)\s]+)\)")
TABLEAU = """<style>td {color: red}</style><table id="tab-essai"><caption>Un essai</caption>
<thead><tr><th>mois</th><th>version</th></tr></thead>
<tbody><tr><th>mai | juin</th><td>12</td></tr></tbody></table>"""


@pytest.fixture
def sortir(deja_execute):
    """Donne des sorties à la cellule de code du chapitre d’essai, puis compose le document."""

    def composer_avec(*sorties, **metadonnees):
        for fichier in (deja_execute / PAGE, copie_executee(deja_execute, PAGE)):
            notebook = nbformat.read(fichier, as_version=4)
            notebook.cells[2].outputs = [new_output("display_data", s) for s in sorties]
            notebook.cells[2].metadata.update(metadonnees)
            nbformat.write(notebook, fichier)
        return composer(deja_execute)

    return composer_avec


@pytest.fixture(scope="session")
def presentation(livre):
    """Le vrai document, à partir du livre qui vient d’être exécuté."""
    return composer(RACINE)


@pytest.mark.parametrize(
    ("avant", "apres"),
    [
        ("en **0,29 s**, sans", "en **… s**, sans"),
        ("médiane 12,4 ms", "médiane … ms"),
        ("le vol de 21 h, 15 min de retard", "le vol de 21 h, 15 min de retard"),
        ("28 330 vols", "28 330 vols"),
        ("28 330 vols en 1 204,5 s", "28 330 vols en … s"),
        ("prédit le 23/11/2026 22:51:56 UTC", "prédit le … UTC"),
        ("du 01/01/2013 au 30/06/2013", "du 01/01/2013 au 30/06/2013"),
        ("commit 4a81678+modifié, sources 0378079c8f23", "commit …, sources …"),
        ("essai c97c51c0ef184c0085c3beefc1bef98b", "essai …"),
        ("Version **7** : promue", "Version … : promue"),
        ("le 2013-07, 1234567 lignes, effacée", "le 2013-07, 1234567 lignes, effacée"),
        ("jusqu’à 12 points d’écart", "jusqu’à … points d’écart"),
        ("**PostgreSQL 18.6**, schéma `root`.", "**PostgreSQL …**, schéma `…`."),
    ],
)
def test_ce_qui_varie_est_masque_et_rien_d_autre(avant, apres):
    assert masquer(avant) == apres


def test_ancres_de_github():
    assert ancre_github("Chapitre 1 — Définir le **MLOps**") == "chapitre-1--définir-le-mlops"
    assert ancre_github("D’où vient `cela` ?") == "doù-vient-cela-"


def test_document_sans_code_ni_notes(sortir, deja_execute):
    chemin = deja_execute / PAGE
    notebook = nbformat.read(chemin, as_version=4)
    notebook.cells[1].metadata["tags"] = ["remove-cell"]
    nbformat.write(notebook, chemin)
    texte, _ = sortir({"text/markdown": "Le **résultat**."})
    assert "Le **résultat**." in texte
    assert "40 + 2" not in texte, "Le code reste dans les notebooks."
    assert texte.count("Une phrase.") == 3, "La cellule retirée du livre l’est aussi d’ici."


def test_tableau_en_markdown(sortir):
    texte, _ = sortir({"text/html": TABLEAU})
    assert '<a id="tab-essai"></a>\n\n*Tableau 1. Un essai*' in texte
    assert "| mois | version |\n| --- | --- |\n| mai \\| juin | … |" in texte, texte
    assert "color: red" not in texte


def test_figure(sortir):
    legende = "Un carré. Auteur : nous. Source : nous. Licence : CC BY 4.0."
    figure = {"figure": {"name": "fig-carre", "caption": legende}, "image": {"alt": "Un carré."}}
    dessin = "<svg><metadata>ce jour</metadata></svg>"
    texte, document = sortir({"image/svg+xml": dessin}, mystnb=figure, tags=["sortie-variable"])
    assert f"![Un carré.]({FIGURES}/fig-carre.svg)\n\n*Figure 1. {legende}*" in texte
    assert document.figures == {"fig-carre.svg": "<svg></svg>\n"}, "La date du dessin est retirée."
    assert document.figures_variables == {"fig-carre.svg"}


def test_resultat_declare_variable(sortir):
    texte, _ = sortir({"text/markdown": "344 tests."}, tags=["sortie-variable"])
    assert "344" not in texte


def test_entrees_et_rapport(sortir):
    html = '<dl><dt id="ref-X">Un titre</dt><dd>Voir <a href="accueil.ipynb">là</a>.</dd></dl>'
    rapport = '<a href="../rapports/mai.html">Le rapport</a>'
    texte, _ = sortir({"text/html": html}, {"text/html": rapport})
    assert '- <a id="ref-X"></a>**Un titre** : Voir [là](#accueil).' in texte
    assert "\nLe rapport\n" in texte, "Un rapport n’est pas dans le dépôt : il n’a pas de lien."


@pytest.mark.lent
def test_le_vrai_document_se_lit_sur_github(presentation):
    # Étant donné le document, ses ancres et ses liens
    texte, document = presentation
    hors_code = re.sub(r"```.*?```|`[^`\n]*`", "", texte, flags=re.DOTALL)
    balises = set(re.findall(r"(?<!\\)</?[a-zA-Z][^>]*>", hors_code))
    ancres = {a for b in balises for a in re.findall(r'<a id="([^"]+)">', b)}
    titres = re.findall(r"^#+ (.+)$", hors_code, re.MULTILINE)
    ancres |= {ancre_github(titre) for titre in titres} | set(document.ancres.values())
    # Alors il n’a ni HTML ni directive, et chaque lien mène quelque part
    assert {b for b in balises if b != "</a>" and not b.startswith('<a id="')} == set()
    assert not re.search(r"^(:::|```\{)|\{(numref|cite|term|ref)\b", texte, re.MULTILINE)
    assert "ipynb" not in "".join(cible for _, cible in LIEN.findall(hors_code))
    for image, cible in LIEN.findall(hors_code):
        if image:
            assert cible.removeprefix(f"{FIGURES}/") in document.figures, cible
        elif cible.startswith("#"):
            assert cible[1:] in ancres, f"« {cible} » ne mène nulle part."
        elif "://" not in cible:
            assert (RACINE / cible).exists(), cible
    # Et il commence par son titre et sa table des matières
    assert texte.startswith("# Le MLOps en 45 minutes\n\n## Table des matières\n\n- [")
    assert len(document.figures) > 30


def test_ecriture_sans_reste(sortir, deja_execute, tmp_path):
    sortir({"text/markdown": "Fait."})
    ancienne = tmp_path / FIGURES / "fig-ancienne.svg"
    ancienne.parent.mkdir(parents=True)
    ancienne.write_text("<svg/>")
    assert ecrire_presentation(deja_execute, tmp_path) == 0
    assert not ancienne.exists(), "Une figure qui n’est plus citée disparaît."
    shutil.rmtree(tmp_path / "book")
