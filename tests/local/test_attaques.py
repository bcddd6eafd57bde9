"""Un participant attaque, sa carte en main : il n’obtient rien, et la production sert toujours."""

import json

import pytest
import requests

pytestmark = pytest.mark.local

# Ce qu’un participant tente contre ce qui n’est pas à lui, depuis son notebook. Un refus est 401,
# 403 ou 404 ; une recherche, elle, répond, et ne trouve rien.
ATTAQUES = """
import json, os, requests
vise = json.loads(__VISE__)
serveur = os.environ["MLFLOW_TRACKING_URI"]
moi = os.environ["MLFLOW_TRACKING_USERNAME"], os.environ["MLFLOW_TRACKING_PASSWORD"]
essai, experience, modele = vise["run_id"], vise["experience"], vise["modele"]
version = {"name": modele, "version": vise["version"]}
artefact = f"mlflow-artifacts/artifacts/{vise['artefact']}"
grade = {"username": moi[0], "permission": "MANAGE"}
alias, nom = {"alias": "champion"}, {"name": modele}
tentatives = [
    ("POST", "mlflow/registered-models/alias", {**version, **alias}),
    ("DELETE", "mlflow/registered-models/alias", {**nom, **alias}),
    ("GET", "mlflow/registered-models/alias", {**nom, **alias}),
    ("GET", "mlflow/registered-models/get", nom),
    ("POST", "mlflow/registered-models/rename", {**nom, "new_name": "vole"}),
    ("PATCH", "mlflow/registered-models/update", {**nom, "description": "vole"}),
    ("POST", "mlflow/registered-models/set-tag", {**nom, "key": "a", "value": "b"}),
    ("DELETE", "mlflow/registered-models/delete", nom),
    ("POST", "mlflow/model-versions/create", {**nom, "source": vise["source"], "run_id": essai}),
    ("GET", "mlflow/model-versions/get", version),
    ("GET", "mlflow/model-versions/get-download-uri", version),
    ("POST", "mlflow/model-versions/set-tag", {**version, "key": "a", "value": "b"}),
    ("DELETE", "mlflow/model-versions/delete", version),
    ("GET", "mlflow/runs/get", {"run_id": essai}),
    ("POST", "mlflow/runs/update", {"run_id": essai, "run_name": "vole"}),
    ("POST", "mlflow/runs/set-tag", {"run_id": essai, "key": "a", "value": "b"}),
    ("POST", "mlflow/runs/log-metric", {"run_id": essai, "key": "auc", "value": 1, "timestamp": 1}),
    ("POST", "mlflow/runs/delete", {"run_id": essai}),
    ("POST", "mlflow/runs/create", {"experiment_id": experience, "start_time": 1}),
    ("GET", "mlflow/artifacts/list", {"run_id": essai}),
    ("GET", "mlflow/metrics/get-history", {"run_id": essai, "metric_key": "auc"}),
    ("GET", "mlflow/experiments/get", {"experiment_id": experience}),
    ("POST", "mlflow/experiments/update", {"experiment_id": experience, "new_name": "vole"}),
    ("POST", "mlflow/experiments/delete", {"experiment_id": experience}),
    ("GET", "mlflow/traces", {"experiment_ids": experience}),
    ("POST", "mlflow/experiments/permissions/create", {"experiment_id": experience, **grade}),
    ("POST", "mlflow/registered-models/permissions/create", {**nom, **grade}),
    ("POST", "mlflow/users/create", {"username": "complice", "password": "complice-complice"}),
    ("PATCH", "mlflow/users/update-admin", {"username": moi[0], "is_admin": True}),
    ("PATCH", "mlflow/users/update-password", {"username": "production", "password": "v" * 12}),
    ("DELETE", "mlflow/users/delete", {"username": "production"}),
    ("GET", artefact, {}),
    ("PUT", artefact, {"vole": 1}),
    ("DELETE", artefact, {}),
    ("GET", "mlflow-artifacts/artifacts", {"path": ""}),
    ("GET", "mlflow-artifacts/artifacts", {"path": "../.."}),
]
for methode, chemin, corps in tentatives:
    options = {"params": corps} if methode == "GET" else {"json": corps}
    reponse = requests.request(
        methode, f"{serveur}/api/2.0/{chemin}", auth=moi, timeout=30, **options
    )
    code = reponse.status_code
    print("refusé" if code in (401, 403, 404) else "PASSÉ", methode, chemin, code)
for chemin, corps in [
    ("experiments/search", {"max_results": 100}),
    ("runs/search", {"experiment_ids": [experience]}),
    ("registered-models/search", None),
    ("model-versions/search", None),
]:
    adresse = f"{serveur}/api/2.0/mlflow/{chemin}"
    methode = "POST" if corps else "GET"
    vu = requests.request(methode, adresse, json=corps, auth=moi, timeout=30)
    print("VU" if "production" in vu.text else "rien vu", chemin, vu.status_code)
for compte in (None, ("production", "v" * 12), ("admin", "v" * 12), (moi[0], "v" * 12)):
    vu = requests.get(f"{serveur}/api/2.0/mlflow/registered-models/search", auth=compte, timeout=30)
    print("refusé" if vu.status_code == 401 else "PASSÉ", compte and compte[0], vu.status_code)
"""


@pytest.fixture(scope="module")
def vise(pile):
    """Ce que la production a dans MLflow, tel que son compte le voit."""

    def lire(chemin, **parametres):
        adresse = f"{pile.adresse('mlflow')}/api/2.0/mlflow/{chemin}"
        compte = pile.compte_mlflow("production")
        vu = requests.get(adresse, params=parametres, auth=compte, timeout=30)
        assert vu.ok, vu.text
        return vu.json()

    nom = "retard-vol-production"
    version = lire("registered-models/alias", name=nom, alias="champion")["model_version"]
    essai = lire("runs/get", run_id=version["run_id"])["run"]
    return {
        "modele": nom,
        "version": version["version"],
        "source": version["source"],
        "run_id": version["run_id"],
        "experience": essai["info"]["experiment_id"],
        "artefact": essai["info"]["artifact_uri"].partition(":/")[2] + "/MLmodel",
    }


def etat(pile):
    """Ce que la production sert et ce qu’elle en dit, puis son alias."""
    pret = requests.get(f"{pile.adresse('api')}/ready", timeout=30).json()
    alias = requests.get(
        f"{pile.adresse('mlflow')}/api/2.0/mlflow/registered-models/alias",
        {"name": "retard-vol-production", "alias": "champion"},
        auth=pile.compte_mlflow("production"),
        timeout=30,
    )
    return pret["version"], pret["confiance"], alias.json()["model_version"]["version"]


def test_un_participant_n_obtient_rien_de_la_production(pile, inviter, vise):
    avant = etat(pile)
    code = ATTAQUES.replace("__VISE__", repr(json.dumps(vise)))
    sortie = inviter("invite02").executer(code)
    assert "PASSÉ" not in sortie, sortie
    assert "VU" not in sortie, sortie
    assert (sortie.count("refusé"), sortie.count("rien vu")) == (40, 4), sortie
    assert etat(pile) == avant


CHEZ_MOI = """
import mlflow
from mlops_demo import registre
from mlops_demo.configuration import ErreurUtilisateur
with mlflow.start_run(experiment_id=registre.experience()) as essai:
    mlflow.log_metric("auc", 0.7)
    mlflow.log_dict({"a": 1}, "note.json")
client = registre.client()
print("relu", client.get_run(essai.info.run_id).data.metrics["auc"])
print("artefact", mlflow.artifacts.load_dict(essai.info.artifact_uri + "/note.json"))
client.set_tag(essai.info.run_id, "a", "b")
client.delete_run(essai.info.run_id)
print("vus", [e.name for e in client.search_experiments()])
import os
os.environ["MLOPS_UTILISATEUR"] = "production"
try:
    registre.experience()
except ErreurUtilisateur as refus:
    print("refus :", refus)
"""


def test_chacun_fait_chez_lui_ce_qu_il_veut_et_n_y_voit_que_lui(inviter):
    sortie = inviter("invite02").executer(CHEZ_MOI)
    assert "relu 0.7" in sortie, sortie
    assert "artefact {'a': 1}" in sortie, sortie
    assert "vus ['retard-vol/invite02']" in sortie, sortie
    assert "refus : « retard-vol/production » est déjà, dans MLflow, à un autre compte" in sortie


def test_la_carte_ouvre_aussi_la_page_de_mlflow(pile, inviter):
    inviter("invite02")
    page = f"{pile.adresse('mlflow')}/"
    assert requests.get(page, timeout=30).status_code == 401
    assert "MLflow" in requests.get(page, auth=pile.compte_mlflow("invite02"), timeout=30).text


VOISIN = """
import os
print("socket", os.path.exists("/var/run/docker.sock"))
print("volume", os.path.exists("/var/lib/mlflow"))
import requests
try:
    voisin = "http://mlops-essai-participant-invite01:8888"
    vu = requests.get(f"{voisin}/user/invite01/api/contents", timeout=5)
    print("voisin", vu.status_code)
except requests.RequestException:
    print("voisin", "muet")
"""


def test_ni_la_socket_ni_le_volume_ni_le_serveur_du_voisin(inviter):
    inviter("invite01")
    sortie = inviter("invite02").executer(VOISIN)
    assert "socket False" in sortie, sortie
    assert "volume False" in sortie, sortie
    assert "voisin 403" in sortie or "voisin muet" in sortie, sortie


def test_une_carte_ne_se_lit_nulle_part_depuis_docker(pile, inviter):
    inviter("invite02")
    mot_de_passe = pile.compte_mlflow("invite02")[1]
    assert [ou for ou, texte in pile.dits(pile.conteneurs()).items() if mot_de_passe in texte] == []
