import json

import nbformat
import pytest
from publication.depot import ErreurPublication, ecrire
from publication.plan import copie_executee, lire_notebooks, pages_de_l_expose, perimes


def a_executer(racine):
    """Les notebooks qui seraient exécutés."""
    return [notebook.chemin for notebook in perimes(racine, lire_notebooks(racine))]


TOUS = {
    "book/1_chapitre.ipynb",
    "notebooks/41_premier.ipynb",
    "notebooks/42_second.ipynb",
    "book/accueil.ipynb",
}


def test_depot_neuf(depot):
    # Quand rien n’a été exécuté
    # Alors tout est à faire, l’accueil après l’étape dont il dépend
    faits = a_executer(depot)
    assert set(faits) == TOUS, "Chaque notebook du sommaire doit être exécuté."
    assert faits.index("book/accueil.ipynb") > faits.index("notebooks/42_second.ipynb"), (
        "Un notebook s’exécute après ceux dont il dépend."
    )


def test_rien_n_a_change(deja_execute):
    assert a_executer(deja_execute) == [], "Sans changement, rien ne doit être exécuté."


def test_texte_modifie(deja_execute, modifier):
    # Quand seul un texte change
    modifier(deja_execute / "notebooks" / "41_premier.ipynb", 0, "# Un autre titre")
    # Alors aucune exécution ne repart
    assert a_executer(deja_execute) == [], "Un texte ne change aucune sortie."


def test_etiquette_d_affichage(deja_execute):
    # Quand une cellule de code est seulement repliée
    fichier = deja_execute / "book" / "1_chapitre.ipynb"
    notebook = nbformat.read(fichier, as_version=4)
    notebook.cells[2].metadata["tags"] = ["hide-input"]
    nbformat.write(notebook, fichier)
    # Alors rien ne repart
    assert a_executer(deja_execute) == [], "L’affichage d’une cellule ne change pas ses sorties."


def test_page_qui_lit_d_autres_fichiers(deja_execute, modifier, simuler):
    # Étant donné une annexe qui relève ce que disent les autres pages
    fichier = deja_execute / "book" / "1_chapitre.ipynb"
    notebook = nbformat.read(fichier, as_version=4)
    notebook.metadata["lit"] = ["notebooks/*.ipynb"]
    nbformat.write(notebook, fichier)
    simuler(deja_execute, next(n for n in lire_notebooks(deja_execute) if n.chemin in str(fichier)))
    assert a_executer(deja_execute) == []
    # Quand un simple texte change ailleurs
    modifier(deja_execute / "notebooks" / "42_second.ipynb", 0, "# Un autre titre")
    # Alors elle repart, et elle seule
    assert a_executer(deja_execute) == ["book/1_chapitre.ipynb"]


def test_etiquette_de_parametres(deja_execute):
    # Quand une cellule devient celle des paramètres
    fichier = deja_execute / "book" / "1_chapitre.ipynb"
    notebook = nbformat.read(fichier, as_version=4)
    notebook.cells[2].metadata["tags"] = ["parameters"]
    nbformat.write(notebook, fichier)
    # Alors ce notebook repart
    assert a_executer(deja_execute) == ["book/1_chapitre.ipynb"]


@pytest.mark.parametrize(
    ("modifie", "attendus"),
    [
        ("book/1_chapitre.ipynb", {"book/1_chapitre.ipynb"}),
        ("book/accueil.ipynb", {"book/accueil.ipynb"}),
        ("notebooks/42_second.ipynb", {"notebooks/42_second.ipynb", "book/accueil.ipynb"}),
        ("notebooks/41_premier.ipynb", TOUS - {"book/1_chapitre.ipynb"}),
    ],
)
def test_code_modifie(deja_execute, modifier, modifie, attendus):
    # Quand le code d’un notebook change
    modifier(deja_execute / modifie, 2, "'autre chose'")
    # Alors lui et ceux qui en dépendent repartent, et eux seuls
    assert set(a_executer(deja_execute)) == attendus


@pytest.mark.parametrize(
    ("fichier", "attendus"),
    [
        ("notebooks/mlops_demo/base.py", TOUS),
        ("notebooks/mlops_demo/contrat.yaml", TOUS),
        ("requirements/lock.txt", TOUS),
        ("data/SHA256SUMS", TOUS),
        ("book/donnees/plan.yaml", {"book/1_chapitre.ipynb", "book/accueil.ipynb"}),
        ("book/publication/flux.py", {"book/1_chapitre.ipynb", "book/accueil.ipynb"}),
        (
            "book/publication/gabarits/flux.svg.j2",
            {"book/1_chapitre.ipynb", "book/accueil.ipynb"},
        ),
    ],
)
def test_entree_modifiee(deja_execute, fichier, attendus):
    # Quand change un fichier que des notebooks lisent
    ecrire(deja_execute / fichier, "autre contenu\n")
    # Alors ces notebooks repartent
    assert set(a_executer(deja_execute)) == attendus


@pytest.mark.parametrize(
    ("fichier", "repart"),
    [
        ("book/reference.json", True),
        ("local/common.yaml", True),
        ("book/donnees/valeurs.yaml", True),
        ("book/1_chapitre.ipynb", False),
    ],
)
def test_ce_que_montre_l_expose(exposer, diapositive, simuler, fichier, repart):
    # Étant donné un exposé à jour, qui cite des résultats et de vraies lignes du dépôt
    racine = exposer(diapositive("a"))
    for notebook in lire_notebooks(racine, pages_de_l_expose(racine)):
        simuler(racine, notebook)
    assert perimes(racine, lire_notebooks(racine, pages_de_l_expose(racine))) == []
    # Quand change un fichier qu’il montre, ou un autre
    ecrire(racine / fichier, "autre contenu\n")
    # Alors il s’exécute de nouveau, ou non
    assert bool(perimes(racine, lire_notebooks(racine, pages_de_l_expose(racine)))) == repart


def test_copie_executee_alteree(deja_execute):
    # Quand une copie exécutée n’est plus celle que le relevé décrit
    copie = copie_executee(deja_execute, "notebooks/42_second.ipynb")
    copie.write_text(copie.read_text() + " ")
    # Alors elle est refaite, avec ce qui en dépend
    assert a_executer(deja_execute) == ["notebooks/42_second.ipynb", "book/accueil.ipynb"]


def test_releve_illisible(deja_execute):
    copie = copie_executee(deja_execute, "book/1_chapitre.ipynb")
    copie.with_suffix(".json").write_text("{")
    assert a_executer(deja_execute) == ["book/1_chapitre.ipynb"]


def test_etape_rejouee(deja_execute, simuler):
    # Quand une étape est rejouée à l’identique, comme le fait « make demo »
    premier = lire_notebooks(deja_execute)[1]
    simuler(deja_execute, premier, "seconde")
    # Alors ce qui dépend de ses nouveaux résultats repart, mais pas elle
    assert a_executer(deja_execute) == ["notebooks/42_second.ipynb", "book/accueil.ipynb"]


def test_source_en_lignes_ou_d_un_bloc(deja_execute):
    # Quand un éditeur range les sources autrement, sans changer le code
    fichier = deja_execute / "book" / "1_chapitre.ipynb"
    notebook = json.loads(fichier.read_text())
    notebook["cells"][2]["source"] = "40 + 2"
    fichier.write_text(json.dumps(notebook))
    assert a_executer(deja_execute) == [], "La même source doit donner la même clé."


def test_dependance_inconnue(depot):
    ecrire(depot / "_toc.yml", "format: jb-book\nroot: book/accueil\n")
    with pytest.raises(ErreurPublication, match=r"accueil\.ipynb.*42_second.*absent"):
        lire_notebooks(depot)


def test_dependance_circulaire(depot):
    fichier = depot / "notebooks" / "41_premier.ipynb"
    notebook = nbformat.read(fichier, as_version=4)
    notebook.metadata["depend_de"] = ["book/accueil.ipynb"]
    nbformat.write(notebook, fichier)
    with pytest.raises(ErreurPublication, match="circulaire"):
        lire_notebooks(depot)


def test_notebook_illisible(depot):
    (depot / "book" / "1_chapitre.ipynb").write_text("<<<<<<< HEAD")
    with pytest.raises(ErreurPublication, match=r"book/1_chapitre\.ipynb n’est pas du JSON"):
        lire_notebooks(depot)
