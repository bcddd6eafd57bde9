"""Les deux scénarios : ce que le livre en dit est ce que décrivent leurs fichiers."""

import re
import shutil

import pytest
import yaml
from publication import scenarios
from publication.depot import RACINE, ErreurPublication
from publication.tableaux import charger

# Ce qui tourne, ou décide de ce qui tourne ; le reste (réseau, volumes, comptes) l’accompagne.
GENRES = {"StatefulSet", "Deployment", "Job", "CronJob", "HorizontalPodAutoscaler"}
GENRES |= {"PodDisruptionBudget", "InferenceService", "Notebook", "Experiment", "Pipeline"}


def test_chaque_service_local_est_d_une_partie_et_d_une_seule():
    cites = [nom for partie in charger("scenarios") for nom in partie["local"]]
    assert sorted(cites) == sorted(scenarios.services_locaux())


def test_chaque_objet_qui_tourne_est_d_une_partie_et_d_une_seule():
    cites = [nom for partie in charger("scenarios") for nom in partie["cluster"]]
    attendus = {objet for objet in scenarios.objets_du_cluster() if objet.split()[0] in GENRES}
    assert sorted(cites) == sorted(attendus)


def test_le_port_et_le_profil_viennent_de_compose():
    services = scenarios.services_locaux()
    assert services["hub"] == "hub, port 8000"
    assert services["airflow"] == "airflow, port 8080, profil airflow"
    assert services["preparation"] == "preparation"


def test_ce_qu_un_scenario_n_a_pas_est_un_tiret():
    lignes = {ligne["partie"]: ligne for ligne in scenarios.parties()}
    assert lignes["Le tableau de bord"]["cluster"] == ["—"]
    assert lignes["La notation en parts"]["local"] == ["—"]


def test_un_service_retire_de_compose_est_nomme(tmp_path):
    (tmp_path / "local").mkdir()
    for fichier in (RACINE / "cluster_k8s").rglob("*.yaml"):
        copie = tmp_path / fichier.relative_to(RACINE)
        copie.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(fichier, copie)
    compose = yaml.safe_load((RACINE / "local" / "compose.yaml").read_text(encoding="utf-8"))
    del compose["services"]["superset"]
    (tmp_path / "local" / "compose.yaml").write_text(yaml.safe_dump(compose), encoding="utf-8")
    with pytest.raises(ErreurPublication, match=r"scenarios.yaml cite .*superset"):
        scenarios.parties(tmp_path)


def test_chaque_source_existe():
    absents = [s["chemin"] for s in charger("sources") if not (RACINE / s["chemin"]).exists()]
    assert absents == []


def test_les_repliques_du_schema_sont_celles_des_manifestes():
    base = (RACINE / "cluster_k8s" / "base" / "api.yaml").read_text(encoding="utf-8")
    overlay = RACINE / "cluster_k8s" / "overlays" / "production" / "kustomization.yaml"
    moins = re.search(r"minReplicas: (\d+)", base)[1]
    plus = re.search(r"maxReplicas, value: (\d+)", overlay.read_text(encoding="utf-8"))[1]
    details = [bloc.get("detail") for bloc in charger("schemas/scenario_cluster")["blocs"]]
    assert f"{moins} à {plus} répliques" in details
