"""Le serveur d’un participant : un conteneur borné, un rôle et un schéma Postgres à lui."""

import asyncio
import io
import os
import tarfile
from pathlib import Path

import cartes
import psycopg
from dockerspawner import DockerSpawner
from psycopg import sql

CLE = Path("/run/secrets/cle_cartes").read_text(encoding="utf-8").strip()
CLE_MLFLOW = Path("/run/secrets/cle_mlflow").read_text(encoding="utf-8").strip()
MAISON = "/home/participant"
CACHETTE = f"{MAISON}/.secrets"
UID = 10001


def preparer_base(nom: str, mot_de_passe: str) -> None:
    """Crée, s’ils manquent, le rôle et le schéma d’un participant, fermés à tous les autres."""
    role, schema = sql.Identifier(nom), sql.Identifier(f"demo_{nom}")
    adresse = "postgresql://hub@postgres:5432/demo"
    secret = Path("/run/secrets/mot_de_passe_hub").read_text(encoding="utf-8").strip()
    with psycopg.connect(adresse, password=secret, connect_timeout=10) as connexion:
        connexion.execute("SELECT pg_advisory_xact_lock(hashtext('participants'))")
        existe = connexion.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [nom]).fetchone()
        # Chiffré ici : un journal de Postgres ne pourrait montrer que l’empreinte.
        empreinte = connexion.pgconn.encrypt_password(
            mot_de_passe.encode(), nom.encode(), b"scram-sha-256"
        ).decode()
        verbe = sql.SQL("ALTER ROLE" if existe else "CREATE ROLE")
        connexion.execute(sql.SQL("{} {} LOGIN PASSWORD {}").format(verbe, role, empreinte))
        if existe:
            return
        # Trente participants se partagent les 300 connexions de Postgres.
        connexion.execute(sql.SQL("ALTER ROLE {} CONNECTION LIMIT 15").format(role))
        connexion.execute(sql.SQL("ALTER ROLE {} SET statement_timeout = '5min'").format(role))
        connexion.execute(sql.SQL("GRANT CONNECT, TEMPORARY ON DATABASE demo TO {}").format(role))
        connexion.execute(sql.SQL("CREATE SCHEMA {} AUTHORIZATION {}").format(schema, role))


def archive(fichiers: dict[str, str]) -> bytes:
    """Une archive tar de fichiers que seul le participant peut lire."""
    tampon = io.BytesIO()
    with tarfile.open(fileobj=tampon, mode="w") as tar:
        dossier = tarfile.TarInfo(".secrets")
        dossier.type, dossier.mode, dossier.uid, dossier.gid = tarfile.DIRTYPE, 0o700, UID, UID
        tar.addfile(dossier)
        for nom, contenu in fichiers.items():
            octets = contenu.encode()
            entree = tarfile.TarInfo(f".secrets/{nom}")
            entree.size, entree.mode, entree.uid, entree.gid = len(octets), 0o600, UID, UID
            tar.addfile(entree, io.BytesIO(octets))
    return tampon.getvalue()


class ServeurDeParticipant(DockerSpawner):
    """Un DockerSpawner qui donne ses secrets par fichier : « docker inspect » ne les montre pas."""

    def get_env(self) -> dict[str, str]:
        """L’environnement du conteneur, jeton du hub excepté."""
        environnement = super().get_env()
        environnement.pop("JPY_API_TOKEN", None)
        environnement.pop("JUPYTERHUB_API_TOKEN", None)
        environnement["JUPYTERHUB_API_TOKEN_FICHIER"] = f"{CACHETTE}/jeton"
        return environnement

    async def create_object(self) -> dict:
        """Crée le conteneur, son rôle et son schéma, puis y dépose ses secrets."""
        secret = cartes.mot_de_passe_de_base(CLE, self.user.name)
        await asyncio.to_thread(preparer_base, self.user.name, secret)
        conteneur = await super().create_object()
        mlflow = cartes.mot_de_passe_mlflow(CLE_MLFLOW, self.user.name)
        fichiers = {"base": secret, "jeton": self.api_token, "mlflow": mlflow}
        await self.docker("put_archive", conteneur["Id"], MAISON, archive(fichiers))
        return conteneur


def reglages(projet: str) -> dict:
    """Les réglages de chaque conteneur de participant."""
    return {
        "image": os.environ["IMAGE_PARTICIPANT"],
        "cmd": ["participant.sh"],
        "pull_policy": "never",
        "remove": True,
        "name_template": f"{projet}-participant-{{username}}",
        "volumes": {f"{projet}-participant-{{username}}": MAISON},
        "network_name": f"{projet}_participants",
        "use_internal_ip": True,
        "mem_limit": os.environ["MEMOIRE_PARTICIPANT"],
        "cpu_limit": float(os.environ["PROCESSEURS_PARTICIPANT"]),
        "notebook_dir": f"{MAISON}/demonstration",
        "default_url": "/lab",
        "start_timeout": 300,
        "http_timeout": 240,
        "environment": {
            # Hors du proxy de l’entreprise, comme le hub : MLflow et Postgres sont à côté.
            **{nom: os.environ[nom] for nom in ("NO_PROXY", "no_proxy") if nom in os.environ},
            "HOME": MAISON,
            "DATABASE_URL": lambda serveur: f"postgresql://{serveur.user.name}@postgres:5432/demo",
            "DATABASE_PASSWORD_FILE": f"{CACHETTE}/base",
            "MLFLOW_TRACKING_URI": "http://mlflow:5000",
            "MLFLOW_TRACKING_USERNAME": lambda serveur: serveur.user.name,
            "MLFLOW_TRACKING_PASSWORD_FICHIER": f"{CACHETTE}/mlflow",
            "MLOPS_TRAVAIL": f"{MAISON}/travail",
        },
        "extra_create_kwargs": {
            "user": f"{UID}:{UID}",
            "labels": {"presentation-mlops.participant": projet},
            # Le hub surveille déjà ses serveurs : trente contrôles de plus seraient du temps perdu.
            "healthcheck": {"test": ["NONE"]},
        },
        "extra_host_config": {
            "cap_drop": ["ALL"],
            "security_opt": ["no-new-privileges:true"],
            "read_only": True,
            "tmpfs": {"/tmp": "size=256m,mode=1777"},
            "pids_limit": 400,
            "init": True,
            "memswap_limit": os.environ["MEMOIRE_PARTICIPANT"],
            "log_config": {"type": "json-file", "config": {"max-size": "5m", "max-file": "2"}},
        },
    }
