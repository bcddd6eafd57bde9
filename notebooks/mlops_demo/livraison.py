"""Les indicateurs de livraison, calculés sur le journal des promotions et rien d’autre.

Les noms et les définitions sont ceux de DORA (cinq indicateurs) ; ml-ops.org retient les quatre
premiers, d’après *Accelerate* (2018). Ce qu’est un déploiement raté est notre choix, écrit ici :
une version que le journal montre retirée par un retour arrière.
"""

import pandas as pd

MISES_EN_SERVICE = ("promotion", "promotion forcée")
REPARATIONS = ("retour arrière",)


def derniere_histoire(journal: pd.DataFrame, debut: str) -> pd.DataFrame:
    """Garde la dernière année rejouée : le journal, lui, n’oublie aucune exécution.

    Args:
        journal: ce que rend ``journal.tout()``.
        debut: jour de la première mise en service de l’histoire, ``AAAA-MM-JJ``.

    Returns:
        Les lignes depuis la dernière mise en service de ce jour-là, reprise comprise.
    """
    ce_jour = pd.to_datetime(journal["date_simulee"]) == pd.Timestamp(debut)
    departs = journal.index[ce_jour & journal["action"].isin(("promotion", "reprise"))]
    return journal.loc[departs[-1] :] if len(departs) else journal.iloc[:0]


def frequence(histoire: pd.DataFrame, debut: str, fin: str) -> float:
    """Fréquence de déploiement : mises en service par mois d’histoire."""
    mois = len(pd.date_range(debut, fin, freq="MS", inclusive="left"))
    return len(_mises_en_service(histoire)) / mois


def delais(histoire: pd.DataFrame, predits_le: pd.Series) -> pd.Series:
    """Délai de changement de chaque promotion décidée par le gate, en secondes.

    DORA mesure du commit à la production. Ici le changement est une donnée nouvelle : on mesure
    de la dernière prédiction journalisée avant la promotion, quand le mois se clôt, à la mise
    en service. Mesurer, alerter, réapprendre, juger et promouvoir sont donc compris.

    Args:
        histoire: ce que rend ``derniere_histoire``.
        predits_le: instants d’écriture des prédictions de la campagne.

    Returns:
        Une durée par promotion qui a suivi une prédiction, dans l’ordre du journal.
    """
    promues = histoire.loc[histoire["action"] == "promotion", ["horodatage"]]
    instants = pd.DataFrame({"predit_le": predits_le.sort_values()})
    paires = pd.merge_asof(
        promues.sort_values("horodatage"), instants, left_on="horodatage", right_on="predit_le"
    ).dropna()
    return (paires["horodatage"] - paires["predit_le"]).dt.total_seconds()


def taux_d_echec(histoire: pd.DataFrame) -> float | None:
    """Taux d’échec : part des mises en service qu’un retour arrière a dû retirer."""
    mises = _mises_en_service(histoire)
    return len(_pannes(histoire)) / len(mises) if len(mises) else None


def retablissement_en_jours(histoire: pd.DataFrame) -> float | None:
    """Temps de rétablissement médian, en jours d’histoire : de la mise en service au retour.

    Le temps de s’apercevoir de l’incident est compris : c’est lui qui pèse.
    """
    durees = _pannes(histoire)["jours"]
    return float(durees.median()) if len(durees) else None


def taux_de_reprise(histoire: pd.DataFrame) -> float | None:
    """Taux de reprise : part des changements en production faits pour réparer un incident."""
    reparations = int(histoire["action"].isin(REPARATIONS).sum())
    total = len(_mises_en_service(histoire)) + reparations
    return reparations / total if total else None


def taux_de_refus(histoire: pd.DataFrame) -> float | None:
    """Part des challengers jugés que le gate a refusés ; propre au ML, absent de DORA."""
    juges = histoire["action"].isin(("promotion", "refus"))
    return float((histoire["action"] == "refus").sum() / juges.sum()) if juges.any() else None


def _mises_en_service(histoire: pd.DataFrame) -> pd.DataFrame:
    return histoire[histoire["action"].isin(MISES_EN_SERVICE)]


def _pannes(histoire: pd.DataFrame) -> pd.DataFrame:
    """Chaque version retirée par un retour arrière, et les jours qu’elle a passés en service."""
    retours = histoire[histoire["action"].isin(REPARATIONS)]
    lignes = []
    for retour in retours.itertuples():
        avant = _mises_en_service(histoire.loc[: retour.Index])
        fautive = avant[avant["version"] == retour.version_precedente]
        if len(fautive):
            depuis = pd.Timestamp(fautive["date_simulee"].iloc[-1])
            lignes.append((retour.version_precedente, pd.Timestamp(retour.date_simulee) - depuis))
    pannes = pd.DataFrame(lignes, columns=["version", "duree"])
    return pannes.assign(jours=pd.to_timedelta(pannes["duree"]).dt.days)
