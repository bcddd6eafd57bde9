"""Les pipelines Kubeflow, compilés à jour, arrêtés par un gate qui refuse ou une étape en échec."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

pytestmark = pytest.mark.k8s

RACINE = Path(__file__).resolve().parents[3]
PIPELINES = RACINE / "cluster_k8s" / "pipelines"


def lire(nom):
    """Le pipeline et ce qu’il demande à Kubernetes."""
    return list(yaml.safe_load_all((PIPELINES / f"{nom}.yaml").read_text(encoding="utf-8")))


def test_le_yaml_est_celui_que_le_source_compile(kfp, tmp_path):
    fait = subprocess.run(
        [sys.executable, PIPELINES / "pipelines.py", tmp_path],
        env={**os.environ, "PYTHONPATH": str(kfp)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert fait.returncode == 0, fait.stderr
    for compile_ici in tmp_path.glob("*.yaml"):
        garde = PIPELINES / compile_ici.name
        assert garde.read_text(encoding="utf-8") == compile_ici.read_text(encoding="utf-8"), (
            f"{garde.name} n’est plus celui du source : relancez pipelines.py"
        )
    gardes = {f.name for f in PIPELINES.glob("*.yaml") if "# PIPELINE DEFINITION" in f.read_text()}
    assert {f.name for f in tmp_path.glob("*.yaml")} == gardes


@pytest.mark.parametrize("nom", ["mois_du_modele", "grand_lot"])
def test_chaque_etape_a_son_image_ses_limites_ses_reprises_et_son_secret(nom):
    pipeline, plateforme = lire(nom)
    reglages = plateforme["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
    kustomization = yaml.safe_load((PIPELINES / "kustomization.yaml").read_text(encoding="utf-8"))
    offerts = {v.split("=")[0] for v in kustomization["configMapGenerator"][0]["literals"]}
    commande = (RACINE / "cluster_k8s" / "README.md").read_text(encoding="utf-8")
    fichiers = set(re.findall(r"--from-file=cluster_k8s/secrets/(\w+)", commande))
    for etape, executeur in pipeline["deploymentSpec"]["executors"].items():
        conteneur = executeur["container"]
        assert conteneur["image"] == "mlops/demo:local", etape
        assert "pip install" not in str(conteneur["command"]), "rien ne s’installe en route"
        assert {"resourceMemoryLimit", "resourceCpuLimit"} <= conteneur["resources"].keys(), etape
        assert "env" not in conteneur, f"{etape} : une adresse ou un secret est dans le YAML"
        secrets = [c for s in reglages[etape]["secretAsEnv"] for c in s["keyToEnv"]]
        variables = [c for s in reglages[etape]["configMapAsEnv"] for c in s["keyToEnv"]]
        acces = set(reglages[etape]["podMetadata"]["labels"])
        # Qui supervise dépose son rapport chez Evidently ; les autres n’en ont pas la clé.
        superviser = "superviser" in etape
        attendus = {"PGPASSWORD", "MLFLOW_TRACKING_PASSWORD"}
        attendus |= {"EVIDENTLY_SECRET"} if superviser else set()
        assert {c["envVar"] for c in secrets} == attendus, etape
        assert ("acces-evidently" in acces) == superviser, etape
        assert {"acces-postgres", "acces-mlflow"} <= acces, etape
        demandees = {c["configMapKey"] for c in variables}
        assert demandees == offerts - (set() if superviser else {"EVIDENTLY_URL"}), etape
        assert {c["secretKey"] for c in secrets} <= fichiers, etape
        assert reglages[etape]["securityContext"]["runAsNonRoot"], etape


def test_seule_une_fonction_pure_est_mise_en_cache():
    def taches(noeud):
        return noeud.get("dag", {}).get("tasks", {}).items()

    pipeline, _ = lire("mois_du_modele")
    en_cache, reprises = set(), {}
    for composant in [pipeline["root"], *pipeline["components"].values()]:
        for nom, tache in taches(composant):
            if "executorLabel" in pipeline["components"][tache["componentRef"]["name"]]:
                reprises[nom] = tache.get("retryPolicy", {}).get("maxRetryCount")
                if tache.get("cachingOptions", {}).get("enableCache"):
                    en_cache.add(nom)
    assert en_cache == {"gate", "mois-a-reprendre"}
    assert set(reprises.values()) == {2}, reprises


def test_le_gate_refuse_et_rien_n_est_note(essayer):
    """Quatre jours d’apprentissage : le gate refuse, aucun modèle n’entre en service."""
    refus = essayer("mois_du_modele", "refus", debut="2013-02-25")
    assert refus.code == 0, refus.erreurs[-3000:]
    assert refus.etape("entrainer-juger-promouvoir")["promu"] is False
    assert refus.etape("gate") == "refus"
    assert refus.faites() == {
        "charger-et-valider",
        "modele-en-service",
        "entrainer-juger-promouvoir",
        "gate",
    }


def test_une_etape_en_echec_est_nommee(essayer):
    echec = essayer("mois_du_modele", "refus", debut_validation="jamais")
    assert echec.code == 1
    assert "entrainer-juger-promouvoir" in echec.erreurs.splitlines()[-1]
    assert "étape 42_entrainement en échec, cellule" in echec.sortie
    assert "gate" not in echec.faites()
