"""La place que prend un texte dans un schéma, et son retour à la ligne.

Les largeurs sont celles de DejaVu Sans, plus large que les polices des systèmes courants : ce qui
tient d’après ces tables tient partout.
"""

import textwrap
from functools import cache

from publication.typographie import insecables

# Largeur des caractères, en centièmes de la taille de la police, arrondie vers le haut.
LARGEURS = {
    20: "\u202f",
    30: "'IJijlîïÎÏ",
    35: " ,./:;\\|’·\u00a0",
    40: "()-[]ft",
    45: "!r",
    50: '"*_`–°',
    55: "?cszç",
    60: "FLkvxyÿ",
    65: "$0123456789EPSTYabdeghnopqu{}àâäéèêëôöùûüÉÈÊË«»€",
    70: "ABCKRVXZÀÂÇ",
    75: "NUÙÛÜ",
    80: "&DGHOQÔ",
    85: "#+<=>^w~→←↔⇄≥≤×≠",
    90: "M",
    100: "%@Wmæ—…",
    105: "œ",
    110: "Œ",
}
# Le gras élargit au plus d’autant.
GRAS = 1.16
INTERLIGNE = 1.2
# De combien la ligne de base est sous le haut de la ligne.
BASE = 0.95


@cache
def _table() -> dict[str, int]:
    return {signe: largeur for largeur, signes in LARGEURS.items() for signe in signes}


def largeur(texte: str, taille: float, gras: bool = False) -> float:
    """Donne une largeur que le texte ne dépassera pas."""
    centiemes = sum(_table().get(signe, 110) for signe in texte)
    return centiemes * taille / 100 * (GRAS if gras else 1)


def couper(texte: str, place: float, taille: float, gras: bool = False) -> list[str] | None:
    """Coupe un texte en lignes équilibrées ; rien si un mot ne tient pas dans la place.

    Un retour à la ligne écrit dans le texte est respecté.
    """
    lignes: list[str] = []
    for paragraphe in insecables(texte).strip().split("\n"):
        mots = textwrap.dedent(paragraphe).split(" ")
        if any(largeur(mot, taille, gras) > place for mot in mots):
            return None
        essai = _remplir(mots, place, taille, gras)
        serre = essai
        while len(serre) == len(essai):
            essai, place_moindre = serre, max(largeur(ligne, taille, gras) for ligne in serre) - 1
            if any(largeur(mot, taille, gras) > place_moindre for mot in mots):
                break
            serre = _remplir(mots, place_moindre, taille, gras)
        lignes += essai
    return lignes


def _remplir(mots: list[str], place: float, taille: float, gras: bool) -> list[str]:
    """Met sur chaque ligne autant de mots qu’il en tient."""
    lignes = [mots[0]]
    for mot in mots[1:]:
        suite = f"{lignes[-1]} {mot}"
        if largeur(suite, taille, gras) <= place:
            lignes[-1] = suite
        else:
            lignes.append(mot)
    return lignes
