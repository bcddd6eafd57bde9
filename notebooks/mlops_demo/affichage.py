"""Montrer tableaux et phrases : décimales à la française, légende, en-têtes lisibles."""

import pandas as pd
from IPython.display import Markdown, display
from pandas.io.formats.style import Styler


def nombre(valeur: float, decimales: int = 3, signe: bool = False) -> str:
    """Écrit un nombre à la française : virgule, espace fine insécable pour les milliers."""
    texte = f"{valeur:{'+' if signe else ''},.{decimales}f}"
    return texte.replace(",", "\u202f").replace(".", ",").replace("-", "−")


def _cellule(valeur: object, decimales: int) -> str:
    if isinstance(valeur, bool):
        return "oui" if valeur else "non"
    if isinstance(valeur, pd.Timestamp):
        return f"{valeur:%d/%m/%Y}"
    if isinstance(valeur, list | tuple):
        return ", ".join(map(str, valeur)) or "—"
    if pd.isna(valeur):
        return "—"
    if isinstance(valeur, int):
        return nombre(valeur, 0)
    return nombre(valeur, decimales) if isinstance(valeur, float) else str(valeur)


def tableau(table: pd.DataFrame, legende: str, decimales: int = 3) -> Styler:
    """Tableau légendé, sans colonne d’index."""
    propre = table.astype(object).map(lambda v: _cellule(v, decimales))
    numeriques = [c for c in table if pd.api.types.is_numeric_dtype(table[c])]
    style = propre.style.hide(axis="index").set_caption(legende)
    return style.set_properties(subset=numeriques, **{"text-align": "right"})


def phrase(texte: str) -> None:
    """Affiche une phrase dont les nombres viennent de l’exécution."""
    display(Markdown(texte))
