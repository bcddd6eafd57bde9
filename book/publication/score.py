"""Le ML Test Score de ce projet : 28 lignes, et un point seulement contre une preuve."""

import ast
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from publication.depot import RACINE

# Barème de 2017 : fait à la main et documenté, ou automatique et répété.
MANUEL, AUTOMATIQUE = 0.5, 1.0
PALIERS = (
    (0, "plutôt un projet de recherche qu’un système de production"),
    (1, "pas totalement dépourvu de tests, mais trous sérieux possibles"),
    (2, "première industrialisation, investissement à compléter"),
    (3, "raisonnablement testé, davantage peut être automatisé"),
    (5, "fort niveau d’automatisation des tests et de la surveillance"),
)
AU_DELA = "niveau exceptionnel"


@dataclass(frozen=True)
class Note:
    """Une ligne de la grille, ses points, et ce qui les justifie."""

    n: str
    section: str
    exigence: str
    points: float
    raison: str


def noter(grille: Iterable[Mapping[str, Any]], racine: Path = RACINE) -> list[Note]:
    """Donne ses points à chaque ligne : 1 si ses tests existent, 0,5 si son document existe.

    Args:
        grille: les lignes de ``ml_test_score.yaml`` ; ``tests`` nomme les tests qui gagnent le
            point, ``document`` le fichier où un contrôle fait à la main est écrit.
        racine: dépôt où chercher les preuves.
    """
    existants = identifiants_des_tests(racine)
    return [_noter(ligne, existants, racine) for ligne in grille]


def _noter(ligne: Mapping[str, Any], existants: frozenset[str], racine: Path) -> Note:
    points, raison = 0.0, ligne["raison"]
    if "tests" in ligne:
        perdus = [test for test in ligne["tests"] if test not in existants]
        points = 0.0 if perdus else AUTOMATIQUE
        raison = f"test introuvable : {', '.join(perdus)}" if perdus else raison
    elif "document" in ligne:
        present = (racine / ligne["document"]).is_file()
        points = MANUEL if present else 0.0
        raison = raison if present else f"document introuvable : {ligne['document']}"
    return Note(ligne["n"], ligne["section"], ligne["exigence"], points, raison)


@cache
def identifiants_des_tests(racine: Path = RACINE) -> frozenset[str]:
    """Identifiants pytest de toutes les fonctions de test du dépôt, lus sans les exécuter."""
    trouves = set()
    for fichier in sorted((racine / "tests").rglob("test_*.py")):
        arbre = ast.parse(fichier.read_text(encoding="utf-8"))
        nom = fichier.relative_to(racine).as_posix()
        trouves |= {
            f"{nom}::{noeud.name}"
            for noeud in arbre.body
            if isinstance(noeud, ast.FunctionDef) and noeud.name.startswith("test_")
        }
    return frozenset(trouves)


def par_section(notes: Iterable[Note]) -> dict[str, float]:
    """Total de chaque section, dans l’ordre de la grille."""
    totaux: dict[str, float] = {}
    for note in notes:
        totaux[note.section] = totaux.get(note.section, 0) + note.points
    return totaux


def score(notes: Iterable[Note]) -> float:
    """Le score : le minimum des sections, car un point faible plafonne tout."""
    return min(par_section(notes).values())


def lecture(valeur: float) -> str:
    """Ce que le barème de 2017 dit d’un score."""
    return next((texte for plafond, texte in PALIERS if valeur <= plafond), AU_DELA)
