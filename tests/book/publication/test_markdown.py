import itertools
import re
import shutil

import nbformat
import pytest
from bs4 import BeautifulSoup
from markdown_it import MarkdownIt
from nbformat.v4 import new_output
from publication.depot import RACINE, ecrire_json
from publication.markdown import (
    FICHIER,
    FIGURES,
    MASQUE,
    ancre_github,
    composer,
    ecrire_presentation,
    masquer,
    stabiliser,
)
from publication.plan import copie_executee, fichier_releve, lire_releve

PAGE = "book/1_chapitre.ipynb"
LIEN = re.compile(r"(!?)\[(?:[^\[\]]|\[[^\]]*\])*\]\(([^)\s]+)\)")
NOMBRE = re.compile(r"\d+(?:[.,]\d+)?")
TABLEAU = """<style>td {color: red}</style><table id="tab-essai"><caption>Un essai</caption>
<thead><tr><th>mois</th><th>version</th><th>auteur</th></tr></thead>
<tbody><tr><th>mai | juin</th><td>12</td><td>moi</td></tr></tbody></table>"""


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
        ("commit 6420419, sources 037807918123", "commit …, sources …"),
        ("essai c97c51c0ef184c0085c3beefc1bef98b", "essai …"),
        ("Version **7** : promue ; voir models:/…/8", "Version **2** : promue ; voir models:/…/3"),
        ("c97c51c0ef18, 4a81678fe, c97c51c0ef18", "… (A), … (B), … (A)"),
        ("[un article](https://exemple.org/mlops-dda75d638805)",) * 2,
        ("Table inchangée : `c97c51c0ef184c0085c3beef`.", "Table inchangée : `…`."),
        ("0,062 et 0,064 aux niveaux 0 et 1 ; 0,044", "… et … aux niveaux 0 et 1 ; 0,044"),
        ("donne 0,027 au niveau 0 ; 0,044 au niveau 4", "donne … au niveau 0 ; 0,044 au niveau 4"),
        ("le 2013-07, 1234567 lignes, effacée", "le 2013-07, 1234567 lignes, effacée"),
        ("jusqu’à 12 points d’écart", "jusqu’à … points d’écart"),
        ("**PostgreSQL 18.6**, schéma `root`.", "**PostgreSQL …**, schéma `…`."),
    ],
)
def test_ce_qui_varie_est_masque_et_rien_d_autre(avant, apres):
    assert masquer(avant, premiere_version=6) == apres


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
    assert "| mois | version | auteur |\n| --- | --- | --- |\n| mai \\| juin | 12 | … |" in texte
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
    assert "… tests." in texte


def test_cellule_et_page_hors_du_document(sortir, deja_execute):
    texte, _ = sortir({"text/markdown": "Un registre."}, tags=["hors-document"])
    assert "Un registre." not in texte
    fichier = deja_execute / "notebooks" / "41_premier.ipynb"
    notebook = nbformat.read(fichier, as_version=4)
    notebook.metadata["hors_document"] = True
    nbformat.write(notebook, fichier)
    lien = "[La page](../notebooks/41_premier.ipynb#une-section)"
    texte, _ = sortir({"text/markdown": lien}, tags=[])
    assert "# 42_second" in texte
    assert "# 41_premier" not in texte
    assert "[La page](https://" in texte, "Elle reste dans le livre publié."
    assert "/notebooks/41_premier.html#une-section)" in texte


def test_reglages_d_une_etape(sortir):
    texte, _ = sortir(tags=["parameters"])
    assert "```python\n40 + 2\n```" in texte


def test_les_versions_se_comptent_de_la_premiere_promue(sortir, deja_execute):
    releve = fichier_releve(deja_execute, "notebooks/41_premier.ipynb")
    ecrire_json(releve, {**lire_releve(deja_execute, PAGE), "resultat": {"version": 11}})
    texte, _ = sortir(
        {"text/html": TABLEAU}, {"text/markdown": "De la version 12 à la version 11."}
    )
    assert "| mai \\| juin | 2 | … |" in texte
    assert "De la version 2 à la version 1." in texte


def test_motifs_d_un_dessin_numerotes():
    dessin = '<svg><clipPath id="pfa0bb8c3e5"/><path clip-path="url(#pfa0bb8c3e5)"/></svg>'
    assert stabiliser(dessin) == '<svg><clipPath id="p1"/><path clip-path="url(#p1)"/></svg>\n'


def test_entrees_et_rapport(sortir):
    html = '<dl><dt id="ref-X">Un titre</dt><dd>Voir <a href="accueil.ipynb">là</a>.</dd></dl>'
    rapport = '<a href="../rapports/mai.html">Le rapport</a>'
    texte, _ = sortir({"text/html": html}, {"text/html": rapport})
    assert '- <a id="ref-X"></a>**Un titre** : Voir [là](#accueil).' in texte
    assert (
        "[Le rapport](https://soufienechr.github.io/presentation_mlops/rapports/mai.html)" in texte
    )


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
    # Et aucune adresse n’a perdu ce que l’on masque ailleurs
    assert [cible for _, cible in LIEN.findall(hors_code) if MASQUE in cible] == []
    # Et il commence par son titre et sa table des matières
    assert texte.startswith("# Le MLOps en 45 minutes\n\n")
    premier = next(ligne for ligne in texte.splitlines() if ligne.startswith("## "))
    assert premier == "## Table des matières"
    assert len(document.figures) > 30


@pytest.mark.lent
def test_le_vrai_document_ne_montre_aucune_mesure_vide(presentation):
    # Étant donné le texte du document, sans son code
    hors_code = re.sub(r"```.*?```|`[^`\n]*`", "", presentation[0], flags=re.DOTALL)
    # Alors chaque phrase calculée a trouvé de quoi l’être
    assert re.findall(r"^.*\b(?:nan|NaT|None|inf)\b.*$", hors_code, re.MULTILINE) == []
    assert re.findall(r"^0 vols? .*$", hors_code, re.MULTILINE) == []


@pytest.mark.lent
def test_le_vrai_document_se_rend_en_entier(presentation):
    # Étant donné le document, rendu selon la syntaxe de GitHub
    texte, document = presentation
    page = BeautifulSoup(MarkdownIt("gfm-like").render(texte), "html.parser")
    # Alors chaque tableau, chaque figure en est un, et aucune marque ne reste dans le texte
    assert len(page.select("table")) == len(re.findall(r"^\|(?: ?-+ ?\|)+$", texte, re.MULTILINE))
    assert [f"{FIGURES}/{nom}" for nom in document.figures] == [
        i["src"] for i in page.select("img")
    ]
    for code in page.select("code, pre"):
        code.decompose()
    for bloc in page.select("p, li, td, th, h1, h2, h3, h4, h5"):
        assert not re.search(r"^\||\*\*|\]\(|^#+ ", bloc.get_text()), bloc.get_text()[:200]
    # Et une ancre ne mène qu’à un endroit
    posees = [a["id"] for a in page.select("a[id]")]
    assert len(posees) == len(set(posees))


def ecarts(attendu, obtenu, tolere):
    """Ce qui diffère entre deux textes, à ce que ``tolere`` laisse passer près."""
    avant, apres = attendu.splitlines(), obtenu.splitlines()
    differentes = [
        f"- {a}\n+ {o}"
        for a, o in itertools.zip_longest(avant, apres, fillvalue="")
        if NOMBRE.sub("", a) != NOMBRE.sub("", o)
        or not all(map(tolere, NOMBRE.findall(a), NOMBRE.findall(o)))
    ]
    return "\n".join(differentes[:5])


def au_dernier_chiffre(avant, apres):
    """Vrai si deux nombres ne diffèrent que d’une unité de leur dernière décimale."""
    decimales = len(avant.partition(",")[2])
    if decimales == 0 or decimales != len(apres.partition(",")[2]):
        return avant == apres
    ecart = float(avant.replace(",", ".")) - float(apres.replace(",", "."))
    return abs(ecart) < 1.5 * 10**-decimales


def au_dixieme_de_point(avant, apres):
    """Vrai si deux coordonnées tombent au même endroit de l’écran."""
    return avant == apres or abs(float(avant) - float(apres)) <= 0.1


@pytest.mark.parametrize(
    ("obtenu", "pareils"),
    [
        ("log-loss 0,493 en 12", True),
        ("log-loss 0,494 en 12", True),
        ("log-loss 0,495 en 12", False),
        ("log-loss 0,4930 en 12", False),
        ("log-loss 0,493 en 13", False),
        ("AUC 0,493 en 12", False),
        ("log-loss 0,493 en 12\nde plus", False),
    ],
)
def test_la_comparaison_ne_passe_qu_un_arrondi(obtenu, pareils):
    assert (ecarts("log-loss 0,493 en 12", obtenu, au_dernier_chiffre) == "") == pareils


@pytest.mark.lent
def test_le_document_du_depot_est_celui_de_cette_execution(presentation):
    """Un autre processeur peut arrondir autrement le dernier chiffre, et rien de plus."""
    conseil = "Lancez « make markdown » et gardez ce qu’il écrit."
    texte, document = presentation
    garde = (RACINE / FICHIER).read_text(encoding="utf-8")
    assert ecarts(garde, texte, au_dernier_chiffre) == "", conseil
    presentes = {f.name for f in (RACINE / FIGURES).iterdir()}
    assert presentes == set(document.figures), conseil
    for nom in presentes - document.figures_variables:
        garde = (RACINE / FIGURES / nom).read_text(encoding="utf-8")
        assert ecarts(garde, document.figures[nom], au_dixieme_de_point) == "", f"{nom} : {conseil}"


def test_figure_de_mesures_gardee_si_seuls_ses_nombres_changent(sortir, deja_execute, tmp_path):
    legende = "Des durées. Auteur : nous. Source : nous. Licence : CC BY 4.0."
    figure = {"figure": {"name": "fig-t", "caption": legende}, "image": {"alt": "Des durées."}}
    premier = "<svg><!-- secondes --><!-- 1,5 --></svg>"
    memes_mots = "<svg><!-- secondes --><!-- 2 --><!-- 4 --></svg>"
    autres_mots = "<svg><!-- minutes --><!-- 1 --></svg>"
    place = tmp_path / FIGURES / "fig-t.svg"
    for dessin, attendu in ((premier, premier), (memes_mots, premier), (autres_mots,) * 2):
        sortir({"image/svg+xml": dessin}, mystnb=figure, tags=["sortie-variable"])
        ecrire_presentation(deja_execute, tmp_path)
        assert place.read_text() == f"{attendu}\n"


def test_ecriture_sans_reste(sortir, deja_execute, tmp_path):
    sortir({"text/markdown": "Fait."})
    ancienne = tmp_path / FIGURES / "fig-ancienne.svg"
    ancienne.parent.mkdir(parents=True)
    ancienne.write_text("<svg/>")
    assert ecrire_presentation(deja_execute, tmp_path) == 0
    assert not ancienne.exists(), "Une figure qui n’est plus citée disparaît."
    shutil.rmtree(tmp_path / "book")
