"""Le DAG : ses paramètres sont ceux des notebooks, et il va au bout, mois après mois."""

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import gestes
import pytest
import requests

RACINE = Path(__file__).resolve().parents[2]
DAG = RACINE / "local" / "airflow" / "dags" / "mois_du_modele.py"


def etapes():
    """Ce que le DAG lance : tâche, notebook et noms des paramètres."""
    for noeud in ast.walk(ast.parse(DAG.read_text(encoding="utf-8"))):
        if isinstance(noeud, ast.Call) and getattr(noeud.func, "id", "") == "notebook":
            tache, nom = (a.value for a in noeud.args)
            yield tache, nom, [k.arg for k in noeud.keywords if k.arg != "regle"]


@pytest.mark.parametrize(("tache", "nom", "donnes"), list(etapes()), ids=str)
def test_chaque_parametre_existe_dans_son_notebook(tache, nom, donnes):
    notebook = json.loads((RACINE / "notebooks" / f"{nom}.ipynb").read_text(encoding="utf-8"))
    (parametres,) = (
        "".join(c["source"])
        for c in notebook["cells"]
        if "parameters" in c["metadata"].get("tags", [])
    )
    connus = {n.targets[0].id for n in ast.parse(parametres).body}
    inconnus = set(donnes) - connus
    assert not inconnus, f"{tache} : papermill ignorerait {inconnus}"


def test_le_dag_suit_la_decision_que_le_notebook_ecrit():
    from mlops_demo import simulation

    assert '"réentraîner"' in DAG.read_text(encoding="utf-8")
    alarme = [simulation.supervision.CALIBRATION]
    mois = simulation.pd.Timestamp("2013-06")
    assert simulation.decider(alarme, mois, [], simulation.Politique()) == "réentraîner"


@pytest.fixture(scope="module")
def airflow(pile):
    """Airflow lancé sur la pile ; rend de quoi lui parler."""
    services = ("airflow", "airflow-ordonnanceur", "airflow-dags")
    pile.compose(
        "--profile", "airflow", "up", "--build", "--detach", "--wait", *services, limite_s=1500
    )
    session = gestes.entrer_dans_airflow(pile)
    pile.relever()
    yield session
    # Arrêté, il laisse la machine aux tests suivants.
    pile.compose("--profile", "airflow", "stop", *services)


@pytest.mark.local
def test_on_n_entre_pas_sans_mot_de_passe(pile, airflow):
    adresse = pile.adresse("airflow")
    assert requests.get(f"{adresse}/api/v2/dags", timeout=30).status_code == 401
    for mot_de_passe in ("", "admin", "airflow"):
        compte = {"username": "admin", "password": mot_de_passe}
        assert not requests.post(f"{adresse}/auth/token", json=compte, timeout=30).ok


@pytest.fixture(scope="module")
def joues(pile, airflow):
    """Avril et mai, exécutés par le planificateur : leurs identifiants, et l’état des tâches."""
    ids, etats, taches = gestes.jouer_jusqu_a("2013-05", pile, airflow)
    assert etats["2013-04"] == "success", taches
    return ids, taches


@pytest.mark.local
def test_avril_reentraine_et_mai_garde_le_modele(pile, joues):
    """Deux exécutions planifiées, jusqu’au bout, retrouvées dans les tables et dans MLflow."""
    ids, etats = joues
    avril, mai = ids["2013-04"], ids["2013-05"]
    assert etats[avril, "reentrainer"] == "success"
    assert etats[avril, "garder_le_modele"] == "skipped"
    assert etats[mai, "reentrainer"] == "skipped"
    assert etats[mai, "garder_le_modele"] == "success"

    mesures = pile.lire(
        "SELECT to_char(mois, 'YYYY-MM'), m.version_modele, alertes"
        " FROM demo_production.mesures AS m JOIN demo_production.campagnes AS c"
        " ON c.id = campagne_id WHERE scenario LIKE 'production 2013-%%' ORDER BY mois"
    )
    (_, premiere, alarmes), (_, seconde, aucune) = mesures[:2]
    assert "calibration" in alarmes
    assert aucune == []
    assert seconde > premiere, "mai est noté par le modèle promu fin avril"
    (promue,) = pile.lire(
        "SELECT version FROM demo_production.journal WHERE action = 'promotion'"
        " AND date_simulee = '2013-05-01' ORDER BY id DESC LIMIT 1"
    )
    assert promue[0] == seconde
    fiche = pile.mlflow(
        "registered-models/alias", name="retard-vol-production", alias="champion"
    ).json()
    assert int(fiche["model_version"]["version"]) == seconde


PAPERMILL = """
import json, sys, papermill
notebook, parametres = sys.argv[1:]
papermill.execute_notebook(f"{notebook}.ipynb", None, json.loads(parametres), progress_bar=False)
"""


@pytest.fixture
def par_papermill(tmp_path):
    """Exécute un notebook avec papermill seul, sur ce poste, et rend le JSON qu’il a écrit."""
    env = {**os.environ, "MLOPS_TRAVAIL": str(tmp_path), "MLOPS_UTILISATEUR": "production"}

    def lancer(*commande):
        fait = subprocess.run(
            [sys.executable, *commande],
            cwd=RACINE / "notebooks",
            env=env,
            capture_output=True,
            encoding="utf-8",
            check=False,
        )
        assert fait.returncode == 0, fait.stderr[-3000:]

    def executer(notebook, parametres):
        lancer("-c", PAPERMILL, notebook, json.dumps(parametres))
        return json.loads((tmp_path / "resultats" / f"{notebook}.json").read_text("utf-8"))

    yield executer
    lancer("-m", "mlops_demo", "nettoyer")


@pytest.mark.local
@pytest.mark.lent
def test_papermill_seul_ecrit_le_meme_json_que_le_vrai_airflow(
    pile, airflow, joues, par_papermill, sans_volatil
):
    """Avril, rejoué dans l’ordre avec les paramètres qu’Airflow a calculés."""
    executions = f"{pile.adresse('airflow')}/{gestes.DAG}/dagRuns"
    ids, etats = joues
    avril, compares = ids["2013-04"], []
    for tache, notebook, noms in etapes():
        if etats[avril, tache] == "skipped":
            # Le conteneur « preparation » l’a déjà joué, sans paramètre.
            par_papermill(notebook, {})
            continue
        # La copie exécutée garde les paramètres tels que le notebook les a reçus.
        copie = f"/var/lib/demo/airflow/2013-04/{notebook}.ipynb"
        lue = pile.lancer("docker", "exec", pile.conteneur("airflow-ordonnanceur"), "cat", copie)
        parametres = json.loads(lue.stdout)["metadata"]["papermill"]["parameters"]
        assert sorted(parametres) == sorted(noms)
        adresse = f"{executions}/{avril}/taskInstances/{tache}/xcomEntries/return_value"
        rendu = airflow.get(adresse, timeout=30).json()["value"]
        assert sans_volatil(par_papermill(notebook, parametres)) == sans_volatil(rendu), tache
        compares.append(tache)
    assert compares == ["charger", "noter", "superviser", "reentrainer"]


@pytest.mark.local
def test_les_rapports_du_mois_sont_dans_evidently(pile, joues):
    adresse = f"{pile.adresse('evidently')}/api/projects"
    (projet,) = requests.get(adresse, timeout=30).json()
    assert projet["name"] == "retard-vol-production"
    rapports = requests.get(f"{adresse}/{projet['id']}/reports", timeout=30).json()
    assert {"derive_2013-04", "derive_2013-05"} <= {r["name"] for r in rapports}
    refus = requests.post(adresse, json={"name": "intrus"}, timeout=30)
    assert refus.status_code in (401, 403), "écrire demande le secret"


@pytest.mark.local
def test_aucun_secret_ne_se_lit(pile, airflow, exiger_secrets):
    services = ("airflow", "airflow-ordonnanceur", "airflow-dags")
    vus = pile.inspecter(*(pile.conteneur(service) for service in services))
    exiger_secrets(pile.secrets(), pile.dits(vus))
