"""Les 28 tests du ML Test Score : ce qu’ils partagent, et le rapport dont le score se calcule."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pandas as pd
import pytest
from mlops_demo import base, entrainement, evaluation, registre, simulation, sources
from mlops_demo.features import etiquetes
from publication.score import RAPPORT, ecrire_rapport

RACINE = Path(__file__).resolve().parents[2]
_notes: dict[str, dict[str, str]] = {}


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item):
    """Note l’issue de chaque test marqué ; le rapport est réécrit après chacun."""
    rapport = yield
    for marque in item.iter_markers("ml_test_score"):
        note = _notes.setdefault(item.nodeid, {"exigence": marque.args[0], "test": item.nodeid})
        note.setdefault("issue", "non exécuté")
        if rapport.failed:
            note["issue"] = "échoué"
        elif rapport.skipped:
            note["issue"] = "sauté"
        elif hasattr(rapport, "wasxfail"):
            note["issue"] = "réussi malgré xfail"
        elif rapport.when == "call":
            note["issue"] = "réussi"
        note["mesure"] = dict(item.user_properties).get("mesure", "")
        if rapport.when == "teardown":
            ecrire_rapport(RACINE / RAPPORT, RACINE, list(_notes.values()))
    return rapport


@pytest.fixture
def mesure(record_property) -> Callable[[str], None]:
    """Dit, pour le rapport et pour le livre, ce que le test a mesuré."""
    return lambda texte: record_property("mesure", texte)


@pytest.fixture(scope="session")
def hiver(annee):
    """Janvier et février, où l’on apprend."""
    return annee[annee["flight_date"] < "2013-03-01"]


@pytest.fixture(scope="session")
def mars(annee):
    """Les vols étiquetés de mars, où l’on juge."""
    return etiquetes(annee[annee["flight_date"].dt.month == 3])


@pytest.fixture(scope="session")
def lineaire(hiver):
    """Le modèle linéaire, appris sur l’hiver."""
    return entrainement.apprendre(entrainement.lineaire(), hiver)


@pytest.fixture(scope="session")
def servies(annee, premier):
    """Les vols d’avril à décembre et ce que les champions successifs en ont annoncé, relus en base.

    L’année rejouée tient lieu de trafic réel : chaque vol a été prédit avant que son retard ne
    soit connu, par la version alors en service.
    """
    campagne = int(simulation.mesures_de(simulation.REENTRAINE)["campagne_id"].iloc[0])
    lues = base.lire(
        "SELECT flight_id, version_modele, probabilite FROM predictions WHERE campagne_id = $1",
        campagne,
    )
    return annee.merge(lues, on="flight_id")


@pytest.fixture(scope="session")
def champions(servies):
    """Les pipelines qui ont servi, par version."""
    return {int(v): registre.charger(int(v)).pipeline for v in servies["version_modele"].unique()}


@pytest.fixture(scope="session")
def utilite(annee) -> Callable[[list[str]], float]:
    """Ce que coûte, en log-loss, de brouiller des variables sur des jours que le modèle ignore."""
    return sources.utilite(annee)


@pytest.fixture(scope="session")
def vieillissement(annee) -> pd.Series:
    """Log-loss, sur chaque mois, de modèles appris jusqu’à la fin de chaque mois antérieur.

    Un vol sur huit suffit à comparer des modèles entre eux. L’index est (appris jusqu’à, jugé en).
    """
    vols = etiquetes(annee)[::8]
    mois = vols["flight_date"].dt.month

    def juger(fin: int) -> dict[tuple[int, int], float]:
        modele = entrainement.apprendre(entrainement.lineaire(), vols[mois <= fin])
        jugements = {}
        for m in range(fin + 1, 13):
            juges = vols[mois == m]
            probas = entrainement.probabilites(modele, juges)
            jugements[fin, m] = evaluation.pertes(juges["late"].to_numpy(), probas).mean()
        return jugements

    with ThreadPoolExecutor(2) as fils:
        return pd.Series(
            {k: v for table in fils.map(juger, range(3, 12)) for k, v in table.items()}
        )
