"""Lance les outils sur cette machine : make check, make up, make down, make swarm.

Bibliothèque standard seulement : ni l’environnement du projet ni rien d’autre que Docker n’est
nécessaire. Les réglages sont dans local/.env, les mots de passe dans local/secrets ; les deux sont
écrits au premier démarrage.
"""

import argparse
import hashlib
import html
import json
import os
import re
import secrets
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

LOCAL = Path(__file__).resolve().parent
sys.path.insert(0, str(LOCAL / "hub"))
import cartes  # noqa: E402 — le dossier du hub n’est sur le chemin qu’ici

MOTEUR_MINIMUM, COMPOSE_MINIMUM = (20, 10), (2, 20)
MEMOIRE_DU_COEUR, MEMOIRE_PAR_PARTICIPANT = 3.0, 0.3  # Gio, mesurées
DISQUE_NECESSAIRE = 12e9
ATTENTE_S = 600
SOCKET = "/var/run/docker.sock"
# Ce que fait le hub de la socket, avec les mêmes droits que lui (common.yaml).
COMME_LE_HUB = ("--rm", "--network", "none", "--cap-drop", "ALL", "--read-only")
COMME_LE_HUB += ("--security-opt", "no-new-privileges")
PARLER_AU_MOTEUR = rf"""
import socket
prise = socket.socket(socket.AF_UNIX)
prise.settimeout(10)
prise.connect("{SOCKET}")
prise.sendall(b"GET /_ping HTTP/1.0\r\n\r\n")
print(prise.recv(4096).decode())
"""
# Ce qui, avec local/, est copié dans les images.
COPIES = ("data", "notebooks")
# Les outils en plus du cœur (profils de Compose), et où est le mot de passe de leur compte admin.
SECRET_ADMIN = {
    "airflow": "mot_de_passe_airflow_admin",
    "superset": "mot_de_passe_superset_admin",
    "grafana": "mot_de_passe_grafana",
}
OUTILS = (*SECRET_ADMIN, "artefacts")
# Le volume que chaque secret ouvre, quand ce n’est pas celui de Postgres ; aucun, si l’outil
# reprend un secret neuf en démarrant.
GARDE = {
    "cle_artefacts": "artefacts",
    "cle_evidently": "evidently",
    "cle_mlflow": None,
    "cle_mlflow_pages": None,
    "mot_de_passe_grafana": "grafana",
    "mot_de_passe_mlflow_admin": None,
    "mot_de_passe_mlflow_production": None,
}


BOUCLE_LOCALE = ("127.0.0.1", "localhost", "::1")


class Probleme(Exception):
    """Ce que l’utilisateur peut corriger, dit en une phrase."""


def lancer(*commande: str, **options: object) -> subprocess.CompletedProcess:
    """Lance une commande dans local/ et rend ce qu’elle a écrit."""
    return subprocess.run(
        commande, cwd=LOCAL, text=True, capture_output=True, check=False, **options
    )


def docker(*arguments: str) -> None:
    """Lance docker, montre ce qu’il fait, et s’arrête s’il échoue."""
    code = subprocess.run(["docker", *arguments], cwd=LOCAL, check=False).returncode
    if code:
        raise Probleme(
            f"« docker {' '.join(arguments[:3])} » a échoué : lisez les lignes ci-dessus."
        )


def reglages() -> dict[str, str]:
    """Les réglages : ceux du modèle, ceux de .env par-dessus, ceux de l’environnement enfin."""
    valeurs = {}
    for fichier in (LOCAL / ".env.exemple", LOCAL / ".env"):
        if fichier.exists():
            for ligne in fichier.read_text(encoding="utf-8").splitlines():
                nom, egal, valeur = ligne.partition("=")
                if egal and not nom.startswith("#"):
                    valeurs[nom.strip()] = valeur.strip()
    return {nom: os.environ.get(nom, valeur) for nom, valeur in valeurs.items()}


def profils(valeurs: dict[str, str]) -> list[str]:
    """Les outils demandés en plus du cœur.

    Raises:
        Probleme: si l’un d’eux est inconnu.
    """
    demandes = [p.strip() for p in valeurs["COMPOSE_PROFILES"].split(",") if p.strip()]
    if inconnus := sorted(set(demandes) - set(OUTILS)):
        raise Probleme(
            f"COMPOSE_PROFILES nomme un outil inconnu ({', '.join(inconnus)}) : les outils en plus "
            f"sont {', '.join(OUTILS)} ; corrigez local/.env."
        )
    if ("artefacts" in demandes) != valeurs["ARTEFACTS"].startswith("s3://"):
        raise Probleme(
            "L’outil « artefacts » et ARTEFACTS=s3://modeles vont ensemble : mettez les deux dans "
            "local/.env, ou aucun."
        )
    return demandes


# --- make check ------------------------------------------------------------------------------


def version(texte: str) -> tuple[int, ...]:
    """Les nombres d’une version : « 2.26.1-4 » donne (2, 26, 1)."""
    trouve = re.search(r"\d+(\.\d+)*", texte)
    return tuple(int(n) for n in trouve.group(0).split(".")) if trouve else ()


def verifier_docker() -> tuple[str, dict]:
    """Vérifie le moteur et Compose ; rend une phrase et ce que le moteur dit de lui."""
    if not shutil.which("docker"):
        raise Probleme(
            "Docker est introuvable : installez Docker Engine 20.10 ou plus, avec Compose v2."
        )
    demande = lancer("docker", "info", "--format", "{{json .}}")
    infos = json.loads(demande.stdout) if demande.stdout.startswith("{") else {}
    plaintes = " ".join([demande.stderr, *(infos.get("ServerErrors") or [])])
    if "permission denied" in plaintes:
        raise Probleme(
            "Votre compte n’a pas le droit de parler à Docker : « sudo usermod -aG docker $USER », "
            "puis rouvrez votre session."
        )
    if not infos.get("ServerVersion"):
        raise Probleme(
            "Le moteur Docker ne répond pas : démarrez-le (« sudo systemctl start docker », ou "
            "Docker Desktop), puis relancez."
        )
    compose = lancer("docker", "compose", "version", "--short").stdout.strip()
    if version(infos["ServerVersion"]) < MOTEUR_MINIMUM:
        raise Probleme(f"Docker {infos['ServerVersion']} est trop ancien : il faut 20.10 au moins.")
    if version(compose) < COMPOSE_MINIMUM:
        raise Probleme(
            f"Compose {compose or 'v2'} {'est trop ancien' if compose else 'manque'} : il faut la "
            "version 2.20 ou plus récente (paquet docker-compose-plugin)."
        )
    return f"Docker {infos['ServerVersion']}, Compose {compose}", infos


def chemin_socket(infos: dict) -> str:
    """Le chemin de la socket, tel que le moteur le verra pour la monter dans le hub.

    Docker Desktop, Colima et les autres, hors de Linux, ont dans leur machine celle d’usage ; un
    moteur sans root ou podman ont la leur, à l’adresse du contexte.

    Raises:
        Probleme: si le moteur n’a pas de socket.
    """
    if not sys.platform.startswith("linux") or "Desktop" in infos.get("OperatingSystem", ""):
        return SOCKET
    adresse = (
        os.environ.get("DOCKER_HOST")
        or lancer(
            "docker", "context", "inspect", "--format", "{{.Endpoints.docker.Host}}"
        ).stdout.strip()
    )
    if adresse and not adresse.startswith("unix://"):
        raise Probleme(
            f"Le moteur Docker est à l’adresse {adresse} : JupyterHub ne peut pas le piloter de "
            "là. Lancez ces commandes sur la machine du moteur (DOCKER_HOST vide)."
        )
    return adresse.removeprefix("unix://") or SOCKET


def tirer(image: str) -> None:
    """Tire une image absente, en montrant où l’on en est.

    Raises:
        Probleme: si elle ne vient pas.
    """
    if lancer("docker", "image", "inspect", image).returncode == 0:
        return
    print(f"Téléchargement de {image}…")
    if subprocess.run(["docker", "pull", image], cwd=LOCAL, check=False).returncode:
        raise Probleme(
            f"L’image {image} ne vient pas : lisez les lignes ci-dessus. Derrière un proxy "
            "d’entreprise, réglez celui du moteur Docker, ou donnez dans local/.env l’adresse de "
            "l’image dans votre registre."
        )


def _raison(vu: subprocess.CompletedProcess) -> str:
    """La dernière ligne utile de ce qu’a écrit une commande en échec."""
    lignes = [ligne.strip() for ligne in (vu.stderr or vu.stdout).splitlines()]
    return next((n for n in reversed(lignes) if n and "--help" not in n), "aucune")[-300:]


def _avec_la_socket(
    image: str, socket_: str, code: str, *options: str
) -> subprocess.CompletedProcess:
    """Exécute du Python dans un conteneur qui a les droits du hub, et la socket."""
    montage = ("--mount", f"type=bind,source={socket_},target={SOCKET}")
    return lancer("docker", "run", *COMME_LE_HUB, *options, *montage, image, "python", "-c", code)


def groupe_socket(image: str, socket_: str) -> int:
    """Le groupe de la socket, vu d’un conteneur : sur un Mac ou sans root, ce n’est pas le nôtre.

    Raises:
        Probleme: si la socket ne se monte pas dans un conteneur.
    """
    vu = _avec_la_socket(image, socket_, f"import os; print(os.stat('{SOCKET}').st_gid)")
    if not vu.stdout.strip().isdecimal():
        raise Probleme(
            f"La socket {socket_} ne se monte pas dans un conteneur, et JupyterHub en a besoin : "
            f"donnez la bonne dans DOCKER_SOCKET (local/.env). Réponse : {_raison(vu)}"
        )
    return int(vu.stdout)


def socket_et_groupe(valeurs: dict[str, str], infos: dict) -> tuple[str, str]:
    """La socket de Docker et son groupe : ceux des réglages, à défaut ceux que l’on trouve.

    Raises:
        Probleme: si l’image d’essai ne vient pas, ou si la socket ne se monte pas.
    """
    tirer(valeurs["PYTHON_IMAGE"])
    socket_ = valeurs["DOCKER_SOCKET"] or chemin_socket(infos)
    return socket_, valeurs["DOCKER_GID"] or str(groupe_socket(valeurs["PYTHON_IMAGE"], socket_))


def verifier_socket(valeurs: dict[str, str], infos: dict) -> str:
    """Prouve, d’un conteneur qui a les droits du hub, que celui-ci pourra lancer quelqu’un.

    Raises:
        Probleme: si le moteur n’y répond pas.
    """
    image = valeurs["PYTHON_IMAGE"]
    socket_, groupe = socket_et_groupe(valeurs, infos)
    vu = _avec_la_socket(image, socket_, PARLER_AU_MOTEUR, "--user", f"10001:{groupe}")
    if " 200 OK" not in vu.stdout:
        attendu = groupe_socket(image, socket_)
        if str(attendu) != groupe:
            remede = f"DOCKER_GID={groupe} n’est pas son groupe, mettez {attendu} dans local/.env"
        else:
            remede = (
                "un moteur sans root ou podman veut une socket ouverte en écriture à son groupe "
                "(DOCKER_SOCKET et DOCKER_GID dans local/.env)"
            )
        raise Probleme(
            f"D’un conteneur, JupyterHub ne pourrait pas parler à Docker par {socket_} : {remede}. "
            f"Réponse : {_raison(vu)}"
        )
    return f"d’un conteneur, Docker répond par {socket_} (groupe {groupe})"


def verifier_memoire(infos: dict, participants: int) -> str:
    """Compare la mémoire du moteur à ce que demandent le cœur et les participants."""
    offerte = infos["MemTotal"] / 2**30
    voulue = MEMOIRE_DU_COEUR + MEMOIRE_PAR_PARTICIPANT * participants
    phrase = f"mémoire : {_nombre(offerte)} Gio"
    if offerte < MEMOIRE_DU_COEUR:
        raise Probleme(
            f"Docker n’a que {_nombre(offerte)} Gio de mémoire : il en faut "
            f"{_nombre(MEMOIRE_DU_COEUR)} au moins, sans compter les participants."
        )
    if offerte < voulue:
        tenables = int((offerte - MEMOIRE_DU_COEUR) / MEMOIRE_PAR_PARTICIPANT)
        return (
            f"{phrase}, assez pour {tenables} participants ensemble et non {participants} "
            "(PARTICIPANTS dans local/.env)"
        )
    return f"{phrase}, il en faut {_nombre(voulue)} pour {participants} participants"


def verifier_disque(infos: dict) -> str:
    """Vérifie la place là où Docker range ses images (ou ici, s’il est dans une autre machine)."""
    dossier = Path(infos["DockerRootDir"])
    libre = shutil.disk_usage(dossier if dossier.is_dir() else LOCAL).free
    if libre < DISQUE_NECESSAIRE:
        raise Probleme(
            f"Le disque est trop plein : il reste {libre / 1e9:.0f} Go, il en faut "
            f"{DISQUE_NECESSAIRE / 1e9:.0f}. « docker system prune » peut en rendre."
        )
    return f"disque : {libre / 1e9:.0f} Go libres"


def verifier_port(nom: str, adresse: str, port: int, projet: str) -> str:
    """Vérifie qu’un port est libre, ou déjà à nous ; sinon dit qui le tient."""
    with socket.socket() as essai:
        essai.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            essai.bind((adresse, port))
        except OSError as erreur:
            conteneur, sa_pile = _conteneur_sur(port)
            if sa_pile == projet:
                return f"port {port} : déjà le nôtre ({conteneur})"
            tenant = f"le conteneur {conteneur}" if conteneur else _processus_sur(port)
            if not tenant:
                raise Probleme(
                    f"L’adresse {adresse}:{port} ne peut pas servir ({erreur.strerror}) : "
                    "revoyez les adresses de local/.env."
                ) from erreur
            raise Probleme(
                f"Le port {port} est pris par {tenant} : arrêtez-le, ou changez {nom} dans "
                "local/.env."
            ) from erreur
    return f"port {port} : libre"


def _conteneur_sur(port: int) -> tuple[str, str]:
    """Le conteneur qui publie un port et la pile dont il est, vides s’il n’y en a pas."""
    pile = '{{.Label "com.docker.compose.project"}}{{.Label "com.docker.stack.namespace"}}'
    format_ = ("--format", "{{.Names}}|" + pile)
    trouve = lancer("docker", "ps", "--filter", f"publish={port}", *format_).stdout
    nom, _, pile = trouve.strip().split("\n")[0].partition("|")
    return nom, pile


def _processus_sur(port: int) -> str:
    """Le processus qui écoute sur un port : par /proc sous Linux, par lsof ailleurs."""
    prises = set()
    for table in (Path("/proc/net/tcp"), Path("/proc/net/tcp6")):
        if table.exists():
            for ligne in table.read_text().splitlines()[1:]:
                champs = ligne.split()
                if champs[3] == "0A" and int(champs[1].rsplit(":", 1)[1], 16) == port:
                    prises.add(f"socket:[{champs[9]}]")
    for lien in Path("/proc").glob("[0-9]*/fd/*") if prises else []:
        try:
            if os.readlink(lien) in prises:
                pid = lien.parts[2]
                return f"{Path('/proc', pid, 'comm').read_text().strip()} (processus {pid})"
        except OSError:
            continue  # le processus d’un autre, ou fini entre-temps
    if prises:
        return "un processus d’un autre compte (« sudo ss -ltnp » le nomme)"
    if shutil.which("lsof"):
        sortie = lancer("lsof", "-nP", f"-iTCP:{port}", "-sTCP:LISTEN").stdout.splitlines()
        if len(sortie) > 1:
            nom, pid = sortie[1].split()[:2]
            return f"{nom} (processus {pid})"
    return ""


def _nombre(valeur: float) -> str:
    return f"{valeur:.1f}".replace(".", ",")


def verifier() -> None:
    """Vérifie tout, dit tout, et refuse si une seule chose manque.

    Raises:
        Probleme: la liste de ce qui ne va pas.
    """
    valeurs = reglages()
    phrase, infos = verifier_docker()
    print(f"✓ {phrase}")
    controles = [
        lambda: verifier_socket(valeurs, infos),
        lambda: verifier_memoire(infos, int(valeurs["PARTICIPANTS"])),
        lambda: verifier_disque(infos),
    ]
    absents = {f"PORT_{outil.upper()}" for outil in OUTILS} - {
        f"PORT_{outil.upper()}" for outil in profils(valeurs)
    }
    for nom, valeur in valeurs.items():
        if nom.startswith("PORT_") and nom not in absents:
            adresse = valeurs["ADRESSE_HUB" if nom == "PORT_HUB" else "ADRESSE"]
            controles.append(
                lambda n=nom, a=adresse, p=valeur: verifier_port(
                    n, a, int(p), valeurs["MLOPS_PROJET"]
                )
            )
    problemes = []
    for controle in controles:
        try:
            print(f"✓ {controle()}")
        except Probleme as probleme:
            problemes.append(str(probleme))
    if problemes:
        raise Probleme("\n".join(problemes))


# --- réglages et secrets ------------------------------------------------------------------------


def preparer() -> dict[str, str]:
    """Écrit, s’ils manquent, local/.env et les secrets ; rend les réglages.

    Raises:
        Probleme: si des mots de passe manquent alors que la base qu’ils ouvrent existe déjà.
    """
    if not (LOCAL / ".env").exists():
        shutil.copy(LOCAL / ".env.exemple", LOCAL / ".env")
        print("Réglages écrits dans local/.env.")
    _regler_la_socket()
    valeurs = reglages()
    _ouvrir_mlflow(valeurs)
    _rendre_lisible()
    _ecrire_secrets(valeurs["MLOPS_PROJET"])
    _ecrire_cartes(int(valeurs["PARTICIPANTS"]))
    return valeurs


def _regler_la_socket() -> None:
    """Écrit dans local/.env la socket de Docker et son groupe, s’ils n’y sont pas."""
    valeurs = reglages()
    if valeurs["DOCKER_SOCKET"] and valeurs["DOCKER_GID"]:
        return
    _, infos = verifier_docker()
    socket_, groupe = socket_et_groupe(valeurs, infos)
    env = LOCAL / ".env"
    texte = env.read_text(encoding="utf-8")
    for nom, valeur in (("DOCKER_SOCKET", socket_), ("DOCKER_GID", groupe)):
        # Une copie de réglages d’avant peut ne pas avoir la ligne.
        texte, faits = re.subn(rf"(?m)^{nom}=.*$", f"{nom}={valeur}", texte)
        texte += "" if faits else f"{nom}={valeur}\n"
    env.write_text(texte, encoding="utf-8")


def _ouvrir_mlflow(valeurs: dict[str, str]) -> None:
    """Dit à MLflow, qui refuse les autres, sous quels noms on le joindra du réseau."""
    hotes = [h.strip() for h in valeurs["MLFLOW_HOTES"].split(",") if h.strip()]
    if not hotes and valeurs["ADRESSE"] not in BOUCLE_LOCALE:
        hotes = noms_de_la_machine(valeurs["ADRESSE"])
    port = valeurs["PORT_MLFLOW"]
    os.environ["MLFLOW_HOTES_ADMIS"] = "".join(f",{hote}:{port}" for hote in hotes)
    os.environ["MLFLOW_ORIGINES"] = ",".join(f"http://{hote}:{port}" for hote in hotes)


def noms_de_la_machine(adresse: str) -> list[str]:
    """Les noms et adresses par lesquels cette machine se joint du réseau."""
    noms = {adresse, socket.gethostname(), socket.getfqdn()}
    for nom in list(noms):
        try:
            noms |= {fiche[4][0] for fiche in socket.getaddrinfo(nom, None, socket.AF_INET)}
        except OSError:
            continue  # un nom que personne ne connaît ici
    # L’adresse d’où l’on sortirait ; rien n’est envoyé.
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as essai:
        try:
            essai.connect(("192.0.2.1", 9))
            noms.add(essai.getsockname()[0])
        except OSError:
            pass  # pas de réseau
    return sorted(noms)


def _lus_par_les_conteneurs() -> Iterator[Path]:
    """Les fichiers et dossiers que lit un conteneur : ni les secrets ni les fichiers cachés."""
    for dossier in (LOCAL, *(LOCAL.parent / nom for nom in COPIES)):
        for racine, sous_dossiers, fichiers in os.walk(dossier):
            yield Path(racine)
            sous_dossiers[:] = [n for n in sous_dossiers if n != "secrets" and n[0] != "."]
            yield from (Path(racine, nom) for nom in fichiers if nom[0] != ".")


def _rendre_lisible() -> None:
    """Ouvre à tous, en lecture, ce que lisent les conteneurs, qui ne sont pas votre compte.

    Un clone fait sous umask 027 ou 077 n’est lisible que de vous, et Docker garde ces droits.

    Raises:
        Probleme: si l’un des fichiers est à un autre compte.
    """
    ouverts = 0
    for chemin in _lus_par_les_conteneurs():
        droits = chemin.stat().st_mode
        voulus = droits | (droits & 0o500) >> 3 | (droits & 0o500) >> 6
        if voulus != droits:
            try:
                chemin.chmod(voulus)
            except PermissionError as erreur:
                raise Probleme(
                    f"Les conteneurs ne pourraient pas lire {chemin}, qui n’est pas à vous : "
                    "demandez à son propriétaire de l’ouvrir en lecture (« chmod go+rX »)."
                ) from erreur
            ouverts += 1
    if ouverts:
        print(f"Droit de lecture donné à {ouverts} fichiers et dossiers, que lit un conteneur.")


def noms_des_secrets() -> list[str]:
    """Les secrets que déclarent les fichiers YAML."""
    textes = [f.read_text(encoding="utf-8") for f in sorted(LOCAL.glob("*.yaml"))]
    return sorted(set(re.findall(r"file: secrets/(\w+)", "\n".join(textes))))


def _ecrire_secrets(projet: str) -> None:
    dossier = LOCAL / "secrets"
    dossier.mkdir(mode=0o700, exist_ok=True)
    dossier.chmod(0o700)
    absents = [nom for nom in noms_des_secrets() if not (dossier / nom).exists()]
    # Un secret tout neuf n’ouvrirait plus ce qui existe déjà ; un outil jamais lancé n’attend rien.
    gardes = {nom: GARDE.get(nom, "postgres") for nom in absents}
    volumes = {nom: f"{projet}_{garde}" for nom, garde in gardes.items() if garde}
    existent = {
        v for v in volumes.values() if lancer("docker", "volume", "inspect", v).returncode == 0
    }
    if perdus := [nom for nom in volumes if volumes[nom] in existent]:
        raise Probleme(
            f"Il manque dans local/secrets : {', '.join(perdus)}, alors que des données les "
            f"attendent ({', '.join(sorted(existent))}). Remettez-les depuis votre sauvegarde, ou "
            "repartez de rien : « make down DATA=1 », qui efface toutes les données."
        )
    for nom in absents:
        # Lisible par tous, dans un dossier fermé : Compose montre le fichier tel quel à des
        # conteneurs qui ne sont pas root.
        fichier = dossier / nom
        fichier.write_text(secrets.token_urlsafe(32), encoding="utf-8")
        fichier.chmod(0o644)
    if absents:
        print(f"{len(absents)} secrets engendrés dans local/secrets (à sauvegarder).")


def _ecrire_cartes(participants: int) -> None:
    """Écrit la page à imprimer et à découper : une carte par participant."""
    cle, cle_mlflow = (
        (LOCAL / "secrets" / nom).read_text(encoding="utf-8").strip()
        for nom in ("cle_cartes", "cle_mlflow")
    )
    corps = "\n".join(
        f"<div><b>{html.escape(nom)}</b><code>{cartes.mot_de_passe(cle, nom)}</code>"
        f"<small>MLflow : {cartes.mot_de_passe_mlflow(cle_mlflow, nom)}</small></div>"
        for nom in cartes.noms(participants)
    )
    page = LOCAL / "secrets" / "cartes.html"
    page.write_text(
        '<!DOCTYPE html>\n<html lang="fr"><meta charset="utf-8"><title>Cartes</title>\n<style>'
        "body{display:grid;grid-template-columns:repeat(3,1fr);font:16px sans-serif;margin:1cm}"
        "div{border:1px dashed #888;padding:.7cm;break-inside:avoid}"
        "b,code{display:block;margin:.2cm 0;font-size:20px}</style>\n"
        f"{corps}\n</html>\n",
        encoding="utf-8",
    )
    page.chmod(0o600)


# --- make up, make down -----------------------------------------------------------------------


def lire_json(sortie: str) -> list[dict]:
    """Lit ce que Compose écrit : une ligne par objet, ou un tableau avant la version 2.21."""
    if sortie.lstrip().startswith("["):
        return json.loads(sortie)
    return [json.loads(ligne) for ligne in sortie.splitlines() if ligne.strip()]


def etat() -> dict[str, str]:
    """L’état de chaque service de Compose, en français."""
    sortie = lancer("docker", "compose", "ps", "--all", "--format", "json").stdout
    etats = {}
    for vu in lire_json(sortie):
        if vu["State"] == "exited":
            etats[vu["Service"]] = "fini" if vu["ExitCode"] == 0 else "en échec"
        elif vu["State"] == "running":
            sains = {"healthy": "prêt", "unhealthy": "malade", "": "prêt"}
            etats[vu["Service"]] = sains.get(vu["Health"], "démarre")
        else:
            etats[vu["Service"]] = "redémarre" if vu["State"] == "restarting" else vu["State"]
    return etats


def attendre(limite_s: float = ATTENTE_S) -> None:
    """Attend que chaque service soit prêt ou ait fini ; montre les journaux s’il renonce.

    Raises:
        Probleme: si un service n’est pas prêt à temps.
    """
    fin, vus = time.monotonic() + limite_s, {}
    while time.monotonic() < fin:
        etats = etat()
        for service, nouveau in etats.items():
            if vus.get(service) != nouveau:
                print(f"  {service} : {nouveau}")
        vus = etats
        if etats and set(etats.values()) <= {"prêt", "fini"}:
            return
        time.sleep(1)
    en_panne = [service for service, quoi in vus.items() if quoi not in ("prêt", "fini")]
    print(lancer("docker", "compose", "logs", "--tail", "30", *en_panne).stdout)
    raise Probleme(
        f"Ne sont pas prêts au bout de {limite_s:.0f} s : {', '.join(en_panne) or 'aucun'}. "
        "La fin de leurs journaux est ci-dessus."
    )


def fournir_les_images() -> None:
    """Construit les images nommées « …:local », et tire toutes les autres, en le montrant."""
    sortie = lancer("docker", "compose", "config", "--format", "json")
    if sortie.returncode:
        raise Probleme(f"Compose ne lit pas ses fichiers : {sortie.stderr.strip()}")
    services = json.loads(sortie.stdout)["services"]
    a_tirer = {s["image"] for s in services.values() if not s["image"].endswith(":local")}
    for image in sorted(a_tirer):
        tirer(image)
    constructibles = [nom for nom, s in services.items() if "build" in s]
    a_construire = [nom for nom in constructibles if services[nom]["image"] not in a_tirer]
    if a_construire:
        tout = a_construire == constructibles  # sans nom, Compose les range par dépendance
        docker("compose", "build", *([] if tout else a_construire))


def demarrer() -> None:
    """Vérifie, prépare, construit, démarre, attend, et donne les adresses."""
    preparer()
    verifier()
    fournir_les_images()
    code = subprocess.run(
        ["docker", "compose", "up", "--detach", "--remove-orphans"], cwd=LOCAL, check=False
    ).returncode
    if code:
        print(lancer("docker", "compose", "logs", "--tail", "30").stdout)
        raise Probleme("Un service n’a pas démarré : la fin des journaux est ci-dessus.")
    attendre()
    annoncer()


def _a_ouvrir(adresse: str) -> str:
    """L’adresse à donner à un navigateur : 0.0.0.0 n’en est une que pour qui écoute."""
    return socket.gethostname() if adresse in ("0.0.0.0", "::") else adresse


def annoncer() -> None:
    """Imprime les adresses et où trouver les cartes."""
    valeurs = reglages()
    adresse, du_hub = (_a_ouvrir(valeurs[nom]) for nom in ("ADRESSE", "ADRESSE_HUB"))
    print(f"\nJupyterHub : http://{du_hub}:{valeurs['PORT_HUB']}")
    print(f"Service    : http://{adresse}:{valeurs['PORT_API']}/docs")
    print(
        f"MLflow     : http://{adresse}:{valeurs['PORT_MLFLOW']} (le compte d’une carte ; admin, "
        "local/secrets/mot_de_passe_mlflow_admin)"
    )
    print(f"Prometheus : http://{adresse}:{valeurs['PORT_PROMETHEUS']}")
    print(f"Evidently  : http://{adresse}:{valeurs['PORT_EVIDENTLY']}")
    print(f"Postgres   : {adresse}:{valeurs['PORT_POSTGRES']}")
    for profil in filter(SECRET_ADMIN.get, profils(valeurs)):
        port = valeurs[f"PORT_{profil.upper()}"]
        secret = f"local/secrets/{SECRET_ADMIN[profil]}"
        print(f"{profil.capitalize():10} : http://{adresse}:{port} (compte admin, {secret})")
    print("Cartes à imprimer : local/secrets/cartes.html")


# --- make swarm -------------------------------------------------------------------------------


def fichiers_swarm() -> list[str]:
    """Les fichiers de la pile : le maillage demande IPVS, que tous les noyaux n’ont pas."""
    maillage = Path("/proc/net/ip_vs").exists() or not sys.platform.startswith("linux")
    return ["common.yaml", "swarm.yaml", f"swarm-{'maillage' if maillage else 'sans-ipvs'}.yaml"]


def environnement_swarm(valeurs: dict[str, str]) -> dict[str, str]:
    """« docker stack » ne lit ni .env ni les profils, et une configuration ne change que de nom."""
    outils = sorted((*LOCAL.glob("prometheus/*"), *LOCAL.glob("grafana/**/*.*")))
    repliques_voulues = {
        f"REPLIQUES_{outil.upper()}": "1" if outil in profils(valeurs) else "0" for outil in OUTILS
    }
    return {
        **os.environ,
        **valeurs,
        **repliques_voulues,
        "EMPREINTE_BASES": empreinte([LOCAL / "postgres" / "10_bases.sh"]),
        "EMPREINTE_OUTILS": empreinte(outils),
    }


def empreinte(fichiers: list[Path]) -> str:
    """Empreinte courte de fichiers."""
    contenus = b"".join(fichier.read_bytes() for fichier in fichiers)
    return hashlib.sha256(contenus).hexdigest()[:12]


def initialiser_swarm() -> None:
    """Fait de cette machine un gestionnaire de Swarm, et du nœud celui des données.

    Raises:
        Probleme: si la machine est un simple nœud d’un Swarm.
    """
    infos = json.loads(lancer("docker", "info", "--format", "{{json .Swarm}}").stdout)
    if infos["LocalNodeState"] == "inactive":
        ici = ("--advertise-addr", "127.0.0.1", "--listen-addr", "127.0.0.1:2377")
        docker("swarm", "init", *ici)
    elif not infos["ControlAvailable"]:
        raise Probleme(
            "Cette machine n’est qu’un nœud du Swarm : lancez « make swarm » sur un gestionnaire."
        )
    filtre = ("--filter", "node.label=mlops.donnees=oui")
    if not lancer("docker", "node", "ls", "--quiet", *filtre).stdout.strip():
        noeud = json.loads(lancer("docker", "info", "--format", "{{json .Swarm}}").stdout)["NodeID"]
        docker("node", "update", "--label-add", "mlops.donnees=oui", noeud)


def essaim() -> None:
    """Vérifie, prépare, construit, déploie sur Swarm, attend, et donne les adresses."""
    valeurs = preparer()
    projet = valeurs["MLOPS_PROJET"]
    if lancer("docker", "compose", "ps", "--quiet").stdout.strip():
        raise Probleme("La pile tourne déjà sous Compose : « make down » d’abord.")
    print(
        "Attention : Swarm ouvre les ports de la pile sur toutes les adresses de la machine, quoi "
        "que disent ADRESSE et ADRESSE_HUB. Filtrez-les devant la machine, ou dans la chaîne "
        "DOCKER-USER d’iptables."
    )
    if not lancer("docker", "stack", "ls", "--format", "{{.Name}}").stdout.split().count(projet):
        verifier()
    initialiser_swarm()
    fournir_les_images()
    fichiers = [mot for fichier in fichiers_swarm() for mot in ("--compose-file", fichier)]
    options = ["--resolve-image", "never", "--prune"]
    deploiement = subprocess.run(
        ["docker", "stack", "deploy", *fichiers, *options, projet],
        cwd=LOCAL,
        env=environnement_swarm(valeurs),
        check=False,
    )
    if deploiement.returncode:
        raise Probleme("« docker stack deploy » a échoué : lisez les lignes ci-dessus.")
    attendre_pile(projet)
    print(f"\nJupyterHub : http://{_a_ouvrir(valeurs['ADRESSE_HUB'])}:{valeurs['PORT_HUB']}")
    if "swarm-maillage.yaml" in fichiers:
        print(f"Service    : http://{_a_ouvrir(valeurs['ADRESSE'])}:{valeurs['PORT_API']}/docs")
    else:
        print("Service    : http://api:8000, sur le réseau interne (ce noyau n’a pas IPVS)")
    print("Cartes à imprimer : local/secrets/cartes.html")


def repliques(projet: str) -> dict[str, tuple[int, int]]:
    """Les répliques en marche et voulues de chaque service."""
    sortie = lancer("docker", "stack", "services", "--format", "{{.Name}} {{.Replicas}}", projet)
    comptes = {}
    for ligne in sortie.stdout.splitlines():
        nom, compte = ligne.split()[:2]
        en_marche, voulues = compte.split("/")
        comptes[nom.removeprefix(f"{projet}_")] = (int(en_marche), int(voulues))
    return comptes


def finie(projet: str, service: str) -> bool:
    """Dit si une tâche qui ne fait que passer est allée au bout."""
    format_ = ("--format", "{{.CurrentState}}")
    etats = lancer("docker", "service", "ps", *format_, f"{projet}_{service}").stdout
    return "Complete" in etats


def attendre_pile(projet: str, limite_s: float = ATTENTE_S) -> None:
    """Attend toutes les répliques ; montre où en sont les tâches s’il renonce.

    Raises:
        Probleme: si une réplique manque encore au bout du délai.
    """
    fin, vus = time.monotonic() + limite_s, {}
    while time.monotonic() < fin:
        comptes = repliques(projet)
        if comptes != vus:
            print("  " + ", ".join(f"{s} {a}/{b}" for s, (a, b) in comptes.items()))
        vus = comptes
        manquent = [s for s, (a, b) in comptes.items() if a < b and not finie(projet, s)]
        if comptes and not manquent:
            return
        time.sleep(2)
    print(lancer("docker", "stack", "ps", "--no-trunc", projet).stdout)
    raise Probleme(
        f"Ne sont pas prêts au bout de {limite_s:.0f} s : {', '.join(manquent) or 'aucun'}. "
        "L’état des tâches est ci-dessus."
    )


def retirer_pile(projet: str) -> None:
    """Retire la pile de Swarm, et attend que ses réseaux soient libérés."""
    piles = lancer("docker", "stack", "ls", "--format", "{{.Name}}").stdout.split()
    if projet not in piles:
        return
    docker("service", "rm", f"{projet}_hub")
    retirer_participants(projet)
    docker("stack", "rm", projet)
    restes = ("--quiet", "--filter", f"label=com.docker.stack.namespace={projet}")
    fin = time.monotonic() + 120
    while time.monotonic() < fin:
        reseaux = lancer("docker", "network", "ls", *restes).stdout.strip()
        if not reseaux and not lancer("docker", "ps", "--all", *restes).stdout.strip():
            return
        time.sleep(1)
    raise Probleme("La pile ne finit pas de s’arrêter : relancez « make down » dans une minute.")


def retirer_participants(projet: str) -> None:
    """Retire les serveurs des participants, que ni Compose ni Swarm ne connaissent."""
    etiquette = f"label=presentation-mlops.participant={projet}"
    participants = lancer("docker", "ps", "--all", "--quiet", "--filter", etiquette).stdout.split()
    if participants:
        docker("rm", "--force", *participants)


def arreter(donnees: bool) -> None:
    """Arrête tout ; efface aussi les données et les secrets si on le demande."""
    projet = reglages()["MLOPS_PROJET"]
    if not (LOCAL / ".env").exists():
        print("Rien à arrêter : local/.env n’existe pas, rien n’a été démarré d’ici.")
        return
    tout = ["--volumes"] if donnees else []
    # Le hub d’abord, qui relancerait des participants.
    docker("compose", "stop", "hub")
    retirer_participants(projet)
    retirer_pile(projet)
    docker("compose", "--profile", "*", "down", "--remove-orphans", *tout)
    if not donnees:
        print("Arrêté. Les données restent (« make down DATA=1 » les efface).")
        return
    for prefixe in (f"{projet}_", f"{projet}-participant-"):
        filtre = ("--quiet", "--filter", f"name=^{prefixe}")
        volumes = lancer("docker", "volume", "ls", *filtre).stdout.split()
        if volumes:
            docker("volume", "rm", *volumes)
    shutil.rmtree(LOCAL / "secrets", ignore_errors=True)
    print("Arrêté ; données, serveurs des participants et mots de passe effacés.")


def principal() -> int:
    """Exécute une commande, et rend son code de sortie."""
    analyseur = argparse.ArgumentParser(prog="lancer", description="Lance les outils ici.")
    commandes = analyseur.add_subparsers(dest="commande", required=True, metavar="commande")
    commandes.add_parser("verifier", help="vérifie Docker, la mémoire, le disque et les ports")
    commandes.add_parser("demarrer", help="construit et démarre avec Compose")
    commandes.add_parser("essaim", help="construit et déploie sur Swarm")
    arret = commandes.add_parser("arreter", help="arrête")
    arret.add_argument("--donnees", action="store_true", help="efface aussi les données")
    options = analyseur.parse_args()
    for sortie in (sys.stdout, sys.stderr):
        # Un terminal en Latin-1 n’a ni ✓ ni ’ ; et docker écrit entre nos lignes.
        sortie.reconfigure(errors="replace", line_buffering=True)
    try:
        if options.commande == "arreter":
            arreter(options.donnees)
        else:
            {"verifier": verifier, "demarrer": demarrer, "essaim": essaim}[options.commande]()
    except Probleme as probleme:
        print(f"Erreur : {probleme}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nInterrompu : relancez la même commande.", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(principal())
