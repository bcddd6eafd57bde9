"""Ce que deux exécutions d’un notebook doivent avoir en commun."""

from collections.abc import Callable

import pytest

# Ce qui change d’une exécution à l’autre sans que l’histoire change.
VOLATILS = {"resume", "version", "promues", "quittee", "remise", "champion", "journal"}
DUREES = {"latence_ms", "duree_alias_s", "duree_visible_s"}


@pytest.fixture(name="sans_volatil")
def _sans_volatil() -> Callable:
    """De quoi comparer les résultats de deux exécutions."""
    return sans_volatil


def sans_volatil(valeur: object) -> object:
    """Retire numéros de version et durées, à tous les niveaux ; arrondit les mesures."""
    if isinstance(valeur, dict):
        ignores = VOLATILS | DUREES
        return {
            k: sans_volatil(v)
            for k, v in valeur.items()
            if k not in ignores and not k.startswith("version ")
        }
    if isinstance(valeur, list):
        return [sans_volatil(v) for v in valeur]
    # Evidently somme dans un ordre qui change d’un processus à l’autre : le 15ᵉ chiffre bouge.
    return round(valeur, 9) if isinstance(valeur, float) else valeur
