"""D’où viennent les variables, ce que chaque source rapporte au modèle et ce qu’elle coûte.

Les variables d’une source se lisent et se paient ensemble : on les juge ensemble.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from mlops_demo import base, entrainement, evaluation, features
from mlops_demo.configuration import GRAINE
from mlops_demo.features import CATEGORIES, FEATURES, etiquetes

LECTURES = 3  # la plus rapide compte : les autres mesurent aussi ce que fait le reste de la machine


@dataclass(frozen=True)
class Source:
    """Des variables, et la requête qui les tire des tables.

    ``veille`` : la requête lit les retards de la veille, qu’il faut d’abord calculer.
    """

    colonnes: tuple[str, ...]
    sql: str
    veille: bool = False

    @property
    def requete(self) -> str:
        """La requête entière."""
        return (_calcul_de_la_veille() if self.veille else "") + self.sql


SOURCES = {
    "horaire": Source(
        ("sched_min", "dow"),
        "SELECT minutes(sched_dep_time), date_part('isodow', flight_date) FROM flights",
    ),
    "liaison": Source(
        (*CATEGORIES, "distance"), "SELECT carrier, origin, dest, distance FROM flights"
    ),
    "avion": Source(
        ("plane_age", "seats"),
        "SELECT p.year, p.seats FROM flights LEFT JOIN planes AS p USING (tailnum)",
    ),
    "météo": Source(
        tuple(FEATURES[8:17]),
        "SELECT m.* FROM flights LEFT JOIN weather AS m USING (origin, time_hour)",
    ),
    "veille": Source(
        ("late_origin_d1", "late_carrier_d1"),
        "SELECT v.flight_id, o.retard, c.retard FROM flights AS v"
        " LEFT JOIN veille AS o ON o.flight_date = v.flight_date AND o.origin = v.origin"
        " LEFT JOIN veille AS c ON c.flight_date = v.flight_date AND c.carrier = v.carrier",
        veille=True,
    ),
}


def utilite(annee: pd.DataFrame) -> Callable[[list[str]], float]:
    """Prépare de quoi dire ce que coûte, en log-loss, de brouiller des variables.

    Le modèle apprend trois jours sur quatre et l’on juge le quatrième : l’utilité d’une variable
    ne se mêle pas à son vieillissement.
    """
    connus = etiquetes(annee)
    rang = connus["flight_date"].dt.dayofyear % 4
    modele = entrainement.apprendre(entrainement.lineaire(), connus[rang != 0][::3])
    juges = connus[rang == 0][::2].reset_index(drop=True)
    observe = juges["late"].to_numpy()
    normale = evaluation.pertes(observe, entrainement.probabilites(modele, juges)).mean()

    def brouiller(colonnes: list[str]) -> float:
        aleas, pertes = np.random.default_rng(GRAINE), []
        for _ in range(2):
            ordre = aleas.permutation(len(juges))
            brouilles = juges.assign(**{c: juges[c].to_numpy()[ordre] for c in colonnes})
            probas = entrainement.probabilites(modele, brouilles)
            pertes.append(evaluation.pertes(observe, probas).mean() - normale)
        return float(np.mean(pertes))

    return brouiller


def cout_estime(sql: str) -> float:
    """Le coût qu’estime le planificateur de Postgres : sans chronomètre, donc stable."""
    return _plan(sql, "FORMAT JSON")["Plan"]["Total Cost"]


def latence_ms(sql: str) -> float:
    """Le temps que Postgres met à exécuter une requête, en millisecondes : le plus court."""
    return min(_plan(sql, "ANALYZE, FORMAT JSON")["Execution Time"] for _ in range(LECTURES))


def octets_par_vol(source: Source, annee: pd.DataFrame) -> int:
    """Ce que les variables d’une source prennent en mémoire, en octets par vol."""
    return int(annee[list(source.colonnes)].memory_usage(index=False).sum() / len(annee))


def bilan(annee: pd.DataFrame) -> pd.DataFrame:
    """Une ligne par source : ce qu’elle coûte à lire et à garder, ce qu’elle rapporte."""
    brouiller = utilite(annee)
    return pd.DataFrame(
        {
            "origine": nom,
            "variables": len(source.colonnes),
            "lecture_us": 1000 * latence_ms(source.requete) / len(annee),
            "octets": octets_par_vol(source, annee),
            "gain": brouiller(list(source.colonnes)),
        }
        for nom, source in SOURCES.items()
    )


def _calcul_de_la_veille() -> str:
    debut = features.requete().split("SELECT v.flight_id")[0]
    return re.sub(r"^--.*$", "", debut, flags=re.MULTILINE)


def _plan(sql: str, options: str) -> dict:
    with base.moteur().connect() as connexion:
        return connexion.exec_driver_sql(f"EXPLAIN ({options}) {sql}").scalar()[0]
