"""D’où vient un modèle : empreinte des données, version du code, paquets."""

import functools
import hashlib
import subprocess
from importlib.metadata import distributions
from pathlib import Path

import pandas as pd

from mlops_demo.configuration import RACINE


@functools.cache
def version_du_code() -> str:
    """Commit git (avec « +modifié » s’il y a lieu) et empreinte des sources du paquet."""
    condense = hashlib.sha256()
    for fichier in sorted(Path(__file__).parent.glob("*.*")):
        if fichier.suffix in (".py", ".yaml", ".sql"):
            condense.update(fichier.name.encode() + fichier.read_bytes())
    sources = f"sources {condense.hexdigest()[:12]}"
    commande = ["git", "-C", str(RACINE), "describe", "--always", "--dirty=+modifié"]
    try:
        commit = subprocess.run(commande, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return sources  # hors d’un dépôt git : dans une image, une archive
    return f"commit {commit.stdout.strip()}, {sources}"


def verrou() -> str:
    """Empreinte des paquets installés, versions comprises : ce que le verrou a vraiment donné."""
    paquets = sorted(f"{p.name}=={p.version}".lower() for p in distributions())
    condense = hashlib.sha256("\n".join(paquets).encode()).hexdigest()[:12]
    return f"{len(paquets)} paquets installés, empreinte {condense}"


def empreinte(exemples: pd.DataFrame) -> str:
    """SHA-256 du contenu d’un tableau, lignes dans l’ordre."""
    lignes = pd.util.hash_pandas_object(exemples, index=False)
    return hashlib.sha256(lignes.to_numpy().tobytes()).hexdigest()[:16]
