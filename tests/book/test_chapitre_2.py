"""Le chapitre 2 : cinq niveaux, chacun avec son paragraphe, son schéma, sa fiche et ses outils."""

import re

import nbformat
import pytest
from publication.depot import RACINE
from publication.schemas import schema
from publication.tableaux import charger

CELLULES = nbformat.read(RACINE / "book" / "2_workflow.ipynb", as_version=4).cells
NIVEAUX = charger("niveaux")

# Ce que la fiche dit de chaque niveau : la clé des données, et le titre que lit le lecteur.
RUBRIQUES = {
    "passe": "Ce qui se passe",
    "qui": "Qui fait quoi",
    "automatise": "Ce qui est automatisé",
    "symptomes": "Les symptômes",
    "declencheur": "Ce qui déclenche la suite",
    "outils": "Les outils libres",
}
# Les outils que l’un des cinq schémas au moins doit nommer.
NOMMES = (
    "JupyterHub, Airflow, Superset, MLflow, Feast, Kubeflow, KServe, Prometheus, Grafana, Evidently"
).split(", ")


def section(niveau):
    """Les cellules d’un niveau, de son titre au titre suivant."""
    titres = [i for i, c in enumerate(CELLULES) if c.source.startswith("## ")]
    debut = next(i for i in titres if CELLULES[i].source.startswith(f"## Niveau {niveau} — "))
    return CELLULES[debut : titres[titres.index(debut) + 1]]


def codes(cellules):
    return [c.source for c in cellules if c.cell_type == "code"]


@pytest.mark.parametrize("niveau", range(5))
def test_chaque_niveau_a_toutes_ses_parties(niveau):
    # Étant donné la section d’un niveau
    cellules = section(niveau)
    titre, _, paragraphe = cellules[0].source.partition("\n")
    # Alors elle s’ouvre par son titre et son explication, puis montre son schéma et sa fiche
    assert titre == f"## Niveau {NIVEAUX[niveau]['niveau']}", "le titre vient des données"
    assert len(paragraphe.split()) > 20, "un paragraphe explique le niveau avant son schéma"
    attendus = [f'schema("carte", niveau={niveau})', f"fiche({niveau})"]
    assert codes(cellules) == attendus, "le schéma du niveau, puis sa fiche"


def test_la_fiche_a_toutes_ses_rubriques():
    code = next(source for source in codes(CELLULES) if "RUBRIQUES = " in source)
    affichees = dict(re.findall(r'"(\w+)": "([^"]+)"', code))
    for cle, titre in RUBRIQUES.items():
        assert affichees.get(cle) == titre, f"La fiche ne montre pas « {titre} »."
        assert all(niveau[cle] for niveau in NIVEAUX), f"Un niveau ne dit rien à « {titre} »."


def test_les_niveaux_sont_executes_et_mesures():
    (execution,) = [source for source in codes(CELLULES) if "niveaux.executer(" in source]
    assert "niveaux.atelier()" in execution, "les niveaux s’exécutent à part du chapitre 4"
    for montre in ("niveaux.lignes(mesures)", "niveaux.dessiner(mesures)"):
        assert montre in "\n".join(codes(CELLULES)), f"« {montre} » n’est pas montré."


def test_les_schemas_nomment_les_outils():
    dessins = [schema("carte", niveau=niveau).svg for niveau in range(5)]
    textes = {texte.strip() for svg in dessins for texte in re.findall(r">([^<>]+)<", svg)}
    oublies = [outil for outil in NOMMES if outil not in textes]
    assert oublies == [], "Aucun des cinq schémas ne nomme ces outils."


def test_la_comparaison_la_correspondance_et_l_autoevaluation_y_sont():
    page = "\n".join(codes(CELLULES))
    for nom in ("tab-niveaux", "tab-echelles", "tab-autoevaluation", "tab-outils-etapes"):
        assert f'nom="{nom}"' in page, f"Le tableau « {nom} » manque."
