"""Les modèles de schéma ``boucle`` et ``venn``, faits de cercles."""

from collections.abc import Mapping
from math import atan2, cos, hypot, pi, sin
from typing import Any

from publication import mesure
from publication.depot import ErreurPublication
from publication.dessin import (
    LARGEUR,
    TAILLE_MIN,
    Icone,
    empiler,
    famille,
    hauteur,
    lignes,
    verifier,
)

COMMUNES = ("modele", "titre", "description", "credit", "hauteur", "corps")
# Part du rayon d’un anneau que garde son centre.
CREUX = 0.38
# Distance du centre d’un cercle de Venn à celui du dessin, en part de son rayon.
ECART = 0.64
# En degrés : le blanc de chaque côté d’un quartier, et l’avancée de sa pointe.
JEU, POINTE = 1.2, 9.0
# En pixels : le bord d’un quartier, qui porte le motif de sa famille.
RIVE = 10


def boucle(
    donnees: Mapping[str, Any], icones: Mapping[str, Icone], niveau: int | None
) -> dict[str, Any]:
    """Place un à trois anneaux accolés, coupés en quartiers."""
    verifier("schéma", donnees, ("anneaux",), (*COMMUNES, "retour", "notes", "lien"))
    corps, haut = donnees.get("corps", 20), donnees.get("hauteur", 720)
    petit = max(TAILLE_MIN, corps - 3)
    anneaux, notes = donnees["anneaux"], donnees.get("notes", [])
    if not 1 <= len(anneaux) <= 3:
        raise ErreurPublication("une boucle a de un à trois anneaux.")
    if notes and len(notes) != len(anneaux):
        raise ErreurPublication("il faut une note par anneau.")
    dessus, dessous = (84 if donnees.get("retour") else 30), 30.0
    ecart = 64 if len(anneaux) > 1 else 0
    large = (LARGEUR - 64 + ecart) / len(anneaux)
    while True:
        rayon = min((haut - dessus - dessous) / 2, (large - ecart) / 2)
        pas = min(large, 2 * rayon + ecart + 60)
        sous = [[(lignes("note", note, pas - 24, petit), petit, False)] for note in notes]
        voulu = max((hauteur(coupe) + 40 for coupe in sous), default=dessous)
        if voulu <= dessous:
            break
        dessous = voulu
    debut = LARGEUR / 2 - pas * (len(anneaux) - 1) / 2
    y = dessus + (haut - dessus - dessous) / 2
    # Tous les quartiers ont la même taille de texte : la plus grande où le plus long tient.
    centre = min(_centre(anneau, rayon * CREUX, corps + 4)[0][1] for anneau in anneaux)
    for taille in range(corps, TAILLE_MIN - 1, -1):
        try:
            poses = [
                _anneau(
                    anneau, debut + rang * pas, y, rayon, centre, taille, petit, len(anneaux) == 1
                )
                for rang, anneau in enumerate(anneaux)
            ]
            break
        except ErreurPublication:
            if taille == TAILLE_MIN:
                raise
    for pose, coupe in zip(poses, sous, strict=False):
        pose["textes"] += empiler(coupe, pose["x"], y + rayon + 22)
    dessin: dict[str, Any] = {
        "hauteur": haut,
        "anneaux": poses,
        "liens": [
            ((debut + rang * pas + rayon + 7, y), (debut + (rang + 1) * pas - rayon - 7, y))
            for rang in range(len(anneaux) - 1)
        ],
        "double": donnees.get("lien") == "double",
        "retour": None,
    }
    if donnees.get("retour"):
        coupe = lignes("retour", donnees["retour"], pas * (len(anneaux) - 1) - 40, corps, True)
        if len(coupe) > 1:
            raise ErreurPublication("le texte du retour ne tient pas sur une ligne.")
        dessin["retour"] = {
            "de": (poses[-1]["x"], y - rayon - 9),
            "a": (poses[0]["x"], y - rayon - 9),
            "y": 46,
            "textes": empiler([(coupe, corps, True)], LARGEUR / 2, 14),
        }
    return dessin


def _anneau(
    donnees: Any,
    x: float,
    y: float,
    rayon: float,
    centre: float,
    taille: int,
    petit: float,
    seul: bool,
) -> dict[str, Any]:
    """Place un anneau : son centre, ses quartiers, et le détail de chacun s’il est seul."""
    ou = f"anneau « {donnees['texte']} »"
    nombre = len(donnees["quartiers"])
    creux = rayon * CREUX
    textes = _centre(donnees, creux, centre)
    pose = {
        "x": x,
        "y": y,
        "r": rayon,
        "accent": bool(donnees.get("accent")),
        "textes": empiler(textes, x, y - hauteur(textes) / 2),
        "quartiers": [],
    }
    for rang, quartier in enumerate(donnees["quartiers"]):
        verifier(ou, quartier, ("texte",), ("detail", "famille", "accent"))
        de = donnees.get("depart", 0) + rang * 360 / nombre
        a = de + 360 / nombre
        nom = famille(ou, quartier.get("famille", donnees.get("famille", "neutre")))
        coupe, (cx, cy) = _tenir(ou, quartier["texte"], taille, (x, y, rayon, creux), (de, a))
        pose["quartiers"].append(
            {
                "famille": nom,
                "accent": bool(quartier.get("accent")),
                "trace": _secteur(x, y, rayon, creux, de, a),
                "rive": _rive(x, y, rayon, creux, de, a),
                "textes": empiler(coupe, cx, cy - hauteur(coupe) / 2),
            }
        )
        if quartier.get("detail"):
            if not seul:
                raise ErreurPublication(f"{ou} : un détail ne s’écrit qu’à côté d’un anneau seul.")
            pose["textes"] += _a_cote(quartier["detail"], x, y, rayon, (de + a) / 2, petit)
    return pose


def _centre(donnees: Any, creux: float, taille: float) -> list[tuple[list[str], float, bool]]:
    """Coupe le texte du centre d’un anneau, en réduisant sa taille pour qu’il y reste."""
    verifier("anneau", donnees, ("texte", "quartiers"), ("detail", "famille", "accent", "depart"))
    for grand in range(int(taille), TAILLE_MIN - 1, -1):
        petit = max(TAILLE_MIN, grand - 4)
        for place in range(int(creux * 1.9), int(creux), -6):
            voulus = [(donnees["texte"], grand, True), (donnees.get("detail"), petit, False)]
            textes = [(mesure.couper(t, place, n, g), n, g) for t, n, g in voulus if t]
            if any(coupe is None for coupe, _, _ in textes):
                continue
            if hypot(place, hauteur(textes)) < 2 * creux:
                return textes
    raise ErreurPublication(f"anneau « {donnees['texte']} » : le texte du centre ne tient pas.")


def _point(x: float, y: float, rayon: float, angle: float) -> tuple[float, float]:
    """Un point d’un cercle, l’angle compté depuis le haut."""
    radians = (angle - 90) * pi / 180
    return x + rayon * cos(radians), y + rayon * sin(radians)


def _secteur(x: float, y: float, dehors: float, dedans: float, de: float, a: float) -> str:
    """Trace un quartier d’anneau terminé en pointe, qui s’emboîte dans le suivant."""
    milieu = (dehors + dedans) / 2
    coins = (
        *((dehors, de + JEU), (dehors, a - JEU), (milieu, a - JEU + POINTE)),
        *((dedans, a - JEU), (dedans, de + JEU), (milieu, de + JEU + POINTE)),
    )
    c = [f"{px:.1f} {py:.1f}" for px, py in (_point(x, y, *coin) for coin in coins)]
    grand = int(a - de > 180)
    return (
        f"M{c[0]}A{dehors:.1f} {dehors:.1f} 0 {grand} 1 {c[1]}L{c[2]}L{c[3]}"
        f"A{dedans:.1f} {dedans:.1f} 0 {grand} 0 {c[4]}L{c[5]}z"
    )


def _rive(x: float, y: float, dehors: float, dedans: float, de: float, a: float) -> str:
    """Trace le bord extérieur d’un quartier, jusqu’à ses pointes."""
    dessous, avance = dehors - RIVE, POINTE * 2 * RIVE / (dehors - dedans)
    coins = (
        *((dehors, de + JEU), (dehors, a - JEU)),
        *((dessous, a - JEU + avance), (dessous, de + JEU + avance)),
    )
    c = [f"{px:.1f} {py:.1f}" for px, py in (_point(x, y, *coin) for coin in coins)]
    grand = int(a - de > 180)
    return (
        f"M{c[0]}A{dehors:.1f} {dehors:.1f} 0 {grand} 1 {c[1]}L{c[2]}"
        f"A{dessous:.1f} {dessous:.1f} 0 {grand} 0 {c[3]}z"
    )


def _tenir(
    ou: str,
    texte: str,
    taille: int,
    anneau: tuple[float, float, float, float],
    angles: tuple[float, float],
) -> tuple[list[tuple[list[str], float, bool]], tuple[float, float]]:
    """Coupe le texte d’un quartier et le place, au plus près du milieu, pour qu’il reste dedans."""
    x, y, dehors, dedans = anneau
    milieu = sum(angles) / 2 + POINTE / 2
    places = sorted(
        ((angle, part) for angle in range(-40, 41, 2) for part in (0.35, 0.4, 0.45, 0.5, 0.55)),
        key=lambda place: abs(place[0]) + 100 * abs(place[1] - 0.45),
    )
    coupes = [mesure.couper(texte, place, taille, True) for place in range(240, 40, -10)]
    for coupe in (coupe for coupe in coupes if coupe):
        large = max(mesure.largeur(ligne, taille, True) for ligne in coupe) / 2 + 2
        haut = len(coupe) * mesure.INTERLIGNE * taille / 2
        for angle, part in places:
            cx, cy = _point(x, y, dedans + (dehors - dedans) * part, milieu + angle)
            coins = [(cx + i * large, cy + j * haut) for i in (-1, 0, 1) for j in (-1, 1)]
            if all(_dedans(px - x, py - y, dehors, dedans, angles) for px, py in coins):
                return [(coupe, taille, True)], (cx, cy)
    raise ErreurPublication(f"{ou} : le texte « {texte} » ne tient pas dans son quartier.")


def _dedans(
    dx: float, dy: float, dehors: float, dedans: float, angles: tuple[float, float]
) -> bool:
    """Vrai si un point est dans un quartier d’anneau, pointes comprises."""
    distance = hypot(dx, dy)
    if not dedans + 3 < distance < dehors - RIVE - 3:
        return False
    epaisseur = (dehors - dedans) / 2
    pointe = POINTE * (1 - abs(distance - dedans - epaisseur) / epaisseur)
    angle = (atan2(dy, dx) * 180 / pi + 90 - angles[0] - pointe) % 360
    return JEU + 1 < angle < angles[1] - angles[0] - JEU - 1


def _a_cote(texte: str, x: float, y: float, rayon: float, angle: float, taille: float) -> list[Any]:
    """Pose le détail d’un quartier à gauche ou à droite de l’anneau, à sa hauteur."""
    a_droite = sin(angle * pi / 180) >= 0
    place = LARGEUR / 2 - rayon - 40 - 32
    coupe = [(lignes("détail", texte, place, taille), taille, False)]
    _, py = _point(x, y, rayon * 0.72, angle)
    bord = x + (rayon + 40) * (1 if a_droite else -1)
    return empiler(coupe, bord, py - hauteur(coupe) / 2, "start" if a_droite else "end")


def venn(
    donnees: Mapping[str, Any], icones: Mapping[str, Icone], niveau: int | None
) -> dict[str, Any]:
    """Place trois cercles qui se croisent et ce que dit chaque région."""
    verifier("schéma", donnees, ("cercles", "centre"), COMMUNES)
    corps, haut = donnees.get("corps", 22), donnees.get("hauteur", 720)
    petit = max(TAILLE_MIN, corps - 4)
    cercles = donnees["cercles"]
    if len(cercles) != 3:
        raise ErreurPublication("un diagramme de Venn a trois cercles.")
    rayon = (haut - 48) / (2 + 1.5 * ECART)
    cx, cy = LARGEUR / 2, 24 + rayon * (1 + ECART)
    poses, textes = [], []
    for rang, cercle in enumerate(cercles):
        verifier("cercle", cercle, ("texte", "famille"), ("detail",))
        ou = f"cercle « {cercle['texte']} »"
        angle = (0, 120, 240)[rang]
        x, y = _point(cx, cy, rayon * ECART, angle)
        nom = famille(ou, cercle["famille"])
        poses.append({"x": x, "y": y, "r": rayon, "famille": nom})
        tx, ty = _point(cx, cy, rayon * (1.08 if rang == 0 else 1.1), angle + (0, -3, 3)[rang])
        bloc = [(lignes(ou, cercle["texte"], rayon * 1.15, corps, True), corps, True)]
        textes += empiler(bloc, tx, ty - hauteur(bloc) / 2)
        if cercle.get("detail"):
            textes += _legender(ou, cercle["detail"], poses[-1], rang, petit)
    centre = donnees["centre"]
    verifier("centre", centre, ("texte",), ("detail",))
    bloc = [(lignes("centre", centre["texte"], rayon * 0.62, corps + 4, True), corps + 4, True)]
    if centre.get("detail"):
        bloc.append((lignes("centre", centre["detail"], rayon * 0.66, petit), petit, False))
    textes += empiler(bloc, cx, cy - hauteur(bloc) / 2)
    return {"hauteur": haut, "cercles": poses, "textes": textes}


def _legender(
    ou: str, texte: str, cercle: Mapping[str, Any], rang: int, taille: float
) -> list[Any]:
    """Pose ce qu’apporte une discipline à côté de son cercle."""
    sens = (1, 1, -1)[rang]
    bord = cercle["x"] + sens * (cercle["r"] + 28)
    place = LARGEUR - 32 - bord if sens > 0 else bord - 32
    bloc = [(lignes(ou, texte, place, taille), taille, False)]
    # Celui du haut monte, pour ne pas sembler parler du cercle qui est dessous.
    milieu = cercle["y"] - (0.5 * cercle["r"] if rang == 0 else 0)
    return empiler(bloc, bord, milieu - hauteur(bloc) / 2, "start" if sens > 0 else "end")
