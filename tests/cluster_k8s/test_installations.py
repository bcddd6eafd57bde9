"""Les objets de cluster_k8s : complets, admissibles, et les mêmes que dans local/."""

import copy
import json
import re
import shutil
import subprocess
from pathlib import Path

import controles
import pytest
import yaml

pytestmark = pytest.mark.k8s

RACINE = Path(__file__).resolve().parents[2]
INSTALLATIONS, AVEC_ECHELLE = controles.INSTALLATIONS, controles.AVEC_ECHELLE
VERSIONS = ("1.34", "1.35", "1.36", "1.37")

# Les règles de checkov que nous n’appliquons pas, et pourquoi.
CHECKOV_IGNORE = {
    "CKV_K8S_15": "« Always » demanderait un registre à qui construit ses images sur son portable",
    "CKV_K8S_40": "l’image officielle de Postgres a pour compte 999, et ses fichiers avec elle",
    "CKV_K8S_43": "l’empreinte d’une image que chacun construit n’est connue que de lui",
}


def lancer(*commande, **options):
    """Lance une commande et rend ce qu’elle a fait."""
    return subprocess.run(
        [str(mot) for mot in commande],
        capture_output=True,
        encoding="utf-8",
        check=False,
        timeout=300,
        **options,
    )


def trouver(objets, genre, nom):
    """Un objet, par son genre et son nom."""
    return next(o for o in objets if o["kind"] == genre and o["metadata"]["name"] == nom)


def pod_de(objets, genre, nom):
    """Le modèle de pod d’un objet."""
    return controles.modele(trouver(objets, genre, nom))


# --- admis par le serveur -------------------------------------------------------------------


@pytest.mark.parametrize("version", VERSIONS)
def test_les_objets_suivent_le_schema_strict(outils, rendus, tmp_path, version):
    noms = (*INSTALLATIONS, *AVEC_ECHELLE, "pipelines", "copie")
    fichiers = [rendus / f"{Path(nom).name}.yaml" for nom in noms]
    # Un essai de Katib est un Job : ses valeurs remplacent « ${trialParameters.*} ».
    katib = yaml.safe_load((RACINE / "cluster_k8s" / "katib" / "reglage.yaml").read_text("utf-8"))
    essai = {**katib["spec"]["trialTemplate"]["trialSpec"], "metadata": {"name": "essai"}}
    fichiers.append(tmp_path / "katib.yaml")
    fichiers[-1].write_text(yaml.safe_dump(essai), encoding="utf-8")
    fait = lancer(outils / "kubernetes-validate", "--strict", "-k", version, *fichiers)
    assert fait.returncode == 0, fait.stdout + fait.stderr
    lus = sum(len(re.findall(r"^kind: ", f.read_text(encoding="utf-8"), re.M)) for f in fichiers)
    assert (fait.stdout + fait.stderr).count("passed for resource") == lus, fait.stdout[-800:]


def test_un_champ_inconnu_est_vu(outils, rendus, tmp_path):
    texte = (rendus / "kind.yaml").read_text(encoding="utf-8")
    fautif = tmp_path / "fautif.yaml"
    fautif.write_text(texte.replace("terminationGracePeriodSeconds", "delai"), encoding="utf-8")
    fait = lancer(outils / "kubernetes-validate", "--strict", "-k", VERSIONS[0], fautif)
    assert fait.returncode != 0


@pytest.mark.parametrize("installation", [*INSTALLATIONS, *AVEC_ECHELLE])
def test_une_installation_n_a_pas_de_defaut(objets, installation):
    lus = objets(installation)
    assert len(lus) > 35
    assert controles.defauts(lus) == []


def test_le_job_de_copie_s_ajoute_a_une_installation_sans_defaut(objets, rendus):
    copie = yaml.safe_load((rendus / "copie.yaml").read_text(encoding="utf-8"))
    for installation in INSTALLATIONS:
        assert controles.defauts([*objets(installation), copie]) == [], installation


def images(objets):
    """Les images que lancent les pods, postgres excepté."""
    conteneurs = [c for _, pod in controles.pods(objets) for c in controles.conteneurs(pod)]
    return {c["image"] for c in conteneurs} - {"postgres:18-bookworm"}


def test_en_production_chaque_image_vient_du_registre_declare(objets):
    for nom in set(INSTALLATIONS + AVEC_ECHELLE) - {"overlays/kind", "overlays/kind-echelle"}:
        assert all(i.startswith("registre.exemple.fr/mlops/") for i in images(objets(nom))), nom
    assert images(objets("overlays/kind")) == {"mlops/demo:local", "mlops/mlflow:local"}


def test_le_secret_d_un_registre_prive_va_a_tous_les_pods(outils, depot):
    """La correction que donne README.md ; le serveur la recopie du compte au pod."""
    readme = (RACINE / "cluster_k8s" / "README.md").read_text(encoding="utf-8")
    (correction,) = (b for b in re.findall(r"```yaml\n(.*?)```", readme, re.S) if "imagePull" in b)
    prive = depot / "overlays" / "production-prive"
    shutil.copytree(depot / "overlays" / "production", prive)
    fichier = prive / "kustomization.yaml"
    texte = fichier.read_text(encoding="utf-8").replace("patches:\n", f"patches:\n{correction}")
    fichier.write_text(texte, encoding="utf-8")
    fait = lancer(outils / "kubectl", "kustomize", prive)
    assert fait.returncode == 0, fait.stderr
    lus = [o for o in yaml.safe_load_all(fait.stdout) if o]
    comptes = {o["metadata"]["name"]: o for o in lus if o["kind"] == "ServiceAccount"}
    for qui, pod in controles.pods(lus):
        compte = comptes[pod["spec"]["serviceAccountName"]]
        assert compte.get("imagePullSecrets") == [{"name": "registre"}], qui


def conteneur(genre, nom, indice=0):
    """Le chemin d’un conteneur, pour l’abîmer."""
    return lambda o: pod_de(o, genre, nom)["spec"]["containers"][indice]


API, POSTGRES = conteneur("Deployment", "api"), conteneur("StatefulSet", "postgres")


def poser(chemin, cle, valeur):
    """Une altération : une clé changée ; « ... » la retire."""

    def abimer(objets):
        cible = chemin(objets)
        if valeur is ...:
            del cible[cle]
        else:
            cible[cle] = valeur

    return abimer


def spec(genre, nom):
    """Le chemin de la « spec » d’un objet."""
    return lambda o: trouver(o, genre, nom)["spec"]


def pod(genre, nom):
    """Le chemin de la « spec » d’un pod."""
    return lambda o: pod_de(o, genre, nom)["spec"]


ABIMER = [
    (poser(lambda o: pod_de(o, "Deployment", "api")["metadata"], "labels", {}), "propres pods"),
    (poser(spec("Service", "mlflow"), "selector", {"a": "b"}), "aucun pod derrière"),
    (
        poser(spec("PodDisruptionBudget", "api"), "selector", {"matchLabels": {"a": "b"}}),
        "ne protège aucun pod",
    ),
    (
        poser(spec("NetworkPolicy", "mlflow"), "podSelector", {"matchLabels": {"a": "b"}}),
        "ne retient aucun pod",
    ),
    (poser(lambda o: API(o)["resources"]["requests"], "memory", "2Gi"), "plus que sa limite"),
    (poser(lambda o: API(o)["resources"], "limits", {}), "sans limite"),
    (poser(spec("CronJob", "sauvegarde"), "schedule", "61 2 * * *"), "n’existe pas"),
    (poser(spec("CronJob", "sauvegarde"), "schedule", "30 2 * *"), "n’existe pas"),
    (poser(spec("CronJob", "sauvegarde"), "timeZone", "Europe/Pariss"), "est inconnu"),
    (poser(lambda o: API(o)["ports"][0], "containerPort", 99999), "le port 99999"),
    (poser(lambda o: spec("Service", "api")(o)["ports"][0], "port", 0), "le port 0"),
    (
        poser(lambda o: spec("Service", "api")(o)["ports"][0], "targetPort", "web"),
        "aucun pod n’ouvre",
    ),
    (poser(lambda o: API(o)["readinessProbe"]["httpGet"], "port", "web"), "que rien n’ouvre"),
    (poser(spec("HorizontalPodAutoscaler", "api"), "maxReplicas", 1), "de 3 à 1 répliques"),
    (
        poser(
            spec("HorizontalPodAutoscaler", "api"),
            "scaleTargetRef",
            {"kind": "Deployment", "name": "x"},
        ),
        "« x » n’existe pas",
    ),
    (poser(spec("PodDisruptionBudget", "api"), "minAvailable", 1), "une borne et une seule"),
    (poser(spec("PodDisruptionBudget", "api"), "maxUnavailable", 0), "aucun nœud ne se viderait"),
    (poser(lambda o: API(o)["volumeMounts"][0], "name", "x"), "« x » n’existe pas"),
    (poser(lambda o: API(o)["volumeMounts"][0], "mountPath", "/tmp"), "monté deux fois"),
    (
        poser(lambda o: pod("Deployment", "api")(o)["volumes"][0]["secret"], "secretName", "x"),
        "« x » n’existe pas",
    ),
    (
        poser(
            lambda o: pod("CronJob", "sauvegarde")(o)["volumes"][1]["secret"]["items"][0],
            "key",
            "x",
        ),
        "n’a pas ['x']",
    ),
    (poser(lambda o: API(o)["envFrom"][0]["configMapRef"], "name", "x"), "« x » n’existe pas"),
    (poser(pod("Deployment", "api"), "serviceAccountName", "x"), "« x » n’existe pas"),
    (poser(pod("Deployment", "api"), "hostNetwork", True), "hostNetwork"),
    (
        poser(lambda o: pod("Deployment", "api")(o)["securityContext"], "runAsUser", 0),
        "root possible",
    ),
    (
        poser(lambda o: pod("Deployment", "api")(o)["securityContext"], "seccompProfile", {}),
        "seccomp",
    ),
    (poser(lambda o: API(o)["securityContext"], "capabilities", {}), "garde des capacités"),
    (
        poser(lambda o: API(o)["securityContext"], "allowPrivilegeEscalation", ...),
        "gagner des droits",
    ),
    (
        poser(lambda o: API(o)["securityContext"], "readOnlyRootFilesystem", ...),
        "écrire dans son image",
    ),
    (
        poser(lambda o: pod("Deployment", "api")(o)["volumes"][1], "hostPath", {"path": "/"}),
        "volume de genre",
    ),
    (poser(pod("Deployment", "api"), "automountServiceAccountToken", ...), "jeton"),
    (poser(pod("Deployment", "mlflow"), "enableServiceLinks", ...), "MLFLOW_PORT"),
    (
        poser(spec("Deployment", "api"), "strategy", {"type": "RollingUpdate"}),
        "retire une réplique",
    ),
    (poser(spec("Deployment", "api"), "replicas", 2), "contredit l’autoscaler"),
    (poser(API, "livenessProbe", ...), "sans ['livenessProbe']"),
    (
        poser(spec("Job", "preparation"), "ttlSecondsAfterFinished", ...),
        "empêcherait de réinstaller",
    ),
    (lambda o: POSTGRES(o)["env"].append({"name": "PGDATA", "value": "/tmp"}), "deux valeurs"),
    (
        lambda o: pod("CronJob", "surveillance")(o)["initContainers"][0]["args"].append("$(X)"),
        "$(X) n’est pas une variable",
    ),
    (lambda o: o.append({"kind": "Pod", "metadata": {"name": "seul"}}), "un pod seul"),
]


@pytest.mark.parametrize(("abimer", "plainte"), ABIMER)
def test_une_installation_abimee_est_refusee(objets, abimer, plainte):
    abimes = copy.deepcopy(objets("overlays/production"))
    abimer(abimes)
    trouves = controles.defauts(abimes)
    assert any(plainte in defaut for defaut in trouves), trouves


def test_checkov_n_a_rien_a_redire(outils, rendus):
    options = ["--framework", "kubernetes", "--quiet", "--compact", "--skip-download"]
    ignore = ["--skip-check", ",".join(CHECKOV_IGNORE), "--output", "json"]
    fait = lancer(outils / "checkov", "--directory", rendus, *options, *ignore)
    bilan = json.loads(fait.stdout)
    plaintes = [(c["check_id"], c["resource"]) for c in bilan["results"]["failed_checks"]]
    assert fait.returncode == 0, plaintes
    assert bilan["summary"]["resource_count"] > 100, "checkov n’a pas tout lu"


def test_checkov_voit_un_defaut(outils, tmp_path):
    fautif = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a", "namespace": "b"}}
    fautif["spec"] = {
        "containers": [{"name": "a", "image": "a:1", "securityContext": {"privileged": True}}]
    }
    (tmp_path / "pod.yaml").write_text(yaml.safe_dump(fautif), encoding="utf-8")
    options = ["--framework", "kubernetes", "--skip-download", "--check", "CKV_K8S_16"]
    assert lancer(outils / "checkov", "--directory", tmp_path, *options).returncode != 0


def test_hadolint_n_a_rien_a_redire(outils):
    (fichier,) = (RACINE / "cluster_k8s" / "images").glob("*/Dockerfile")
    fait = lancer(outils / "hadolint", fichier)
    assert fait.returncode == 0, fait.stdout


# --- le réseau : ce qui doit passer passe, le reste non ---------------------------------------

PORTS = {"postgres": 5432, "mlflow": 5000, "api": 8000, "evidently": 8000}
CHEMINS = {
    "mlflow": {"postgres"},
    "api": {"postgres", "mlflow"},
    "preparation": {"postgres", "mlflow"},
    "surveillance": {"postgres", "mlflow", "evidently"},
    "sauvegarde": {"postgres"},
    "postgres": set(),
    "evidently": set(),
}


@pytest.mark.parametrize("installation", INSTALLATIONS[:2])
@pytest.mark.parametrize("de", CHEMINS)
def test_le_reseau_ne_laisse_passer_que_le_necessaire(objets, installation, de):
    lus = objets(installation)
    labels = {
        e["app.kubernetes.io/name"]: e
        for _, p in controles.pods(lus)
        if (e := controles.etiquettes(p))
    }
    atteints = {
        vers for vers, port in PORTS.items() if controles.passe(lus, labels[de], labels[vers], port)
    }
    assert atteints == CHEMINS[de]


def test_tout_pod_peut_demander_un_nom(objets):
    dns = trouver(objets("overlays/kind"), "NetworkPolicy", "dns")["spec"]
    assert dns["podSelector"] == {}
    (regle,) = dns["egress"]
    assert {(p["protocol"], p["port"]) for p in regle["ports"]} == {("UDP", 53), ("TCP", 53)}


def test_le_postgres_exterieur_n_est_joint_que_dans_son_reseau(objets):
    lus = objets("overlays/postgres-externe")
    assert trouver(lus, "Service", "postgres")["spec"]["type"] == "ExternalName"
    assert not any(o["kind"] == "StatefulSet" for o in lus)
    (sortie,) = trouver(lus, "NetworkPolicy", "vers-postgres")["spec"]["egress"]
    assert sortie["to"] == [{"ipBlock": {"cidr": "10.20.0.0/24"}}]
    chiffres = [
        controles.nom(o)
        for o in lus
        if o["kind"] in ("Deployment", "CronJob", "ConfigMap", "Job") and "PGSSLMODE" in str(o)
    ]
    assert {c.split("-")[0] for c in chiffres} == {
        *("ConfigMap/demo", "CronJob/restauration", "CronJob/sauvegarde"),
        *("Deployment/mlflow", "Job/bases"),
    }


# --- les mêmes images, variables, ports, commandes et secrets que local/ ----------------------

MEMES = {
    "postgres": ("StatefulSet", "postgres"),
    "mlflow": ("Deployment", "mlflow"),
    "preparation": ("Job", "preparation"),
    "api": ("Deployment", "api"),
    "evidently": ("Deployment", "evidently"),
}
# Ce qui ne vaut que d’un côté, et pourquoi.
VARIABLES_D_UN_COTE = {
    # Docker met de lui-même un proxy dans chaque conteneur ; Kubernetes, jamais.
    "NO_PROXY",
    "no_proxy",
    # L’adresse de la machine, quand local/ s’ouvre au réseau ; le cluster a son entrée.
    "MLFLOW_SERVER_CORS_ALLOWED_ORIGINS",
    "SANTE",  # la vérification de Docker ; Kubernetes a ses sondes
    "HOME",  # evidently : le compte n’a pas de dossier inscriptible
    "MLFLOW_SERVER_ALLOWED_HOSTS",  # comparée à part : un nom de plus, celui du cluster
    # Le dépôt S3 est un outil en plus de local/ ; dans le cluster, MLflow garde son volume.
    "MLFLOW_ARTIFACTS_DESTINATION",
    "MLFLOW_S3_ENDPOINT_URL",
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY_FICHIER",
    "PARTICIPANTS",  # une salle a des cartes, le cluster n’en donne pas
}
SECRET_D_UN_COTE = "cle_artefacts"


@pytest.fixture(scope="module")
def local():
    """Les services de local/, tels que les écrit common.yaml."""
    return yaml.safe_load((RACINE / "local" / "common.yaml").read_text(encoding="utf-8"))[
        "services"
    ]


def defaut(texte):
    """La valeur d’un réglage de Compose quand personne ne le change."""
    return re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", texte)


def environnement(objets, conteneur):
    """Les variables d’un conteneur, celles de ses ConfigMaps comprises."""
    valeurs = {}
    for source in conteneur.get("envFrom", []):
        valeurs |= trouver(objets, "ConfigMap", source["configMapRef"]["name"])["data"]
    return valeurs | {v["name"]: v["value"] for v in conteneur.get("env", [])}


@pytest.mark.parametrize("service", MEMES)
def test_un_service_est_le_meme_que_dans_local(objets, local, service):
    lus, ici = objets("overlays/kind"), local[service]
    pod = pod_de(lus, *MEMES[service])["spec"]
    la = next(c for c in pod["containers"] if c["name"] == service)

    assert la["image"] == defaut(ici["image"])
    assert la.get("args") == ici.get("command"), "la commande"
    dites, voulues = environnement(lus, la), dict(ici.get("environment", {}))
    for nom in VARIABLES_D_UN_COTE:
        dites.pop(nom, None), voulues.pop(nom, None)
    assert dites == voulues, "les variables"

    secrets = next(v["secret"] for v in pod["volumes"] if v["name"] == "secrets")
    offerts = set(trouver(lus, "Secret", secrets["secretName"])["data"])
    assert offerts == set(ici["secrets"]) - {SECRET_D_UN_COTE}, "les secrets"
    assert {"name": "secrets", "mountPath": "/run/secrets", "readOnly": True} in la["volumeMounts"]

    montes = {m["mountPath"] for m in la["volumeMounts"]}
    voulus = {v.split(":")[1] if isinstance(v, str) else v["target"] for v in ici["volumes"]}
    assert voulus <= montes, "les dossiers inscriptibles"

    limites, permises = la["resources"]["limits"], ici["deploy"]["resources"]["limits"]
    assert controles.quantite(limites["cpu"]) == controles.quantite(permises["cpus"])
    memoire = permises["memory"].replace("M", "Mi").replace("G", "Gi")
    assert controles.quantite(limites["memory"]) == controles.quantite(memoire)


def test_les_noms_que_mlflow_accepte_sont_ceux_de_local_et_ceux_du_cluster(objets, local):
    mlflow = pod_de(objets("overlays/kind"), "Deployment", "mlflow")["spec"]["containers"][0]
    nom = "MLFLOW_SERVER_ALLOWED_HOSTS"
    la = set(environnement([], mlflow)[nom].split(","))
    en_plus = la - set(defaut(local["mlflow"]["environment"][nom]).split(","))
    assert la > en_plus
    assert en_plus == {f"mlflow.mlops{suite}:5000" for suite in ("", ".svc", ".svc.cluster.local")}


@pytest.mark.parametrize("service", PORTS)
def test_un_port_est_celui_de_local(objets, service):
    compose = yaml.safe_load((RACINE / "local" / "compose.yaml").read_text(encoding="utf-8"))
    (publie,) = compose["services"][service]["ports"]
    (offert,) = trouver(objets("overlays/kind"), "Service", service)["spec"]["ports"]
    assert offert["port"] == int(publie.rsplit(":", 1)[1]) == PORTS[service]


def test_le_script_des_bases_est_celui_de_local(objets):
    lus = objets("overlays/kind")
    (carte,) = [o for o in lus if o["kind"] == "ConfigMap" and "10_bases.sh" in o["data"]]
    attendu = (RACINE / "local" / "postgres" / "10_bases.sh").read_text(encoding="utf-8")
    assert carte["data"]["10_bases.sh"] == attendu


def test_aucun_secret_n_est_dans_git():
    suivis = lancer("git", "-c", "safe.directory=*", "ls-files", "cluster_k8s/secrets", cwd=RACINE)
    assert suivis.stdout.split() == ["cluster_k8s/secrets/kustomization.yaml"]
    ignore = ("check-ignore", "--quiet", "cluster_k8s/secrets/mot_de_passe_postgres")
    assert lancer("git", "-c", "safe.directory=*", *ignore, cwd=RACINE).returncode == 0
