"""Écrire des nombres à la française."""


def nombre(valeur: float, decimales: int = 3, signe: bool = False) -> str:
    """Virgule décimale, espace fine insécable pour les milliers, vrai signe moins."""
    texte = f"{valeur:{'+' if signe else ''},.{decimales}f}"
    return texte.replace(",", "\u202f").replace(".", ",").replace("-", "−")
