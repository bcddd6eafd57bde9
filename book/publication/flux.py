"""Le modèle de schéma ``flux`` : des nœuds sur une grille, des flèches, des zones."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import combinations, pairwise
from math import cos, pi, sin
from typing import Any

from publication import mesure
from publication.depot import ErreurPublication
from publication.dessin import (
    FAMILLES,
    LARGEUR,
    TAILLE_MIN,
    Boite,
    Icone,
    Ligne,
    empiler,
    famille,
    hauteur,
    lignes,
    verifier,
)
from publication.typographie import insecables

CLES_FLUX = (
    *("modele", "titre", "description", "credit", "hauteur", "corps", "legende"),
    *("grille", "zones", "noeuds", "fleches", "echelle"),
)
VIE = ("depuis", "jusqua")
# Ce qu’un nœud montre, et qui peut changer d’un niveau à l’autre.
CONTENU = ("texte", "detail", "outils")
# Ce que ``au_niveau`` ajoute aux données.
ETAT = ("present", "avenir", "nouveau")
CLES_NOEUD = (
    *VIE,
    *(
        "case",
        "texte",
        "detail",
        "taille",
        "famille",
        "forme",
        "outils",
        "manuel",
        "accent",
        "pastille",
        "pastille_a",
    ),
    *("colonnes", "lignes", "surligne", "poids", "valeur", "maximum"),
    *("points", "seuil", "reperes", "axes"),
)
CLES_FLECHE = (
    *VIE,
    *("texte", "place", "cote", "largeur", "depart", "arrivee", "milieu", "detour"),
    *("trait", "manuel", "accent"),
)
FORMES = (
    *("rectangle", "cylindre", "document", "personne", "texte"),
    *("tableau", "jauge", "courbe"),
)
SENS = {"haut": (0, -1), "bas": (0, 1), "gauche": (-1, 0), "droite": (1, 0)}
# Place que prennent, dans un nœud : le bord rayé, le blanc intérieur, la tête d’une personne.
BANDE, BLANC, TETE = 14, 6, 52
PASTILLE, HALO = 30, 7
# Hauteur qu’il faut au moins au dessin propre à une forme.
DESSIN_MIN = {"tableau": 60, "jauge": 96, "courbe": 110}
ECHELLE = 56
LEGENDE = 34
ECART_OUTILS = 10


def au_niveau(valeur: Any, niveau: int | None) -> Any:
    """Ne garde de valeurs écrites par niveau que celle qui vaut au niveau montré."""
    if isinstance(valeur, list):
        return [au_niveau(v, niveau) for v in valeur]
    if not isinstance(valeur, Mapping):
        return valeur
    if valeur and all(isinstance(cle, int) for cle in valeur):
        atteints = [cle for cle in valeur if niveau is not None and cle <= niveau]
        return au_niveau(valeur[max(atteints)], niveau) if atteints else ""
    return {cle: au_niveau(v, niveau) for cle, v in valeur.items()} | _etat(valeur, niveau)


def _etat(donnees: Mapping[str, Any], niveau: int | None) -> dict[str, Any]:
    """Dit si un élément existe au niveau montré, s’il viendra, et ce qui vient d’y changer."""
    manuel = donnees.get("manuel")
    varie = any(isinstance(donnees.get(cle), Mapping) for cle in ("manuel", *CONTENU))
    if niveau is None or not (varie or set(VIE) & donnees.keys()):
        return {}
    depuis = donnees.get("depuis", 0)
    etat: dict[str, Any] = {
        "present": depuis <= niveau <= donnees.get("jusqua", niveau),
        "avenir": depuis > niveau,
    }
    if not niveau or au_niveau(manuel, niveau) or donnees.get("forme") == "texte":
        return etat
    if depuis == niveau:
        etat["nouveau"] = "nouveau"
    elif isinstance(manuel, Mapping) and niveau in manuel:
        etat["nouveau"] = "automatisé"
    else:
        contenus = (donnees.get(cle) for cle in CONTENU)
        if any(isinstance(contenu, Mapping) and niveau in contenu for contenu in contenus):
            etat["nouveau"] = "étendu"
    return etat


@dataclass
class Noeud:
    """Un nœud posé sur le panneau."""

    nom: str
    boite: Boite
    forme: str
    famille: str
    present: bool
    avenir: bool
    manuel: bool
    accent: bool
    pastille: str
    pastille_a: str
    titre: bool
    textes: list[Ligne] = field(default_factory=list)
    outils: list[dict[str, Any]] = field(default_factory=list)
    traits: list[dict[str, Any]] = field(default_factory=list)

    @property
    def pastille_boite(self) -> Boite:
        """La pastille, à cheval sur un coin supérieur."""
        large = mesure.largeur(self.pastille, TAILLE_MIN, gras=True) + 16
        x = self.boite.x - 8 if self.pastille_a == "gauche" else self.boite.droite - large + 8
        return Boite(x, self.boite.y - PASTILLE * 0.75, large, PASTILLE)


@dataclass
class Fleche:
    """Une flèche posée : ses points, son style, son étiquette."""

    nom: str
    points: list[tuple[float, float]]
    famille: str
    manuel: bool
    pointille: bool
    accent: bool
    textes: list[Ligne] = field(default_factory=list)
    etiquette: Boite | None = None
    main: tuple[float, float] | None = None


def disposer(
    donnees: Mapping[str, Any], icones: Mapping[str, Icone], niveau: int | None
) -> dict[str, Any]:
    """Place tout ce qu’un schéma ``flux`` montre."""
    verifier("schéma", donnees, ("grille", "noeuds"), CLES_FLUX)
    _verifier_niveau(donnees, niveau)
    for nom, noeud in donnees["noeuds"].items():
        verifier(f"nœud « {nom} »", noeud, ("case",), (*CLES_NOEUD, *ETAT))
    corps, haut = donnees.get("corps", 20), donnees.get("hauteur", 720)
    # Un schéma qui grandit garde deux lignes de légende, pour que rien n’y bouge.
    rangs = 2 if "echelle" in donnees else len(_legende(donnees, False))
    bas = haut - (LEGENDE * rangs + 12 if rangs else 0)
    grille = Grille(donnees["grille"], bas, ECHELLE if "echelle" in donnees else 0)
    noeuds = {
        nom: _noeud(nom, noeud, grille, corps, icones) for nom, noeud in donnees["noeuds"].items()
    }
    zones = [_zone(zone, grille, corps) for zone in donnees.get("zones", [])]
    for fleche in donnees.get("fleches", []):
        verifier("flèche", fleche, ("de", "vers"), (*CLES_FLECHE, *ETAT))
        for bout in (fleche["de"], fleche["vers"]):
            if bout not in noeuds:
                raise ErreurPublication(
                    f"la flèche {fleche['de']} → {fleche['vers']} nomme un nœud inconnu : "
                    f"« {bout} »."
                )
    fleches = [
        _fleche(fleche, noeuds, corps)
        for fleche in donnees.get("fleches", [])
        if fleche.get("present", True)
    ]
    presents = [noeud for noeud in noeuds.values() if noeud.present]
    _controler(presents, fleches, Boite(0, 0, LARGEUR, bas))
    esquisses = [n.boite for n in noeuds.values() if _libre(n, presents, fleches)]
    return {
        "hauteur": haut,
        "noeuds": presents,
        "esquisses": esquisses,
        "zones": [zone for zone in zones if zone["present"]],
        "fleches": fleches,
        "legende": _legende(donnees, bool(esquisses)),
        "legende_haut": bas,
        "legende_pas": LEGENDE,
        "echelle": _echelle(donnees, niveau),
        "icones": _symboles(presents),
    }


def _symboles(noeuds: list[Noeud]) -> dict[str, Icone]:
    """Les icônes à définir : une par tracé, que plusieurs outils peuvent partager."""
    symboles = {}
    for outil in (outil for noeud in noeuds for outil in noeud.outils):
        outil["symbole"] = symboles.setdefault(outil["icone"].trace, outil["icone"]).nom
    return {icone.nom: icone for trace, icone in symboles.items() if trace}


def _verifier_niveau(donnees: Mapping[str, Any], niveau: int | None) -> None:
    """Refuse un niveau qui n’existe pas, ou qui manque."""
    niveaux = range(len(donnees.get("echelle", [])))
    if niveau is None and niveaux:
        raise ErreurPublication("ce schéma grandit, il faut dire quel niveau montrer.")
    if niveau is not None and niveau not in niveaux:
        raise ErreurPublication(f"le niveau {niveau} n’existe pas.")


class Grille:
    """La grille du panneau : de la case aux pixels."""

    def __init__(self, donnees: Mapping[str, Any], bas: float, haut: float) -> None:
        verifier("grille", donnees, ("colonnes", "lignes"), ("ecart", "marge"))
        dessus, droite, dessous, gauche = donnees.get("marge", [32, 32, 32, 32])
        self.ecart = donnees.get("ecart", [110, 56])
        self.colonnes = _bords(donnees["colonnes"], gauche, LARGEUR - droite, self.ecart[0])
        self.lignes = _bords(donnees["lignes"], haut + dessus, bas - dessous, self.ecart[1])

    def boite(self, ou: str, case: Any, taille: Any) -> Boite:
        """Donne la boîte qui occupe des cases."""
        (colonne, ligne), (large, haut) = case, taille
        gauche, droite = self._bord(ou, self.colonnes, colonne, large)
        dessus, dessous = self._bord(ou, self.lignes, ligne, haut)
        return Boite(gauche, dessus, droite - gauche, dessous - dessus)

    @staticmethod
    def _bord(
        ou: str, bords: list[tuple[float, float]], rang: float, etendue: float
    ) -> tuple[float, float]:
        """Donne le début et la fin de cases, en interpolant entre deux cases."""
        dernier = rang + etendue - 1
        if rang < 1 - 1e-9 or dernier > len(bords) + 1e-9 or etendue <= 0:
            raise ErreurPublication(f"{ou} : la case {rang} (sur {etendue}) sort de la grille.")

        def entre(position: float, cote: int) -> float:
            entier = min(max(int(position), 1), len(bords))
            suivant = min(entier + 1, len(bords))
            debut, fin = bords[entier - 1][cote], bords[suivant - 1][cote]
            return debut + (position - entier) * (fin - debut)

        return entre(rang, 0), entre(dernier, 1)


def _bords(poids: int | list[float], debut: float, fin: float, ecart: float) -> list[Any]:
    """Partage un segment en cases séparées d’un écart."""
    parts = [1] * poids if isinstance(poids, int) else poids
    unite = (fin - debut - ecart * (len(parts) - 1)) / sum(parts)
    bords = []
    for part in parts:
        bords.append((debut, debut + part * unite))
        debut += part * unite + ecart
    return bords


def _noeud(
    nom: str, donnees: Any, grille: Grille, corps: float, icones: Mapping[str, Icone]
) -> Noeud:
    """Pose un nœud et tout ce qu’il contient."""
    ou = f"nœud « {nom} »"
    forme = donnees.get("forme", "rectangle")
    if forme not in FORMES:
        raise ErreurPublication(f"{ou} : la forme « {forme} » n’existe pas.")
    noeud = Noeud(
        nom,
        grille.boite(ou, donnees["case"], donnees.get("taille", [1, 1])),
        forme,
        famille(ou, donnees.get("famille", "neutre")),
        present=donnees.get("present", True),
        avenir=donnees.get("avenir", False),
        manuel=bool(donnees.get("manuel")),
        accent=bool(donnees.get("accent")) or "nouveau" in donnees,
        pastille=donnees.get("nouveau", donnees.get("pastille", "")),
        pastille_a=donnees.get("pastille_a", "droite"),
        titre=bool(donnees.get("texte")),
    )
    if noeud.present:
        _remplir(ou, noeud, donnees, corps, icones)
    return noeud


def _interieur(noeud: Noeud) -> Boite:
    """La place que la forme laisse à ce qu’elle contient."""
    b = noeud.boite
    match noeud.forme:
        case "texte":
            return b
        case "personne":
            return Boite(b.x + TETE + 2, b.y + 3, b.l - TETE - 8, b.h - 6)
        case "cylindre":
            return Boite(b.x + BLANC, b.y + 26, b.l - 2 * BLANC, b.h - 38)
        case "tableau":
            return Boite(b.x, b.y + 10, b.l, b.h - 10) if noeud.titre else b
    return Boite(b.x + BANDE + BLANC, b.y + 5, b.l - BANDE - 2 * BLANC, b.h - 10)


def _remplir(
    ou: str, noeud: Noeud, donnees: Mapping[str, Any], corps: float, icones: Mapping[str, Icone]
) -> None:
    """Met dans un nœud ses textes, ses outils et son dessin propre."""
    place = _interieur(noeud)
    petit = max(TAILLE_MIN, corps - 3)
    textes = [
        (lignes(ou, donnees[cle], place.l, taille, gras), taille, gras)
        for cle, taille, gras in (("texte", corps, True), ("detail", petit, False))
        if donnees.get(cle)
    ]
    menu = max(TAILLE_MIN, corps - 4)
    pas = menu + 8
    rangs = _rangs(ou, donnees.get("outils") or [], place.l, menu, icones)
    propre = DESSINS.get(noeud.forme)
    haut_textes = hauteur(textes)
    haut_outils = len(rangs) * pas + (6 if rangs and textes else 0)
    total = haut_textes + haut_outils
    voulu = total + DESSIN_MIN.get(noeud.forme, 0)
    if voulu > place.h:
        raise ErreurPublication(
            f"{ou} : son contenu ne tient pas dans sa boîte "
            f"(il faut {voulu:.0f} pixels de haut, il y en a {place.h:.0f})."
        )
    haut = place.y if propre else place.y + (place.h - total) / 2
    noeud.textes = empiler(textes, place.centre[0], haut)
    haut += haut_textes + (6 if rangs and textes else 0)
    for rang in rangs:
        noeud.outils += _poser_outils(rang, place, haut, menu)
        haut += pas
    if propre:
        haut += 6 if textes else 0
        propre(ou, noeud, donnees, Boite(place.x, haut, place.l, place.bas - haut), petit)


def _rangs(
    ou: str, outils: list[str], place: float, taille: float, icones: Mapping[str, Icone]
) -> list[list[tuple[Icone, float]]]:
    """Range les outils sur autant de lignes qu’il en faut."""
    rangs: list[list[tuple[Icone, float]]] = []
    reste = 0.0
    for nom in outils:
        if nom not in icones:
            raise ErreurPublication(f"{ou} : l’outil « {nom} » n’est pas dans icones.yaml.")
        icone = icones[nom]
        large = mesure.largeur(icone.titre, taille) + (taille + 11 if icone.trace else 0)
        if large > place:
            raise ErreurPublication(f"{ou} : l’outil « {icone.titre} » ne tient pas en largeur.")
        if not rangs or large + ECART_OUTILS > reste:
            rangs.append([])
            reste = place + ECART_OUTILS
        rangs[-1].append((icone, large))
        reste -= large + ECART_OUTILS
    return rangs


def _poser_outils(
    rang: list[tuple[Icone, float]], place: Boite, haut: float, taille: float
) -> list[dict[str, Any]]:
    """Pose une ligne d’outils, centrée : l’icône puis le nom."""
    x = place.centre[0] - (sum(large for _, large in rang) + ECART_OUTILS * (len(rang) - 1)) / 2
    poses = []
    for icone, large in rang:
        decale = taille + 11 if icone.trace else 0
        nom = Ligne(icone.titre, x + decale, haut + 1 + mesure.BASE * taille, taille)
        nom = replace(nom, ancre="start")
        poses.append({"icone": icone, "x": x, "y": haut, "cote": taille + 6, "nom": nom})
        x += large + ECART_OUTILS
    return poses


def _tableau(ou: str, noeud: Noeud, donnees: Mapping[str, Any], place: Boite, taille: int) -> None:
    """Dessine un petit tableau."""
    verifier(ou, donnees, ("colonnes", "lignes"))
    tetes, rangees = donnees["colonnes"], donnees["lignes"]
    poids = donnees.get("poids", [1] * len(tetes))
    if any(len(rangee) != len(tetes) for rangee in [poids, *rangees]):
        raise ErreurPublication(f"{ou} : chaque ligne doit avoir {len(tetes)} cases.")
    bords = _bords(poids, place.x, place.droite, 0)
    pas = place.h / (len(rangees) + 1)
    for rang, rangee in enumerate([tetes, *rangees]):
        y = place.y + rang * pas
        style = "tete" if rang == 0 else "choisie" if rang == donnees.get("surligne") else "ligne"
        noeud.traits.append({"style": style, "boite": Boite(place.x, y, place.l, pas)})
        noeud.traits[-1]["filet"] = y > noeud.boite.y
        for (debut, fin), case in zip(bords, rangee, strict=True):
            gras = style != "ligne"
            coupe = [(lignes(ou, case, fin - debut - 16, taille, gras), taille, gras)]
            if hauteur(coupe) > pas:
                raise ErreurPublication(f"{ou} : la case « {case} » ne tient pas en hauteur.")
            noeud.textes += empiler(coupe, (debut + fin) / 2, y + (pas - hauteur(coupe)) / 2)


def _jauge(ou: str, noeud: Noeud, donnees: Mapping[str, Any], place: Boite, taille: int) -> None:
    """Dessine un arc gradué et sa valeur."""
    verifier(ou, donnees, ("valeur", "maximum"))
    valeur, maximum = donnees["valeur"], donnees["maximum"]
    if not 0 <= valeur <= maximum:
        raise ErreurPublication(f"{ou} : la valeur {valeur} n’est pas entre 0 et {maximum}.")
    rayon = min(place.l / 2 - 24, place.h - 34)
    cx, cy = place.centre[0], place.y + (place.h - rayon - 24) / 2 + rayon

    def point(part: float, r: float) -> tuple[float, float]:
        angle = pi * (1 - part)
        return cx + r * cos(angle), cy - r * sin(angle)

    noeud.traits += [
        {"style": "arc", "r": rayon - 11, "de": point(0, rayon - 11), "a": point(part, rayon - 11)}
        | {"plein": plein}
        for part, plein in ((1, False), (valeur / maximum, True))
    ]
    nombre = f"{valeur:g}".replace(".", ",")
    noeud.textes += empiler([([nombre], taille + 8, True)], cx, cy - taille - 12)
    for borne, ou_x in (("0", place.centre[0] - rayon + 11), (f"{maximum:g}", cx + rayon - 11)):
        noeud.textes += empiler([([borne], TAILLE_MIN, False)], ou_x, cy + 4)


def _courbe(ou: str, noeud: Noeud, donnees: Mapping[str, Any], place: Boite, taille: int) -> None:
    """Dessine une courbe, son seuil et ses repères."""
    verifier(ou, donnees, ("points",))
    abscisse, ordonnee = donnees.get("axes", ["", ""])
    cadre = Boite(place.x, place.y + 28, place.l, place.h - 28 - 30)

    def point(x: float, y: float) -> tuple[float, float]:
        return cadre.x + x * cadre.l, cadre.bas - y * cadre.h

    noeud.traits.append({"style": "axes", "boite": cadre})
    noeud.textes += empiler([([ordonnee], taille, False)], cadre.x, place.y, "start")
    noeud.textes += empiler([([abscisse], taille, False)], cadre.droite, cadre.bas + 6, "end")
    if "seuil" in donnees:
        x, y = point(1, donnees["seuil"]["y"])
        noeud.traits.append({"style": "seuil", "de": (cadre.x, y), "a": (x, y)})
        noeud.textes += empiler(
            [([donnees["seuil"]["texte"]], taille, True)], x, y - 1.2 * taille - 4, "end"
        )
    noeud.traits.append({"style": "courbe", "points": [point(*p) for p in donnees["points"]]})
    for repere in donnees.get("reperes", []):
        x, y = point(repere["x"], repere["y"])
        noeud.traits.append({"style": "repere", "de": (x, y), "a": (x, y)})
        coupe = [(lignes(ou, repere["texte"], cadre.l / 3, taille), taille, False)]
        noeud.textes += empiler(coupe, x, y - 12 - hauteur(coupe))


DESSINS = {"tableau": _tableau, "jauge": _jauge, "courbe": _courbe}


def _zone(donnees: Any, grille: Grille, corps: float) -> dict[str, Any]:
    """Pose le cadre d’une zone autour de ses cases."""
    verifier("zone", donnees, ("titre", "de", "a"), ("famille", *VIE, *ETAT))
    ou = f"zone « {donnees['titre']} »"
    (c1, l1), (c2, l2) = donnees["de"], donnees["a"]
    b = grille.boite(ou, [c1, l1], [c2 - c1 + 1, l2 - l1 + 1])
    boite = Boite(b.x - 16, b.y - 48, b.l + 32, b.h + 64)
    titre = [(lignes(ou, donnees["titre"], boite.l - 32, corps - 2, True), corps - 2, True)]
    if len(titre[0][0]) > 1:
        raise ErreurPublication(f"{ou} : son titre ne tient pas sur une ligne.")
    nom = famille(ou, donnees.get("famille", "neutre"))
    return {
        "boite": boite,
        "famille": nom,
        "present": donnees.get("present", True),
        "textes": empiler(titre, boite.x + 16, boite.y + 8, "start", FAMILLES[nom].couleur),
    }


def _fleche(donnees: Mapping[str, Any], noeuds: Mapping[str, Noeud], corps: float) -> Fleche:
    """Trace une flèche entre deux nœuds et pose son étiquette."""
    nom = f"flèche {donnees['de']} → {donnees['vers']}"
    for bout in ("de", "vers"):
        if not noeuds[donnees[bout]].present:
            raise ErreurPublication(
                f"{nom} : le nœud « {donnees[bout]} » n’existe pas à ce niveau."
            )
    if donnees.get("trait", "plein") not in ("plein", "pointille"):
        raise ErreurPublication(f"{nom} : le trait « {donnees['trait']} » n’existe pas.")
    depart, arrivee = noeuds[donnees["de"]].boite, noeuds[donnees["vers"]].boite
    manuel = bool(donnees.get("manuel"))
    points = _chemin(nom, donnees, depart, arrivee)
    if noeuds[donnees["vers"]].accent:
        points[-1] = _reculer(points[-2], points[-1], HALO)
    fleche = Fleche(
        nom,
        points,
        "humain" if manuel else "neutre",
        manuel,
        donnees.get("trait") == "pointille",
        bool(donnees.get("accent")) or "nouveau" in donnees,
    )
    _etiqueter(fleche, donnees, max(TAILLE_MIN, corps - 3))
    return fleche


def _reculer(p: tuple[float, float], q: tuple[float, float], pas: float) -> tuple[float, float]:
    """Arrête un segment droit un peu avant son bout."""
    (x1, y1), (x2, y2) = p, q
    longueur = abs(x1 - x2) + abs(y1 - y2)
    return x2 - (x2 - x1) * pas / longueur, y2 - (y2 - y1) * pas / longueur


def _chemin(nom: str, donnees: Mapping[str, Any], a: Boite, b: Boite) -> list[tuple[float, float]]:
    """Donne les points d’une flèche droite ou coudée entre deux boîtes."""
    sortie, part_a = _cote(nom, donnees.get("depart"))
    entree, part_b = _cote(nom, donnees.get("arrivee"))
    sortie, entree = _faces(a, b, sortie, entree)
    horizontal = [sortie in ("gauche", "droite"), entree in ("gauche", "droite")]
    if sortie != entree and horizontal[0] == horizontal[1]:
        part_a, part_b = _aligner(a, b, horizontal[0], part_a, part_b)
    p, q = _ancre(a, sortie, part_a), _ancre(b, entree, part_b)
    if horizontal == [True, False]:
        return [p, (q[0], p[1]), q]
    if horizontal == [False, True]:
        return [p, (p[0], q[1]), q]
    axe = 0 if horizontal[0] else 1
    if abs(p[1 - axe] - q[1 - axe]) < 1 and sortie != entree:
        return [p, q]
    if sortie == entree:
        loin = max if SENS[sortie][axe] > 0 else min
        tournant = loin(p[axe], q[axe]) + SENS[sortie][axe] * donnees.get("detour", 32)
    else:
        tournant = p[axe] + (q[axe] - p[axe]) * donnees.get("milieu", 0.5)
    if axe == 0:
        return [p, (tournant, p[1]), (tournant, q[1]), q]
    return [p, (p[0], tournant), (q[0], tournant), q]


def _faces(a: Boite, b: Boite, sortie: str, entree: str) -> tuple[str, str]:
    """Choisit les côtés que la donnée ne dit pas : en face si possible, sinon coudé."""
    face_h = min(a.bas, b.bas) - max(a.y, b.y) > 20
    face_v = min(a.droite, b.droite) - max(a.x, b.x) > 20
    if not sortie:
        if face_h:
            sortie = "droite" if b.x > a.x else "gauche"
        elif face_v and entree not in ("droite", "gauche"):
            sortie = "bas" if b.y > a.y else "haut"
        else:
            sortie = "droite" if b.centre[0] > a.centre[0] else "gauche"
    if not entree:
        if face_h and sortie in ("droite", "gauche"):
            entree = "gauche" if sortie == "droite" else "droite"
        elif sortie in ("haut", "bas") and not face_v:
            entree = "gauche" if b.centre[0] > a.centre[0] else "droite"
        else:
            entree = "haut" if b.centre[1] > a.centre[1] else "bas"
    return sortie, entree


def _cote(nom: str, valeur: Any) -> tuple[str, float | None]:
    """Lit un côté, seul ou avec la part où s’attacher."""
    cote, part = valeur if isinstance(valeur, list) else (valeur or "", None)
    if cote and cote not in SENS:
        raise ErreurPublication(f"{nom} : le côté « {cote} » n’existe pas.")
    return cote, part


def _aligner(
    a: Boite, b: Boite, horizontal: bool, part_a: float | None, part_b: float | None
) -> tuple[float | None, float | None]:
    """Choisit où attacher une flèche entre deux boîtes face à face pour qu’elle soit droite."""
    (ya, ha), (yb, hb) = ((a.y, a.h), (b.y, b.h)) if horizontal else ((a.x, a.l), (b.x, b.l))
    if part_a is not None and part_b is not None:
        return part_a, part_b
    if part_a is not None:
        y = ya + part_a * ha
    elif part_b is not None:
        y = yb + part_b * hb
    else:
        y = (max(ya, yb) + min(ya + ha, yb + hb)) / 2
    if not (ya + 6 <= y <= ya + ha - 6 and yb + 6 <= y <= yb + hb - 6):
        return part_a, part_b
    return (y - ya) / ha, (y - yb) / hb


def _ancre(b: Boite, cote: str, part: float | None) -> tuple[float, float]:
    """Donne le point d’une boîte où s’attache une flèche."""
    part = 0.5 if part is None else part
    match cote:
        case "gauche":
            return b.x, b.y + part * b.h
        case "droite":
            return b.droite, b.y + part * b.h
        case "haut":
            return b.x + part * b.l, b.y
    return b.x + part * b.l, b.bas


def _etiqueter(fleche: Fleche, donnees: Mapping[str, Any], taille: float) -> None:
    """Pose le texte et la main d’une flèche à côté d’un de ses segments."""
    texte = donnees.get("texte", "")
    if not texte and not fleche.manuel:
        return
    segments = list(pairwise(fleche.points))
    longueurs = [abs(x1 - x2) + abs(y1 - y2) for (x1, y1), (x2, y2) in segments]
    rang = longueurs.index(max(longueurs))
    (x1, y1), (x2, y2) = segments[rang]
    part = donnees.get("place", 0.5 if texte else 0.42)
    x, y = x1 + (x2 - x1) * part, y1 + (y2 - y1) * part
    if not texte:
        fleche.main, fleche.etiquette = (x, y), Boite(x - 16, y - 16, 32, 32)
        return
    couche = abs(y1 - y2) < 1
    cote = donnees.get("cote", "dessus" if couche else "droite")
    if cote not in (("dessus", "dessous") if couche else ("droite", "gauche")):
        raise ErreurPublication(f"{fleche.nom} : l’étiquette ne peut pas être « {cote} ».")
    place = donnees.get("largeur", longueurs[rang] - 6 if couche else 170)
    coupe = [(lignes(fleche.nom, texte, place, taille), taille, False)]
    main = 36 if fleche.manuel else 0
    large = max(mesure.largeur(ligne, taille) for ligne in coupe[0][0])
    # La main précède le texte s’il y a la place, et passe au-dessus sinon.
    devant = bool(main and large + main <= place)
    haut = max(hauteur(coupe), main) if devant else hauteur(coupe) + main
    total = large + main if devant else max(large, main)
    jeu = 14 if fleche.accent else 9
    gauche = {"droite": x + jeu, "gauche": x - jeu - total}.get(cote, x - total / 2)
    dessus = {"dessus": y - haut - 8, "dessous": y + jeu}.get(cote, y - haut / 2)
    fleche.etiquette = Boite(gauche, dessus, total, haut)
    if devant:
        fleche.main = (gauche + 16, dessus + haut / 2)
        debut = dessus + (haut - hauteur(coupe)) / 2
        fleche.textes = empiler(coupe, gauche + main + large / 2, debut)
    else:
        fleche.main = (gauche + total / 2, dessus + 16) if main else None
        fleche.textes = empiler(coupe, gauche + total / 2, dessus + main)


def _controler(noeuds: list[Noeud], fleches: list[Fleche], panneau: Boite) -> None:
    """Refuse un dessin dont des éléments débordent, se croisent mal ou se recouvrent."""
    for noeud, autre in combinations(noeuds, 2):
        if noeud.boite.touche(autre.boite):
            raise ErreurPublication(f"les nœuds « {noeud.nom} » et « {autre.nom} » se chevauchent.")
    etiquettes = [
        *((f"pastille du nœud « {n.nom} »", n.pastille_boite) for n in noeuds if n.pastille),
        *((f"étiquette de la {f.nom}", f.etiquette) for f in fleches if f.etiquette),
    ]
    for nom, boite in etiquettes:
        if not panneau.contient(boite):
            raise ErreurPublication(f"sort du panneau : {nom}.")
    for (nom, boite), (autre_nom, autre_boite) in combinations(etiquettes, 2):
        if boite.touche(autre_boite):
            raise ErreurPublication(f"se recouvrent : {nom} et {autre_nom}.")
    for fleche in fleches:
        _controler_fleche(fleche, noeuds, etiquettes, panneau)


def _controler_fleche(
    fleche: Fleche, noeuds: list[Noeud], etiquettes: list[tuple[str, Boite]], panneau: Boite
) -> None:
    """Refuse une flèche qui sort, traverse un nœud, ou passe sur une étiquette."""
    if any(not panneau.contient(Boite(x, y, 0, 0)) for x, y in fleche.points):
        raise ErreurPublication(f"la {fleche.nom} sort du panneau.")
    traits = [_trait(*bouts) for bouts in pairwise(fleche.points)]
    for noeud in noeuds:
        if any(trait.touche(noeud.boite, -2) for trait in traits):
            raise ErreurPublication(f"la {fleche.nom} traverse le nœud « {noeud.nom} ».")
        # Un texte reste aussi hors de ce qui met un nœud en évidence ; une main peut l’effleurer.
        halo = HALO - 1 if noeud.accent and fleche.textes else -1
        if fleche.etiquette and fleche.etiquette.touche(noeud.boite, halo):
            raise ErreurPublication(
                f"l’étiquette de la {fleche.nom} recouvre le nœud « {noeud.nom} »."
            )
    for nom, boite in etiquettes:
        # La main d’une flèche sans texte est posée sur elle.
        sur_elle = boite is fleche.etiquette and not fleche.textes
        jeu = HALO - 1 if fleche.accent else -1
        if not sur_elle and any(trait.touche(boite, jeu) for trait in traits):
            raise ErreurPublication(f"la {fleche.nom} passe sur : {nom}.")


def _libre(noeud: Noeud, presents: list[Noeud], fleches: list[Fleche]) -> bool:
    """Vrai si le nœud est à venir et si rien n’est encore à sa place."""
    traits = [_trait(*bouts) for fleche in fleches for bouts in pairwise(fleche.points)]
    occupe = [*traits, *(present.boite for present in presents)]
    return noeud.avenir and not any(boite.touche(noeud.boite) for boite in occupe)


def _trait(p: tuple[float, float], q: tuple[float, float]) -> Boite:
    """La boîte d’un segment horizontal ou vertical."""
    (x1, y1), (x2, y2) = p, q
    return Boite(min(x1, x2), min(y1, y2), abs(x1 - x2), abs(y1 - y2))


def _legende(donnees: Mapping[str, Any], esquisses: bool) -> list[list[dict[str, Any]]]:
    """Compose la légende, sur une ou deux lignes : ce que le dessin emploie, et rien d’autre."""
    if not donnees.get("legende", True):
        return []
    grandit = "echelle" in donnees
    noeuds, fleches = (
        [x for x in elements if x.get("present", True)]
        for elements in (donnees["noeuds"].values(), donnees.get("fleches", []))
    )
    presentes = {n.get("famille") for n in noeuds if n.get("forme") != "texte"}
    familles = [
        {"sorte": "famille", "nom": nom, "texte": FAMILLES[nom].nom, "signe": 34}
        for nom in FAMILLES
        if nom in presentes and nom != "neutre"
    ]
    tout = [*noeuds, *fleches]
    manuel = any(x.get("manuel") for x in tout)
    automatique = any(not f.get("manuel") and f.get("trait") != "pointille" for f in fleches)
    traits = [
        {"sorte": sorte, "texte": texte, "signe": signe}
        for sorte, texte, signe, utile in (
            ("automatique", "automatique", 40, automatique and (manuel or grandit)),
            ("manuel", "à la main", 84, manuel),
            ("pointille", "information", 40, any(f.get("trait") == "pointille" for f in fleches)),
            ("nouveau", "nouveau à ce niveau", 34, any("nouveau" in x for x in tout)),
            ("avenir", "à venir", 40, esquisses),
        )
        if utile
    ]
    if grandit:
        return [_ranger(familles), _ranger(traits)]
    if not familles + traits:
        return []
    ensemble = _ranger(familles + traits)
    seule = ensemble[-1]["fin"] <= LARGEUR - 32
    return [ensemble] if seule else [_ranger(familles), _ranger(traits)]


def _ranger(articles: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Pose les articles d’une ligne de légende l’un après l’autre."""
    x = 32.0
    for article in articles:
        large = mesure.largeur(article["texte"], TAILLE_MIN)
        article |= {"x": x, "fin": x + article["signe"] + 10 + large}
        x = article["fin"] + 26
    return articles


def _echelle(donnees: Mapping[str, Any], niveau: int | None) -> list[dict[str, Any]]:
    """Compose la frise des niveaux : celui qu’on montre porte son nom."""
    noms = donnees.get("echelle", [])
    x, pas = 32.0, []
    for rang, nom in enumerate(noms):
        actuel = rang == niveau
        texte = f"Niveau {rang} : {nom}" if actuel else str(rang)
        large = mesure.largeur(insecables(texte), 22, True) + 40 if actuel else 52
        boite = Boite(x, 12, large, 44)
        ligne = Ligne(insecables(texte), boite.centre[0], 42, 22, True)
        pas.append(
            {"boite": boite, "actuel": actuel, "passe": rang < (niveau or 0), "texte": ligne}
        )
        x += large + 22
    return pas
