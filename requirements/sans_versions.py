"""Écrit les dépendances de pyproject.toml sans leur version exacte, pour l’essai hebdomadaire.

Les bornes (« <2 ») restent : leur raison est écrite à côté d’elles.
"""

import re
import tomllib
from pathlib import Path

RACINE = Path(__file__).resolve().parent.parent


def sans_versions(projet: dict) -> list[str]:
    """Donne chaque dépendance, outils de développement compris, sans son « == »."""
    toutes = [*projet["dependencies"], *projet["optional-dependencies"]["dev"]]
    return [re.sub(r"==[^;\s]+", "", dependance) for dependance in toutes]


if __name__ == "__main__":
    texte = (RACINE / "pyproject.toml").read_text(encoding="utf-8")
    print("\n".join(sans_versions(tomllib.loads(texte)["project"])))
