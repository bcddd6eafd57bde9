"""La carte des niveaux : un seul dessin, dont les blocs ne bougent pas, du niveau 0 au niveau 4.

Les données (``book/donnees/schemas/carte.yaml``) donnent à chaque bloc sa place et à chaque flèche
ses points ; ici, on choisit ce qui existe à un niveau, on pose les textes, et l’on refuse ce qui ne
tient pas. Un élément porte ``depuis`` et ``jusqua`` : les niveaux où il existe. ``manuel`` est le
dernier niveau où il se fait à la main. Une valeur écrite ``{0: …, 2: …}`` change à ces niveaux.
"""

import base64
import itertools
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from fontTools.ttLib import TTFont

from publication.depot import RACINE, ErreurPublication
from publication.dessin import Icone

POLICES = RACINE / "notebooks" / "mlops_demo" / "polices"
TITRE, DETAIL, OUTIL = 20, 16, 16
ECART = 10
DERNIER = 4
COTES = {"haut": (0.5, 0), "bas": (0.5, 1), "gauche": (0, 0.5), "droite": (1, 0.5)}


@cache
def _police(gras: bool) -> tuple[dict[int, str], Any, int]:
    fonte = TTFont(Path(POLICES) / f"texte-{700 if gras else 400}.ttf")
    return fonte.getBestCmap(), fonte["hmtx"], fonte["head"].unitsPerEm


def largeur(texte: str, taille: float, gras: bool = False) -> float:
    """Donne la largeur d’un texte dans la police du livre, en unités du dessin."""
    signes, chasses, unites = _police(gras)
    return sum(chasses[signes.get(ord(c), "space")][0] for c in texte) * taille / unites


def au_niveau(valeur: Any, niveau: int) -> Any:
    """Donne ce que vaut une valeur à un niveau."""
    if isinstance(valeur, Mapping) and all(isinstance(cle, int) for cle in valeur):
        atteints = [cle for cle in valeur if cle <= niveau]
        return valeur[max(atteints)] if atteints else None
    return valeur


def disposer(
    donnees: Mapping[str, Any], icones: Mapping[str, Icone], niveau: int
) -> dict[str, Any]:
    """Place ce que la carte montre à un niveau.

    Raises:
        ErreurPublication: si un texte déborde, si un outil ou un bloc n’existe pas.
    """
    if niveau not in range(DERNIER + 1):
        raise ErreurPublication(f"le niveau {niveau} n’existe pas.")
    places = donnees["blocs"]
    blocs = [
        _bloc(nom, bloc, icones, donnees["tourne_ici"], niveau)
        for nom, bloc in places.items()
        if _existe(bloc, niveau)
    ]
    fleches = [_fleche(f, places, niveau) for f in donnees["fleches"] if _existe(f, niveau)]
    largeur_du_dessin, hauteur = donnees["cadre"]
    for bloc in blocs:
        if bloc["x"] + bloc["l"] > largeur_du_dessin or bloc["y"] + bloc["h"] > hauteur:
            raise ErreurPublication(f"le bloc « {bloc['nom']} » sort du cadre.")
    return {
        "cadre": donnees["cadre"],
        "blocs": blocs,
        "fleches": fleches,
        "barrieres": [b for b in donnees.get("barrieres", []) if _existe(b, niveau)],
        "ligne": donnees["ligne"],
        "accolade": donnees["accolade"] if niveau <= donnees["accolade"]["jusqua"] else None,
        "legende": {"manuel": any(x["manuel"] for x in (*blocs, *fleches)), "nouveau": niveau > 0},
        "icones": _symboles(blocs),
    }


def _existe(element: Mapping[str, Any], niveau: int) -> bool:
    return element.get("depuis", 0) <= niveau <= element.get("jusqua", DERNIER)


def _manuel(element: Mapping[str, Any], niveau: int) -> bool:
    return niveau <= element.get("manuel", -1)


def _nouveau(element: Mapping[str, Any], niveau: int) -> bool:
    return niveau > 0 and element.get("depuis", 0) == niveau


def affiche(donnees: Mapping[str, Any], carte: Mapping[str, Any], icones: Any) -> dict[str, Any]:
    """Place l’affiche : la carte achevée, où rien n’est plus nouveau, et ce qui l’explique."""
    dessin = disposer(carte, icones, DERNIER)
    for element in (*dessin["blocs"], *dessin["fleches"]):
        element["nouveau"] = False
    return {cle: donnees[cle] for cle in ("sous_titre", "source", "roles", "explications")} | dessin


def _bloc(
    nom: str, bloc: Mapping[str, Any], icones: Mapping[str, Icone], ici: list[str], niveau: int
) -> dict[str, Any]:
    x, y, large, haut = bloc["place"]
    place = large - 16
    titre, detail = au_niveau(bloc["texte"], niveau), au_niveau(bloc.get("detail"), niveau)
    rangs = list(ranger(au_niveau(bloc.get("outils"), niveau) or [], icones, ici, place))
    for texte, taille, gras in ((titre, TITRE, True), (detail or "", DETAIL, False)):
        if largeur(texte, taille, gras) > place:
            raise ErreurPublication(f"le bloc « {nom} » est trop étroit pour « {texte} ».")
    total = TITRE * 1.25 + (DETAIL * 1.3 if detail else 0) + len(rangs) * (OUTIL + 6)
    chapeau = 14 if bloc.get("forme") == "cylindre" else 0
    if total > haut - chapeau - 6:
        raise ErreurPublication(f"le bloc « {nom} » est trop bas pour ce qu’il contient.")
    curseur, milieu = y + chapeau + (haut - chapeau - total) / 2, x + large / 2
    textes = [{"texte": titre, "x": milieu, "y": curseur + TITRE, "taille": TITRE, "gras": True}]
    curseur += TITRE * 1.25
    if detail:
        ligne = {"texte": detail, "x": milieu, "y": curseur + DETAIL, "taille": DETAIL}
        textes.append(ligne | {"gras": False})
        curseur += DETAIL * 1.3
    outils = []
    for rang in rangs:
        a_gauche = milieu - (sum(o["l"] for o in rang) + ECART * (len(rang) - 1)) / 2
        for outil in rang:
            outils.append(outil | {"x": a_gauche, "y": curseur + 4})
            a_gauche += outil["l"] + ECART
        curseur += OUTIL + 6
    return {
        "nom": nom,
        "x": x,
        "y": y,
        "l": large,
        "h": haut,
        "forme": bloc.get("forme", "boite"),
        "camp": bloc.get("camp", "ml"),
        "nouveau": _nouveau(bloc, niveau),
        "manuel": _manuel(bloc, niveau),
        "textes": textes,
        "outils": outils,
        "qui": bloc.get("qui", []),
    }


def ranger(
    outils: list[str],
    icones: Mapping[str, Icone],
    ici: Iterable[str],
    place: float,
    taille: float = OUTIL,
) -> Iterator[list[dict[str, Any]]]:
    """Range des outils sur autant de lignes qu’il en faut ; ceux d’``ici`` sont en gras.

    Raises:
        ErreurPublication: si un outil n’existe pas ou ne tient pas dans la largeur.
    """
    rang: list[dict[str, Any]] = []
    for cle in outils:
        if cle not in icones:
            raise ErreurPublication(f"l’outil « {cle} » n’est pas dans icones.yaml.")
        icone, gras = icones[cle], cle in ici
        signe = taille + 5 if icone.trace else 0
        large = largeur(icone.titre, taille, gras) + signe
        if large > place:
            raise ErreurPublication(f"la place manque pour « {icone.titre} ».")
        if rang and sum(o["l"] + ECART for o in rang) + large > place:
            yield rang
            rang = []
        rang.append({"cle": cle, "icone": icone, "l": large, "signe": signe, "gras": gras})
    if rang:
        yield rang


def _fleche(fleche: Mapping[str, Any], blocs: Mapping[str, Any], niveau: int) -> dict[str, Any]:
    points = [_point(p, blocs) for p in fleche["points"]]
    for (xa, ya), (xb, yb) in itertools.pairwise(points):
        if abs(xa - xb) > 0.5 and abs(ya - yb) > 0.5:
            raise ErreurPublication(f"la flèche {fleche['points']} n’est pas d’équerre.")
    manuel = _manuel(fleche, niveau)
    (xa, ya), (xb, yb) = max(
        itertools.pairwise(points),
        key=lambda s: abs(s[0][0] - s[1][0]) + abs(s[0][1] - s[1][1]),
    )
    return {
        "points": points,
        "nouveau": _nouveau(fleche, niveau),
        "manuel": manuel,
        "main": fleche.get("main", [(xa + xb) / 2, (ya + yb) / 2]) if manuel else [],
    }


def coude(points: list[tuple[float, float]], rayon: float = 10) -> str:
    """Écrit le tracé d’une ligne brisée d’équerre, ses angles arrondis."""
    trace = f"M{points[0][0]:g} {points[0][1]:g}"
    for (xa, ya), (x, y), (xb, yb) in zip(points, points[1:], points[2:], strict=False):
        avant, apres = abs(x - xa) + abs(y - ya), abs(xb - x) + abs(yb - y)
        r = min(rayon, avant / 2, apres / 2)
        xe, ye = x - r * (x - xa) / avant, y - r * (y - ya) / avant
        xs, ys = x + r * (xb - x) / apres, y + r * (yb - y) / apres
        trace += f"L{xe:g} {ye:g}Q{x:g} {y:g} {xs:g} {ys:g}"
    return f"{trace}L{points[-1][0]:g} {points[-1][1]:g}"


@cache
def police_incorporee() -> str:
    """Donne la police en CSS : un dessin montré comme image ne charge rien d’autre que lui."""
    fontes = RACINE / "book" / "assets" / "polices"
    return "".join(
        f"@font-face{{font-family:Figtree;font-weight:{graisse};src:url(data:font/woff2;base64,"
        f"{base64.b64encode((fontes / f'texte-{graisse}.woff2').read_bytes()).decode()})}}"
        for graisse in (400, 700)
    )


def _point(point: Any, blocs: Mapping[str, Any]) -> tuple[float, float]:
    """Donne un point : ``[x, y]``, ou ``bloc.côté`` et au besoin ``bloc.côté.part``."""
    if not isinstance(point, str):
        return point[0], point[1]
    nom, cote, *part = point.split(" ")
    if nom not in blocs or cote not in COTES:
        raise ErreurPublication(f"la flèche part de « {point} », qui n’existe pas.")
    x, y, large, haut = blocs[nom]["place"]
    fx, fy = COTES[cote]
    if part:
        fx, fy = (float(part[0]), fy) if cote in {"haut", "bas"} else (fx, float(part[0]))
    return x + large * fx, y + haut * fy


def _symboles(blocs: list[dict[str, Any]]) -> dict[str, Icone]:
    """Donne les icônes à définir, une par outil qui en a une."""
    outils = (outil for bloc in blocs for outil in bloc["outils"])
    return {o["cle"]: o["icone"] for o in outils if o["icone"].trace}
