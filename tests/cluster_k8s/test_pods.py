"""Les pods de « kind », lancés par Docker, enfermés comme leurs manifestes le disent."""

import copy
import json
import threading
import time

import pytest
import requests
import yaml
from noeud import Noeud
from programmes import construire

pytestmark = pytest.mark.local

INSTALLATION = "overlays/kind-echelle"
DURABLES = (("StatefulSet", "postgres"), ("Deployment", "mlflow"), ("Deployment", "evidently"))
UN_VOL = """
import json
from mlops_demo import service
from mlops_demo.features import exemples
print(json.dumps(service.en_json(exemples("2013-04-01", "2013-04-02").head(1))))
"""
VOLS = "SELECT count(*) FROM demo_production.flights"
ENFERME = """
import json, os, socket
droits = dict(ligne.split(":", 1) for ligne in open("/proc/self/status"))
def ecrit(dossier):
    try:
        open(f"{dossier}/essai", "w").close()
    except OSError:
        return False
    os.remove(f"{dossier}/essai")
    return True
def joint(hote, port):
    try:
        socket.create_connection((hote, port), timeout=3).close()
    except OSError:
        return False
    return True
print(json.dumps({
    "compte": [os.getuid(), os.getgid()],
    "droits": int(droits["CapEff"], 16) | int(droits["CapBnd"], 16),
    "sans_ascension": droits["NoNewPrivs"].strip() == "1",
    "image": [d for d in ("/", "/opt", "/usr/local/bin", "/etc") if ecrit(d)],
    "postgres": joint("postgres", 5432), "mlflow": joint("mlflow", 5000),
    "evidently": joint("evidently", 8000), "dehors": joint("192.0.2.1", 443),
}))
"""


@pytest.fixture(scope="module")
def noeud(objets):
    """Un nœud vide, avec les images du dépôt ; celles de « make up » si rien n’a changé."""
    images = {"postgres:18-bookworm": "postgres:18-bookworm"}
    for nom in ("demo", "mlflow"):
        images[f"mlops/{nom}:local"] = f"mlops-essai/{nom}:local"
        construire(f"mlops-essai/{nom}:local", f"local/images/{nom}/Dockerfile")
    lance = Noeud("mlops-noeud", objets(INSTALLATION), images)
    try:
        yield lance
    finally:
        lance.effacer()


@pytest.fixture(scope="module")
def installation(noeud):
    """Tout, lancé d’un coup comme par « kubectl apply -k » ; prêt une fois la préparation faite."""
    debut = time.monotonic()
    for genre, nom in DURABLES:
        noeud.lancer(genre, nom)
    for rang in ("0", "1"):
        noeud.lancer("Deployment", "api", rang)
    noeud.jouer("Job", "preparation")
    for pod in noeud.pods.values():
        pod.demarrer().pret()
    print(f"\ninstallation prête en {time.monotonic() - debut:.0f} s")
    return noeud


def sql(noeud, requete):
    """Exécute du SQL en administrateur, dans le pod de Postgres."""
    return noeud.pods["postgres-0"].executer(
        *("psql", "-h", "/var/run/postgresql", "-U", "postgres", "-d", "demo"),
        *("-v", "ON_ERROR_STOP=1", "-Atqc", requete),
    )


def juger(pod, vols):
    """Demande un jugement au service, depuis le dehors de l’espace mlops."""
    adresse = f"http://{pod.adresse}:8000/predict"
    reponse = requests.post(adresse, json={"vols": vols}, timeout=30)
    assert reponse.ok, reponse.text
    return reponse.json()


@pytest.fixture(scope="module")
def vols(installation):
    """Un vol d’avril, lu dans la base par le pod du service."""
    sortie = installation.pods["api-0"].executer("python", "-c", UN_VOL)
    return json.loads(sortie.splitlines()[-1])


def test_toute_l_installation_devient_prete_sans_un_redemarrage(installation):
    attendus = {"postgres-0", "mlflow-0", "evidently-0", "api-0", "api-1"}
    assert installation.pods.keys() == attendus
    for pod in installation.pods.values():
        for conteneur in pod.spec["containers"]:
            etat = pod.etat(conteneur["name"])
            assert (etat["Running"], etat["OOMKilled"]) == (True, False), pod.nom


def test_un_pod_est_enferme_et_ne_joint_que_ce_qui_lui_est_permis(installation):
    vu = json.loads(installation.pods["api-0"].executer("python", "-c", ENFERME))
    assert vu == {
        "compte": [10001, 10001],
        "droits": 0,
        "sans_ascension": True,
        "image": [],
        "postgres": True,
        "mlflow": True,
        "evidently": False,
        "dehors": False,
    }


def test_postgres_tourne_sous_son_compte_sur_le_volume_que_fsgroup_lui_ouvre(installation):
    postgres = installation.pods["postgres-0"]
    assert postgres.executer("id", "-u") == "999"
    assert postgres.executer("sh", "-c", "touch /essai 2> /dev/null || echo fermée") == "fermée"
    assert sql(installation, "SHOW max_connections") == "300"
    assert sql(installation, "SHOW data_directory") == "/var/lib/postgresql/18/docker"
    assert postgres.executer("stat", "-c", "%u:%g", "/var/lib/postgresql/lost+found") == "0:999"


def test_un_volume_que_rien_n_ouvre_a_postgres_est_dit(noeud):
    """Comme un hostPath fait à la main, qui ignore fsGroup."""
    pod = copy.deepcopy(noeud.objet("StatefulSet", "postgres")["spec"]["template"])
    del pod["spec"]["securityContext"]["fsGroup"]
    reclame = {"name": "donnees", "persistentVolumeClaim": {"claimName": "ferme"}}
    pod["spec"]["volumes"].append(reclame)
    ferme = noeud.creer("ferme", pod)
    with pytest.raises(AssertionError, match="n’est pas inscriptible par 999:999"):
        ferme.lancer()
    ferme.retirer()


def test_chaque_replique_juge_un_vol_et_le_journalise(installation, vols):
    rendus = [juger(installation.pods[f"api-{rang}"], vols) for rang in (0, 1)]
    assert len({r["predictions"][0]["probabilite"] for r in rendus}) == 1
    attendre_les_demandes(installation, rendus)


def attendre_les_demandes(noeud, rendus):
    """Attend que chaque demande soit en base, une fois."""
    demandes, fin = {r["demande"] for r in rendus}, time.monotonic() + 60
    requete = "SELECT demande FROM demo_production.predictions WHERE canal = 'http'"
    while time.monotonic() < fin and not demandes <= set(sql(noeud, requete).split()):
        time.sleep(1)
    ecrites = [d for d in sql(noeud, requete).split() if d in demandes]
    assert sorted(ecrites) == sorted(demandes)


def test_le_pod_de_postgres_remplace_retrouve_son_volume_et_ce_qui_a_ete_servi(installation, vols):
    """Comme un nœud qu’on vide : le pod part, le service répond toujours, le pod revient."""
    api, avant = installation.pods["api-0"], sql(installation, VOLS)
    installation.pods["postgres-0"].retirer()
    rendus = [juger(api, vols) for _ in range(5)]
    assert api.sonder(api.spec["containers"][0], api.spec["containers"][0]["readinessProbe"])
    installation.lancer("StatefulSet", "postgres").demarrer().pret()
    assert sql(installation, VOLS) == avant
    attendre_les_demandes(installation, rendus)


def test_une_replique_qui_part_repond_jusqu_au_bout_et_livre_son_journal(installation, vols):
    """Pendant preStop, le réseau lui envoie encore des demandes : elle y répond."""
    partante, rendus = installation.pods["api-1"], []
    depart = threading.Thread(target=partante.retirer)
    adresse = partante.adresse
    depart.start()
    fin = time.monotonic() + 8
    while time.monotonic() < fin:
        reponse = requests.post(f"http://{adresse}:8000/predict", json={"vols": vols}, timeout=10)
        assert reponse.ok, reponse.text
        rendus.append(reponse.json())
        time.sleep(0.2)
    depart.join()
    attendre_les_demandes(installation, rendus)
    installation.lancer("Deployment", "api", "1").demarrer().pret()


def test_la_surveillance_note_un_mois_le_juge_et_depose_son_rapport(installation):
    juge = json.loads(installation.jouer("CronJob", "surveillance"))["en_service"]
    reglages = installation.objet("ConfigMap", "surveillance")["data"]
    assert juge["mois"] == reglages["MOIS"]
    assert 0 < juge["log_loss"] < 1
    projets = requests.get(
        f"http://{installation.pods['evidently-0'].adresse}:8000/api/projects", timeout=30
    ).json()
    assert projets, "Evidently n’a reçu aucun rapport"


def test_deux_pods_notent_chacun_leur_part_puis_la_fusion_les_reunit(installation):
    """Le Job indexé du grand lot, ramené à deux parts d’une semaine."""
    lot = {"DEBUT": "2013-08-01", "FIN": "2013-08-07", "PARTS": "2"}
    parts = [
        json.loads(installation.jouer("Job", "notation", rang, **lot, JOB_COMPLETION_INDEX=rang))
        for rang in ("0", "1")
    ]
    fusion = json.loads(installation.jouer("Job", "fusion", **lot))
    assert fusion["vols"] == sum(p["vols"] for p in parts) > 5000


def test_une_sauvegarde_se_restaure_apres_une_perte(installation, vols):
    """Les commandes de cluster_k8s/README.md, l’une après l’autre."""
    compte = "SELECT count(*), sum(probabilite::numeric) FROM demo_production.predictions"
    avant = sql(installation, compte)
    installation.jouer("CronJob", "sauvegarde")
    for nom in ("api-0", "api-1", "mlflow-0"):
        installation.pods[nom].retirer()
    sql(installation, "DROP TABLE demo_production.predictions CASCADE")
    installation.preparer(f"{installation.nom}-pvc-mlflow", "rm -rf /v/artefacts")
    installation.jouer("CronJob", "restauration")
    installation.lancer("Deployment", "mlflow").demarrer().pret()
    assert sql(installation, compte) == avant
    # Un pod neuf n’a pas de modèle gardé : il le relit de MLflow, donc des fichiers rendus.
    for rang in ("0", "1"):
        installation.lancer("Deployment", "api", rang).demarrer().pret()
    attendre_les_demandes(installation, [juger(installation.pods["api-1"], vols)])


def test_le_job_de_copie_sort_les_sauvegardes_et_les_remet(installation, rendus):
    job = yaml.safe_load((rendus / "copie.yaml").read_text(encoding="utf-8"))
    copie = installation.creer("copie-0", job["spec"]["template"]).lancer()
    try:
        gardees = copie.executer("ls", "/sauvegardes").split()
        assert gardees, "la sauvegarde du test précédent n’y est pas"
        archive = copie.executer("sh", "-c", "cd /sauvegardes && tar -cf - 20* | base64 -w 0")
        nom = f"{installation.nom}-pvc-sauvegardes"
        installation.preparer(nom, "rm -rf /v/20* && base64 -d > /v/archive", archive.encode())
        copie.executer("sh", "-c", "tar -C /sauvegardes -xf - < /sauvegardes/archive")
        installation.preparer(nom, "rm /v/archive")
        assert copie.executer("ls", "/sauvegardes").split() == gardees
    finally:
        copie.retirer()


def test_le_poste_de_kubeflow_ouvre_jupyterlab(installation, rendus):
    """Le Notebook : le contrôleur y ajoute NB_PREFIX et recopie ses étiquettes sur le pod."""
    texte = (rendus / "notebooks.yaml").read_text(encoding="utf-8")
    (notebook,) = (o for o in yaml.safe_load_all(texte) if o["kind"] == "Notebook")
    pod = {"metadata": {"labels": notebook["metadata"]["labels"]}, **notebook["spec"]["template"]}
    prefixe = "/notebook/mlops/participant"
    sonde = (
        notebook["spec"]["template"]["spec"]["containers"][0],
        {"httpGet": {"path": f"{prefixe}/api", "port": "notebook-port"}},
    )
    poste = installation.creer("participant-0", pod, NB_PREFIX=prefixe).lancer()
    try:
        fin = time.monotonic() + 120
        while not poste.sonder(*sonde) and time.monotonic() < fin:
            time.sleep(1)
        assert poste.sonder(*sonde), poste.journal("participant")
        sortie = poste.executer("python", "-c", UN_VOL)
        assert json.loads(sortie.splitlines()[-1])[0]["origin"]
        assert "42_entrainement.ipynb" in poste.executer("sh", "-c", "ls $HOME/demonstration")
    finally:
        poste.retirer()
