"""Ce que des dossiers de tests partagent : le livre, une vraie base, comparer deux exécutions."""

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import mlops_demo  # noqa: F401 — il garde hors du proxy ce que les tests se disent ici
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from xdist.scheduler import LoadScopeScheduling

RACINE = Path(__file__).resolve().parents[1]
# Comme le fait le Makefile : ce que les tests installent passe par le réseau de cette machine.
os.environ.setdefault("UV_SYSTEM_CERTS", "true")
os.environ.setdefault("NODE_USE_SYSTEM_CA", "1")

# Ce qui change d’une exécution à l’autre sans que l’histoire change.
VOLATILS = {"resume", "version", "promues", "quittee", "remise", "servie_malgre_le_vol"}
VOLATILS |= {"champion", "journal"}
DUREES = {"latence_ms", "duree_alias_s", "duree_visible_s", "alias_vole_vu_s"}


def pytest_collection_modifyitems(items):
    """Le ML Test Score d’abord : le livre, que d’autres tests construisent, relit son rapport."""
    items.sort(key=lambda item: item.get_closest_marker("ml_test_score") is None)


def pytest_xdist_make_scheduler(config, log):
    """Range les tests en deux suites, que « make test » joue de front, chacune dans l’ordre."""
    return DeuxSuites(config, log)


class DeuxSuites(LoadScopeScheduling):
    """D’un côté livre, ML Test Score, mois joué par kfp, notebooks exécutés ; de l’autre le reste.

    Chacune a son Postgres ; hors kfp, installé une fois, aucune mise en place ne sert aux deux.
    """

    LONGS = (
        "tests/book/",
        "tests/ml_test_score/",
        "tests/cluster_k8s/pipelines/test_pipelines.py",
        "tests/cluster_k8s/pipelines/test_echelle.py",
        "tests/notebooks/test_execution.py",
    )

    def _split_scope(self, nodeid):
        return "longs" if nodeid.startswith(self.LONGS) else "autres"


@pytest.fixture(scope="session")
def livre() -> Path:
    """Construit le livre du dépôt comme le ferait « make book » et donne son dossier."""
    resultat = subprocess.run(
        [sys.executable, "-m", "publication", "livre"],
        cwd=RACINE,
        env={n: v for n, v in os.environ.items() if n != "DATABASE_URL" and "MLOPS_" not in n},
        capture_output=True,
        text=True,
        check=False,
    )
    assert resultat.returncode == 0, f"Le livre ne se construit pas.\n{resultat.stderr}"
    return RACINE / "_build" / "html"


@pytest.fixture(scope="session")
def demo(tmp_path_factory):
    """Une séance de démonstration, données chargées, dans un dossier avec espace et accent."""
    with pytest.MonkeyPatch.context() as reglages:
        dossier = tmp_path_factory.mktemp("démo à part")
        reglages.setenv("MLOPS_TRAVAIL", str(dossier))
        reglages.setenv("MLOPS_UTILISATEUR", "tests")
        reglages.delenv("DATABASE_URL", raising=False)
        from mlops_demo import base, donnees, postgres, session

        base.oublier()
        with session():
            donnees.charger()
            yield dossier
        base.oublier()
        postgres.fermer()
        postgres.effacer()
        shutil.rmtree(dossier, ignore_errors=True)


@pytest.fixture(scope="session")
def premier(demo):
    """Numéro de version du premier champion, appris une fois pour tous les tests."""
    from mlops_demo import simulation

    return simulation.premier_champion()


@pytest.fixture(scope="session")
def annee(demo):
    """Les vols de 2013 et leurs variables."""
    from mlops_demo import features

    return features.exemples("2013-01-01", "2014-01-01")


@pytest.fixture(scope="session")
def reduire_les_donnees(tmp_path_factory) -> Callable[[Callable[[pa.Table], pa.Table]], Path]:
    """De quoi faire un dossier de données où il reste moins de vols, empreintes comprises."""

    def reduire(garder: Callable[[pa.Table], pa.Table]) -> Path:
        from mlops_demo.configuration import dossier_donnees

        dossier = tmp_path_factory.mktemp("peu") / "data"
        shutil.copytree(dossier_donnees(), dossier)
        vols = pq.read_table(dossier / "flights.parquet")
        pq.write_table(garder(vols), dossier / "flights.parquet")
        noms = [ligne.split()[1] for ligne in (dossier / "SHA256SUMS").read_text().splitlines()]
        sommes = [f"{hashlib.sha256((dossier / n).read_bytes()).hexdigest()}  {n}\n" for n in noms]
        (dossier / "SHA256SUMS").write_text("".join(sommes))
        return dossier

    return reduire


@pytest.fixture(scope="session")
def peu_de_donnees(reduire_les_donnees) -> Path:
    """Un dossier de données où il reste un vol sur huit."""
    return reduire_les_donnees(lambda vols: vols.take(list(range(0, len(vols), 8))))


@pytest.fixture(name="sans_volatil")
def _sans_volatil() -> Callable:
    """De quoi comparer les résultats de deux exécutions."""
    return sans_volatil


def sans_volatil(valeur: object) -> object:
    """Retire numéros de version et durées, à tous les niveaux ; arrondit les mesures."""
    if isinstance(valeur, dict):
        ignores = VOLATILS | DUREES
        return {
            k: sans_volatil(v)
            for k, v in valeur.items()
            if k not in ignores and not k.startswith("version ")
        }
    if isinstance(valeur, list):
        return [sans_volatil(v) for v in valeur]
    # Evidently somme dans un ordre qui change d’un processus à l’autre : le 15ᵉ chiffre bouge.
    return round(valeur, 9) if isinstance(valeur, float) else valeur
