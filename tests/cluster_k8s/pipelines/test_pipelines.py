"""Les pipelines du dépôt, exécutés par le moteur de kfp : avril, et ce que son modèle permet."""

import ast
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
PIPELINES = RACINE / "cluster_k8s" / "pipelines"
DAG = RACINE / "local" / "airflow" / "dags" / "mois_du_modele.py"
ENTRAINEMENT = {
    "debut": "2013-01-01",
    "debut_validation": "2013-03-01",
    "mise_en_service": "2013-04-01",
}
NOTATION = {
    "debut": "2013-04-01",
    "fin": "2013-05-01",
    "scenario": "production 2013-04",
    "repartir_du_debut": False,
}


def test_le_gate_accepte_et_tout_s_enchaine(avril):
    assert avril.etape("modele-en-service") == "non"
    assert avril.etape("charger-et-valider")["lot_empoisonne"] == "refusé"
    assert avril.etape("entrainer-juger-promouvoir")["promu"] is True
    assert avril.etape("gate") == "promu"
    assert avril.etape("noter")["predictions"]["lot"] > 25_000
    en_service = avril.etape("superviser")["en_service"]
    assert (en_service["mois"], en_service["decision"]) == ("2013-04", "réentraîner")
    assert avril.etape("mois-a-reprendre") == "2013-04"
    assert [m["mois"] for m in avril.etape("reentrainer")["mois"]] == ["2013-04"]


def test_un_grand_lot_se_note_part_par_part(essayer, avril):
    """Après avril, qui a laissé un modèle : deux parts d’une semaine, puis leur fusion."""
    lot = essayer("grand_lot", "avril", debut="2013-05-01", fin="2013-05-08", parts=2)
    assert lot.code == 0, lot.erreurs[-3000:] + lot.sortie[-3000:]
    parts = [r for n, r in lot.resultats.items() if n.split("/")[-1] == "noter-une-part"]
    fusion = lot.etape("fusionner")
    assert [p["part"] for p in parts] == [0, 1]
    assert fusion["vols"] == sum(p["vols"] for p in parts) > 5000
    assert 0 < fusion["mesures"]["log_loss"] < 1


def test_le_cronjob_de_surveillance_note_un_mois_puis_le_juge(avril, seance):
    """Les commandes de ses deux conteneurs, après avril, qui a laissé un modèle en service."""
    base = RACINE / "cluster_k8s" / "base"
    (cronjob,) = yaml.safe_load_all((base / "surveillance.yaml").read_text(encoding="utf-8"))
    pod = cronjob["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    kustomization = yaml.safe_load((base / "kustomization.yaml").read_text(encoding="utf-8"))
    (carte,) = (c for c in kustomization["configMapGenerator"] if c["name"] == "surveillance")
    reglages = dict(ligne.split("=") for ligne in carte["literals"])
    sorties = []
    for conteneur in (*pod["initContainers"], *pod["containers"]):
        # $(VARIABLE) est remplie par Kubernetes ; le volume du pod est ici le dossier de travail.
        remplies = [re.sub(r"\$\((\w+)\)", lambda v: reglages[v[1]], a) for a in conteneur["args"]]
        remplies = [a.replace("/var/lib/demo", seance["MLOPS_TRAVAIL"]) for a in remplies]
        fait = subprocess.run(
            remplies,
            cwd=RACINE / "notebooks",
            env={
                **os.environ,
                **seance,
                **reglages,
                "MLOPS_UTILISATEUR": "avril",
                "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            },
            capture_output=True,
            text=True,
            check=False,
        )
        assert fait.returncode == 0, fait.stderr[-3000:]
        sorties.append(fait.stdout)
    note = json.loads(
        (Path(seance["MLOPS_TRAVAIL"]) / "resultats" / "43_mise_en_production.json").read_text()
    )
    assert note["predictions"]["lot"] > 25_000
    juge = json.loads(sorties[-1])["en_service"]
    assert juge["mois"] == reglages["MOIS"]
    assert 0 < juge["log_loss"] < 1


# --- Quatre façons de lancer le même notebook ------------------------------------------------


def a_la_main(notebook, parametres):
    """Comme dans JupyterLab : les réglages changés dans leur cellule, puis « tout exécuter »."""
    return f"""
import ast, nbclient, nbformat
document = nbformat.read("{notebook}.ipynb", 4)
(cellule,) = (c for c in document.cells if "parameters" in c.metadata.get("tags", []))
defauts = {{l.targets[0].id: ast.literal_eval(l.value) for l in ast.parse(cellule.source).body}}
defauts |= {parametres!r}
cellule.source = "\\n".join(f"{{nom}} = {{valeur!r}}" for nom, valeur in defauts.items())
nbclient.NotebookClient(document, kernel_name="python3").execute()
"""


def par_papermill(notebook, parametres):
    """La commande du README de papermill."""
    return f"""
import papermill
papermill.execute_notebook("{notebook}.ipynb", None, {parametres!r}, progress_bar=False)
"""


def par_airflow(notebook, parametres):
    """La fonction du DAG telle qu’Airflow la fait exécuter : son source, dans notre Python."""
    arbre = ast.parse(DAG.read_text(encoding="utf-8"))
    (tache,) = (n for n in arbre.body if getattr(n, "name", "") == "executer")
    tache.decorator_list = []
    return f"""
import json
{ast.unparse(tache)}
rendu = executer({notebook!r}, "2013-04", {parametres!r})
from mlops_demo import resultats
(resultats.dossier() / "{notebook}.json").write_text(json.dumps(rendu))
"""


def lancer(comment, notebook, parametres, seance):
    """Lance un notebook d’une façon, et rend le JSON qu’il a écrit."""
    ecrit = Path(seance["MLOPS_TRAVAIL"]) / "resultats" / f"{notebook}.json"
    ecrit.unlink(missing_ok=True)
    fait = subprocess.run(
        [sys.executable, "-c", comment(notebook, parametres)],
        cwd=RACINE / "notebooks",
        env={**os.environ, "MLOPS_UTILISATEUR": "avril", **seance},
        capture_output=True,
        text=True,
        check=False,
    )
    assert fait.returncode == 0, fait.stderr[-3000:]
    return json.loads(ecrit.read_text(encoding="utf-8"))


@pytest.mark.parametrize("comment", [a_la_main, par_papermill, par_airflow])
@pytest.mark.parametrize(
    ("notebook", "nom_de_l_etape", "parametres"),
    [
        ("42_entrainement", "entrainer-juger-promouvoir", ENTRAINEMENT),
        ("43_mise_en_production", "noter", NOTATION),
    ],
    ids=["42", "43"],
)
def test_la_main_papermill_airflow_et_kubeflow_donnent_le_meme_json(
    avril, seance, sans_volatil, comment, notebook, nom_de_l_etape, parametres
):
    attendu = sans_volatil(avril.etape(nom_de_l_etape))
    rendu = sans_volatil(lancer(comment, notebook, parametres, seance))
    assert rendu.keys() == attendu.keys()
    assert rendu == attendu
