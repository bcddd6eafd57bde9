"""L’orthographe : la prose des notebooks, de l’exposé et des données, lue par Hunspell en français.

Les mots justes que le dictionnaire ignore sont dans ``mots.txt``, un par ligne, en minuscules.
"""

import re
import shutil
import subprocess
from pathlib import Path

import nbformat
import pytest
from publication.depot import RACINE, lire_sommaire, lire_yaml
from publication.plan import pages_de_l_expose
from publication.references import references
from publication.tableaux import DONNEES

MOTS = Path(__file__).with_name("mots.txt")
# Ce qui n’est pas de la prose française : code, adresses, citations en anglais, noms de fichiers,
# sigles et noms à capitales ou à chiffres.
HORS_PROSE = re.compile(
    r"\{\{.*?\}\}|```.*?```|`[^`]*`|\]\([^)]*\)|« ?\*[^*]*\* ?»|“[^”]*”"
    r"|\b[\w-]+(?:[_./][\w-]+)+|\b\w*\d\w*\b|\b\w*[A-Z]\w*[A-Z]\w*\b",
    re.DOTALL,
)
# Dans les données : les noms qui ne se lisent pas, et l’anglais.
CLES_HORS_PROSE = set(
    "ancre anglais source origine etape modele page adresse de vers famille forme local "
    "cluster".split()
)


def textes_des_notebooks():
    """La prose, les légendes et les textes de remplacement de tous les notebooks."""
    for page in [*lire_sommaire(RACINE), *pages_de_l_expose(RACINE)]:
        for cellule in nbformat.read(RACINE / page, as_version=4).cells:
            if cellule.cell_type == "markdown":
                yield cellule.source
            reglages = cellule.metadata.get("mystnb", {})
            yield reglages.get("figure", {}).get("caption", "")
            yield reglages.get("image", {}).get("alt", "")


def textes_des_donnees(valeur):
    """Les textes français d’un fichier de données."""
    if isinstance(valeur, str):
        yield valeur
    elif isinstance(valeur, list):
        for element in valeur:
            yield from textes_des_donnees(element)
    elif isinstance(valeur, dict) and valeur.get("langue") != "en":
        for cle, element in valeur.items():
            # En liste, ce sont des noms d’icônes, de métiers, de blocs ; sinon, du texte.
            noms = cle in {"outils", "qui", "points"} and isinstance(element, list)
            if cle not in CLES_HORS_PROSE and not noms:
                yield from textes_des_donnees(element)


def textes_du_glossaire():
    """Les définitions, et les mots français."""
    for fiche in lire_yaml(DONNEES / "glossaire.yaml"):
        yield fiche["definition"]
        yield fiche.get("equivalent", "") if "langue" in fiche else fiche["terme"]


def tous_les_textes():
    """Tout ce que le lecteur lit en français."""
    yield from textes_des_notebooks()
    yield from textes_du_glossaire()
    for reference in references().values():
        yield f"{reference.note} {reference.licence} {'' if reference.langue else reference.titre}"
    for fichier in DONNEES.rglob("*.yaml"):
        if fichier.stem not in {"glossaire", "icones", "services", "valeurs"}:
            yield from textes_des_donnees(lire_yaml(fichier))


@pytest.fixture(scope="module")
def inconnus():
    """Les mots que le dictionnaire ne connaît pas."""
    if not shutil.which("hunspell"):
        pytest.fail(
            "Hunspell est introuvable : « apt-get install hunspell hunspell-fr » sur Debian.",
            pytrace=False,
        )
    texte = HORS_PROSE.sub(" ", "\n".join(tous_les_textes()))
    # L’élision sépare deux mots, sauf dans « aujourd’hui » et ses pareils, que Hunspell connaît.
    texte = re.sub(r"\b([cdjlmnst]|qu)’", r"\1’ ", texte, flags=re.IGNORECASE).replace("’", "'")
    resultat = subprocess.run(
        ["hunspell", "-i", "utf-8", "-d", "fr", "-l"],
        input=texte,
        capture_output=True,
        encoding="utf-8",
        check=True,
    )
    return {mot.strip("'.-").lower() for mot in resultat.stdout.split()} - {""}


def test_orthographe(inconnus):
    fautes = inconnus - set(MOTS.read_text(encoding="utf-8").split())
    assert fautes == set(), "Mots inconnus : à corriger, ou à ajouter à tests/book/mots.txt."


def test_liste_de_mots_propre(inconnus):
    mots = MOTS.read_text(encoding="utf-8").splitlines()
    assert mots == sorted(set(mots)), "mots.txt n’est pas trié, ou répète un mot."
    inutiles = set(mots) - inconnus
    assert inutiles == set(), "Ces mots de mots.txt ne servent pas."
