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
from mlops_demo import base, entrainement, processus, registre, service, simulation
from mlops_demo.features import CATEGORIES, FEATURES, etiquetes, exemples
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


def variables(champion):
    """Celles du ServingRuntime, l’adresse du registre et de la base étant celles d’ici."""
    donnees = {v["name"]: v["value"] for v in conteneur_du_moteur()["env"] if "value" in v}
    del donnees["MLFLOW_TRACKING_USERNAME"]  # le registre d’ici est à qui l’a lancé
    return donnees | {"MLFLOW_TRACKING_URI": champion[0], "DATABASE_URL": base.url()}


def dans_l_environnement(executables, dossier):
    """Ce que l’image dit d’elle-même, quand servir.py se lance sans elle."""
    return {
        "PATH": f"{executables}:/usr/bin:/bin",
        "HOME": str(dossier),
        "DOSSIER": str(dossier / "modeles"),
        "PYTHONPATH": str(RACINE / "notebooks"),
    }


@pytest.fixture(scope="module", params=FACONS)
def mlserver(request, champion, tmp_path_factory):
    """MLServer, lancé par servir.py avec les variables du ServingRuntime."""
    dossier = tmp_path_factory.mktemp("modeles")
    port = processus.port_libre()
    env = variables(champion) | {
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
        env |= dans_l_environnement(executables, dossier) | {"OMP_NUM_THREADS": "1"}
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


@pytest.fixture
def servir(champion, environnement_mlserver, tmp_path):
    """Lance servir.py jusqu’à son erreur, qu’il rend."""

    def lancer(**env):
        fait = subprocess.run(
            [environnement_mlserver / "python", IMAGE / "servir.py"],
            env=variables(champion) | dans_l_environnement(environnement_mlserver, tmp_path) | env,
            capture_output=True,
            text=True,
            encoding="utf-8",
            check=False,
            timeout=120,
        )
        assert fait.returncode == 1, fait.stdout
        assert "Traceback" not in fait.stderr
        return fait.stderr.strip().splitlines()[-1]

    return lancer


def recrire_le_journal(empreinte):
    """Change l’empreinte acceptée, ce que la base refuse d’ordinaire."""
    with base.transaction() as connexion:
        connexion.exec_driver_sql("ALTER TABLE journal DISABLE TRIGGER USER")
        connexion.exec_driver_sql(f"UPDATE journal SET empreinte = {empreinte}")
        connexion.exec_driver_sql("ALTER TABLE journal ENABLE TRIGGER USER")


@pytest.mark.k8s
def test_sans_journal_rien_n_est_servi(servir):
    dit = servir(MLOPS_UTILISATEUR="inconnu")
    assert dit.startswith(
        "Erreur : le journal ne dit en service aucune version de « retard-vol-inconnu »"
    )


@pytest.mark.k8s
def test_l_alias_vole_n_y_change_rien_et_des_fichiers_changes_ne_sont_pas_servis(
    champion, environnement_mlserver, servir, tmp_path
):
    # Étant donné une version que le journal n’a pas acceptée, à laquelle on a rendu l’alias
    hiver = exemples("2013-01-01", "2013-01-08")
    modele = entrainement.apprendre(entrainement.naif(), hiver)
    essai = registre.enregistrer_essai("volée", modele, etiquetes(hiver), {})
    volee, nom = registre.inscrire_challenger(essai), registre.nom_du_modele()
    registre.client().set_registered_model_alias(nom, registre.CHAMPION, str(volee))
    try:
        # Alors c’est celle du journal que l’image télécharge
        code = f"import servir, pathlib; print(servir.telecharger(pathlib.Path({str(tmp_path)!r})))"
        env = variables(champion) | dans_l_environnement(environnement_mlserver, tmp_path)
        env["PYTHONPATH"] += f":{IMAGE}"
        fait = subprocess.run(
            [environnement_mlserver / "python", "-c", code],
            env=env,
            capture_output=True,
            text=True,
            check=False,
        )
        assert fait.stdout.strip() == str(champion[1]), fait.stderr
        # Et si ses fichiers ne sont plus les siens, rien n’est servi
        recrire_le_journal("reverse(empreinte)")
        assert "ne sont plus ceux que le journal a acceptés" in servir()
        recrire_le_journal("reverse(empreinte)")
    finally:
        registre.accorder()


def versions(verrou):
    """Les versions qu’un verrou fixe."""
    texte = verrou.read_text(encoding="utf-8")
    return dict(re.findall(r"^([a-z0-9-]+)(?:\[[^]]*\])?==([^ \\]+)", texte, re.MULTILINE))


@pytest.mark.k8s
def test_l_image_relit_les_modeles_avec_les_versions_du_projet():
    ici, la = versions(IMAGE / "requirements.txt"), versions(RACINE / "requirements" / "lock.txt")
    for paquet in ("mlflow", "numpy", "pandas", "scikit-learn", "skops"):
        assert ici[paquet] == la[paquet], paquet
