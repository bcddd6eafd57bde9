"""Un vrai Postgres et un vrai MLflow pour les tests, à part de ceux de l’utilisateur."""

import shutil

import pytest


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
