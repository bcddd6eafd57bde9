"""Mesurer un modèle : discrimination, calibration, gain d’un modèle sur un autre."""

import numpy as np
import pandas as pd
from sklearn.metrics import brier_score_loss, log_loss, roc_auc_score

from mlops_demo.configuration import GRAINE

TIRAGES = 1000


def mesurer(observe: np.ndarray, proba: np.ndarray) -> dict[str, float]:
    """Mesure des probabilités contre ce qui est arrivé.

    Args:
        observe: 0 ou 1, un par vol, les deux valeurs présentes.
        proba: probabilité de retard annoncée, dans [0 ; 1].

    Returns:
        ``etiquetes`` (vols), ``taux_observe``, ``proba_moyenne``, ``biais`` (proba moyenne
        moins taux observé), ``auc``, ``log_loss``, ``brier``, ``brier_skill`` : 1 − Brier /
        Brier de qui annoncerait à tous le taux observé du mois ; négatif, le modèle fait pire
        que cette annonce (Murphy, 1973, pour la référence climatologique).

    Raises:
        ValueError: probabilités hors de [0 ; 1] ou non finies, une seule classe observée.
    """
    observe, proba = np.asarray(observe, float), np.asarray(proba, float)
    if not np.isfinite(proba).all() or proba.min() < 0 or proba.max() > 1:
        raise ValueError("des probabilités ne sont pas des nombres de [0 ; 1]")
    taux = float(observe.mean())
    if not 0 < taux < 1:
        raise ValueError("une seule classe est observée : aucune mesure n’a de sens")
    brier = float(brier_score_loss(observe, proba))
    return {
        "etiquetes": len(observe),
        "taux_observe": taux,
        "proba_moyenne": float(proba.mean()),
        "biais": float(proba.mean() - taux),
        "auc": float(roc_auc_score(observe, proba)),
        "log_loss": float(log_loss(observe, proba)),
        "brier": brier,
        "brier_skill": 1 - brier / (taux * (1 - taux)),
    }


def pertes(observe: np.ndarray, proba: np.ndarray) -> np.ndarray:
    """Log-loss de chaque vol."""
    proba = np.clip(proba, 1e-15, 1 - 1e-15)
    return -np.where(observe == 1, np.log(proba), np.log1p(-proba))


def gain(
    observe: np.ndarray, ancien: np.ndarray, nouveau: np.ndarray, jours: np.ndarray
) -> tuple[float, float, float]:
    """Gain de log-loss du nouveau modèle sur l’ancien, et son intervalle à 95 %.

    Les vols d’un même jour partagent la météo et les encombrements : le bootstrap tire des
    jours entiers, sinon l’intervalle serait bien trop étroit.

    Returns:
        Gain moyen par vol (positif : le nouveau est meilleur), bornes basse et haute.
    """
    ecart = pertes(observe, ancien) - pertes(observe, nouveau)
    par_jour = pd.DataFrame({"ecart": ecart, "jour": jours}).groupby("jour")["ecart"]
    sommes, tailles = par_jour.sum().to_numpy(), par_jour.size().to_numpy()
    tirages = np.random.default_rng(GRAINE).integers(0, len(sommes), (TIRAGES, len(sommes)))
    gains = sommes[tirages].sum(axis=1) / tailles[tirages].sum(axis=1)
    bas, haut = np.quantile(gains, [0.025, 0.975])
    return float(ecart.mean()), float(bas), float(haut)


def courbe_de_calibration(
    observe: np.ndarray, proba: np.ndarray, groupes: int = 10
) -> pd.DataFrame:
    """Probabilité moyenne et taux observé par groupe de vols de même probabilité.

    Returns:
        Au plus ``groupes`` lignes de même effectif : ``annonce``, ``observe``, ``vols``.
    """
    table = pd.DataFrame({"annonce": proba, "observe": observe})
    tranche = pd.qcut(table["annonce"], groupes, duplicates="drop")
    groupe = table.groupby(tranche, observed=True)
    return groupe.mean().assign(vols=groupe.size()).reset_index(drop=True)


def psi(reference: np.ndarray, courant: np.ndarray, groupes: int = 10) -> float:
    """Indice de stabilité de population (PSI) entre deux échantillons d’un score.

    Somme sur les déciles de la référence de (c − r) ln(c / r). Repères d’usage, sans théorie
    derrière : moins de 0,1 stable, plus de 0,2 déplacé.
    """
    bornes = np.unique(np.quantile(reference, np.linspace(0, 1, groupes + 1)[1:-1]))
    parts = [
        np.bincount(np.searchsorted(bornes, x), minlength=len(bornes) + 1) / len(x)
        for x in (reference, courant)
    ]
    r, c = (np.clip(p, 1e-4, None) for p in parts)
    return float(((c - r) * np.log(c / r)).sum())
