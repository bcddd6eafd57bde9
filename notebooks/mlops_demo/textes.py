"""Écrire des nombres et des mois à la française."""

MOIS = ["janvier", "février", "mars", "avril", "mai", "juin"]
MOIS += ["juillet", "août", "septembre", "octobre", "novembre", "décembre"]


def nombre(valeur: float, decimales: int = 3, signe: bool = False) -> str:
    """Virgule décimale, espace fine insécable pour les milliers, vrai signe moins."""
    texte = f"{valeur:{'+' if signe else ''},.{decimales}f}"
    return texte.replace(",", "\u202f").replace(".", ",").replace("-", "−")


def mois_en_lettres(mois: str) -> str:
    """Écrit un mois, « 2013-07 », en toutes lettres : « juillet 2013 »."""
    annee, numero = mois.split("-")
    return f"{MOIS[int(numero) - 1]} {annee}"
