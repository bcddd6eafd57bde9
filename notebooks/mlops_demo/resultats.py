"""Le résultat d’un notebook, en JSON, pour qui l’a lancé : une personne, la CI, un ordonnanceur."""

import json
import os
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd

from mlops_demo.configuration import dossier_travail

VARIABLE = "MLOPS_RESULTATS"


def dossier() -> Path:
    """Dossier des résultats (variable ``MLOPS_RESULTATS``, sinon dans celui de travail)."""
    chemin = Path(os.environ.get(VARIABLE) or dossier_travail() / "resultats")
    chemin.mkdir(exist_ok=True)
    return chemin


def _simple(valeur: object) -> object:
    if isinstance(valeur, np.generic | np.ndarray):
        return valeur.tolist()
    if isinstance(valeur, date | pd.Timestamp):
        return valeur.isoformat()
    raise TypeError(f"{type(valeur).__name__} n’a pas de forme JSON")


def ecrire(notebook: str, resume: str, **mesures: object) -> None:
    """Écrit le résultat, en entier ou pas du tout.

    Args:
        notebook: nom du notebook, sans extension.
        resume: ce qu’il a établi, en une phrase.
        mesures: chiffres et décisions.
    """
    contenu = {"notebook": notebook, "resume": resume, **mesures}
    texte = json.dumps(contenu, ensure_ascii=False, indent=2, default=_simple, allow_nan=False)
    cible = dossier() / f"{notebook}.json"
    provisoire = cible.with_suffix(f".{os.getpid()}.tmp")
    provisoire.write_text(texte + "\n", encoding="utf-8")
    provisoire.replace(cible)
