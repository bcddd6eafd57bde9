"""Le service sous charge pendant des pannes : chaque prédiction rendue est en base, une fois."""

import time

import pytest
import requests

pytestmark = pytest.mark.local


@pytest.fixture
def charge(pile, charger):
    """Le service, appelé sans relâche pendant le test."""
    return charger(pile)


def test_les_predictions_sont_en_base(charge, attendre):
    attendre(lambda: len(charge.servies) > 100, "cent réponses")
    charge.exiger_une_fois()
    assert charge.refusees == []


def test_une_demande_fausse_est_refusee_en_francais(pile, charge):
    faux = {**charge.vols[0], "origin": "Paris"}
    reponse = requests.post(f"{pile.adresse('api')}/predict", json={"vols": [faux]}, timeout=10)
    assert reponse.status_code == 422
    assert "refusée" in reponse.text


def test_l_api_tuee_net_sous_charge_ne_perd_rien_de_ce_qu_elle_a_servi(pile, charge, attendre):
    pile.tuer("api")
    avant = len(charge.servies)
    attendre(lambda: len(charge.servies) > avant + 50, "le retour du service")
    charge.exiger_une_fois()


@pytest.mark.parametrize(("service", "compte"), [("postgres", "postgres"), ("mlflow", "10001")])
def test_un_outil_tue_net_sous_charge_n_arrete_ni_ne_perd_rien(
    pile, charge, attendre, service, compte
):
    debut, avant = time.time(), len(charge.servies)
    pile.tuer(service, compte)
    attendre(lambda: len(charge.servies) > avant + 200, "des réponses pendant la panne")
    charge.exiger_une_fois()
    assert [quoi for instant, quoi in charge.refusees if instant >= debut] == []


def test_sans_postgres_le_service_repond_puis_livre_tout(pile, charge, attendre):
    pile.compose("stop", "postgres")
    debut, avant = time.time(), len(charge.servies)
    time.sleep(15)
    pendant = len(charge.servies) - avant
    pile.compose("start", "postgres")
    assert pendant > 100, f"{pendant} réponses seulement sans Postgres"
    charge.exiger_une_fois()
    manquees = [quoi for instant, quoi in charge.refusees if instant >= debut]
    assert manquees == [], "des appels ont échoué pendant l’absence de Postgres"


def test_sans_mlflow_le_service_garde_son_champion(pile, charge, attendre):
    pile.compose("stop", "mlflow")
    avant = len(charge.servies)
    try:
        attendre(lambda: len(charge.servies) > avant + 200, "des réponses sans MLflow")
    finally:
        pile.compose("start", "mlflow")
    charge.exiger_une_fois()
    assert charge.refusees == []
