"""L’exécution de référence : les nombres que disent l’exposé et ses notes, et d’où ils viennent.

``book/reference.json`` garde les résultats d’une exécution datée, écrits par ``make reference`` ;
``book/donnees/valeurs.yaml`` donne un nom à ceux que l’exposé cite. Un texte les appelle par
``{{ nom }}``, une cellule par ``valeur("nom")``. Un test compare chacun à une exécution neuve : un
nombre exact doit être le même, une mesure (``mesure: true``) du même ordre.
"""

import json
import math
import re
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from mlops_demo.textes import nombre

from publication.depot import RACINE, ErreurPublication, ecrire_json, lire_yaml, provenance
from publication.plan import lire_notebooks, lire_releve

FICHIER = RACINE / "book" / "reference.json"
VALEURS = RACINE / "book" / "donnees" / "valeurs.yaml"
APPEL = re.compile(r"\{\{ *(\w+) *\}\}")
# Une mesure dépend de la machine : au-delà de ces rapports, elle a changé d’ordre de grandeur.
ENTRE = (0.3, 3.0)
# Ce que l’exécution mesure de chaque notebook, à côté de son résultat, en secondes.
MESURES = {"durees", "processeur"}


def _plafond(duree_s: float) -> int:
    return max(2, math.ceil(duree_s))


FORMATS: dict[str, Callable[[Any], str]] = {
    "texte": str,
    "entier": lambda v: nombre(v, 0),
    "nombre1": lambda v: nombre(v, 1),
    "nombre2": lambda v: nombre(v, 2),
    "nombre3": lambda v: nombre(v, 3),
    "signe2": lambda v: nombre(v, 2, signe=True),
    "signe3": lambda v: nombre(v, 3, signe=True),
    "pourcent": lambda v: f"{nombre(100 * v, 0)}\u00a0%",
    "points": lambda v: nombre(abs(100 * v), 0),
    "secondes": lambda v: f"{nombre(v, 0)}\u00a0s",
    "secondes1": lambda v: f"{nombre(v, 1)}\u00a0s",
    # Le service regarde deux fois par seconde : sous deux secondes, une durée tient du hasard.
    "moins_de": lambda v: f"moins de {_plafond(v)}\u00a0s",
    "inferieur": lambda v: f"<\u00a0{_plafond(v)}\u00a0s",
    "millisecondes": lambda v: f"{nombre(v, 0)}\u00a0ms",
    "compte": lambda v: str(len(v)),
}


def enregistrer(racine: Path) -> Path:
    """Écrit l’exécution de référence, d’après les relevés de la dernière exécution du livre."""
    import psutil

    memoire = round(psutil.virtual_memory().total / 2**30)
    version = ".".join(map(str, sys.version_info[:2]))
    origine = provenance(racine)
    reference = {
        "date": origine["date"],
        "commit": origine["commit"],
        "machine": f"{origine['coeurs']} cœurs, {memoire} Gio de mémoire, Python {version}",
        **relever(racine),
    }
    fichier = racine / FICHIER.relative_to(RACINE)
    ecrire_json(fichier, reference)
    charger.cache_clear()
    return fichier


def exiger_un_arbre_commite(racine: Path) -> None:
    """Refuse de dater une référence d’un commit que l’arbre ne redonne pas.

    Raises:
        ErreurPublication: si l’arbre a des changements qui ne sont pas commités.
    """
    if "modifié" in provenance(racine)["commit"]:
        raise ErreurPublication(
            "la référence nomme un commit, et l’arbre a des changements : commitez-les d’abord."
        )


def relever(racine: Path) -> dict[str, Any]:
    """Réunit ce que les notebooks exécutés ont écrit : résultats, durées, processeur.

    Raises:
        ErreurPublication: si l’un d’eux n’a pas été exécuté.
    """
    resultats, durees, processeur = {}, {}, {}
    for notebook in lire_notebooks(racine):
        if notebook.ecrit_un_resultat:
            releve = lire_releve(racine, notebook.chemin)
            if not releve.get("resultat"):
                raise ErreurPublication(
                    f"{notebook.chemin} n’a pas encore été exécuté : lancez « make book »."
                )
            nom = Path(notebook.chemin).stem
            resultats[nom], durees[nom] = releve["resultat"], releve["duree"]
            processeur[nom] = releve["processeur"]
    return {"resultats": resultats, "durees": durees, "processeur": processeur}


@cache
def charger() -> dict[str, Any]:
    """Lit l’exécution de référence.

    Raises:
        ErreurPublication: si le fichier manque ou n’est pas du JSON.
    """
    try:
        return json.loads(FICHIER.read_text(encoding="utf-8"))
    except FileNotFoundError as erreur:
        raise ErreurPublication(
            "book/reference.json manque : « make reference » l’écrit, ou « git checkout » le rend."
        ) from erreur
    except json.JSONDecodeError as erreur:
        raise ErreurPublication(f"book/reference.json n’est pas du JSON : {erreur}") from erreur


@cache
def valeurs() -> dict[str, dict[str, Any]]:
    """Donne les valeurs nommées : leur chemin, leur forme, et si elles dépendent de la machine."""
    return lire_yaml(VALEURS)


def brute(nom: str, reference: dict[str, Any] | None = None) -> Any:
    """Donne une valeur nommée, telle que l’exécution l’a écrite.

    Raises:
        ErreurPublication: si le nom ou son chemin n’existe pas.
    """
    if nom not in valeurs():
        raise ErreurPublication(f"la valeur « {nom} » n’est pas dans book/donnees/valeurs.yaml.")
    chemin = valeurs()[nom]["chemin"]
    noeud = (reference or charger())["resultats"]
    if chemin.split("/")[0] in MESURES:
        noeud = reference or charger()
    for pas in chemin.split("/"):
        noeud = _descendre(noeud, pas)
        if noeud is None:
            raise ErreurPublication(
                f"la valeur « {nom} » : « {pas} » n’est pas dans l’exécution de référence "
                f"(chemin {chemin})."
            )
    return noeud


def _descendre(noeud: Any, pas: str) -> Any:
    """Suit un pas : une clé, un rang, ou la ligne d’une liste dont la première case vaut ce mot."""
    if isinstance(noeud, dict):
        return noeud.get(pas)
    if not isinstance(noeud, list):
        return None
    lignes = (n for n in noeud if isinstance(n, dict) and str(next(iter(n.values()))) == pas)
    trouve = next(lignes, None)
    if trouve is None and pas.isdigit() and int(pas) < len(noeud):
        return noeud[int(pas)]
    return trouve


def valeur(nom: str, reference: dict[str, Any] | None = None) -> str:
    """Écrit une valeur nommée à la française, dans la forme que valeurs.yaml lui donne.

    Raises:
        ErreurPublication: si la valeur ou sa forme n’existe pas.
    """
    valeur_brute = brute(nom, reference)
    forme = valeurs()[nom]["format"]
    if forme == "version":
        # Le registre ne repart pas de 1 : l’exposé compte depuis la première version de l’année.
        premiere = (reference or charger())["resultats"]["42_entrainement"]["version"]
        return str(valeur_brute - premiere + 1)
    if forme not in FORMATS:
        raise ErreurPublication(f"la valeur « {nom} » a une forme inconnue : « {forme} ».")
    try:
        return FORMATS[forme](valeur_brute)
    except TypeError as erreur:
        raise ErreurPublication(f"la valeur « {nom} » ne s’écrit pas en « {forme} ».") from erreur


def remplir(texte: str) -> str:
    """Met les valeurs à la place de leurs noms.

    Raises:
        ErreurPublication: si une valeur n’existe pas, ou s’il reste une accolade double.
    """
    rempli = APPEL.sub(lambda appel: valeur(appel[1]), texte)
    if "{{" in rempli or "}}" in rempli:
        raise ErreurPublication(f"un appel de valeur est mal écrit : « {rempli.strip()[:80]} ».")
    return rempli


def ecarts(neuve: dict[str, Any]) -> list[str]:
    """Dit en quoi une exécution neuve dément celle de référence ; rien si elle la confirme.

    Args:
        neuve: ce que donne ``relever``.
    """
    fautes = []
    for nom, reglages in valeurs().items():
        if reglages.get("mesure"):
            avant, apres = float(brute(nom)), float(brute(nom, neuve))
            rapport = apres / avant if avant else float("inf")
            if not ENTRE[0] <= rapport <= ENTRE[1]:
                fautes.append(f"{nom} : {valeur(nom)} en référence, {valeur(nom, neuve)} mesuré")
        elif valeur(nom) != valeur(nom, neuve):
            fautes.append(f"{nom} : {valeur(nom)} en référence, {valeur(nom, neuve)} calculé")
    return fautes


def origine() -> str:
    """Dit, en une phrase, d’où viennent les nombres mesurés."""
    reference = charger()
    return (
        f"Les nombres de la démonstration viennent d’une exécution du {reference['date']}, "
        f"au commit `{reference['commit']}`, sur {reference['machine']}."
    )
