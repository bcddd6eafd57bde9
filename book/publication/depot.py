"""Ce que la fabrication sait du dépôt : ses chemins, son sommaire, ses erreurs."""

import hashlib
import json
import os
import re
import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

RACINE = Path(__file__).resolve().parents[2]
# Codes de couleur du terminal, que les journaux n’ont pas à garder.
COULEURS = re.compile(r"\x1b\[[0-9;]*m")

try:  # l’analyseur en C, dix fois plus rapide, n’est pas fourni partout
    from yaml import CSafeLoader as Analyseur
except ImportError:
    from yaml import SafeLoader as Analyseur


class ErreurPublication(Exception):
    """Échec que la personne devant l’écran peut comprendre : le message suffit."""

    def _render_traceback_(self) -> list[str]:
        """Ce que JupyterLab affiche : la phrase, sans pile d’appels."""
        return [f"Erreur : {self}"]


def dossier_execution(racine: Path) -> Path:
    """Dossier des copies exécutées et de leurs relevés."""
    return racine / "_build" / "execution"


def adresse_jupyterhub() -> str:
    """Donne l’adresse du dossier du dépôt dans JupyterHub, réglée par LIVRE_JUPYTERHUB, ou rien.

    Raises:
        ErreurPublication: si ce n’est pas une adresse.
    """
    adresse = os.environ.get("LIVRE_JUPYTERHUB", "").strip().rstrip("/")
    if adresse and not re.fullmatch(r"https?://[^\s\"<>]+", adresse):
        raise ErreurPublication(
            f"LIVRE_JUPYTERHUB vaut « {adresse} », qui n’est pas une adresse : donnez celle du "
            "dossier du dépôt, par exemple "
            "https://hub.exemple.fr/hub/user-redirect/lab/tree/presentation_mlops."
        )
    return adresse


def lire_yaml(fichier: Path) -> Any:
    """Lit un fichier YAML.

    Raises:
        ErreurPublication: si le fichier manque ou n’est pas du YAML.
    """
    try:
        return yaml.load(fichier.read_text(encoding="utf-8"), Loader=Analyseur)
    except FileNotFoundError as erreur:
        raise ErreurPublication(f"le fichier « {fichier.name} » est introuvable.") from erreur
    except yaml.YAMLError as erreur:
        raise ErreurPublication(f"« {fichier.name} » n’est pas du YAML : {erreur}") from erreur


def adresse_publiee(racine: Path) -> str:
    """Donne l’adresse du livre sur GitHub Pages, déduite de celle du dépôt."""
    depot = lire_yaml(racine / "_config.yml")["repository"]["url"]
    compte, nom = depot.rstrip("/").split("/")[-2:]
    return f"https://{compte.lower()}.github.io/{nom}"


def lire_sommaire(racine: Path) -> list[str]:
    """Donne les pages du livre, dans l’ordre de lecture, avec leur extension.

    Raises:
        ErreurPublication: si une page du sommaire n’existe pas.
    """
    sommaire = lire_yaml(racine / "_toc.yml")
    pages = []
    for nom in _noms(sommaire):
        presentes = [nom + fin for fin in (".ipynb", ".md") if (racine / (nom + fin)).is_file()]
        if not presentes:
            raise ErreurPublication(
                f"_toc.yml cite « {nom} », mais il n’y a ni {nom}.ipynb ni {nom}.md : "
                "ajoutez la page ou retirez-la du sommaire."
            )
        pages.append(presentes[0])
    return pages


def _noms(noeud: dict[str, Any]) -> list[str]:
    """Parcourt le sommaire : racine, parties, chapitres, sections."""
    noms = [noeud[cle] for cle in ("root", "file") if cle in noeud]
    for cle in ("parts", "chapters", "sections"):
        for enfant in noeud.get(cle, []):
            noms += _noms(enfant)
    return noms


def empreinte(*morceaux: bytes | str) -> str:
    """Empreinte SHA-256 d’une suite de morceaux, insensible à leur concaténation."""
    somme = hashlib.sha256()
    for morceau in morceaux:
        octets = morceau.encode() if isinstance(morceau, str) else morceau
        somme.update(len(octets).to_bytes(8, "big"))
        somme.update(octets)
    return somme.hexdigest()


def empreinte_fichiers(racine: Path, fichiers: list[Path]) -> str:
    """Empreinte des noms et des contenus de fichiers ; un fichier absent compte aussi."""
    morceaux: list[bytes | str] = []
    for fichier in sorted(fichiers):
        morceaux.append(fichier.relative_to(racine).as_posix())
        morceaux.append(fichier.read_bytes() if fichier.is_file() else b"absent")
    return empreinte(*morceaux)


def provenance(racine: Path) -> dict[str, Any]:
    """Dit d’où vient une mesure : le jour, le commit, les cœurs et la charge de la machine."""
    git = ["git", "-c", "safe.directory=*", "describe", "--always", "--dirty=+modifié"]
    commit = subprocess.run(git, cwd=racine, capture_output=True, text=True, check=False)
    return {
        "date": datetime.now(UTC).strftime("%d/%m/%Y"),
        "commit": commit.stdout.strip(),
        "coeurs": os.cpu_count(),
        "charge": round(os.getloadavg()[0], 1),
    }


def ecrire(fichier: Path, texte: str) -> None:
    """Écrit un fichier d’un coup : on voit l’ancien ou le nouveau, jamais un morceau."""
    fichier.parent.mkdir(parents=True, exist_ok=True)
    provisoire = fichier.with_name(f".{fichier.name}.{os.getpid()}")
    try:
        provisoire.write_text(texte, encoding="utf-8")
        os.replace(provisoire, fichier)
    except BaseException:
        provisoire.unlink(missing_ok=True)
        raise


def ecrire_json(fichier: Path, valeur: Any) -> None:
    """Écrit une valeur en JSON lisible, d’un coup."""
    ecrire(fichier, json.dumps(valeur, ensure_ascii=False, indent=2) + "\n")


def mettre_en_place(nouveau: Path, place: Path) -> None:
    """Remplace un dossier par un autre ; l’ancien n’est détruit qu’une fois le neuf en place."""
    ancien = place.with_name(f"{place.name}.ancien")
    shutil.rmtree(ancien, ignore_errors=True)
    if place.exists():
        place.rename(ancien)
    nouveau.rename(place)
    shutil.rmtree(ancien, ignore_errors=True)
