"""Crée l’environnement .venv du projet à partir du verrou requirements/lock.txt.

Bibliothèque standard seulement, et rien que Python 3.6 ne sache lire : un Python trop
ancien doit obtenir une phrase claire, pas une erreur de syntaxe. L’empreinte du verrou
est écrite dans .venv/.verrou quand tout est en place : vide, elle dit qu’une installation
n’est pas allée au bout.
"""

import ast
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

try:
    import fcntl
except ImportError:
    sys.exit(
        "Windows n'a pas ce qu'il faut (fcntl) : installez WSL 2 (« wsl --install »), puis clonez "
        "et lancez le projet dans sa distribution Linux ; book/participant.ipynb dit comment."
    )

RACINE = Path(__file__).resolve().parent.parent

# Les mêmes bornes que requires-python dans pyproject.toml (un test les compare).
PYTHON_MINIMUM = (3, 11)
PYTHON_EXCLU = (3, 14)

# Mesuré : 2,0 Go, cache d’uv compris (.venv en partage les fichiers) ; le reste est une marge.
ESPACE_NECESSAIRE = 2500 * 1000**2

# Ce que nous montrons de la sortie, en anglais, d’uv et de pip.
AVANCEMENT = (
    (re.compile(r"^Downloading (\S+) \(([\d.]+)MiB\)"), "  téléchargement de {0} ({1} Mio)"),
    (re.compile(r"^Collecting ([^=\s]+)"), "  téléchargement de {0}"),
    (re.compile(r"^Prepared (\d+) packages"), "  {0} paquets téléchargés et vérifiés"),
    (re.compile(r"^Installed (\d+) packages"), "  {0} paquets en place ; compilation…"),
    (re.compile(r"^Installing collected packages: .+,.+,"), "  paquets vérifiés ; compilation…"),
)

# Ce qui passe du terminal aux installations : tout, sauf ce qui règle Python, pip et uv, dont il ne
# reste que ce qui dit par où passe le réseau. Le reste (PIP_USER, PYTHONPATH, « constraint » ou
# « target » d’un pip.conf…) changerait ce qui s’installe, ou l’endroit.
RETIRES = re.compile(r"^(PIP_|PYTHON|UV_)|^(VIRTUAL_ENV|__PYVENV_LAUNCHER__)$")
GARDES_DE_PIP = (
    *("index-url", "extra-index-url", "find-links", "no-index", "trusted-host", "cert"),
    *("client-cert", "proxy", "timeout", "default-timeout", "cache-dir", "keyring-provider"),
)
GARDES_D_UV = re.compile(
    r"^UV_(DEFAULT_INDEX|INDEX\w*|EXTRA_INDEX_URL|FIND_LINKS|INSECURE_HOST|KEYRING_PROVIDER|"
    r"HTTP_\w+|CONCURRENT_\w+|CACHE_DIR|LINK_MODE|OFFLINE|SYSTEM_CERTS|CONFIG_FILE)$"
)
# Le même réglage, tel que le lit uv ; « pip config » sépare les listes par des blancs.
DE_PIP_A_UV = {
    "index-url": "UV_DEFAULT_INDEX",
    "extra-index-url": "UV_INDEX",
    "find-links": "UV_FIND_LINKS",
    "trusted-host": "UV_INSECURE_HOST",
    "cert": "SSL_CERT_FILE",
    "client-cert": "SSL_CLIENT_CERT",
    "proxy": "ALL_PROXY",
    "keyring-provider": "UV_KEYRING_PROVIDER",
}
# Le magasin de certificats du système : Debian, Fedora, openSUSE.
MAGASINS = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
)

# Les causes reconnues d’un échec d’uv ou de pip, dans l’ordre où il faut les chercher.
SIGNES = {
    "disque": re.compile(r"No space left|os error 28\b|Errno 28\b|quota exceeded", re.IGNORECASE),
    "empreinte": re.compile(r"hash mismatch|DO NOT MATCH THE HASHES", re.IGNORECASE),
    "certificat": re.compile(
        r"UnknownIssuer|invalid peer certificate|CERTIFICATE_VERIFY_FAILED|certificate verify fail",
        re.IGNORECASE,
    ),
    "réseau": re.compile(
        r"error sending request|dns error|failed to (fetch|download)|NewConnectionError|"
        r"NameResolutionError|ProxyError|SSLError|ConnectTimeout|ReadTimeout|Max retries",
        re.IGNORECASE,
    ),
}


class Probleme(Exception):
    """Ce que l’utilisateur peut corriger, dit en une phrase."""


def dire(texte):
    """Écrit une ligne en UTF-8, quelle que soit la langue du système."""
    sys.stdout.buffer.write((texte + "\n").encode("utf-8"))
    sys.stdout.buffer.flush()


def giga(octets):
    """Écrit une taille en gigaoctets, à la française."""
    return f"{octets / 1000**3:.1f} Go".replace(".", ",")


def python_convient(version):
    """Dit si cette version de Python est de celles que le projet accepte."""
    return PYTHON_MINIMUM <= tuple(version[:2]) < PYTHON_EXCLU


def autre_python():
    """Cherche sur la machine un Python qui convient, la version testée d’abord."""
    # « uv python install » range le sien dans ~/.local/bin, que le chemin ignore souvent.
    chemins = os.pathsep.join([os.environ.get("PATH", ""), os.path.expanduser("~/.local/bin")])
    for mineure in range(PYTHON_MINIMUM[1], PYTHON_EXCLU[1]):
        chemin = shutil.which(f"python3.{mineure}", path=chemins)
        # Un lanceur de pyenv peut être sur le chemin sans mener à rien : on l’essaie.
        essai = f"import sys; sys.exit(sys.version_info[:2] != (3, {mineure}))"
        if chemin and subprocess.call([chemin, "-c", essai], stderr=subprocess.DEVNULL) == 0:
            return chemin
    return None


def exiger_python(version):
    """Refuse un Python hors des bornes, en disant lequel il faut."""
    if not python_convient(version):
        raise Probleme(
            f"Python {version[0]}.{version[1]} ne convient pas : il faut Python 3.11, 3.12 ou "
            "3.13. Installez l’un d’eux, puis relancez ; s’il n’est pas sur le chemin (PATH), "
            "dites où il est : make PYTHON=chemin/vers/python3.11 suivi de la commande.\n"
            "Votre système n’en a pas ? uv en apporte un, sans droits d’administration :\n"
            "  python3 -m venv ~/.uv && ~/.uv/bin/pip install uv\n"
            "  ~/.uv/bin/uv python install 3.13"
        )


def exiger_venv():
    """Refuse un Python livré sans les modules venv et ensurepip, comme celui de Debian."""
    for module in ("venv", "ensurepip"):
        try:
            __import__(module)
        except ImportError as erreur:
            raise Probleme(
                f"Ce Python n’a pas le module {module} : sous Debian ou Ubuntu, installez-le par "
                "« sudo apt install python3-venv », puis relancez."
            ) from erreur


def exiger_espace(dossier, necessaire=ESPACE_NECESSAIRE):
    """Refuse de commencer quand le disque est trop plein pour finir."""
    libre = shutil.disk_usage(str(dossier)).free
    if libre < necessaire:
        raise Probleme(
            f"Le disque est trop plein : il faut {giga(necessaire)} libres dans « {dossier} », il "
            f"en reste {giga(libre)}. Faites de la place, puis relancez."
        )


def exiger_ecriture(dossier):
    """Refuse un dossier où l’on ne peut rien écrire."""
    try:
        with tempfile.TemporaryFile(dir=str(dossier)):
            pass
    except OSError as erreur:
        raise Probleme(
            f"Impossible d’écrire dans « {dossier} » : copiez ou clonez le projet dans un dossier "
            "qui est à vous, puis relancez."
        ) from erreur


def exiger_systeme_de_fichiers(dossier):
    """Refuse un disque qui ne garde ni droits ni liens, ou d’où rien ne s’exécute.

    /mnt/c de Windows, une clé USB (FAT), un partage ou une partition « noexec » : pip, uv et
    Postgres y échoueraient un à un, chacun à sa façon.
    """
    manque = None
    with tempfile.TemporaryDirectory(dir=str(dossier)) as essai:
        programme = Path(essai) / "programme"
        programme.write_text("#!/bin/sh\n")
        try:
            programme.chmod(0o700)
            (Path(essai) / "lien").symlink_to("programme")
        except OSError:
            manque = "les liens"
        else:
            if programme.stat().st_mode & 0o777 != 0o700:
                manque = "les droits"
        if not manque:
            try:
                subprocess.check_call([str(programme)])
            except (OSError, subprocess.CalledProcessError):
                manque = "l’exécution de programmes"
    if manque:
        raise Probleme(
            f"Le disque où est « {dossier} » ne permet pas {manque} (dossier de Windows vu de WSL, "
            "clé USB, partage ou partition « noexec ») : clonez le projet dans votre dossier "
            "personnel Linux (« cd ~ »), puis relancez."
        )


def empreinte(racine):
    """Résume le verrou et la description du paquet : ce dont dépend l’installation."""
    import tomllib  # absent avant Python 3.11

    projet = tomllib.loads((racine / "pyproject.toml").read_text(encoding="utf-8"))
    paquet = [projet["build-system"], projet["project"], projet["tool"]["setuptools"]]
    resume = hashlib.sha256((racine / "requirements" / "lock.txt").read_bytes())
    resume.update(json.dumps(paquet, sort_keys=True).encode("utf-8"))
    return resume.hexdigest()


def python_repond(python):
    """Dit si le Python de l’environnement démarre encore."""
    return python.exists() and subprocess.call([str(python), "-c", ""]) == 0


def vider(venv, garde):
    """Vide l’environnement, sauf le fichier qui dit à qui il est."""
    for entree in venv.iterdir():
        if entree == garde:
            continue
        if entree.is_dir() and not entree.is_symlink():
            shutil.rmtree(str(entree))
        else:
            entree.unlink()


def nettoyer(variables):
    """Retire des variables du terminal celles qui règlent Python, pip et uv."""
    return {nom: v for nom, v in variables.items() if not RETIRES.search(nom)}


def variable_de_pip(nom):
    """La variable d’environnement d’un réglage de pip."""
    return "PIP_" + nom.upper().replace("-", "_")


def reglages_de_pip(python):
    """Lit les réglages de pip que l’on garde, de ses fichiers comme de l’environnement."""
    pip = [str(python), "-m", "pip"]
    gardes = ["PIP_CONFIG_FILE", *map(variable_de_pip, GARDES_DE_PIP)]
    variables = {nom: os.environ[nom] for nom in gardes if nom in os.environ}
    variables["PIP_USER"] = "0"  # sinon, « user = true » ne ferait lire que le fichier du compte
    lu = subprocess.run(
        [*pip, "config", "list"],
        env=dict(nettoyer(os.environ), **variables),
        capture_output=True,
        check=False,
    )
    if lu.returncode:
        raise Probleme(
            "pip ne lit pas ses réglages (pip.conf, PIP_CONFIG_FILE) : corrigez-les. Il dit : "
            + lu.stderr.decode("utf-8", "replace").strip()[-300:]
        )
    trouves = {}
    # Du plus général au plus particulier : [global], [install], puis l’environnement.
    for section in ("global", "install", ":env:"):
        for ligne in lu.stdout.decode("utf-8", "replace").splitlines():
            cle, _, valeur = ligne.partition("=")
            if cle.startswith(section + ".") and cle[len(section) + 1 :] in GARDES_DE_PIP:
                trouves[cle[len(section) + 1 :]] = " ".join(ast.literal_eval(valeur).split())
    return {nom: valeur for nom, valeur in trouves.items() if valeur}


def environnement(pip):
    """Donne l’environnement des installations, d’après celui d’ici et les réglages de pip.

    pip et uv y lisent le même réseau, et les certificats du système si rien d’autre n’est dit.
    """
    propre = nettoyer(os.environ)
    propre.update({n: v for n, v in os.environ.items() if GARDES_D_UV.match(n)})
    for nom, variable in DE_PIP_A_UV.items():
        if nom in pip:
            valeur = pip[nom].replace(" ", ",") if nom == "find-links" else pip[nom]
            propre.setdefault(variable, valeur)
    # Les empreintes disent quel fichier est le bon : peu importe l’index qui le donne.
    propre.setdefault("UV_INDEX_STRATEGY", "unsafe-best-match")
    donnes = [propre.get(n) for n in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")]
    magasin = next((m for m in (*donnes, *MAGASINS) if m and Path(m).exists()), "")
    if any(donnes):
        propre.setdefault("SSL_CERT_FILE", magasin)
    else:
        propre.setdefault("UV_SYSTEM_CERTS", "true")
    propre.update({variable_de_pip(n): v for n, v in pip.items()})
    if magasin:
        propre.setdefault("PIP_CERT", magasin)
    propre.update(PIP_CONFIG_FILE=os.devnull, PIP_DISABLE_PIP_VERSION_CHECK="1", NO_COLOR="1")
    return propre


def lancer(commande, dossier, variables):
    """Lance une commande en montrant son avancement ; rend son code et ce qu’elle a écrit."""
    lignes = []
    with subprocess.Popen(
        [str(mot) for mot in commande],
        cwd=str(dossier),
        env=variables,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    ) as enfant:
        try:
            for brut in enfant.stdout:
                ligne = brut.decode("utf-8", "replace").rstrip()
                lignes.append(ligne)
                for motif, phrase in AVANCEMENT:
                    trouve = motif.match(ligne)
                    if trouve:
                        dire(phrase.format(*trouve.groups()))
        except KeyboardInterrupt:
            # Le groupe entier : pip et uv ont leurs propres enfants, qui écriraient encore.
            os.killpg(enfant.pid, signal.SIGKILL)
            raise
    return enfant.returncode, "\n".join(lignes)


def cause(sortie):
    """Reconnaît dans la sortie d’uv ou de pip ce que l’utilisateur peut corriger."""
    for nom, motif in SIGNES.items():
        if motif.search(sortie):
            return nom
    return None


def expliquer(sortie, racine):
    """Traduit l’échec d’uv ou de pip en une phrase qui dit quoi faire."""
    trouvee = cause(sortie)
    if trouvee == "disque":
        lieux = [racine, *map(Path, filter(os.path.isdir, [os.path.expanduser("~")]))]
        libres = ", ".join(f"{giga(shutil.disk_usage(str(d)).free)} dans « {d} »" for d in lieux)
        return Probleme(
            f"Le disque s’est rempli pendant l’installation (libres : {libres}). Faites de la "
            "place, puis relancez."
        )
    if trouvee == "empreinte":
        # Le paquet est nommé juste après le refus : « nom==version » chez uv comme chez pip.
        suite = sortie[SIGNES[trouvee].search(sortie).start() :]
        detail = re.search(r"([\w.-]+)(?:\[\S+\])?==([\w.]+)", suite)
        paquet = " ({} {})".format(*detail.groups()) if detail else ""
        return Probleme(
            f"Un paquet téléchargé{paquet} n’a pas l’empreinte attendue : il n’a pas été installé. "
            "Relancez ; si cela se répète, ne forcez pas et ouvrez une issue sur le dépôt."
        )
    if trouvee == "certificat":
        return Probleme(
            "Le réseau présente un certificat que cette machine ne reconnaît pas, sans doute celui "
            "du proxy de votre entreprise : ajoutez son autorité au magasin du système "
            "(« sudo update-ca-certificates » sous Debian ou Ubuntu), ou donnez le fichier PEM qui "
            "la contient dans la variable SSL_CERT_FILE, puis relancez."
        )
    if trouvee == "réseau":
        proxy = os.environ.get("https_proxy") or os.environ.get("HTTPS_PROXY")
        detail = " par le proxy {}".format(proxy.split("@")[-1]) if proxy else ""
        return Probleme(
            f"Le téléchargement des paquets a échoué{detail} : vérifiez la connexion au réseau "
            "(ou, derrière un proxy d’entreprise, https_proxy et le réglage de pip), puis relancez."
        )
    fin = "\n".join("  " + ligne for ligne in sortie.splitlines()[-15:])
    return Probleme("L’installation a échoué ; voici la fin de la sortie :\n" + fin)


def lignes_de(verrou, nom):
    """Extrait du verrou les lignes d’un paquet, empreintes comprises."""
    trouve = re.search(rf"^{nom}==.*?(?=^\S|\Z)", verrou, re.MULTILINE | re.DOTALL)
    if not trouve:
        raise Probleme(
            f"Il manque {nom} dans requirements/lock.txt : restaurez ce fichier par git."
        )
    return trouve.group(0)


def installer_paquets(racine, venv, variables):
    """Installe le verrou avec uv, deux fois plus rapide que pip, ou à défaut avec pip."""
    python, verrou = venv / "bin" / "python", racine / "requirements" / "lock.txt"
    # --no-deps : le verrou est complet, et l’ancien pip de Debian y refuse sinon les extras.
    pip = [python, "-m", "pip", "install", "--no-deps", "--require-hashes"]
    pip += ["--progress-bar=off", "--retries=2", "--requirement"]
    uv = [venv / "bin" / "uv", "pip", "sync", "--python", python]
    uv += ["--require-hashes", "--compile-bytecode", verrou]
    uv += ["--no-index"] if variables.get("PIP_NO_INDEX") else []

    with tempfile.NamedTemporaryFile("w", suffix=".txt", encoding="utf-8") as uv_seul:
        uv_seul.write(lignes_de(verrou.read_text(encoding="utf-8"), "uv"))
        uv_seul.flush()
        code, sortie = lancer([*pip, uv_seul.name], racine, variables)
    if code and cause(sortie):
        raise expliquer(sortie, racine)
    if not code:
        code, sortie = lancer(uv, racine, variables)
    if not code:
        return
    if cause(sortie) in ("disque", "empreinte", "certificat"):
        raise expliquer(sortie, racine)
    # Pas d’uv pour cette machine, ou un proxy dont pip seul a l’authentification.
    derniere = (sortie.strip().splitlines() or ["sans rien dire"])[-1].strip()
    dire(f"uv n’a pas abouti ({derniere}) : nouvel essai avec pip, plus lent (3 minutes environ).")
    code, sortie = lancer([*pip, verrou], racine, variables)
    if code:
        raise expliquer(sortie, racine)


def construire(racine, venv, mise_a_jour):
    """Crée l’environnement s’il le faut, puis y met les paquets du verrou et celui du dépôt."""
    debut = time.monotonic()
    if mise_a_jour:
        dire("Le verrou a changé : mise à jour de .venv…")
    else:
        dire("Installation dans .venv (une fois pour toutes, une à deux minutes)…")
        code, sortie = lancer([sys.executable, "-m", "venv", venv], racine, nettoyer(os.environ))
        if code:
            raise expliquer(sortie, racine)
    variables = environnement(reglages_de_pip(venv / "bin" / "python"))
    installer_paquets(racine, venv, variables)
    # Sans réseau ni environnement isolé : setuptools vient du verrou.
    depot = [venv / "bin" / "python", "-m", "pip", "install", "--editable", "."]
    depot += ["--no-deps", "--no-build-isolation", "--no-index"]
    code, sortie = lancer(depot, racine, variables)
    if code:
        raise expliquer(sortie, racine)
    dire(f"Environnement prêt en {time.monotonic() - debut:.0f} s.")


def installer(racine=RACINE):
    """Met .venv dans l’état que décrit le verrou, ou ne fait rien s’il y est déjà."""
    venv = racine / ".venv"
    temoin, python = venv / ".verrou", venv / "bin" / "python"
    attendu = f"{empreinte(racine)}\n{racine}\n"
    if temoin.is_file() and temoin.read_text(encoding="utf-8") == attendu and python.exists():
        return
    if venv.is_dir() and any(venv.iterdir()) and not temoin.exists():
        raise Probleme(
            "Le dossier .venv existe déjà et n’a pas été créé par ce projet : déplacez-le ou "
            "supprimez-le (rm -r .venv), puis relancez."
        )
    exiger_venv()
    exiger_ecriture(racine)
    exiger_systeme_de_fichiers(racine)
    venv.mkdir(exist_ok=True)
    with temoin.open("a+", encoding="utf-8") as fichier:
        try:
            fcntl.flock(fichier, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            dire("Une autre installation est en cours dans ce dossier : j’attends qu’elle finisse…")
            fcntl.flock(fichier, fcntl.LOCK_EX)
        fichier.seek(0)
        etat = fichier.read()
        if etat == attendu and python.exists():
            return
        # Un environnement inachevé, ou déplacé avec son dossier, se refait de zéro.
        mise_a_jour = etat.endswith(f"\n{racine}\n") and python_repond(python)
        fichier.truncate(0)
        if not mise_a_jour:
            vider(venv, garde=temoin)
            exiger_espace(racine)
        construire(racine, venv, mise_a_jour)
        fichier.write(attendu)


def interrompre(signum, cadre):
    """Traite l’arrêt demandé par le système comme un Ctrl-C."""
    raise KeyboardInterrupt


def principal():
    """Installe, et rend le code de sortie."""
    for arret in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(arret, interrompre)
    try:
        if not python_convient(sys.version_info):
            autre = autre_python()
            if autre:
                os.execv(autre, [autre, *sys.argv])
        exiger_python(sys.version_info)
        installer()
    except Probleme as probleme:
        dire(str(probleme))
        return 1
    except OSError as erreur:
        dire(
            f"Le système refuse d’écrire ou de lire « {erreur.filename} » ({erreur.strerror}) : "
            "vérifiez à qui est ce fichier et la place qui reste sur le disque, puis relancez."
        )
        return 1
    except KeyboardInterrupt:
        dire("\nInstallation interrompue : relancez la même commande, elle repartira proprement.")
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(principal())
