"""Ce que coûte un lot de vols selon sa taille : mesuré ici, puis projeté sur des pods."""

import math
import time
from collections.abc import Iterator

import numpy as np
import pandas as pd
import psutil
from sklearn.pipeline import Pipeline

from mlops_demo import entrainement, partitions
from mlops_demo.configuration import GRAINE


def tirages(vols: pd.DataFrame, combien: int) -> Iterator[pd.DataFrame]:
    """De vrais vols retirés au sort avec remise, un paquet de la taille d’origine après l’autre."""
    hasard = np.random.default_rng(GRAINE)
    for _ in range(combien):
        yield vols.iloc[hasard.integers(0, len(vols), len(vols))]


def cout(modele: Pipeline, vols: pd.DataFrame, facteur: int) -> dict[str, float]:
    """Note et résume ``facteur`` fois les vols, au fil de l’eau.

    Returns:
        ``vols``, ``notation_s`` et ``resume_s`` en secondes de processeur, ``memoire_mo`` : ce
        que ce processus occupait à la fin.
    """
    total, notation, resume = partitions.VIDE, 0.0, 0.0
    for paquet in tirages(vols, facteur):
        debut = time.process_time()
        probas = entrainement.probabilites(modele, paquet)
        milieu = time.process_time()
        total += partitions.resumer(paquet["late"].to_numpy(), probas)
        notation += milieu - debut
        resume += time.process_time() - milieu
    memoire = psutil.Process().memory_info().rss / 1e6
    return {
        "vols": total.vols,
        "notation_s": notation,
        "resume_s": resume,
        "memoire_mo": memoire,
    }


def octets_par_vol(vols: pd.DataFrame) -> float:
    """Ce qu’un vol prend en mémoire, variables et étiquette."""
    return float(vols.memory_usage(deep=True).sum() / len(vols))


def memoire_de_la_machine() -> int:
    """Mémoire de cette machine, en octets."""
    return psutil.virtual_memory().total


def dimensionner(
    lots: dict[str, int],
    secondes_par_vol: float,
    *,
    demarrage_s: float = 30,
    cible_s: float = 600,
    pods_max: int = 200,
    memoire_par_pod_gio: float = 2,
    prix_du_coeur_heure: float = 0.05,
) -> pd.DataFrame:
    """Combien de pods d’un cœur pour chaque lot, combien de temps, à quel prix.

    Args:
        lots: nom et nombre de vols.
        secondes_par_vol: processeur par vol, notation et résumé.
        demarrage_s: image déjà là, Python, imports, modèle et lecture.
        cible_s: travail que l’on veut donner à chaque pod.
        pods_max: au-delà, l’ordonnanceur coûte plus qu’il ne rend.
        memoire_par_pod_gio: limite de mémoire d’un pod ; elle ne dépend pas du lot.
        prix_du_coeur_heure: tarif d’un cœur et de sa mémoire, en euros par heure.
    """
    lignes = []
    for nom, vols in lots.items():
        travail = vols * secondes_par_vol
        pods = max(1, min(math.ceil(travail / cible_s), pods_max))
        coeur_heures = (travail + pods * demarrage_s) / 3600
        lignes.append(
            {
                "lot": nom,
                "vols": vols,
                "pods": pods,
                "mémoire en tout (Gio)": float(pods * memoire_par_pod_gio),
                "durée (min)": (demarrage_s + travail / pods) / 60,
                "cœur-heures": coeur_heures,
                "coût (centimes)": 100 * coeur_heures * prix_du_coeur_heure,
            }
        )
    return pd.DataFrame(lignes)
