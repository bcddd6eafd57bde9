"""Le service sous charge pendant des pannes : chaque prédiction rendue est en base, une fois."""

import json
import threading
import time

import pytest
import requests

pytestmark = pytest.mark.local

VOLS = """
import json
from mlops_demo import service
from mlops_demo.features import exemples
print(json.dumps(service.en_json(exemples("2013-04-01", "2013-04-02").head(20))))
"""


@pytest.fixture(scope="module")
def vols(pile):
    """Vingt vrais vols, avec leurs variables."""
    sortie = pile.compose("exec", "-T", "api", "python", "-c", VOLS)
    return json.loads(sortie.splitlines()[-1])


class Charge(threading.Thread):
    """Appelle le service sans relâche ; garde ce qui a été servi et ce qui ne l’a pas été."""

    def __init__(self, adresse, vols):
        super().__init__(daemon=True)
        self.adresse, self.vols = f"{adresse}/predict", vols
        self.servies, self.refusees, self.arret = {}, [], threading.Event()

    def run(self):
        """Un vol à la fois, l’un après l’autre."""
        rang = 0
        while not self.arret.is_set():
            vol = self.vols[rang % len(self.vols)]
            try:
                reponse = requests.post(self.adresse, json={"vols": [vol]}, timeout=10)
                if reponse.ok:
                    corps = reponse.json()
                    self.servies[corps["demande"]] = corps["predictions"][0]["probabilite"]
                else:
                    self.refusees.append((time.time(), reponse.status_code))
            except requests.RequestException as erreur:
                self.refusees.append((time.time(), type(erreur).__name__))
            rang += 1
            time.sleep(0.01)

    def finir(self):
        """Arrête les appels."""
        self.arret.set()
        self.join(30)


@pytest.fixture
def charge(pile, vols, attendre):
    """Le service, appelé sans relâche pendant le test."""
    charge = Charge(pile.adresse("api"), vols)
    charge.start()
    attendre(lambda: len(charge.servies) > 20, "les premières réponses")
    yield charge
    charge.finir()


def ecrites(pile):
    """Les prédictions par HTTP en base : leur nombre et leur probabilité, par demande."""
    lignes = pile.lire(
        "SELECT demande::text, count(*), min(probabilite) FROM demo_production.predictions"
        " WHERE canal = 'http' GROUP BY 1"
    )
    return {demande: (nombre, proba) for demande, nombre, proba in lignes}


def exiger_une_fois(pile, charge, attendre):
    """Attend que tout ce qui a été servi soit en base, et l’y trouve une seule fois."""
    charge.finir()
    assert charge.servies, "rien n’a été servi"
    attendre(lambda: charge.servies.keys() <= ecrites(pile).keys(), "les prédictions en base")
    vues = ecrites(pile)
    for demande, probabilite in charge.servies.items():
        nombre, proba = vues[demande]
        assert nombre == 1, f"la demande {demande} est écrite {nombre} fois"
        assert proba == pytest.approx(probabilite, abs=1e-12)


def test_les_predictions_sont_en_base(pile, charge, attendre):
    attendre(lambda: len(charge.servies) > 100, "cent réponses")
    exiger_une_fois(pile, charge, attendre)
    assert charge.refusees == []


def test_une_demande_fausse_est_refusee_en_francais(pile, vols):
    faux = {**vols[0], "origin": "Paris"}
    reponse = requests.post(f"{pile.adresse('api')}/predict", json={"vols": [faux]}, timeout=10)
    assert reponse.status_code == 422
    assert "refusée" in reponse.text


def test_l_api_tuee_net_sous_charge_ne_perd_rien_de_ce_qu_elle_a_servi(pile, charge, attendre):
    pile.tuer("api")
    avant = len(charge.servies)
    attendre(lambda: len(charge.servies) > avant + 50, "le retour du service")
    exiger_une_fois(pile, charge, attendre)


def test_sans_postgres_une_minute_le_service_repond_puis_livre_tout(pile, charge, attendre):
    pile.compose("stop", "postgres")
    debut, avant = time.time(), len(charge.servies)
    time.sleep(60)
    pendant = len(charge.servies) - avant
    pile.compose("start", "postgres")
    assert pendant > 100, f"{pendant} réponses seulement sans Postgres"
    exiger_une_fois(pile, charge, attendre)
    manquees = [quoi for instant, quoi in charge.refusees if instant >= debut]
    assert manquees == [], "des appels ont échoué pendant l’absence de Postgres"


def test_sans_mlflow_le_service_garde_son_champion(pile, charge, attendre):
    pile.compose("stop", "mlflow")
    avant = len(charge.servies)
    try:
        attendre(lambda: len(charge.servies) > avant + 200, "des réponses sans MLflow")
    finally:
        pile.compose("start", "mlflow")
    exiger_une_fois(pile, charge, attendre)
    assert charge.refusees == []
