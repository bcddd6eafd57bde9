"""Où passe le temps de ``make demo`` une fois lancé : Postgres, apprentissages, Evidently."""

import time
from collections.abc import Callable, Iterator

from benchmarks.processus import memoire_mo, mesurer, secondes


def tableau() -> tuple[str, list[str], list[list[str]]]:
    """Mesure chaque calcul une fois, l’un après l’autre, dans un même processus neuf."""
    lignes = [[nom, secondes(duree), f"{memoire} Mo"] for nom, duree, memoire in mesurer(calculer)]
    titre = "Les calculs de la démonstration (une fois chacun, imports faits)"
    return titre, ["calcul", "durée", "mémoire"], lignes


def calculer() -> list[tuple[str, float, int]]:
    """Fait les calculs, dans une séance jetable, et rend la durée de chacun."""
    import mlops_demo

    with mlops_demo.session():
        return list(_chronometrer())


def _chronometrer() -> Iterator[tuple[str, float, int]]:
    from mlops_demo import donnees, entrainement, simulation, supervision
    from mlops_demo.features import exemples

    supervision.importer_evidently()
    fait: dict[str, object] = {}

    def mesure(nom: str, calcul: Callable[[], object]) -> tuple[str, float, int]:
        debut = time.perf_counter()
        fait[nom] = calcul()
        return nom, time.perf_counter() - debut, memoire_mo()

    yield mesure("charger les tables, calculer les variables", donnees.charger)
    yield mesure("lire l’année", lambda: exemples(simulation.DEBUT, simulation.FIN))
    annee = fait["lire l’année"]
    hiver = annee[annee["flight_date"] < simulation.MISE_EN_SERVICE]
    juillet = annee[annee["flight_date"].dt.month == 7]
    for nom, fabrique in entrainement.CANDIDATS.items():
        yield mesure(
            f"apprendre, modèle {nom}, janvier à mars",
            lambda fabrique=fabrique: entrainement.apprendre(fabrique(), hiver),
        )
    lineaire = fait["apprendre, modèle linéaire, janvier à mars"]
    yield mesure("prédire l’année", lambda: entrainement.probabilites(lineaire, annee))
    campagne = simulation.ouvrir_campagne("banc")
    probas = fait["prédire l’année"]
    yield mesure(
        "journaliser l’année prédite",
        lambda: simulation.enregistrer_predictions(campagne, annee, probas, 1),
    )
    yield mesure("dérive d’un mois", lambda: supervision.part_derive(hiver, juillet))
    yield mesure("rapport d’Evidently sur un mois", lambda: supervision.derive(hiver, juillet))
