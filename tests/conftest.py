"""Ce que plusieurs dossiers de tests partagent : le livre, un Postgres et un MLflow réels."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

RACINE = Path(__file__).resolve().parents[1]


def pytest_collection_modifyitems(items):
    """Range les tests en deux suites, que « make test » joue de front, chacune dans l’ordre.

    D’un côté le livre, précédé du ML Test Score dont il relit le rapport, et les pipelines de
    Kubeflow, longs eux aussi ; de l’autre tout le reste. Rien ne passe d’une suite à l’autre.
    """
    items.sort(key=lambda item: item.get_closest_marker("ml_test_score") is None)
    longs = [RACINE / "tests" / d for d in ("book", "ml_test_score", "cluster_k8s/pipelines")]
    for item in items:
        long = any(item.path.is_relative_to(dossier) for dossier in longs)
        item.add_marker(pytest.mark.xdist_group("longs" if long else "autres"))


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
