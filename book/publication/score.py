"""Le ML Test Score de ce projet : calculé sur le rapport d’une exécution de ses tests."""

import ast
import json
import os
import subprocess
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from publication.depot import (
    RACINE,
    ErreurPublication,
    ecrire,
    ecrire_json,
    empreinte_fichiers,
)

TESTS = "tests/ml_test_score"
RAPPORT = "_build/ml_test_score.json"
# Barème de 2017 : un point pour un test automatique et répété. Le demi-point d’un contrôle fait à
# la main n’est jamais donné ici.
REUSSI = "réussi"
PALIERS = (
    (0, "plutôt un projet de recherche qu’un système de production"),
    (1, "pas totalement dépourvu de tests, mais trous sérieux possibles"),
    (2, "première industrialisation, investissement à compléter"),
    (3, "raisonnablement testé, davantage peut être automatisé"),
    (5, "fort niveau d’automatisation des tests et de la surveillance"),
)
AU_DELA = "niveau le plus haut du barème, plus de cinq"


@dataclass(frozen=True)
class Note:
    """Une ligne de la grille, ses points, ce qui a été mesuré, et les tests qui l’ont fait."""

    n: str
    section: str
    exigence: str
    points: float
    mesure: str
    tests: list[str] = field(default_factory=list)


def noter(grille: Iterable[Mapping[str, Any]], rapport: Mapping[str, Any]) -> list[Note]:
    """Donne ses points à chaque ligne : 1 si tous ses tests, un au moins, ont réussi ; sinon 0.

    Args:
        grille: les lignes de ``ml_test_score.yaml``.
        rapport: ce que rend ``lire_rapport``. Un test absent, sauté ou attendu en échec n’a pas
            réussi.
    """
    return [_noter(ligne, rapport["tests"]) for ligne in grille]


def _noter(ligne: Mapping[str, Any], executes: list[Mapping[str, str]]) -> Note:
    exigence = f"{ligne['section']} {ligne['n'][1:]}"
    siens = [test for test in executes if test["exigence"] == exigence]
    manques = [f"{_nom(t['test'])} : {t['issue']}" for t in siens if t["issue"] != REUSSI]
    points = 1.0 if siens and not manques else 0.0
    mesure = " ; ".join(manques or [t["mesure"] for t in siens])
    mesure = mesure or ligne.get("raison", "aucun test ne porte ce numéro")
    tests = [t["test"].split("[")[0] for t in siens]
    return Note(ligne["n"], ligne["section"], ligne["exigence"], points, mesure, tests)


def _nom(test: str) -> str:
    return test.rsplit("::", maxsplit=1)[-1]


def ecrire_rapport(fichier: Path, racine: Path, tests: list[dict[str, str]]) -> None:
    """Écrit le rapport d’une exécution : ni date ni durée, pour qu’il se refasse à l’identique."""
    ecrire_json(fichier, {"empreinte": _empreinte(racine), "tests": tests})


def lire_rapport(racine: Path = RACINE) -> dict[str, Any]:
    """Lit le rapport de la dernière exécution des tests.

    Raises:
        ErreurPublication: s’il n’y en a pas.
    """
    try:
        return json.loads((racine / RAPPORT).read_text(encoding="utf-8"))
    except (FileNotFoundError, json.JSONDecodeError) as erreur:
        raise ErreurPublication(
            "les tests du ML Test Score n’ont pas encore été exécutés : lancez « make book »."
        ) from erreur


def assurer_rapport(racine: Path) -> None:
    """Exécute les tests du ML Test Score si le rapport manque, est périmé ou n’est pas complet.

    Un test qui échoue n’arrête rien : il perd son point, et le livre le montre.

    Raises:
        ErreurPublication: si les tests n’ont pas pu être exécutés.
    """
    if not (racine / TESTS).is_dir() or _a_jour(racine):
        return
    print("ML Test Score : exécution de ses tests, une à deux minutes…", flush=True)
    (racine / RAPPORT).unlink(missing_ok=True)
    resultat = subprocess.run(
        [sys.executable, "-m", "pytest", TESTS, "-q", "-p", "no:cacheprovider"],
        cwd=racine,
        env={n: v for n, v in os.environ.items() if n != "DATABASE_URL" and "MLOPS_" not in n},
        capture_output=True,
        text=True,
        check=False,
    )
    if not (racine / RAPPORT).is_file():
        journal = racine / "_build" / "journal-erreur.txt"
        ecrire(journal, resultat.stdout + resultat.stderr)
        raise ErreurPublication(
            "les tests du ML Test Score ne s’exécutent pas : leur sortie est dans "
            f"{journal.relative_to(racine).as_posix()}."
        )


def _a_jour(racine: Path) -> bool:
    """Vrai si le rapport vient de ces sources-ci et que tous les tests y ont réussi."""
    try:
        rapport = lire_rapport(racine)
    except ErreurPublication:
        return False
    issues = {t["test"].split("[")[0]: t["issue"] for t in rapport["tests"]}
    return (
        rapport["empreinte"] == _empreinte(racine)
        and issues.keys() == identifiants_marques(racine)
        and set(issues.values()) == {REUSSI}
    )


def _empreinte(racine: Path) -> str:
    """Empreinte de tout ce dont l’issue des tests dépend."""
    fichiers = [f for f in (racine / TESTS).rglob("*") if f.suffix in (".py", ".json")]
    paquet = racine / "notebooks" / "mlops_demo"
    fichiers += [f for f in paquet.glob("*.*") if f.suffix in (".py", ".sql", ".yaml")]
    fichiers += [racine / "tests" / "conftest.py", racine / "requirements" / "lock.txt"]
    return empreinte_fichiers(racine, [*fichiers, *(racine / "data").glob("*.*")])


def identifiants_marques(racine: Path = RACINE) -> set[str]:
    """Identifiants pytest des tests qui portent un numéro de la grille, lus sans les exécuter."""
    return {
        f"{nom}::{fonction.name}"
        for nom, fonction in _fonctions(racine, TESTS)
        if any("ml_test_score" in ast.unparse(d) for d in fonction.decorator_list)
    }


def identifiants_des_tests(racine: Path = RACINE) -> frozenset[str]:
    """Identifiants pytest de toutes les fonctions de test du dépôt, lus sans les exécuter."""
    return frozenset(f"{nom}::{fonction.name}" for nom, fonction in _fonctions(racine, "tests"))


def lignes_des_tests(racine: Path = RACINE) -> dict[str, int]:
    """Ligne où commence chaque test du ML Test Score, par identifiant pytest."""
    return {
        f"{nom}::{fonction.name}": fonction.lineno for nom, fonction in _fonctions(racine, TESTS)
    }


def _fonctions(racine: Path, dossier: str) -> Iterable[tuple[str, ast.FunctionDef]]:
    for fichier in sorted((racine / dossier).rglob("test_*.py")):
        nom = fichier.relative_to(racine).as_posix()
        for noeud in ast.parse(fichier.read_text(encoding="utf-8")).body:
            if isinstance(noeud, ast.FunctionDef) and noeud.name.startswith("test_"):
                yield nom, noeud


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
