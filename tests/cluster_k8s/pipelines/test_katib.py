"""L’expérience Katib : dans les types de son API, et son Job, une fois rempli, apprend vraiment."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

pytestmark = pytest.mark.k8s

RACINE = Path(__file__).resolve().parents[3]
EXPERIENCE = RACINE / "cluster_k8s" / "katib" / "reglage.yaml"
# Le collecteur de Katib, de sa documentation : des lignes « nom=valeur ».
LIGNE = re.compile(r"^([\w|-]+)\s*=\s*([+-]?\d*(?:\.\d+)?(?:[Ee][+-]?\d+)?)$", re.ASCII)


def lire():
    """L’expérience, lue comme des données."""
    return yaml.safe_load(EXPERIENCE.read_text(encoding="utf-8"))


def ecarts(kfp, experience):
    """Ce que les types de Katib refusent ou ne connaissent pas, dit par son propre paquet."""
    code = (
        "import json, sys\n"
        "from kubeflow_katib_api.models import V1beta1Experiment\n"
        "donnee = json.load(sys.stdin)\n"
        "rendue = V1beta1Experiment.from_dict(donnee).to_dict()\n"
        "def perdus(a, b, chemin=''):\n"
        "    if isinstance(a, dict):\n"
        "        for cle in a:\n"
        "            yield from perdus(a[cle], (b or {}).get(cle), f'{chemin}/{cle}')\n"
        "    elif isinstance(a, list):\n"
        "        for rang, x in enumerate(a):\n"
        "            yield from perdus(x, b[rang] if b else None, f'{chemin}/{rang}')\n"
        "    elif a != b:\n"
        "        yield chemin\n"
        "print(*perdus(donnee, rendue), sep='\\n')\n"
    )
    import json

    return subprocess.run(
        [sys.executable, "-c", code],
        input=json.dumps(experience),
        env={**os.environ, "PYTHONPATH": str(kfp)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_katib_comprend_chaque_champ(kfp):
    fait = ecarts(kfp, lire())
    assert (fait.returncode, fait.stdout.strip()) == (0, ""), fait.stderr + fait.stdout


def test_un_champ_inconnu_ou_d_un_autre_type_est_vu(kfp):
    experience = lire()
    experience["spec"]["algorithm"]["algoName"] = "tpe"
    assert ecarts(kfp, experience).stdout.strip() == "/spec/algorithm/algoName"
    experience = lire()
    experience["spec"]["maxTrialCount"] = "six"
    assert ecarts(kfp, experience).returncode != 0


def essai(valeurs):
    """Le Job d’un essai : ce que fait Katib des ${trialParameters.*}."""
    modele = lire()["spec"]["trialTemplate"]
    references = {p["name"]: p["reference"] for p in modele["trialParameters"]}
    texte = re.sub(
        r"\$\{trialParameters\.(\w+)\}",
        lambda vu: str(valeurs[references[vu.group(1)]]),
        yaml.safe_dump(modele["trialSpec"], allow_unicode=True),
    )
    assert "${" not in texte, "un paramètre n’est pas rempli"
    return yaml.safe_load(texte)


def test_chaque_reglage_cherche_est_donne_a_l_essai_et_dans_ses_bornes():
    spec = lire()["spec"]
    cherches = {p["name"] for p in spec["parameters"]}
    assert {p["reference"] for p in spec["trialTemplate"]["trialParameters"]} == cherches
    for parametre in spec["parameters"]:
        bornes = parametre["feasibleSpace"]
        assert float(bornes["min"]) < float(bornes["max"]), parametre["name"]


def test_le_job_d_un_essai_apprend_et_ecrit_ce_que_katib_lit(kfp, seance):
    valeurs = {"learning_rate": 0.2, "max_iter": 40, "max_leaf_nodes": 7, "min_samples_leaf": 50}
    pod = essai(valeurs)["spec"]["template"]["spec"]
    (conteneur,) = pod["containers"]
    assert conteneur["name"] == lire()["spec"]["trialTemplate"]["primaryContainerName"]
    assert conteneur["command"] == ["python"], "sans elle, Katib chercherait l’image en ligne"
    fait = subprocess.run(
        [sys.executable, *conteneur["args"]],
        cwd=RACINE,
        env={**os.environ, **seance, "MLOPS_UTILISATEUR": "katib"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert fait.returncode == 0, fait.stderr[-3000:]
    lues = dict(vu.groups() for vu in map(LIGNE.match, fait.stdout.splitlines()) if vu)
    objectif = lire()["spec"]["objective"]
    assert {objectif["objectiveMetricName"], *objectif["additionalMetricNames"]} <= lues.keys()
    assert 0.3 < float(lues["log_loss"]) < 0.6
    assert {n: float(lues[f"reglages-{n}"]) for n in valeurs} == valeurs
