"""Les pipelines Kubeflow : compilés à jour, et le YAML du dépôt exécuté par le moteur de kfp."""

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
        attendus = {"PGPASSWORD", "EVIDENTLY_SECRET"} if superviser else {"PGPASSWORD"}
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


def test_le_gate_refuse_et_rien_n_est_note(essayer):
    """Quatre jours d’apprentissage : le gate refuse, aucun modèle n’entre en service."""
    refus = essayer("mois_du_modele", "refus", **{**ENTRAINEMENT, "debut": "2013-02-25"})
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
    echec = essayer("mois_du_modele", "refus", **{**ENTRAINEMENT, "debut_validation": "jamais"})
    assert echec.code == 1
    assert "entrainer-juger-promouvoir" in echec.erreurs.splitlines()[-1]
    assert "étape 42_entrainement en échec, cellule" in echec.sortie
    assert "gate" not in echec.faites()


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
