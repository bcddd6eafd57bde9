"""Mesurer dans un processus neuf : rien n’y est déjà importé, ni en mémoire."""

import multiprocessing
import resource
import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from typing import Any


def a_part() -> ProcessPoolExecutor:
    """Un processus neuf, qui vit jusqu’à ce qu’on le ferme."""
    return ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn"))


def memoire_mo() -> int:
    """Le plus de mémoire que ce processus ait occupée, en Mo."""
    unite = 1 if sys.platform == "darwin" else 1024
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unite / 1000**2)


def mesurer(fonction: Callable[..., Any], *arguments: Any) -> Any:
    """Appelle une fonction dans un processus neuf et rend son résultat."""
    with a_part() as processus:
        return processus.submit(fonction, *arguments).result()


def secondes(valeur: float) -> str:
    """Une durée à la française."""
    return f"{valeur:.1f} s".replace(".", ",")
