"""Ce que le service mesure de lui-même et du modèle, au format de Prometheus."""

import time
from collections.abc import Iterator

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
)
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mlops_demo import service_champion, service_journal

ROUTES = ("/predict", "/health", "/ready", "/version", "/metrics", "/docs", "/openapi.json")
LATENCES_S = (0.001, 0.002, 0.003, 0.005, 0.008, 0.012, 0.02, 0.05, 0.1, 0.25, 1, 5)
DIXIEMES = tuple(n / 10 for n in range(1, 11))


class Mesures:
    """Les compteurs d’un service, et l’état de son champion et de son journal."""

    def __init__(self, suivi: service_champion.Suivi, livreur: service_journal.Livreur) -> None:
        """Crée les compteurs à zéro."""
        disable_created_metrics()  # elles doublent la page, et personne ne les lit
        self.suivi, self.livreur = suivi, livreur
        self.registre = CollectorRegistry()
        ici = {"registry": self.registre}
        self.latence = Histogram(
            "mlops_requete_secondes",
            "Durée des requêtes, journal des prédictions compris",
            ["route", "code"],
            buckets=LATENCES_S,
            **ici,
        )
        self.predictions = Counter("mlops_predictions", "Vols jugés", ["version"], **ici)
        self.probabilites = Histogram(
            "mlops_probabilite", "Probabilités rendues", ["version"], buckets=DIXIEMES, **ici
        )
        self.refus = Counter("mlops_refus", "Champs refusés (422)", ["champ"], **ici)
        self.registre.register(self)
        ProcessCollector(registry=self.registre)

    def compter(self, version: int, probabilites: list[float]) -> None:
        """Compte des vols jugés."""
        self.predictions.labels(version).inc(len(probabilites))
        histogramme = self.probabilites.labels(version)
        for probabilite in probabilites:
            histogramme.observe(probabilite)

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """L’état du moment, relevé quand Prometheus le demande."""
        servi = self.suivi.servi
        if servi is not None:
            fiche = servi.fiche
            yield _jauge("mlops_version_servie", "Version servie", fiche.version)
            # Un âge négatif, d’une horloge qui a reculé, tairait toute alerte sans se voir.
            age = max(0, time.time() - fiche.cree_le)
            yield _jauge("mlops_modele_age_secondes", "Âge du modèle servi", age)
        suivi = self.suivi.etat in (service_champion.SUIVI, self.suivi.contredit)
        yield _jauge("mlops_registre_suivi", "1 si le registre répond", suivi)
        contredit = self.suivi.contredit is not None
        sens = "1 si l’alias ou les fichiers contredisent le journal"
        yield _jauge("mlops_alias_mismatch", sens, contredit)
        a_jour = self.livreur.etat == service_journal.A_JOUR
        yield _jauge("mlops_journal_a_jour", "1 si la base reçoit les prédictions", a_jour)
        ecrit = self.livreur.panne is None
        yield _jauge("mlops_tampon_ecrit", "0 si le volume du tampon est plein ou en panne", ecrit)
        lignes, octets = self.livreur.tampon.lignes(), self.livreur.tampon.octets()
        yield _jauge("mlops_journal_attente_lignes", "Demandes servies à livrer en base", lignes)
        yield _jauge("mlops_journal_attente_octets", "Place qu’elles prennent", octets)

    def page(self) -> tuple[bytes, str]:
        """Ce que lit Prometheus, et son type."""
        return generate_latest(self.registre), CONTENT_TYPE_LATEST


def _jauge(nom: str, sens: str, valeur: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(nom, sens, value=float(valeur))


class Chronometre:
    """Intergiciel ASGI qui mesure chaque requête, erreurs comprises."""

    def __init__(self, app: ASGIApp, mesures: Mesures) -> None:
        """Entoure ``app``."""
        self.app, self.mesures = app, mesures

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Laisse passer la requête et note sa durée et son code."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        code, debut = 500, time.perf_counter()

        async def noter(message: Message) -> None:
            nonlocal code
            if message["type"] == "http.response.start":
                code = message["status"]
            await send(message)

        try:
            await self.app(scope, receive, noter)
        finally:
            route = scope["path"] if scope["path"] in ROUTES else "autre"
            self.mesures.latence.labels(route, code).observe(time.perf_counter() - debut)
