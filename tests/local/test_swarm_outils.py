"""Airflow, Superset et Grafana sous Swarm : les mêmes outils, planifiés et lus pour de vrai."""

import gestes
import pytest
import requests

pytestmark = [pytest.mark.local, pytest.mark.lent]


@pytest.fixture(scope="module")
def essaim(sur_swarm, fabriquer_pile):
    """Le cœur, Airflow, Superset et Grafana, déployés par « make swarm »."""
    pile = fabriquer_pile("mlops-essaim-outils", COMPOSE_PROFILES="airflow,superset,grafana")
    with sur_swarm(pile):
        yield pile


@pytest.fixture(scope="module")
def avril(essaim):
    """Avril, planifié par Airflow : l’état de chaque tâche."""
    ids, _, taches = gestes.jouer_jusqu_a("2013-04", essaim, gestes.entrer_dans_airflow(essaim))
    return {
        tache: etat for (execution, tache), etat in taches.items() if execution == ids["2013-04"]
    }


def test_chaque_outil_demande_a_une_replique_et_les_autres_aucune(essaim):
    projet = essaim.reglages["MLOPS_PROJET"]
    lus = essaim.lancer(
        "docker", "stack", "services", "--format", "{{.Name}} {{.Replicas}}", projet
    ).stdout
    repliques = dict(ligne.removeprefix(f"{projet}_").split()[:2] for ligne in lus.splitlines())
    demandes = ("airflow", "airflow-ordonnanceur", "airflow-dags", "superset", "grafana")
    assert {repliques[nom] for nom in demandes} == {"1/1"}, repliques
    assert repliques["artefacts"] == "0/0", repliques


def test_grafana_sert_les_tableaux_et_rejoint_prometheus(essaim, attendre):
    """Ce que test_grafana.py dit de la remplaçante vaut ici aussi."""
    adresse, grafana = essaim.adresse("grafana"), gestes.entrer_dans_grafana(essaim)
    for compte in (None, ("admin", "admin")):
        assert requests.get(f"{adresse}/api/search", auth=compte, timeout=30).status_code == 401
    gestes.exiger_les_tableaux(essaim, grafana)
    requete = {"refId": "A", "expr": 'sum(up{job="service"})', "instant": True}
    requete["datasource"] = {"type": "prometheus", "uid": "prometheus"}
    attendre(
        lambda: gestes.demander_a_grafana(essaim, grafana, requete) == [2],
        "les deux répliques du service, vues de Grafana par le Prometheus de la pile",
        120,
    )


@pytest.fixture(scope="module")
def lire(essaim, dans_un_service):
    """Une valeur lue dans la base, depuis son conteneur : elle ne publie pas de port."""

    def lire(requete):
        commande = ("psql", "-h", "/var/run/postgresql", "-U", "postgres", "-d", "demo")
        return dans_un_service(essaim, "postgres", *commande, "-Atqc", requete).strip()

    return lire


def test_airflow_planifie_avril_et_reentraine(avril, lire):
    assert avril["reentrainer"] == "success"
    assert avril["garder_le_modele"] == "skipped"
    promotions = "SELECT count(*) FROM demo_production.journal WHERE action = 'promotion'"
    assert lire(f"{promotions} AND date_simulee = '2013-05-01'") == "1"


def test_superset_compte_ce_que_la_base_compte(essaim, avril, lire):
    session, adresse = gestes.entrer_dans_superset(essaim), essaim.adresse("superset")
    (tableau,) = session.get(f"{adresse}/api/v1/dashboard/", timeout=60).json()["result"]
    assert tableau["published"]
    jeux = session.get(f"{adresse}/api/v1/dataset/", timeout=60).json()["result"]
    assert jeux
    compte = {"expressionType": "SQL", "sqlExpression": "count(*)", "label": "n"}
    for jeu in jeux:
        demande = {
            "datasource": {"id": jeu["id"], "type": "table"},
            "queries": [{"metrics": [compte], "columns": [], "filters": []}],
            "result_format": "json",
            "result_type": "full",
        }
        reponse = session.post(f"{adresse}/api/v1/chart/data", json=demande, timeout=120)
        assert reponse.ok, f"{jeu['table_name']} : {reponse.text}"
        (ligne,) = reponse.json()["result"][0]["data"]
        assert ligne["n"] == int(lire(f"SELECT count(*) FROM ({jeu['sql']}) AS jeu")) > 0
