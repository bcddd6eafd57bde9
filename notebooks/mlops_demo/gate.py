"""Le gate : les conditions, toutes nécessaires, pour qu’un challenger devienne champion."""

from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from mlops_demo.evaluation import gain, mesurer, pertes
from mlops_demo.textes import nombre

JOURS_DE_JUGEMENT = 28  # quatre semaines entières ; sept jours tranchent sur du bruit
VOLS_PAR_COMPAGNIE = 300  # étiquetés ; avec moins, le bruit seul ferait refuser


@dataclass(frozen=True)
class Seuils:
    """Seuils du gate, fixés d’avance, les mêmes toute l’année.

    - ``gain_min`` : gain de log-loss par vol sous lequel changer ne vaut pas le risque ;
    - ``gain_bas_min`` : borne basse de l’intervalle à 95 % du gain (bootstrap par jour) : à 0,
      on ne promeut que ce qui dépasse le bruit ;
    - ``skill_min`` : faire mieux que d’annoncer à tous le taux observé ;
    - ``biais_en_plus_max`` : calibration, |biais| toléré au-delà de celui du champion ;
    - ``perte_par_origine_max`` : aucun aéroport ne doit payer le progrès des autres ;
    - ``perte_par_compagnie_max`` : aucune compagnie non plus, dès qu’elle a assez de vols pour que
      sa perte se mesure. Plus petite qu’un aéroport, elle varie davantage : le plafond est double.
    """

    gain_min: float = 0.002
    gain_bas_min: float = 0.0
    skill_min: float = 0.0
    biais_en_plus_max: float = 0.02
    perte_par_origine_max: float = 0.01
    perte_par_compagnie_max: float = 0.02


@dataclass(frozen=True)
class Verdict:
    """Décision du gate, avec chaque condition et ce qui a été mesuré."""

    promu: bool
    conditions: pd.DataFrame
    gain: float
    intervalle: tuple[float, float]
    details: dict = field(repr=False)

    @property
    def raison(self) -> str:
        """La décision en une phrase, pour le journal."""
        bas, haut = self.intervalle
        ecrits = [nombre(v, 4, signe=True) for v in (self.gain, bas, haut)]
        mesure = f"gain de log-loss {ecrits[0]} [{ecrits[1]} ; {ecrits[2]}]"
        if self.promu:
            return f"toutes les conditions du gate sont tenues ; {mesure}"
        manquees = ", ".join(self.conditions.loc[~self.conditions["tenue"], "condition"])
        return f"condition non tenue : {manquees} ; {mesure}"


def juger(
    exemples: pd.DataFrame,
    champion: np.ndarray,
    challenger: np.ndarray,
    seuils: Seuils | None = None,
) -> Verdict:
    """Compare deux modèles sur des vols qu’aucun n’a vus.

    Args:
        exemples: vols étiquetés (``late``, ``flight_date``, ``origin``, ``carrier``).
        champion: probabilités du modèle en service (du modèle naïf s’il n’y en a pas).
        challenger: probabilités du prétendant.
        seuils: seuils à appliquer.
    """
    seuils = seuils or Seuils()
    observe = exemples["late"].to_numpy()
    m_champion, m_challenger = mesurer(observe, champion), mesurer(observe, challenger)
    moyen, bas, haut = gain(observe, champion, challenger, exemples["flight_date"].to_numpy())
    ecart = pd.Series(pertes(observe, challenger) - pertes(observe, champion), exemples.index)
    pire = float(ecart.groupby(exemples["origin"]).mean().max())
    compagnies = ecart.groupby(exemples["carrier"]).agg(["mean", "size"])
    suivies = compagnies.loc[compagnies["size"] >= VOLS_PAR_COMPAGNIE, "mean"]
    pire_compagnie = float(suivies.max()) if len(suivies) else 0.0
    biais_max = abs(m_champion["biais"]) + seuils.biais_en_plus_max
    lignes = [
        ("gain de log-loss", moyen, "≥", seuils.gain_min, moyen >= seuils.gain_min),
        ("borne basse du gain", bas, ">", seuils.gain_bas_min, bas > seuils.gain_bas_min),
        (
            "Brier skill",
            m_challenger["brier_skill"],
            ">",
            seuils.skill_min,
            m_challenger["brier_skill"] > seuils.skill_min,
        ),
        (
            "calibration (biais absolu)",
            abs(m_challenger["biais"]),
            "≤",
            biais_max,
            abs(m_challenger["biais"]) <= biais_max,
        ),
        (
            "pire aéroport (perte en plus)",
            pire,
            "≤",
            seuils.perte_par_origine_max,
            pire <= seuils.perte_par_origine_max,
        ),
        (
            "pire compagnie (perte en plus)",
            pire_compagnie,
            "≤",
            seuils.perte_par_compagnie_max,
            pire_compagnie <= seuils.perte_par_compagnie_max,
        ),
    ]
    conditions = pd.DataFrame(
        lignes, columns=["condition", "mesure", "doit être", "seuil", "tenue"]
    )
    details = {
        "gain": moyen,
        "gain_bas": bas,
        "gain_haut": haut,
        "champion": m_champion,
        "challenger": m_challenger,
        "pire_origine": pire,
        "pire_compagnie": pire_compagnie,
    }
    return Verdict(bool(conditions["tenue"].all()), conditions, moyen, (bas, haut), details)
