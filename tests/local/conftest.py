"""Les outils de local/, construits et lancés pour de vrai dans une copie du dépôt.

La copie a ses propres réglages, secrets, ports et noms : ce qui tourne déjà sur la machine n’est
pas touché. Sans moteur Docker, ces tests échouent : « .ci/moteur » en démarre un.
"""

import contextlib
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import threading
import time
import uuid
from pathlib import Path

import psycopg
import pytest
import requests
import websocket
from publication.depot import ecrire_json, provenance

RACINE = Path(__file__).resolve().parents[2]
PROJET = "mlops-essai"
LIMITE_S = 600

sys.path.insert(0, str(Path(__file__).parent))  # gestes.py
sys.path.insert(0, str(RACINE / "local" / "hub"))
import cartes  # noqa: E402 — le dossier du hub n’est sur le chemin qu’ici


def port_libre():
    """Un port libre de 127.0.0.1."""
    with socket.socket() as prise:
        prise.bind(("127.0.0.1", 0))
        return prise.getsockname()[1]


def patienter(condition, quoi, limite_s=300, journaux=lambda: ""):
    """Attend qu’une condition rende quelque chose de vrai ; montre les journaux s’il renonce."""
    fin, dernier = time.monotonic() + limite_s, None
    while time.monotonic() < fin:
        try:
            if trouve := condition():
                return trouve
        except (requests.RequestException, psycopg.Error, OSError) as erreur:
            dernier = erreur
        time.sleep(0.5)
    raise AssertionError(f"{quoi} : rien au bout de {limite_s} s ({dernier})\n{journaux()}")


class Pile:
    """La copie du dépôt, ses réglages, et ce qui y tourne."""

    def __init__(self, dossier, **reglages):
        self.dossier, self.local = dossier, dossier / "local"
        self.reglages, self.mesures = dict(reglages), {}
        # Les options de « docker » qui mènent à chaque nœud ; rien pour celui d’ici.
        self.moteurs = [()]
        modele = (self.local / ".env.exemple").read_text(encoding="utf-8")
        for nom in re.findall(r"^(PORT_\w+)=", modele, re.MULTILINE):
            self.reglages[nom] = str(port_libre())
        # Les images que nous construisons, sous un nom qui n’est pas celui de l’utilisateur.
        for nom, image in re.findall(r"^(\w+_IMAGE)=mlops/(\w+):", modele, re.MULTILINE):
            self.reglages[nom] = f"{PROJET}/{image}:local"
        # .ci/moteur ne la fabrique que là où le registre ne donne pas l’image de Grafana.
        remplacante = f"{PROJET}/grafana:remplacement"
        if self.lancer("docker", "image", "inspect", remplacante).returncode == 0:
            self.reglages["GRAFANA_IMAGE"] = remplacante

    def lancer(self, *commande, limite_s=900, **options):
        """Lance une commande avec les réglages de la pile."""
        return subprocess.run(
            commande,
            cwd=options.pop("cwd", self.dossier),
            env=os.environ | self.reglages | options.pop("env", {}),
            capture_output=True,
            encoding="utf-8",
            timeout=limite_s,
            check=False,
            **options,
        )

    def make(self, *arguments, **options):
        """Lance une commande du README."""
        return self.lancer("make", *arguments, **options)

    def compose(self, *arguments, **options):
        """Lance docker compose, qui doit réussir."""
        fait = self.lancer("docker", "compose", *arguments, cwd=self.local, **options)
        assert fait.returncode == 0, fait.stderr
        return fait.stdout

    def effacer(self):
        """Lance « make down DATA=1 » ; rend ce qu’il a laissé, qui doit être vide."""
        fait = self.make("down", "DATA=1", limite_s=300)
        restes = [] if fait.returncode == 0 else [fait.stdout + fait.stderr]
        for _, trouves in self.objets():
            restes += trouves
        return restes + [str(f) for f in self.local.glob("secrets/*")]

    def objets(self):
        """Les conteneurs, réseaux et volumes du projet : la commande qui les retire, leurs noms."""
        nom = f"name=^{self.reglages['MLOPS_PROJET']}[-_]"
        for liste, retrait in (
            (("ps", "--all"), ("rm", "--force", "--volumes")),
            (("network", "ls"), ("network", "rm")),
            (("volume", "ls"), ("volume", "rm", "--force")),
        ):
            vus = self.lancer("docker", *liste, "--quiet", "--filter", nom)
            yield retrait, vus.stdout.split()

    def balayer(self):
        """Retire ce que des essais tués net ont laissé, que « make down » le connaisse ou non."""
        env = self.local / ".env"
        env.write_text((self.local / ".env.exemple").read_text() + "DOCKER_GID=0\n")
        self.effacer()
        env.unlink()
        for retrait, trouves in self.objets():
            if trouves:
                self.lancer("docker", *retrait, *trouves)

    def inspecter(self, *objets):
        """Ce que « docker inspect » dit de conteneurs ou d’images."""
        vus = self.lancer("docker", "inspect", *objets)
        assert vus.returncode == 0, vus.stderr
        return json.loads(vus.stdout)

    def conteneurs(self):
        """Les conteneurs de la pile et ceux des participants, sous Compose ou Swarm."""
        nom = f"name=^{self.reglages['MLOPS_PROJET']}[-_]"
        trouves = self.lancer("docker", "ps", "--all", "--quiet", "--filter", nom)
        return self.inspecter(*trouves.stdout.split())

    def conteneur(self, service):
        """L’identifiant du conteneur d’un service."""
        return self.compose("ps", "--all", "--quiet", service).strip()

    def tuer(self, service, utilisateur="10001"):
        """Tue net ce que lance le conteneur, et attend que Docker l’ait relancé.

        « docker kill » compterait pour un arrêt voulu. Sans attendre, un ouvrier de MLflow
        répond parfois encore un instant après la mort de celui qui l’a lancé.
        """
        conteneur = self.conteneur(service)

        def depart():
            (vu,) = self.inspecter(conteneur)
            return vu["State"]["StartedAt"]

        avant = depart()
        tue = "kill -9 $(cat /proc/1/task/1/children)"
        self.compose("exec", "-T", "--user", utilisateur, service, "sh", "-c", tue)
        patienter(lambda: depart() != avant, f"le redémarrage de {service}", 60)

    def journal_du_hub(self):
        """La fin du journal du hub, sous Compose ou Swarm."""
        nom = f"name=^{self.reglages['MLOPS_PROJET']}[-_]hub"
        hub = self.lancer("docker", "ps", "--all", "--quiet", "--filter", nom).stdout.split()
        vu = self.lancer("docker", "logs", "--tail", "30", hub[0])
        return vu.stdout + vu.stderr

    def relever(self):
        """Note ce que prend chaque outil en marche : sa mémoire, et la taille de son image."""
        vus = self.inspecter(*self.compose("ps", "--quiet").split())
        stats = self.lancer(
            *("docker", "stats", "--no-stream", "--format", "{{.Name}} {{.MemUsage}}"),
            *(conteneur["Id"] for conteneur in vus),
        ).stdout.split("\n")
        memoire = {nom: usage for nom, _, usage in (ligne.partition(" ") for ligne in stats)}
        for conteneur in vus:
            nombre, unite = re.match(r"([\d.]+)(\w+)", memoire[conteneur["Name"][1:]]).groups()
            (image,) = self.inspecter(conteneur["Image"])
            self.mesures[conteneur["Config"]["Labels"]["com.docker.compose.service"]] = {
                "image": conteneur["Config"]["Image"]
                .removeprefix(f"{PROJET}/")
                .removesuffix(":local"),
                "taille_mo": round(image["Size"] / 1e6),
                "memoire_mo": round(
                    float(nombre) * {"KiB": 2**10, "MiB": 2**20, "GiB": 2**30}[unite] / 1e6
                ),
            }

    def publier(self, fichier):
        """Écrit ce qui a été relevé, et d’où cela vient."""
        outils = dict(sorted(self.mesures.items()))
        ecrire_json(fichier, {**provenance(RACINE), "outils": outils})

    def secret(self, nom):
        """Un secret, tel que l’administrateur le lit."""
        return (self.local / "secrets" / nom).read_text(encoding="utf-8")

    def secrets(self):
        """Tous les secrets de local/secrets, par leur nom."""
        fichiers = (self.local / "secrets").glob("*_*")
        return {fichier.name: fichier.read_text(encoding="utf-8") for fichier in fichiers}

    def dits(self, conteneurs):
        """Ce que Docker montre de conteneurs : inspection, journal, commandes, histoire."""
        textes = {"docker inspect": json.dumps(conteneurs)}
        for conteneur in conteneurs:
            nom, identifiant = conteneur["Name"], conteneur["Id"]
            journal = subprocess.run(
                ["docker", "logs", identifiant], capture_output=True, check=True
            )
            textes[f"journal de {nom}"] = (journal.stdout + journal.stderr).decode(errors="replace")
            if conteneur["State"]["Running"]:
                commandes = self.lancer("docker", "top", identifiant, "-eo", "pid,args")
                assert commandes.returncode == 0, commandes.stderr
                textes[f"commandes de {nom}"] = commandes.stdout
        for image in {conteneur["Image"] for conteneur in conteneurs}:
            histoire = self.lancer("docker", "history", "--no-trunc", image)
            textes[f"histoire de {image}"] = histoire.stdout
        return textes

    def adresse(self, service):
        """L’adresse HTTP d’un service sur cette machine."""
        return f"http://127.0.0.1:{self.reglages[f'PORT_{service.upper()}']}"

    def compte_mlflow(self, nom):
        """Le nom et le mot de passe d’un compte MLflow."""
        if nom in ("admin", "production"):
            return nom, self.secret(f"mot_de_passe_mlflow_{nom}")
        return nom, cartes.mot_de_passe_mlflow(self.secret("cle_mlflow"), nom)

    def mlflow(self, chemin, **parametres):
        """Une réponse de l’API de MLflow, à son administrateur."""
        adresse = f"{self.adresse('mlflow')}/api/2.0/mlflow/{chemin}"
        compte = self.compte_mlflow("admin")
        return requests.get(adresse, params=parametres, auth=compte, timeout=30)

    def base(self, role, mot_de_passe, nom="demo"):
        """Une connexion à Postgres."""
        return psycopg.connect(
            host="127.0.0.1",
            port=self.reglages["PORT_POSTGRES"],
            user=role,
            password=mot_de_passe,
            dbname=nom,
            connect_timeout=5,
            autocommit=True,
        )

    def lire(self, requete, *parametres, base="demo"):
        """Le résultat d’une requête de l’administrateur."""
        with self.base("postgres", self.secret("mot_de_passe_postgres"), base) as connexion:
            return connexion.execute(requete, parametres).fetchall()


VOLS = """
import json
from mlops_demo import service
from mlops_demo.features import exemples
print(json.dumps(service.en_json(exemples("2013-04-01", "2013-04-02").head(20))))
"""


class Charge(threading.Thread):
    """Appelle le service sans relâche ; garde ce qui a été servi et ce qui ne l’a pas été."""

    def __init__(self, pile):
        super().__init__(daemon=True)
        self.pile, self.adresse = pile, f"{pile.adresse('api')}/predict"
        sortie = pile.compose("exec", "-T", "api", "python", "-c", VOLS)
        self.vols = json.loads(sortie.splitlines()[-1])
        self.servies, self.refusees, self.arret = {}, [], threading.Event()

    def run(self):
        """Un vol à la fois, l’un après l’autre."""
        rang = 0
        while not self.arret.is_set():
            vol = self.vols[rang % len(self.vols)]
            try:
                reponse = requests.post(self.adresse, json={"vols": [vol]}, timeout=10)
                if reponse.ok:
                    corps = reponse.json()
                    self.servies[corps["demande"]] = corps["predictions"][0]["probabilite"]
                else:
                    self.refusees.append((time.time(), reponse.status_code))
            except requests.RequestException as erreur:
                self.refusees.append((time.time(), type(erreur).__name__))
            rang += 1
            time.sleep(0.01)

    def finir(self):
        """Arrête les appels."""
        self.arret.set()
        self.join(30)

    def ecrites(self):
        """Les prédictions par HTTP en base : leur nombre et leur probabilité, par demande."""
        lignes = self.pile.lire(
            "SELECT demande::text, count(*), min(probabilite) FROM demo_production.predictions"
            " WHERE canal = 'http' GROUP BY 1"
        )
        return {demande: (nombre, proba) for demande, nombre, proba in lignes}

    def exiger_une_fois(self):
        """Attend que tout ce qui a été servi soit en base, et l’y trouve une seule fois."""
        self.finir()
        assert self.servies, "rien n’a été servi"
        patienter(lambda: self.servies.keys() <= self.ecrites().keys(), "les prédictions en base")
        vues = self.ecrites()
        for demande, probabilite in self.servies.items():
            nombre, proba = vues[demande]
            assert nombre == 1, f"la demande {demande} est écrite {nombre} fois"
            assert proba == pytest.approx(probabilite, abs=1e-12)


class Participant:
    """Une session HTTP sur JupyterHub."""

    def __init__(self, adresse, nom):
        self.adresse, self.nom, self.http = adresse, nom, requests.Session()

    def se_connecter(self, mot_de_passe):
        """Envoie le formulaire de connexion ; rend la réponse."""
        page = self.http.get(f"{self.adresse}/hub/login", timeout=30)
        assert "Entrez avec votre carte" in page.text, "la page de connexion n’est pas en français"
        return self.http.post(
            f"{self.adresse}/hub/login",
            data={"username": self.nom, "password": mot_de_passe, "_xsrf": self._xsrf("/hub/")},
            allow_redirects=False,
            timeout=30,
        )

    def _xsrf(self, chemin):
        return next(c.value for c in self.http.cookies if c.name == "_xsrf" and c.path == chemin)

    def demander_le_serveur(self):
        """Demande son serveur ; rend la réponse du hub."""
        return self.http.post(
            f"{self.adresse}/hub/api/users/{self.nom}/server",
            headers={"X-XSRFToken": self._xsrf("/hub/"), "Referer": f"{self.adresse}/hub/home"},
            timeout=LIMITE_S,
        )

    def arreter_le_serveur(self, nom):
        """Arrête le serveur de quelqu’un, ce que seul l’orateur peut faire."""
        return self.http.delete(
            f"{self.adresse}/hub/api/users/{nom}/server",
            headers={"X-XSRFToken": self._xsrf("/hub/"), "Referer": f"{self.adresse}/hub/admin"},
            timeout=120,
        )

    def serveur_pret(self):
        """Dit si le serveur du participant répond, une fois la connexion reconnue de lui."""
        page = self.http.get(f"{self.adresse}/user/{self.nom}/lab", timeout=60)
        return page.ok and f"/user/{self.nom}/lab" in page.url

    def api(self, chemin, methode="GET", **options):
        """Appelle l’API du serveur du participant."""
        prefixe = f"/user/{self.nom}/"
        return self.http.request(
            methode,
            f"{self.adresse}{prefixe}api/{chemin}",
            headers={"X-XSRFToken": self._xsrf(prefixe)},
            timeout=60,
            **options,
        )

    def executer(self, code, limite_s=LIMITE_S):
        """Exécute du code dans un noyau neuf ; rend ce qu’il écrit, erreurs comprises."""
        noyau = self.api("kernels", "POST", json={"name": "python3"}).json()["id"]
        prefixe = f"{self.adresse.replace('http', 'ws', 1)}/user/{self.nom}"
        cookies = "; ".join(f"{c.name}={c.value}" for c in self.http.cookies if c.name != "_xsrf")
        canal = websocket.create_connection(
            f"{prefixe}/api/kernels/{noyau}/channels", cookie=cookies, timeout=limite_s
        )
        try:
            return _dialoguer(canal, code)
        finally:
            canal.close()
            self.api(f"kernels/{noyau}", "DELETE")


def _dialoguer(canal, code):
    identifiant = uuid.uuid4().hex
    entete = {"msg_id": identifiant, "msg_type": "execute_request", "session": identifiant}
    entete |= {"username": "", "version": "5.3", "date": ""}
    contenu = {"code": code, "silent": False, "store_history": False, "allow_stdin": False}
    demande = {"header": entete, "parent_header": {}, "metadata": {}, "content": contenu}
    canal.send(json.dumps({**demande, "channel": "shell", "buffers": []}))
    sortie, fini = [], set()
    while fini != {"execute_reply", "idle"}:
        message = json.loads(canal.recv())
        if message["parent_header"].get("msg_id") != identifiant:
            continue
        genre, contenu = message["header"]["msg_type"], message["content"]
        if genre == "stream":
            sortie.append(contenu["text"])
        elif genre == "error":
            sortie.append("\n".join(contenu["traceback"]))
        elif genre == "execute_reply":
            fini.add("execute_reply")
        elif genre == "status" and contenu["execution_state"] == "idle":
            fini.add("idle")
    return "".join(sortie)


UN_VOL = """
import json
from mlops_demo import service
from mlops_demo.features import exemples
print(json.dumps(service.en_json(exemples("2013-04-01", "2013-04-02").head(1))))
"""
# Depuis le réseau de la pile : sans IPVS, le maillage de Swarm n’atteint pas cette machine.
APPELANT = """
import json, os, sys, time, urllib.request
corps, bons, mauvais = os.environ["CORPS"].encode(), [], []
print("prêt", flush=True)
while not os.path.exists("/tmp/fini"):
    try:
        demande = urllib.request.Request("http://api:8000/predict", corps,
                                         {"Content-Type": "application/json"})
        with urllib.request.urlopen(demande, timeout=10) as reponse:
            bons.append(json.load(reponse)["demande"])
    except Exception as erreur:
        mauvais.append(repr(erreur))
    time.sleep(0.05)
print(json.dumps([bons, mauvais]))
"""


def executer_dans(pile, service, *commande):
    """Exécute une commande dans un conteneur sain d’un service de Swarm, où qu’il soit."""
    nom = f"label=com.docker.swarm.service.name={pile.reglages['MLOPS_PROJET']}_{service}"
    filtres = ("ps", "--quiet", "--filter", nom, "--filter", "health=healthy")
    for moteur in pile.moteurs:
        if sains := pile.lancer("docker", *moteur, *filtres).stdout.split():
            fait = pile.lancer("docker", *moteur, "exec", sains[0], *commande)
            assert fait.returncode == 0, fait.stderr
            return fait.stdout
    raise AssertionError(f"aucun conteneur sain de {service}")


def copier_le_depot(dossier):
    """Copie ce que git suit, et ce qui n’est pas encore suivi, sans ce qui est ignoré."""
    noms = subprocess.run(
        ["git", "-c", "safe.directory=*", "ls-files", "-z", "-co", "--exclude-standard"],
        cwd=RACINE,
        capture_output=True,
        check=True,
    ).stdout.decode("utf-8")
    for nom in filter(None, noms.split("\0")):
        if (RACINE / nom).is_file():
            (dossier / nom).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(RACINE / nom, dossier / nom)
    return dossier


def fermer(dossier):
    """Retire tout droit aux autres comptes, comme à un clone fait sous umask 077."""
    for chemin in (dossier, *dossier.rglob("*")):
        chemin.chmod(chemin.stat().st_mode & 0o700)


@pytest.fixture(scope="session")
def outils(tmp_path_factory):
    """Les vérificateurs, installés aux empreintes de outils.txt."""
    dossier, verrou = tmp_path_factory.mktemp("outils"), Path(__file__).with_name("outils.txt")
    uv, python = Path(sys.executable).with_name("uv"), dossier / "bin" / "python"
    for commande in (
        [uv, "venv", "--quiet", dossier],
        [uv, "pip", "sync", "--quiet", "--python", python, "--require-hashes", verrou],
    ):
        fait = subprocess.run(commande, capture_output=True, text=True, check=False)
        assert fait.returncode == 0, fait.stderr
    return dossier / "bin"


@pytest.fixture(scope="session")
def moteur():
    """Un moteur Docker qui répond."""
    essai = subprocess.run(["docker", "info"], capture_output=True, check=False)
    assert essai.returncode == 0, "aucun moteur Docker ne répond : lancez « sudo .ci/moteur »"


@pytest.fixture(scope="session")
def fabriquer_pile(tmp_path_factory):
    """Fabrique une pile à lancer, dans une copie neuve du dépôt."""

    def fabriquer(projet, **reglages):
        depot = copier_le_depot(tmp_path_factory.mktemp("depot"))
        pile = Pile(depot, MLOPS_PROJET=projet, **reglages)
        pile.balayer()  # « make up » refuserait des volumes dont les secrets ne sont plus là
        return pile

    return fabriquer


@pytest.fixture(scope="session")
def sur_swarm(moteur):
    """Déploie une pile par « make swarm », puis exige que « make down DATA=1 » ne laisse rien."""

    @contextlib.contextmanager
    def deployer(pile):
        actif = pile.lancer("docker", "info", "--format", "{{.Swarm.LocalNodeState}}").stdout
        try:
            lance = pile.make("swarm", limite_s=2400)
            pile.sortie_de_swarm = lance.stdout + lance.stderr
            assert lance.returncode == 0, pile.sortie_de_swarm[-6000:]
            yield pile
        finally:
            restes = pile.effacer()
            if actif.strip() == "inactive":
                pile.lancer("docker", "swarm", "leave", "--force")
        assert restes == [], "« make down DATA=1 » laisse quelque chose"

    return deployer


@pytest.fixture(scope="session")
def pile(moteur, fabriquer_pile):
    """Le cœur, lancé par « make up » dans une copie neuve du dépôt."""
    pile = fabriquer_pile(PROJET)
    fermer(pile.dossier)
    lance = pile.make("up")
    pile.sortie_de_up = lance.stdout + lance.stderr
    try:
        assert lance.returncode == 0, pile.sortie_de_up[-6000:]
        pile.relever()
        yield pile
        pile.publier(RACINE / "_build" / "mesures_local.json")
    finally:
        restes = pile.effacer()
    assert restes == [], "« make down DATA=1 » laisse quelque chose"


def _inviter_sur(pile):
    """Rend de quoi connecter un participant par sa carte et attendre son serveur."""
    connus = {}

    def inviter(nom):
        if nom not in connus:
            participant = Participant(pile.adresse("hub"), nom)
            reponse = participant.se_connecter(cartes.mot_de_passe(pile.secret("cle_cartes"), nom))
            assert reponse.status_code == 302, "la carte est refusée"
            reponse = participant.demander_le_serveur()
            deja = "already running" in reponse.text
            assert reponse.ok or deja, f"{reponse.text}\n{pile.journal_du_hub()}"
            patienter(
                participant.serveur_pret, f"le serveur de {nom}", journaux=pile.journal_du_hub
            )
            connus[nom] = participant
        return connus[nom]

    return inviter


@pytest.fixture(scope="session")
def inviter_sur():
    """Connecte des participants à une pile donnée."""
    return _inviter_sur


@pytest.fixture(scope="session")
def inviter(pile):
    """Connecte des participants à la pile de Compose."""
    return _inviter_sur(pile)


@pytest.fixture(scope="session")
def exiger_secrets():
    """Vérifie qu’aucun secret ne se lit dans des textes, nommés par leur provenance."""

    def exiger(secrets, textes):
        assert len(secrets) >= 7
        assert all(len(valeur) >= 20 for valeur in secrets.values())
        for nom, valeur in secrets.items():
            fuites = [ou for ou, texte in textes.items() if valeur in texte]
            assert fuites == [], f"le secret « {nom} » se lit dans : {fuites}"

    return exiger


@pytest.fixture(scope="session")
def exiger_enferme():
    """Vérifie ce qui enferme un conteneur, sous Compose comme sous Swarm."""

    def exiger(conteneur):
        nom, hote = conteneur["Name"], conteneur["HostConfig"]
        assert hote["ReadonlyRootfs"], f"{nom} écrit dans son image"
        assert hote["CapDrop"] == ["ALL"], nom
        assert hote["Memory"] > 0, nom
        assert hote["PidsLimit"] > 0, nom
        assert not hote["Privileged"], nom
        # Postgres démarre en root pour préparer son dossier, puis devient « postgres ».
        assert conteneur["Config"]["User"] or "postgres" in nom, f"{nom} tourne en root"

    return exiger


@pytest.fixture(scope="session")
def attendre():
    """Attend qu’une condition soit vraie, dans une limite."""
    return patienter


@pytest.fixture
def charger():
    """Lance des appels sans relâche sur le service d’une pile, jusqu’à la fin du test."""
    lancees = []

    def lancer(pile):
        charge = Charge(pile)
        lancees.append(charge)
        charge.start()
        patienter(lambda: len(charge.servies) > 20, "les premières réponses")
        return charge

    yield lancer
    for charge in lancees:
        charge.finir()


@pytest.fixture
def appeler():
    """Appelle sans relâche le service d’une pile de Swarm ; rend de quoi s’arrêter et compter."""
    nom, retirer = "mlops-essaim-appelant", []

    def lancer(pile):
        image = pile.reglages["DEMO_IMAGE"]
        vols = executer_dans(pile, "api", "python", "-c", UN_VOL).splitlines()[-1]
        corps = json.dumps({"vols": json.loads(vols)})
        commande = ["docker", "run", "--rm", "--name", nom, "--env", f"CORPS={corps}"]
        commande += ["--network", f"{pile.reglages['MLOPS_PROJET']}_participants", image]
        retirer.append(lambda: pile.lancer("docker", "rm", "--force", nom))
        appelant = subprocess.Popen(
            [*commande, "python", "-c", APPELANT], stdout=subprocess.PIPE, text=True
        )
        assert appelant.stdout.readline() == "prêt\n", "l’appelant n’a pas démarré"

        def finir():
            pile.lancer("docker", "exec", nom, "touch", "/tmp/fini")
            return json.loads(appelant.communicate(timeout=60)[0].splitlines()[-1])

        return finir

    yield lancer
    for geste in retirer:
        geste()


@pytest.fixture(scope="session")
def dans_un_service():
    """Exécute une commande dans un service de Swarm."""
    return executer_dans


@pytest.fixture(scope="session")
def nouveau_venu(pile):
    """Fabrique un participant qui n’est pas connecté ; ``carte`` donne le mot de passe d’un nom."""

    def nouveau(nom):
        return Participant(pile.adresse("hub"), nom)

    nouveau.carte = lambda nom: cartes.mot_de_passe(pile.secret("cle_cartes"), nom)
    return nouveau
