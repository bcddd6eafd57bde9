"""Se servir des outils comme le font les gens, sous Compose comme sous Swarm."""

import json
import time

import requests

DAG = "api/v2/dags/mois_du_modele"


def entrer_dans_airflow(pile):
    """Une session de l’administrateur d’Airflow."""
    session = requests.Session()
    compte = {"username": "admin", "password": pile.secret("mot_de_passe_airflow_admin")}
    jeton = session.post(f"{pile.adresse('airflow')}/auth/token", json=compte, timeout=60)
    assert jeton.ok, jeton.text
    session.headers["Authorization"] = f"Bearer {jeton.json()['access_token']}"
    return session


def jouer_jusqu_a(mois, pile, airflow):
    """Laisse le planificateur exécuter le DAG jusqu’à un mois compris ; rend l’identifiant de
    chaque exécution, l’état où elle est, et celui de chaque tâche.
    """
    api = f"{pile.adresse('airflow')}/{DAG}"
    erreurs = airflow.get(f"{pile.adresse('airflow')}/api/v2/importErrors", timeout=30).json()
    assert erreurs["total_entries"] == 0, erreurs
    airflow.patch(api, json={"is_paused": False}, timeout=30)
    limite = time.monotonic() + 1500
    while time.monotonic() < limite:
        lues = airflow.get(f"{api}/dagRuns", timeout=30).json()["dag_runs"]
        etats = {e["data_interval_start"][:7]: e["state"] for e in lues}
        if etats.get(mois) == "success" or "failed" in etats.values():
            break
        time.sleep(5)
    airflow.patch(api, json={"is_paused": True}, timeout=30)
    taches = airflow.get(f"{api}/dagRuns/~/taskInstances?limit=100", timeout=30).json()
    faites = {(t["dag_run_id"], t["task_id"]): t["state"] for t in taches["task_instances"]}
    assert etats.get(mois) == "success", faites
    return {e["data_interval_start"][:7]: e["dag_run_id"] for e in lues}, etats, faites


def entrer_dans_superset(pile):
    """Une session de l’administrateur de Superset."""
    session, adresse = requests.Session(), pile.adresse("superset")
    compte = {"username": "admin", "password": pile.secret("mot_de_passe_superset_admin")}
    entree = session.post(
        f"{adresse}/api/v1/security/login", json=compte | {"provider": "db"}, timeout=60
    )
    assert entree.ok, entree.text
    session.headers["Authorization"] = f"Bearer {entree.json()['access_token']}"
    jeton = session.get(f"{adresse}/api/v1/security/csrf_token/", timeout=30).json()["result"]
    session.headers["X-CSRFToken"] = jeton
    return session


def entrer_dans_grafana(pile):
    """Une session de l’administrateur de Grafana."""
    session = requests.Session()
    session.auth = ("admin", pile.secret("mot_de_passe_grafana"))
    return session


def exiger_les_tableaux(pile, grafana):
    """Exige de Grafana les tableaux de nos fichiers, tels quels, dans leur dossier."""
    fichiers = (pile.local / "grafana" / "tableaux").glob("*.json")
    tableaux = [json.loads(fichier.read_text(encoding="utf-8")) for fichier in fichiers]
    api = f"{pile.adresse('grafana')}/api"
    trouves = grafana.get(f"{api}/search", params={"type": "dash-db"}, timeout=30)
    assert trouves.ok, trouves.text
    attendus = {tableau["uid"]: "Démonstration" for tableau in tableaux}
    assert {t["uid"]: t["folderTitle"] for t in trouves.json()} == attendus
    for tableau in tableaux:
        rendu = grafana.get(f"{api}/dashboards/uid/{tableau['uid']}", timeout=30).json()
        assert rendu["meta"]["provisioned"], tableau["uid"]
        # Grafana compte lui-même les versions.
        servi = {cle: rendu["dashboard"].get(cle) for cle in tableau} | {"version": 0}
        assert servi == tableau | {"version": 0}, tableau["uid"]


def demander_a_grafana(pile, grafana, requete):
    """Les valeurs que rend la requête d’un panneau sur les cinq dernières minutes."""
    fin = int(time.time() * 1000)
    demande = {"from": str(fin - 300_000), "to": str(fin), "queries": [requete]}
    reponse = grafana.post(f"{pile.adresse('grafana')}/api/ds/query", json=demande, timeout=60)
    assert reponse.ok, reponse.text
    trames = reponse.json()["results"][requete["refId"]]["frames"]
    return [v for trame in trames for v in trame["data"]["values"][1] if v is not None]


def demonstration(notebooks):
    """Ce que fait un participant : ouvrir ces notebooks de son dossier, et tout lancer."""
    return f"""
import os, papermill, time
from mlops_demo.session import session
with session():
    for nom in {notebooks!r}:
        debut = time.monotonic()
        papermill.execute_notebook(
            os.path.expanduser(f"~/demonstration/{{nom}}.ipynb"),
            f"{{os.environ['MLOPS_TRAVAIL']}}/{{nom}}.ipynb", progress_bar=False)
        print(f"fait {{nom}} {{time.monotonic() - debut:.0f}} s", flush=True)
"""
