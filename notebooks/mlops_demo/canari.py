"""Le canari : un challenger que le gate accepte juge d’abord une petite part de vrais vols.

Le gate a jugé un pipeline en mémoire ; le service, lui, servira des fichiers. Le canari relit ces
fichiers comme le service et vérifie qu’ils disent la même chose, avant que l’alias ne bouge. Pour
l’essayer sur le trafic, un réplica du service suit l’alias ``challenger`` (``MLOPS_ALIAS``).
"""

import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.pipeline import Pipeline

from mlops_demo import confiance, entrainement, registre, service_champion
from mlops_demo.gate import JOURS_DE_JUGEMENT

PART = 0.05  # un vol sur vingt
UN_A_UN = 50  # ceux d’entre eux jugés seuls, comme dans la plupart des demandes


@dataclass(frozen=True)
class Essai:
    """Ce qu’a donné le canari."""

    accepte: bool
    vols: int
    motif: str
    empreinte: str | None = None  # celle des fichiers essayés


def choisis(flight_id: pd.Series, part: float = PART) -> pd.Series:
    """Dit quels vols vont au canari : toujours les mêmes, répartis au hasard par leur numéro."""
    return (flight_id * 2654435761 % 2**32) < part * 2**32


def essayer(version: int, juge: Pipeline, vols: pd.DataFrame) -> Essai:
    """Fait juger par les fichiers d’une version une part des vols des quatre dernières semaines.

    Args:
        version: version à essayer, telle que le registre la garde.
        juge: le pipeline que le gate a accepté.
        vols: vols connus ; seuls les plus récents servent.
    """
    recents = vols[
        vols["flight_date"] > vols["flight_date"].max() - pd.Timedelta(days=JOURS_DE_JUGEMENT)
    ]
    essayes = recents[choisis(recents["flight_id"])]
    with tempfile.TemporaryDirectory() as dossier:
        try:
            fiche = registre.telecharger(version, Path(dossier))
            servi = service_champion.ouvrir(Path(dossier), fiche)
            empreinte = confiance.empreinte(Path(dossier))
            probas = entrainement.probabilites(servi.pipeline, essayes)
            seuls = essayes.head(UN_A_UN).replace({np.nan: None}).to_dict("records")
            un_a_un = [servi.juger_un(vol) for vol in seuls]
        except confiance.Refus as refus:
            return Essai(False, 0, str(refus))
        except Exception as erreur:  # des fichiers étrangers peuvent lever n’importe quoi
            return Essai(False, 0, f"les fichiers ne jugent pas : {type(erreur).__name__} {erreur}")
    if not (probas.min() >= 0 and probas.max() <= 1):
        return Essai(False, len(essayes), "des probabilités ne sont pas des nombres de [0 ; 1]")
    if not np.array_equal(probas, entrainement.probabilites(juge, essayes)):
        return Essai(False, len(essayes), "les fichiers ne sont pas le modèle que le gate a jugé")
    if not np.array_equal(un_a_un, probas[: len(un_a_un)]):
        return Essai(False, len(essayes), "un vol seul n’a pas la même probabilité qu’en lot")
    return Essai(True, len(essayes), "mêmes probabilités que le modèle jugé", empreinte)
