"""Le chapitre 3 : onze principes, chacun avec ses cinq parties, dans l’ordre."""

import json
import re

import nbformat
import pytest
from bs4 import BeautifulSoup
from publication.depot import RACINE, lire_yaml
from publication.schemas import SCHEMAS, schema
from publication.tableaux import charger

NOTEBOOK = nbformat.read(RACINE / "book" / "3_principes.ipynb", as_version=4)
CELLULES = NOTEBOOK.cells
PRINCIPES = charger("principes")


def section(n):
    """Les cellules d’un principe, de son titre au titre suivant."""
    debuts = [i for i, c in enumerate(CELLULES) if re.match(r"## \d+\. ", c.source)]
    fins = [*debuts[1:], len(CELLULES)]
    return CELLULES[debuts[n - 1] : fins[n - 1]]


def test_les_principes_suivent_la_reference():
    titres = [c.source.splitlines()[0] for c in CELLULES if re.match(r"## \d+\. ", c.source)]
    attendus = [f"## {n}. {p['principe']}" for n, p in enumerate(PRINCIPES, 1)]
    assert [t.split(" (")[0] for t in titres] == attendus, "les onze, dans l’ordre de ml-ops.org"


@pytest.mark.parametrize("n", range(1, 12))
def test_chaque_principe_a_ses_cinq_parties(n):
    texte = "\n".join(c.source for c in section(n) if c.cell_type == "markdown")
    parties = re.split(r"^### ", texte, flags=re.MULTILINE)[1:6]
    assert len(parties) == 5, f"le principe {n} n’a pas cinq parties"
    assert "annexes.ipynb#ref-" in parties[1], "l’explication cite sa source"
    preuve = re.search(r"\.\./notebooks/4\d_\w+\.ipynb#[a-z0-9-]+", parties[4])
    assert preuve, "la preuve a son lien"


@pytest.mark.parametrize("n", range(1, 12))
def test_chaque_principe_execute_son_exemple(n):
    codes = [c.source for c in section(n) if c.cell_type == "code"]
    assert codes[0] == f'schema("principe_{n}")', "le schéma d’abord"
    assert f"outils({n})" in codes, "les outils du principe, et pas ceux d’un autre"
    assert len(codes) >= 3, "un exemple est du code exécuté"


@pytest.mark.parametrize("n", range(1, 12))
def test_chaque_schema_porte_sa_legende(n):
    figure = section(n)[1].metadata["mystnb"]
    dessine = schema(f"principe_{n}")
    assert figure["figure"]["name"] == f"fig-principe-{n}"
    assert figure["figure"]["caption"] == dessine.legende, "légende et crédit viennent du YAML"
    assert figure["image"]["alt"] == dessine.description, "l’alternative vient du YAML"


@pytest.mark.parametrize("n", range(1, 12))
def test_aucun_schema_n_est_un_tableau_en_image(n):
    noeuds = lire_yaml(SCHEMAS / f"principe_{n}.yaml").get("noeuds", {}).values()
    formes = {noeud.get("forme") for noeud in noeuds}
    assert formes != {"tableau"}, "un tableau se lit dans la page, pas dans une image"


def test_rien_n_est_ecrit_dans_la_base():
    code = "\n".join(c.source for c in CELLULES if c.cell_type == "code")
    ecritures = r"INSERT|UPDATE|DELETE|recevoir|rejouer|mettre_en_service|enregistrer|inscrire"
    assert not re.search(ecritures, code), "le chapitre 3 ne fait que lire"


def test_la_page_se_refait_avec_la_demonstration_et_avec_les_tests():
    assert NOTEBOOK.metadata["depend_de"] == ["notebooks/47_bilan.ipynb"], "elle lit la démo"
    lus = ["tests/**/test_*.py", "_build/ml_test_score.json"]
    assert NOTEBOOK.metadata["lit"] == lus, "le ML Test Score lit le rapport des tests"


def test_la_note_affichee_se_recalcule_du_rapport_brut_qu_elle_cite(livre):
    page = livre / "book" / "3_principes.html"
    soupe = BeautifulSoup(page.read_text(encoding="utf-8"), "html.parser")
    (lien,) = soupe.select('a[href$="ml_test_score.json"]')
    brut = json.loads((page.parent / lien["href"]).read_text(encoding="utf-8"))
    points = {}
    for ligne in charger("ml_test_score"):
        issues = [
            t["issue"]
            for t in brut["tests"]
            if t["exigence"] == f"{ligne['section']} {ligne['n'][1:]}"
        ]
        reussi = bool(issues) and set(issues) == {"réussi"}
        points[ligne["section"]] = points.get(ligne["section"], 0) + reussi
    texte = soupe.get_text().replace("\xa0", " ")
    assert f"Score : {min(points.values())},0." in texte
