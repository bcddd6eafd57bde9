import re

import nbformat
import pytest
from publication import annexes
from publication.annexes import Entree, Entrees, Page, ancre, index_des_outils, lire_figures
from publication.depot import ErreurPublication
from publication.tableaux import Cellule, charger

LEGENDE = "Les vols. Source : d’après [K](../book/annexes.ipynb#ref-K23)."
# Ce qui sépare les services d’une case de nuages.yaml, hors parenthèses.
MORCEAUX = re.compile(r"(?:,| ;) (?![^(]*\))")
SANS_OUTIL = {"que l’on installe", "ailleurs", "les outils libres, que l’on installe"}


def poser_figure(fichier, legende):
    """Fait une figure de la première cellule de code d’un notebook."""
    notebook = nbformat.read(fichier, as_version=4)
    cellule = next(c for c in notebook.cells if c.cell_type == "code")
    cellule.metadata["mystnb"] = {
        "figure": {"name": f"fig-{fichier.stem}", "caption": legende},
        "image": {"alt": "Une courbe monte."},
    }
    nbformat.write(notebook, fichier)


@pytest.mark.parametrize(
    ("nom", "attendue"),
    [
        ("MLOps", "terme-mlops"),
        ("Brier skill", "terme-brier-skill"),
        ("CI/CD", "terme-ci-cd"),
        ("vérité terrain", "terme-verite-terrain"),
    ],
)
def test_ancre(nom, attendue):
    assert ancre("terme", nom) == attendue


def test_entrees_en_html_et_en_markdown():
    entrees = Entrees(
        (Entree("terme-a", Cellule("a & b"), (Cellule("Voir "), Cellule("c", "#c"))),)
    )
    assert entrees._repr_html_() == (
        '<dl class="entrees"><dt id="terme-a">a &amp; b</dt><dd>Voir <a href="#c">c</a></dd></dl>'
    )
    assert entrees._repr_markdown_() == "- **a & b** : Voir [c](#c)"


def test_figures_dans_l_ordre_du_sommaire(depot):
    # Étant donné une figure dans le chapitre 1 et une dans la démonstration
    poser_figure(depot / "notebooks" / "41_premier.ipynb", "Les retards.")
    poser_figure(depot / "book" / "1_chapitre.ipynb", LEGENDE)
    # Quand on les relève
    figures = lire_figures(depot)
    # Alors elles sont numérotées dans l’ordre du livre, leur source séparée de leur légende
    assert [(f.numero, f.page, f.legende) for f in figures] == [
        (1, "1_chapitre.ipynb", "Les vols"),
        (2, "../notebooks/41_premier.ipynb", "Les retards"),
    ]
    assert figures[0].source == Cellule("d’après K", "annexes.ipynb#ref-K23")
    assert figures[1].source is None


def test_une_legende_est_une_phrase(depot):
    poser_figure(depot / "book" / "1_chapitre.ipynb", "Les vols")
    with pytest.raises(ErreurPublication, match="« fig-1_chapitre » doit être une phrase"):
        lire_figures(depot)


def test_index_des_outils(monkeypatch):
    # Étant donné une page qui nomme deux outils, l’un dans son texte, l’autre dans un résultat
    resultat = {"data": {"text/html": "<style>Ray</style><td>Kubeflow Pipelines</td>"}}
    cellules = [
        {"cell_type": "markdown", "source": "# Titre\n\nAvec `MLflow`."},
        {"cell_type": "markdown", "source": "## L’étape 2\n\nOn trace dans MLflow, pas XMLflow."},
        {"cell_type": "code", "source": "import Ray", "outputs": [resultat]},
    ]
    monkeypatch.setattr(annexes, "lire_pages", lambda: [Page("p.ipynb", "Chapitre 1", cellules)])
    monkeypatch.setattr(
        annexes, "noms_des_outils", lambda: ["MLflow", "Kubeflow", "Kubeflow Pipelines", "Ray"]
    )
    # Quand on fait l’index
    entrees = {e.ancre: e.suite for e in index_des_outils().entrees}
    # Alors seuls y sont les outils montrés, chacun avec ses sections
    assert entrees.keys() == {"outil-mlflow", "outil-kubeflow-pipelines"}
    assert [c.adresse for c in entrees["outil-mlflow"] if c.adresse] == [
        "p.ipynb",
        "p.ipynb#letape-2",
    ]


def test_tout_outil_nomme_est_dans_l_index(monkeypatch):
    # Étant donné les tableaux qui nomment des outils, tels que les pages les montrent
    nuages = [v for ligne in charger("nuages") for cle, v in ligne.items() if cle != "categorie"]
    textes = [outil["outil"] for outil in charger("outils")]
    textes += [outil for etape in charger("outils_etapes") for outil in etape["outils"]]
    textes += [n for p in charger("principes") for ou in p["outils"] for n in ou["noms"]]
    textes += [morceau for texte in nuages for morceau in MORCEAUX.split(texte)]
    resultats = [{"data": {"text/html": f"<td>{texte}</td>"}} for texte in textes]
    cellules = [{"cell_type": "code", "source": "", "outputs": resultats}]
    monkeypatch.setattr(annexes, "lire_pages", lambda: [Page("p.ipynb", "Chapitre 1", cellules)])
    # Quand on fait l’index
    noms = [entree.titre.texte for entree in index_des_outils().entrees]
    # Alors chacun y est
    un_nom = annexes._motif(noms)
    absents = {t for t in textes if not un_nom.search(t) and t not in SANS_OUTIL}
    assert absents == set(), "Ces outils ne sont pas dans l’index."


def test_copie_executee_lue(depot):
    from publication.plan import lire_notebooks

    chapitre = next(n for n in lire_notebooks(depot) if n.chemin == "book/1_chapitre.ipynb")
    copie = depot / "_build" / "execution" / chapitre.chemin
    notebook = nbformat.read(depot / chapitre.chemin, as_version=4)
    notebook.cells[-1].outputs = [nbformat.v4.new_output("stream", text="42")]
    copie.parent.mkdir(parents=True)
    nbformat.write(notebook, copie)
    page = next(p for p in annexes.lire_pages(depot) if p.adresse == "1_chapitre.ipynb")
    assert page.cellules[-1]["outputs"], "Les résultats viennent de la copie exécutée."
