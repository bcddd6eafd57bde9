"""Un nœud d’essai : les pods d’une installation, lancés par Docker comme le ferait un kubelet.

Chaque pod a son espace réseau, ses volumes, son compte, ses limites et ses sondes, tels que ses
manifestes les disent. À chaque Service son réseau, sans issue, où n’entrent que ses pods et ceux
que les NetworkPolicies laissent le joindre : ce qui n’est pas permis n’a pas de chemin. Deux pods
admis auprès du même Service s’y verraient pourtant, ce qu’un vrai réseau de cluster refuserait.
Il n’y a ici ni serveur d’API, ni ordonnanceur, ni contrôleur.
"""

import base64
import io
import json
import re
import subprocess
import tarfile
import time

import requests
from controles import correspond, etiquettes, modele, passe, quantite

ETIQUETTE = "mlops-essai.noeud"
# Un disque neuf tel que le rend un pilote CSI : à root, avec son lost+found.
DISQUE = "chmod 755 /v && mkdir -p /v/lost+found && chmod 700 /v/lost+found"
# Un Secret ou un ConfigMap est un dossier de liens, que le kubelet échange d’un coup.
LIENS = """
cd /v && mkdir ..1 && tar -x -C ..1 && ln -s ..1 ..data
for fichier in ..1/*; do ln -s "..data/${fichier#..1/}" .; done
"""


def docker(*arguments, **options):
    """Lance docker, qui doit réussir ; rend ce qu’il écrit."""
    fait = subprocess.run(
        ["docker", *map(str, arguments)], capture_output=True, check=False, **options
    )
    assert fait.returncode == 0, f"docker {arguments[0]} : {fait.stderr.decode()}"
    return fait.stdout.decode().strip()


def remplir(texte, variables):
    """Remplace les $(VARIABLES) connues, comme le fait Kubernetes."""
    return re.sub(r"\$\((\w+)\)", lambda vu: variables.get(vu[1], vu[0]), texte)


class Noeud:
    """Les pods lancés d’une installation, et ce qu’ils partagent : réseaux, volumes, réglages."""

    def __init__(self, nom, objets, images):
        self.nom, self.objets, self.images, self.pods = nom, objets, images, {}
        self.effacer()
        self.services = [o for o in objets if o["kind"] == "Service"]
        for service in self.services:
            docker("network", "create", "--internal", *self.etiquette, self.reseau(service))

    @property
    def etiquette(self):
        """De quoi retrouver ce que le nœud a créé."""
        return ("--label", f"{ETIQUETTE}={self.nom}")

    def effacer(self):
        """Retire les conteneurs, les réseaux et les volumes du nœud."""
        filtre = ("--quiet", "--filter", f"label={ETIQUETTE}={self.nom}")
        for liste, retrait in (
            (("ps", "--all"), ("rm", "--force", "--volumes")),
            (("network", "ls"), ("network", "rm")),
            (("volume", "ls"), ("volume", "rm", "--force")),
        ):
            if trouves := docker(*liste, *filtre).split():
                docker(*retrait, *trouves)

    def reseau(self, service):
        """Le réseau d’un Service."""
        return f"{self.nom}-{service['metadata']['name']}"

    def objet(self, genre, nom):
        """Un objet de l’installation ; un nom généré se cherche sans son empreinte."""
        (trouve,) = (
            o
            for o in self.objets
            if o["kind"] == genre
            and re.fullmatch(rf"{nom}(-[a-z0-9]{{10}})?", o["metadata"]["name"])
        )
        return trouve

    def reseaux(self, pod):
        """Les réseaux d’un pod, chacun avec le nom sous lequel on l’y trouve, ou rien."""
        modeles = [m for o in self.objets if (m := modele(o))]
        for service in self.services:
            vise = {"matchLabels": service["spec"]["selector"]}
            if correspond(vise, etiquettes(pod)):
                yield self.reseau(service), service["metadata"]["name"]
                continue
            (cible,) = (m for m in modeles if correspond(vise, etiquettes(m)))
            ports = {p["name"]: p["containerPort"] for p in cible["spec"]["containers"][0]["ports"]}
            for port in service["spec"]["ports"]:
                # Sans pilote de Service, l’adresse d’un Service est ici celle de ses pods.
                assert ports[port["targetPort"]] == port["port"], f"{vise} : un port se traduit"
                if passe(self.objets, etiquettes(pod), etiquettes(cible), port["port"]):
                    yield self.reseau(service), None

    def preparer(self, volume, script, entree=b""):
        """Crée un volume s’il manque, et y joue un script en root, comme le kubelet."""
        docker("volume", "create", *self.etiquette, volume)
        docker(
            *("run", "--rm", "--interactive", "--network", "none", "--user", "0"),
            *("--mount", f"type=volume,src={volume},dst=/v,volume-nocopy", "--entrypoint", "sh"),
            *(self.images["postgres:18-bookworm"], "-euc", script),
            input=entree,
        )

    def creer(self, nom, pod, **variables):
        """Crée un pod : ses volumes et son espace réseau."""
        self.pods[nom] = Pod(self, nom, pod, variables)
        return self.pods[nom]

    def lancer(self, genre, nom, rang="0", **variables):
        """Crée et lance le pod d’un objet de l’installation."""
        objet = self.objet(genre, nom)
        pod = modele(objet)
        for gabarit in objet["spec"].get("volumeClaimTemplates", []):
            volume = gabarit["metadata"]["name"]
            reclame = {"claimName": f"{volume}-{nom}-{rang}"}
            pod = pod | {"spec": dict(pod["spec"])}
            pod["spec"]["volumes"] = [
                *pod["spec"].get("volumes", []),
                {"name": volume, "persistentVolumeClaim": reclame},
            ]
        return self.creer(f"{nom}-{rang}", pod, **variables).lancer()

    def jouer(self, genre, nom, rang="0", **variables):
        """Joue un Job jusqu’au bout, dans son délai, puis le retire ; rend ce qu’il a rendu."""
        objet = self.objet(genre, nom)
        job = objet["spec"]["jobTemplate"] if genre == "CronJob" else objet
        pod = self.lancer(genre, nom, rang, **variables)
        try:
            return pod.finir(job["spec"]["activeDeadlineSeconds"])
        finally:
            pod.retirer()


class Pod:
    """Les conteneurs d’un pod, dans un même espace réseau."""

    def __init__(self, noeud, nom, pod, variables):
        self.noeud, self.nom, self.spec, self.variables = noeud, nom, pod["spec"], variables
        self.garde = self.spec["securityContext"]
        self.complet = f"{noeud.nom}-{nom}"
        self.volumes = {v["name"]: self.volume(v) for v in self.spec["volumes"]}
        self.ouvrir_le_reseau(dict(noeud.reseaux(pod)))
        self.conteneurs = {}

    def ouvrir_le_reseau(self, reseaux):
        """Lance le conteneur qui tient l’espace réseau du pod."""
        premier = next(iter(reseaux), "none")
        alias = {r: f"--alias={nom}" for r, nom in reseaux.items() if nom}
        options = ["--network", premier, "--hostname", self.nom, *self.noeud.etiquette]
        options += [alias.pop(premier).replace("--", "--network-")] if premier in alias else []
        docker(
            *("run", "--detach", "--init", "--no-healthcheck", "--name", self.complet, *options),
            *("--read-only", "--cap-drop", "ALL", "--user", "65535:65535"),
            *("--entrypoint", "sleep", self.noeud.images["postgres:18-bookworm"], "infinity"),
        )
        for reseau in [r for r in reseaux if r != premier]:
            noms = [alias[reseau]] if reseau in alias else []
            docker("network", "connect", *noms, reseau, self.complet)

    @property
    def adresse(self):
        """L’adresse du pod, où le nœud le joint."""
        (vu,) = json.loads(docker("inspect", self.complet))
        return next(r["IPAddress"] for r in vu["NetworkSettings"]["Networks"].values())

    # --- Volumes -----------------------------------------------------------------------------

    def volume(self, volume):
        """Fait un volume du pod ; rend son nom, ou la taille d’un volume en mémoire."""
        if "persistentVolumeClaim" in volume:
            nom = f"{self.noeud.nom}-pvc-{volume['persistentVolumeClaim']['claimName']}"
            if nom not in docker("volume", "ls", "--quiet").split():
                self.noeud.preparer(nom, DISQUE)
            self.noeud.preparer(nom, self.pour_le_groupe())
            return nom
        if volume.get("emptyDir", {}).get("medium") == "Memory":
            return int(quantite(volume["emptyDir"]["sizeLimit"]))
        nom = f"{self.complet}-{volume['name']}"
        if "emptyDir" in volume:
            self.noeud.preparer(nom, f"chmod 777 /v && {self.pour_le_groupe()}")
            return nom
        fichiers, mode = self.fichiers(volume)
        archive = io.BytesIO()
        with tarfile.open(fileobj=archive, mode="w") as tar:
            for fichier, octets in fichiers.items():
                entree = tarfile.TarInfo(fichier)
                entree.size, entree.mode = len(octets), mode
                tar.addfile(entree, io.BytesIO(octets))
        groupe = self.garde.get("fsGroup", 0)
        self.noeud.preparer(
            nom, f"{LIENS}\nchgrp -R {groupe} /v && chmod 755 /v", archive.getvalue()
        )
        return nom

    def pour_le_groupe(self):
        """Ce que « fsGroup » fait d’un volume où l’on écrit."""
        groupe = self.garde.get("fsGroup")
        if groupe is None:
            return ":"
        ouvrir = f"chgrp -R {groupe} /v && chmod -R g+rwX /v && chmod g+s /v"
        if self.garde.get("fsGroupChangePolicy") != "OnRootMismatch":
            return ouvrir
        # Rien à refaire sur un volume dont la racine est déjà ouverte à ce groupe.
        return f"stat -c '%g %A' /v | grep -q '^{groupe} d...rws' || {{ {ouvrir}; }}"

    def fichiers(self, volume):
        """Les fichiers d’un Secret, d’un ConfigMap ou de plusieurs, et leurs droits."""
        sources = volume.get("projected", {}).get("sources", [volume])
        contenu = {}
        for source in sources:
            if "secret" in source:
                cite = source["secret"]
                nom = cite.get("secretName") or cite["name"]
                donnees = self.noeud.objet("Secret", nom)["data"]
                tous = {cle: base64.b64decode(valeur) for cle, valeur in donnees.items()}
            else:
                cite = source["configMap"]
                donnees = self.noeud.objet("ConfigMap", cite["name"])["data"]
                tous = {cle: valeur.encode() for cle, valeur in donnees.items()}
            choisis = cite.get("items") or [{"key": cle, "path": cle} for cle in tous]
            contenu |= {choix["path"]: tous[choix["key"]] for choix in choisis}
        genre = next(volume[g] for g in ("projected", "secret", "configMap") if g in volume)
        return contenu, genre.get("defaultMode", 0o644)

    # --- Conteneurs --------------------------------------------------------------------------

    def environnement(self, conteneur):
        """Les variables d’un conteneur : celles des ConfigMaps, puis les siennes."""
        variables = {}
        for source in conteneur.get("envFrom", []):
            variables |= self.noeud.objet("ConfigMap", source["configMapRef"]["name"])["data"]
        for variable in conteneur.get("env", []):
            variables[variable["name"]] = remplir(variable["value"], variables)
        return variables | self.variables

    def montage(self, montage):
        """L’option de docker qui monte un volume du pod."""
        volume, cible = self.volumes[montage["name"]], montage["mountPath"]
        if isinstance(volume, int):
            return f"type=tmpfs,dst={cible},tmpfs-size={volume},tmpfs-mode=1777"
        ecriture = ",readonly" if montage.get("readOnly") else ""
        return f"type=volume,src={volume},dst={cible},volume-nocopy{ecriture}"

    def creer(self, conteneur):
        """Crée un conteneur, enfermé comme le disent ses manifestes."""
        garde, limites = conteneur["securityContext"], conteneur["resources"]["limits"]
        memoire = int(quantite(limites["memory"]))
        options = ["--name", f"{self.complet}-{conteneur['name']}", *self.noeud.etiquette]
        options += ["--network", f"container:{self.complet}"]
        options += ["--user", f"{self.garde['runAsUser']}:{self.garde['runAsGroup']}"]
        options += ["--memory", memoire, "--memory-swap", memoire]
        options += ["--cpus", quantite(limites["cpu"])]
        options += ["--group-add", self.garde["fsGroup"]] if "fsGroup" in self.garde else []
        options += ["--read-only"] if garde.get("readOnlyRootFilesystem") else []
        options += ["--workdir", conteneur["workingDir"]] if "workingDir" in conteneur else []
        options += [
            f"--cap-drop={droit}" for droit in garde.get("capabilities", {}).get("drop", [])
        ]
        if garde.get("allowPrivilegeEscalation") is False:
            options += ["--security-opt", "no-new-privileges"]
        for montage in conteneur.get("volumeMounts", []):
            options += ["--mount", self.montage(montage)]
        variables = self.environnement(conteneur)
        options += [f"--env={nom}={valeur}" for nom, valeur in variables.items()]
        commande = [remplir(mot, variables) for mot in conteneur.get("command", [])]
        arguments = [remplir(mot, variables) for mot in conteneur.get("args", [])]
        if commande:
            options += ["--entrypoint", commande[0]]
        image = self.noeud.images[conteneur["image"]]
        identifiant = docker(
            "create", "--no-healthcheck", *options, image, *commande[1:], *arguments
        )
        self.conteneurs[conteneur["name"]] = identifiant

    def lancer(self):
        """Joue les conteneurs d’initialisation l’un après l’autre, puis lance les autres."""
        for conteneur in self.spec.get("initContainers", []):
            self.creer(conteneur)
            docker("start", self.conteneurs[conteneur["name"]])
            code, journal = self.attendre(conteneur["name"], 600)
            assert code == 0, f"{self.nom}, {conteneur['name']} : {journal[-3000:]}"
        for conteneur in self.spec["containers"]:
            self.creer(conteneur)
            docker("start", self.conteneurs[conteneur["name"]])
        return self

    def etat(self, conteneur):
        """Ce que Docker dit de l’état d’un conteneur."""
        (vu,) = json.loads(docker("inspect", self.conteneurs[conteneur]))
        return vu["State"]

    def en_marche(self, conteneur):
        """Dit si un conteneur a été lancé et tourne encore."""
        return conteneur in self.conteneurs and self.etat(conteneur)["Running"]

    def journal(self, conteneur):
        """Ce qu’a écrit un conteneur, erreurs comprises."""
        fait = subprocess.run(
            ["docker", "logs", self.conteneurs[conteneur]],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            check=True,
        )
        return fait.stdout

    def executer(self, *commande):
        """Exécute une commande dans le premier conteneur du pod ; rend ce qu’elle écrit."""
        return docker("exec", self.conteneurs[self.spec["containers"][0]["name"]], *commande)

    def attendre(self, conteneur, limite_s):
        """Attend la fin d’un conteneur ; rend son code et son journal."""
        fin = time.monotonic() + limite_s
        while self.en_marche(conteneur) and time.monotonic() < fin:
            time.sleep(0.5)
        etat = self.etat(conteneur)
        assert not etat["Running"], f"{self.nom} : {conteneur} n’a pas fini en {limite_s} s"
        return etat["ExitCode"], self.journal(conteneur)

    def finir(self, limite_s):
        """Attend que tous les conteneurs aient réussi ; rend ce qu’a rendu le dernier."""
        for conteneur in self.spec["containers"]:
            code, journal = self.attendre(conteneur["name"], limite_s)
            assert code == 0, f"{self.nom} : {journal[-3000:]}"
        return docker("logs", self.conteneurs[conteneur["name"]])

    # --- Sondes ------------------------------------------------------------------------------

    def sonder(self, conteneur, sonde):
        """Joue une sonde une fois, du nœud comme le fait le kubelet ; dit si elle réussit."""
        delai = sonde.get("timeoutSeconds", 1)
        try:
            if "exec" in sonde:
                commande = ["docker", "exec", self.conteneurs[conteneur["name"]]]
                commande += sonde["exec"]["command"]
                fait = subprocess.run(commande, capture_output=True, timeout=delai, check=False)
                return fait.returncode == 0
            vise = sonde["httpGet"]
            ports = {p["name"]: p["containerPort"] for p in conteneur["ports"]}
            adresse = f"http://{self.adresse}:{ports.get(vise['port'], vise['port'])}{vise['path']}"
            entetes = {e["name"]: e["value"] for e in vise.get("httpHeaders", [])}
            return requests.get(adresse, headers=entetes, timeout=delai).status_code < 400
        except (subprocess.TimeoutExpired, requests.RequestException):
            return False

    def attendre_la_sonde(self, conteneur, nom, limite_s):
        """Attend qu’une sonde réussisse, dans le temps qu’on lui laisse."""
        sonde, fin = conteneur[nom], time.monotonic() + limite_s
        while not self.sonder(conteneur, sonde):
            dit = f"{self.nom}, {nom} :\n{self.journal(conteneur['name'])[-3000:]}"
            assert self.en_marche(conteneur["name"]), f"arrêté : {dit}"
            assert time.monotonic() < fin, f"rien au bout de {limite_s} s : {dit}"
            time.sleep(sonde.get("periodSeconds", 10) / 4)

    def demarrer(self):
        """Attend les sondes de démarrage : passé leur délai, le kubelet tuerait le conteneur."""
        for conteneur in self.spec["containers"]:
            sonde = conteneur["startupProbe"]
            limite = sonde["periodSeconds"] * sonde["failureThreshold"]
            self.attendre_la_sonde(conteneur, "startupProbe", limite)
        return self

    def pret(self):
        """Attend que le pod soit prêt, et le trouve en vie."""
        for conteneur in self.spec["containers"]:
            self.attendre_la_sonde(conteneur, "readinessProbe", 300)
            assert self.sonder(conteneur, conteneur["livenessProbe"]), f"{self.nom} : pas en vie"
        return self

    def retirer(self):
        """Arrête le pod comme le kubelet : preStop, signal de fin, délai ; puis l’efface."""
        delai = self.spec.get("terminationGracePeriodSeconds", 30)
        for conteneur in self.spec["containers"]:
            attente = conteneur.get("lifecycle", {}).get("preStop", {}).get("sleep", {})
            if self.en_marche(conteneur["name"]):
                time.sleep(attente.get("seconds", 0))
                docker("stop", "--time", delai, self.conteneurs[conteneur["name"]])
        docker("rm", "--force", "--volumes", self.complet, *self.conteneurs.values())
        propres = [v for v in self.volumes.values() if str(v).startswith(f"{self.complet}-")]
        if propres:
            docker("volume", "rm", *propres)
        del self.noeud.pods[self.nom]
