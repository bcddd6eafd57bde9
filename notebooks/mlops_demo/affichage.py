"""Montrer tableaux et phrases : décimales à la française, légende, en-têtes lisibles."""

import numpy as np
import pandas as pd
from IPython.display import Markdown, display
from pandas.io.formats.style import Styler

from mlops_demo.textes import nombre

__all__ = ["MESURES", "nombre", "phrase", "tableau"]

# Les mesures, telles qu’un tableau les nomme.
MESURES = {
    "auc": "AUC",
    "brier": "Brier",
    "brier_skill": "Brier skill",
    "etiquetes": "vols jugés",
    "log_loss": "log-loss",
    "proba_moyenne": "probabilité moyenne",
    "taux_observe": "taux observé",
}


def _cellule(valeur: object, decimales: int) -> str:
    if isinstance(valeur, bool):
        return "oui" if valeur else "non"
    if isinstance(valeur, pd.Timestamp):
        return f"{valeur:%d/%m/%Y}"
    if isinstance(valeur, list | tuple | np.ndarray):
        return ", ".join(map(str, valeur)) or "—"
    if pd.isna(valeur):
        return "—"
    if isinstance(valeur, int):
        return nombre(valeur, 0)
    return nombre(valeur, decimales) if isinstance(valeur, float) else str(valeur)


def tableau(table: pd.DataFrame, legende: str, decimales: int = 3) -> Styler:
    """Tableau légendé, sans colonne d’index ; les mesures y portent leur nom en clair."""
    table = table.rename(columns=MESURES)
    propre = table.astype(object).map(lambda v: _cellule(v, decimales))
    numeriques = list(table.select_dtypes("number").columns)
    style = propre.style.format(escape="html").hide(axis="index").set_caption(legende)
    a_droite = {c: [{"selector": "th, td", "props": "text-align: right"}] for c in numeriques}
    return style.set_table_styles(a_droite, overwrite=False)


def phrase(texte: str) -> None:
    """Affiche une phrase dont les nombres viennent de l’exécution."""
    display(Markdown(texte))
