"""Les commandes du CronJob de surveillance, lancées telles quelles sur le champion."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import controles
import pytest
from mlops_demo import base

pytestmark = pytest.mark.k8s

RACINE = Path(__file__).resolve().parents[2]


@pytest.fixture
def lancer(objets, champion, tmp_path):
    """Lance un conteneur du CronJob, variables développées comme le fait Kubernetes."""
    lus = objets("overlays/kind")
    cartes = {o["metadata"]["name"]: o.get("data", {}) for o in lus if o["kind"] == "ConfigMap"}
    cron = next(
        o for o in lus if o["kind"] == "CronJob" and o["metadata"]["name"] == "surveillance"
    )
    conteneurs = {c["name"]: c for c in controles.conteneurs(controles.modele(cron))}

    def lancer(nom, **autres):
        conteneur = conteneurs[nom]
        env = {}
        for source in conteneur["envFrom"]:
            env |= cartes[source["configMapRef"]["name"]]
        # La base et le registre d’ici, et un dossier à nous ; pas d’Evidently.
        env |= {
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "DATABASE_URL": base.url(),
            "MLFLOW_TRACKING_URI": champion[0],
            "MLOPS_TRAVAIL": str(tmp_path),
            "HOME": str(tmp_path),
            "OMP_NUM_THREADS": "1",
            **autres,
        }
        mots = [re.sub(r"\$\((\w+)\)", lambda m: env[m[1]], mot) for mot in conteneur["args"]]
        return subprocess.run(
            [mot.replace("/var/lib/demo", str(tmp_path)) for mot in mots],
            cwd=RACINE / "notebooks",
            env=env,
            capture_output=True,
            text=True,
            encoding="utf-8",
            check=False,
            timeout=500,
        )

    return lancer


def test_un_mois_est_note_puis_juge(lancer):
    note = lancer("noter")
    assert note.returncode == 0, note.stderr[-3000:]
    juge = lancer("superviser")
    assert juge.returncode == 0, juge.stderr[-3000:]
    en_service = json.loads(juge.stdout)["en_service"]
    assert en_service["mois"] == "2013-07"
    assert "calibration" in en_service["alertes"], "juillet met le modèle de l’hiver en défaut"
    assert en_service["decision"] == "réentraîner"


def test_une_supervision_qui_echoue_fait_echouer_le_pod(lancer):
    juge = lancer("superviser", MOIS="2013-13")
    assert juge.returncode != 0
    assert juge.stdout == "", "pas de résultat d’un autre mois"
