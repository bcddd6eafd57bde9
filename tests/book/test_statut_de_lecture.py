"""Ce qui a été lu, et comment, se dit une fois par source, dans la bibliographie."""

import re

import nbformat
import pytest
from publication.depot import RACINE, lire_sommaire
from publication.tableaux import DONNEES

STATUT = re.compile(
    r"lue?s? chez un tiers|non vérifiée?|lue?s? en partie|(?:cité\w*|[:,(]) ?de mémoire"
    r"|nous n’avons (?:pas (?:pu )?lu|lu qu)|\b(?![nN]°)\w+°(?![\wFC])"
)
# L’annexe est la bibliographie même ; son texte dit comment la lire.
BIBLIOGRAPHIE = "book/annexes.ipynb"


def corps():
    """Les pages et les données du livre, hors bibliographie."""
    for page in lire_sommaire(RACINE):
        if page != BIBLIOGRAPHIE:
            cellules = nbformat.read(RACINE / page, as_version=4).cells
            yield page, "\n".join(c.source for c in cellules)
    for fichier in sorted(DONNEES.rglob("*.yaml")):
        lignes = fichier.read_text(encoding="utf-8").splitlines()
        yield fichier.name, "\n".join(ligne for ligne in lignes if not ligne.startswith("#"))


@pytest.mark.parametrize(("nom", "texte"), list(corps()), ids=lambda v: v if len(v) < 60 else "")
def test_le_corps_du_livre_ne_dit_pas_ce_qui_a_ete_lu(nom, texte):
    assert not STATUT.search(texte), (
        f"{nom} : {STATUT.findall(texte)} ; à dire dans references.bib."
    )


@pytest.mark.parametrize(
    "phrase",
    [
        "Cockpit (lu chez un tiers)",
        "licence non vérifiée",
        "cité de mémoire",
        "Power BI°",
        "RDS°, MSK",
    ],
)
def test_un_doute_imprime_est_vu(phrase):
    assert STATUT.search(phrase)


@pytest.mark.parametrize(
    "phrase", ["12 Gio de mémoire au plus", "la température, en °F", "n° 0285"]
)
def test_une_mesure_n_est_pas_un_doute(phrase):
    assert not STATUT.search(phrase)
