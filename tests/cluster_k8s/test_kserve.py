"""Le champion servi par MLServer, comme par KServe, dit ce que dit le service.

MLServer tourne ici dans l’environnement de l’image (make test-k8s), puis dans l’image elle-même,
enfermée comme le pod (make test-local).
"""

import json
import os
import re
import subprocess
import urllib.error
import urllib.request
from pathlib import Path

import pytest
import yaml
from mlops_demo import processus, service, simulation
from mlops_demo.features import CATEGORIES, FEATURES, exemples
from programmes import construire, environnement, programme

RACINE = Path(__file__).resolve().parents[2]
IMAGE = RACINE / "cluster_k8s" / "images" / "mlserver"
NOM = "mlops-essai/mlserver:local"
FACONS = [
    pytest.param("environnement", marks=pytest.mark.k8s),
    pytest.param("image", marks=[pytest.mark.local, pytest.mark.lent]),
]


def lire(adresse, corps=None, limite_s=30):
    """Lit du JSON ; envoie d’abord un corps, s’il y en a un."""
    demande = urllib.request.Request(
        adresse,
        data=None if corps is None else json.dumps(corps).encode(),
        headers={"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(demande, timeout=limite_s) as reponse:
        return json.loads(reponse.read() or "null")


@pytest.fixture(scope="module")
def environnement_mlserver(tmp_path_factory):
    """L’environnement de l’image, fait de son verrou."""
    return environnement(tmp_path_factory.mktemp("mlserver"), IMAGE / "requirements.txt")


def conteneur_du_moteur():
    """Le conteneur que décrit le ServingRuntime."""
    moteur = yaml.safe_load((RACINE / "cluster_k8s" / "kserve" / "moteur.yaml").read_text("utf-8"))
    (conteneur,) = moteur["spec"]["containers"]
    return conteneur


def dans_l_image(env):
    """Construit l’image, et donne la commande qui la lance enfermée comme le pod."""
    construire(NOM, IMAGE / "Dockerfile")
    garde = conteneur_du_moteur()["securityContext"]
    assert garde["readOnlyRootFilesystem"]
    assert garde["capabilities"] == {"drop": ["ALL"]}
    commande = ["docker", "run", "--rm", "--read-only", "--tmpfs", "/tmp", "--cap-drop", "ALL"]
    commande += ["--security-opt", "no-new-privileges", "--network", "host", "--memory", "1g"]
    return [*commande, *(option for nom in env for option in ("--env", nom)), NOM]


@pytest.fixture(scope="module", params=FACONS)
def mlserver(request, champion, tmp_path_factory):
    """MLServer, lancé par servir.py avec les variables du ServingRuntime."""
    dossier = tmp_path_factory.mktemp("modeles")
    env = {variable["name"]: variable["value"] for variable in conteneur_du_moteur()["env"]}
    port = processus.port_libre()
    env |= {
        "MLFLOW_TRACKING_URI": champion[0],
        "MLSERVER_HTTP_PORT": str(port),
        "MLSERVER_GRPC_PORT": str(processus.port_libre()),
        "MLSERVER_METRICS_PORT": str(processus.port_libre()),
    }
    if request.param == "image":
        commande = dans_l_image(env)
        env["PATH"] = os.environ["PATH"]
    else:
        executables = request.getfixturevalue("environnement_mlserver")
        commande = [executables / "python", IMAGE / "servir.py"]
        env |= {
            "PATH": f"{executables}:/usr/bin:/bin",
            "HOME": str(dossier),
            "OMP_NUM_THREADS": "1",
        }
        env["DOSSIER"] = str(dossier / "modeles")
    adresse = f"http://127.0.0.1:{port}/v2"
    pret = f"{adresse}/models/retard-vol/ready"
    with programme(commande, dossier / "mlserver.journal", env, pret):
        yield adresse


@pytest.fixture(scope="module")
def vols(champion):
    """Des vols de juillet, valeurs manquantes comprises."""
    return exemples("2013-07-01", "2013-07-08").sample(500, random_state=1)


def en_v2(vols):
    """Des vols, dans le protocole V2 : une entrée par colonne."""
    entrees = []
    for nom in FEATURES:
        genre, encodage = ("BYTES", "str") if nom in CATEGORIES else ("FP64", "np")
        valeurs = vols[nom].astype(object).where(vols[nom].notna(), None).tolist()
        forme = {"name": nom, "shape": [len(vols), 1], "datatype": genre, "data": valeurs}
        entrees.append(forme | {"parameters": {"content_type": encodage}})
    return {"parameters": {"content_type": "pd"}, "inputs": entrees}


def test_kserve_et_le_service_donnent_les_memes_probabilites(mlserver, champion, vols):
    reponse = lire(f"{mlserver}/models/retard-vol/infer", en_v2(vols))
    (sortie,) = reponse["outputs"]
    assert sortie["shape"] == [len(vols), 2]
    par_kserve = sortie["data"][1::2]

    serveur = service.lancer(simulation.ouvrir_campagne("kserve"))
    try:
        serveur.pret()
        rendu = service.appeler(serveur, "/predict", {"vols": service.en_json(vols)})
    finally:
        serveur.arreter()
    assert rendu["version"] == champion[1] == int(reponse["model_version"])
    par_le_service = [p["probabilite"] for p in rendu["predictions"]]
    assert par_kserve == pytest.approx(par_le_service, abs=1e-12)
    assert max(par_kserve) - min(par_kserve) > 0.1, "le modèle distingue les vols"


def test_mlserver_repond_aux_sondes_du_moteur(mlserver):
    conteneur = conteneur_du_moteur()
    for sonde in ("startupProbe", "readinessProbe", "livenessProbe"):
        chemin = conteneur[sonde]["httpGet"]["path"].removeprefix("/v2")
        with urllib.request.urlopen(f"{mlserver}{chemin}", timeout=10) as reponse:
            assert reponse.status == 200


def test_un_vol_sans_une_colonne_n_est_pas_juge(mlserver, vols):
    demande = en_v2(vols.head(1))
    demande["inputs"].pop()
    with pytest.raises(urllib.error.HTTPError):
        lire(f"{mlserver}/models/retard-vol/infer", demande)


@pytest.mark.k8s
def test_un_modele_absent_du_registre_se_dit(champion, environnement_mlserver, tmp_path):
    fait = subprocess.run(
        [environnement_mlserver / "python", IMAGE / "servir.py"],
        env={
            "PATH": f"{environnement_mlserver}:/usr/bin:/bin",
            "HOME": str(tmp_path),
            "DOSSIER": str(tmp_path / "modeles"),
            "MLFLOW_TRACKING_URI": champion[0],
            "MODELE": "inconnu",
        },
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )
    assert fait.returncode == 1
    assert fait.stderr.strip().splitlines()[-1].startswith("Erreur : le modèle « inconnu »")
    assert "Traceback" not in fait.stderr


def versions(verrou):
    """Les versions qu’un verrou fixe."""
    texte = verrou.read_text(encoding="utf-8")
    return dict(re.findall(r"^([a-z0-9-]+)(?:\[[^]]*\])?==([^ \\]+)", texte, re.MULTILINE))


@pytest.mark.k8s
def test_l_image_relit_les_modeles_avec_les_versions_du_projet():
    ici, la = versions(IMAGE / "requirements.txt"), versions(RACINE / "requirements" / "lock.txt")
    for paquet in ("mlflow", "numpy", "pandas", "scikit-learn", "skops"):
        assert ici[paquet] == la[paquet], paquet
