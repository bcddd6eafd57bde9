"""Un croquis : quelques blocs, flèches et mots, chacun à la place que lui donnent les données.

``cadre`` dit la taille du dessin, faite pour la moitié gauche d’une diapositive ; aucun texte n’y
descend sous 19. ``blocs`` : ``place`` [x, y, largeur, hauteur], ``texte`` et ``detail`` (une ligne
ou une liste de lignes), ``outils`` (des noms d’icones.yaml), ``famille``, ``forme`` (boite, rond,
cylindre), ``accent``. ``fleches`` :
``points``, ``accent``, ``texte`` et sa ``place`` [x, y]. ``mots`` : ``texte``, ``place``, ``gras``,
``ancre``. ``traits`` : un tracé SVG, sa couleur, son épaisseur.
"""

from collections.abc import Mapping
from typing import Any

from publication.carte import ECART, largeur, ranger
from publication.depot import ErreurPublication
from publication.dessin import FAMILLES, Icone

TITRE, DETAIL = 22, 19
INTERLIGNE = 1.22


def disposer(donnees: Mapping[str, Any], icones: Mapping[str, Icone]) -> dict[str, Any]:
    """Place un croquis.

    Raises:
        ErreurPublication: si un texte ne tient pas dans son bloc ou si un bloc sort du cadre.
    """
    cadre = donnees["cadre"]
    blocs = [_bloc(bloc, cadre, icones) for bloc in donnees.get("blocs", [])]
    fleches = [
        {"accent": False, "double": False, "texte": "", "ancre": "middle"} | f
        for f in donnees.get("fleches", [])
    ]
    mots = [
        {"gras": False, "ancre": "middle", "taille": DETAIL, "couleur": "#14263a"} | mot
        for mot in donnees.get("mots", [])
    ]
    return {
        "cadre": cadre,
        "blocs": blocs,
        "fleches": fleches,
        "mots": mots,
        "traits": [{"fond": "none", "tiret": ""} | t for t in donnees.get("traits", [])],
        "detail": DETAIL,
        "icones": {o["cle"]: o["icone"] for b in blocs for o in b["outils"] if o["icone"].trace},
    }


def _bloc(
    bloc: Mapping[str, Any], cadre: list[float], icones: Mapping[str, Icone]
) -> dict[str, Any]:
    x, y, large, haut = bloc["place"]
    if x < 0 or y < 0 or x + large > cadre[0] or y + haut > cadre[1]:
        raise ErreurPublication(f"le bloc « {bloc.get('texte')} » sort du cadre.")
    famille = FAMILLES[bloc.get("famille", "neutre")]
    lignes = [(t, TITRE, True) for t in _lignes(bloc.get("texte"))]
    lignes += [(t, DETAIL, False) for t in _lignes(bloc.get("detail"))]
    place = large - (40 if bloc.get("forme") == "rond" else 14)
    for texte, taille, gras in lignes:
        if largeur(texte, taille, gras) > place:
            raise ErreurPublication(f"« {texte} » ne tient pas dans son bloc.")
    rangs = list(ranger(bloc.get("outils", []), icones, (), place, DETAIL))
    pas = DETAIL + 7
    total = sum(taille * INTERLIGNE for _, taille, _ in lignes) + len(rangs) * pas
    chapeau = 10 if bloc.get("forme") == "cylindre" else 0
    if total > haut - chapeau - 8:
        raise ErreurPublication(f"le bloc « {bloc.get('texte')} » est trop bas.")
    haut_du_texte, textes = y + chapeau + (haut - chapeau - total) / 2, []
    for texte, taille, gras in lignes:
        ligne = {"texte": texte, "x": x + large / 2, "y": haut_du_texte + taille * 0.92}
        textes.append(ligne | {"taille": taille, "gras": gras})
        haut_du_texte += taille * INTERLIGNE
    outils = []
    for rang in rangs:
        a_gauche = x + (large - sum(o["l"] + ECART for o in rang) + ECART) / 2
        for outil in rang:
            outils.append(outil | {"x": a_gauche, "y": haut_du_texte + 3})
            a_gauche += outil["l"] + ECART
        haut_du_texte += pas
    return {
        "x": x,
        "y": y,
        "l": large,
        "h": haut,
        "forme": bloc.get("forme", "boite"),
        "fond": "#ffe2c2" if bloc.get("accent") else famille.fond,
        "bord": "#b4460a" if bloc.get("accent") else famille.couleur,
        "accent": bool(bloc.get("accent")),
        "textes": textes,
        "outils": outils,
    }


def _lignes(texte: Any) -> list[str]:
    if not texte:
        return []
    return texte if isinstance(texte, list) else [texte]
