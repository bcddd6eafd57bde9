"""Ce qu’une diapositive doit être pour la salle ; la construction s’arrête sur ce qui ne l’est pas.

Ce que seul un navigateur sait, la place que prend un texte, ses tests le mesurent.
"""

import re
import statistics
from collections.abc import Iterator
from typing import Any

from publication import temps
from publication.depot import ErreurPublication
from publication.expose import ORDINAIRE, Diapositive, parait
from publication.planches import COMPOSEES
from publication.references import references

# Les limites de l’issue A : ce qui se lit à trois mètres, à 1280 × 720.
MOTS, MEDIANE = 60, 25
CORPS = 18
LIGNES, COLONNES, CODE = 6, 4, 12
DIAPOSITIVES = (38, 48)
SECONDES = (25, 110)
TITRE = 80
# La place d’un dessin : toute la largeur d’une diapositive, ou les trois cinquièmes.
PLACE, PLACE_ETROITE = (1216, 590), (705, 590)
TAILLE = re.compile(r'font-size="([\d.]+)"')
TOILE = re.compile(r'<svg [^>]*?width="([\d.]+)" height="([\d.]+)"')
NOMBRE = re.compile(r"\d[\d\u202f\u00a0]*(?:,\d+)?")


def verifier(diapositives: list[Diapositive], secondes: dict[str, float]) -> None:
    """Vérifie toutes les diapositives.

    Args:
        diapositives: celles de toutes les versions.
        secondes: le temps de chacune, dans l’exposé ordinaire, par identifiant.

    Raises:
        ErreurPublication: si une règle n’est pas tenue ; chaque cellule et sa règle sont nommées.
    """
    fautes = [f"{d.partie}, « {d.id} » : {faute}" for d in diapositives for faute in _une(d)]
    ordinaires = [d for d in diapositives if parait(d.version, ORDINAIRE)]
    for d in ordinaires:
        bas, haut = SECONDES
        if not bas <= secondes[d.id] <= haut:
            duree = f"{secondes[d.id]:.0f} s à dire, il en faut de {bas} à {haut}."
            fautes.append(f"{d.partie}, « {d.id} » : {duree}")
    fautes += _ensemble(ordinaires)
    if fautes:
        raise ErreurPublication("l’exposé ne tient pas ses règles :\n" + "\n".join(fautes))


def compter(texte: str) -> int:
    """Compte les mots d’un texte."""
    return len(temps.MOT.findall(texte))


def _une(d: Diapositive) -> Iterator[str]:
    if not d.notes:
        yield "elle n’a pas de notes."
    if not d.texte:
        yield "elle n’a pas de paragraphe (cellule étiquetée « texte »)."
    if not d.contenu and not d.ouvre:
        yield "elle ne montre rien."
    if len(d.titre) > TITRE:
        yield f"son titre a {len(d.titre)} signes, {TITRE} au plus."
    if (nombre := compter(d.visible)) > MOTS:
        yield f"elle fait lire {nombre} mots, {MOTS} au plus."
    for planche in d.planches:
        yield from _planche(planche)
        yield from _lettres(planche)
    for planche in d.document:
        yield from _planche(planche)
    for cle in d.sources:
        if cle not in references():
            yield f"la source « {cle} » n’est pas dans references.bib."
    if "…" in NOMBRE.sub("", d.texte) and re.search(r"\d ?…|… ?\d", d.texte):
        yield "un « … » y tient la place d’un nombre."


def _planche(planche: dict[str, Any]) -> Iterator[str]:
    if planche["genre"] in COMPOSEES:
        for p in planche["planches"]:
            yield from _planche(p)
    lignes, colonnes = (len(planche.get(cle, ())) for cle in ("lignes", "colonnes"))
    if lignes > LIGNES or colonnes > COLONNES:
        yield (
            f"son tableau a {lignes} lignes et {colonnes} colonnes, {LIGNES} et {COLONNES} au plus."
        )
    if planche["genre"] == "code" and planche["code"].count("\n") >= CODE:
        yield f"son code a plus de {CODE} lignes."
    if planche["genre"] in {"figure", "ecran"} and not planche["alt"].strip():
        yield "une image n’a pas de texte de remplacement."


def _lettres(planche: dict[str, Any], moitie: bool = False) -> Iterator[str]:
    """Dit quel dessin, réduit à la place qu’il a à l’écran, ne se lit plus du fond."""
    if planche["genre"] in COMPOSEES:
        for p in planche["planches"]:
            yield from _lettres(p, planche["genre"] == "deux")
    # Sur la carte, le nom d’un outil peut descendre à 16.
    seuil = CORPS - 2 if planche.get("nom", "").startswith(("fig-carte", "fig-acteurs")) else CORPS
    if (corps := _plus_petit(planche, moitie)) < seuil:
        yield f"le plus petit texte de {planche['nom']} fait {corps:.1f} pixels, {seuil} au moins."


def _plus_petit(planche: dict[str, Any], moitie: bool) -> float:
    """Donne la taille du plus petit texte d’un dessin, mis à la place qu’il a à l’écran.

    Une courbe n’a pas de texte, mais des tracés : ses tailles sont dans ``courbes.py``.
    """
    tailles = [float(t) for t in TAILLE.findall(planche.get("svg", ""))]
    if not tailles:
        return float("inf")
    large, haut = map(float, TOILE.search(planche["svg"]).groups())
    place = PLACE_ETROITE if moitie else PLACE
    return min(tailles) * min(place[0] / large, place[1] / haut)


def _ensemble(ordinaires: list[Diapositive]) -> Iterator[str]:
    bas, haut = DIAPOSITIVES
    if not bas <= len(ordinaires) <= haut:
        yield f"il y a {len(ordinaires)} diapositives, il en faut de {bas} à {haut}."
    mediane = statistics.median(compter(d.visible) for d in ordinaires) if ordinaires else 0
    if mediane > MEDIANE:
        yield f"la diapositive médiane fait lire {mediane:.0f} mots, {MEDIANE} au plus."


def nombres_absents(d: Diapositive) -> list[str]:
    """Donne les nombres dits à l’oral que le paragraphe écrit ne dit pas."""
    dits = set(NOMBRE.findall(" ".join(n.texte for n in d.paroles(ORDINAIRE))))
    return sorted(dits - set(NOMBRE.findall(d.texte)))
