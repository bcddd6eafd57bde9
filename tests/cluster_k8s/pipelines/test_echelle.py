"""Le Job indexé : les commandes de ses pods, exécutées, notent le lot et en font les mesures."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

pytestmark = pytest.mark.k8s

RACINE = Path(__file__).resolve().parents[3]
ECHELLE = RACINE / "cluster_k8s" / "echelle"


def lire(nom):
    """Un fichier de cluster_k8s/echelle."""
    return yaml.safe_load((ECHELLE / nom).read_text(encoding="utf-8"))


def lot():
    """Les réglages du lot, tels que le ConfigMap les donne aux pods."""
    (reglages,) = lire("kustomization.yaml")["configMapGenerator"]
    return dict(ligne.split("=", 1) for ligne in reglages["literals"])


def lancer(nom, seance, **variables):
    """Exécute la commande d’un pod, ses $(VARIABLES) remplies comme le fait Kubernetes."""
    (conteneur,) = lire(nom)["spec"]["template"]["spec"]["containers"]
    remplies = [re.sub(r"\$\((\w+)\)", lambda v: variables[v[1]], a) for a in conteneur["args"]]
    return subprocess.run(
        [sys.executable, *remplies[1:]],
        cwd=RACINE,
        env={**os.environ, **seance, "MLOPS_UTILISATEUR": "avril"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_le_job_a_autant_de_pods_que_le_lot_a_de_parts():
    job = lire("notation.yaml")["spec"]
    assert job["completionMode"] == "Indexed"
    assert job["completions"] == int(lot()["PARTS"])
    assert lire("fusion.yaml")["spec"]["suspend"], "la fusion attend que les parts soient finies"


def test_les_pods_notent_chacun_leur_part_et_la_fusion_les_reunit(avril, seance):
    """Après avril, qui a laissé un modèle en service : deux parts, puis leur fusion."""
    variables = {**lot(), "DEBUT": "2013-07-01", "FIN": "2013-07-07", "PARTS": "2"}
    seule = lancer("notation.yaml", seance, **variables, JOB_COMPLETION_INDEX="1")
    assert seule.returncode == 0, seule.stderr[-3000:]
    trop_tot = lancer("fusion.yaml", seance, **variables)
    assert trop_tot.returncode == 1
    assert "il manque des parts sur 2 : 0" in trop_tot.stderr
    autre = lancer("notation.yaml", seance, **variables, JOB_COMPLETION_INDEX="0")
    fusion = lancer("fusion.yaml", seance, **variables)
    assert fusion.returncode == 0, autre.stderr[-3000:] + fusion.stderr[-3000:]
    parts = [json.loads(f.stdout) for f in (autre, seule)]
    rendu = json.loads(fusion.stdout)
    assert rendu["vols"] == sum(p["vols"] for p in parts) > 5000
    assert [(p["debut"], p["fin"]) for p in parts] == [
        ("2013-07-01", "2013-07-04"),
        ("2013-07-04", "2013-07-07"),
    ]
