"""Des graphiques lisibles au fond d’une salle, hors ligne, en clair comme en sombre."""

from functools import cache
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
import pandas as pd
from matplotlib import font_manager
from matplotlib.axes import Axes
from matplotlib.ticker import ScalarFormatter
from matplotlib_inline.backend_inline import set_matplotlib_formats

# Palette d’Okabe et Ito, distinguable par les daltoniens.
BLEU, ORANGE, VERT, ROUGE, GRIS = (
    "#0072B2",
    "#E69F00",
    "#009E73",
    "#D55E00",
    "#595959",
)

# Une courbe se reconnaît à sa couleur et à sa marque.
TRAITS = ((ROUGE, "o"), (BLEU, "s"), (VERT, "D"))


@cache
def police() -> list[str]:
    """Fait connaître à matplotlib la police du livre ; donne les familles à employer."""
    for fichier in sorted((Path(__file__).parent / "polices").glob("*.ttf")):
        font_manager.fontManager.addfont(fichier)
    return ["Figtree", "DejaVu Sans"]


def style() -> None:
    """Règle matplotlib : vectoriel, fond blanc, caractères lisibles, décimales à la française."""
    set_matplotlib_formats("svg")
    mpl.rcParams.update(
        {
            "axes.axisbelow": True,
            "axes.grid": True,
            "axes.spines.right": False,
            "axes.spines.top": False,
            "axes.titlelocation": "left",
            "axes.titlesize": 14,
            "axes.titleweight": "bold",
            "figure.constrained_layout.use": True,
            "figure.facecolor": "white",
            "figure.figsize": (8.4, 4.2),
            "font.family": police(),
            "font.size": 12,
            "grid.color": "#dddddd",
            "legend.frameon": False,
            "lines.linewidth": 2.4,
            "svg.fonttype": "path",
            "svg.hashsalt": "mlops",
        }
    )


class Virgule(ScalarFormatter):
    """Graduations à la française."""

    def __call__(self, x: float, pos: int | None = None) -> str:
        """Graduation d’un axe numérique, virgule décimale."""
        return super().__call__(x, pos).replace(".", ",")


def legender(repere: Axes) -> None:
    """Pose, ou refait, la légende sous le repère : elle n’y croise ni courbe ni grille."""
    for ancienne in list(repere.figure.legends):
        ancienne.remove()
    repere.figure.legend(loc="outside lower center", ncols=3)


def ombrer(repere: Axes, debut: float, fin: float, nom: str | None = None) -> None:
    """Ombre une période, en couleur et en hachures."""
    repere.axvspan(
        debut, fin, facecolor="#f3e3d3", edgecolor="#b5793c", hatch="//", lw=0, zorder=0, label=nom
    )


def axe(titre: str, xlabel: str = "", ylabel: str = "", numeriques: str = "y") -> Axes:
    """Ouvre une figure d’un seul repère, titrée.

    Args:
        titre: ce que la figure montre.
        xlabel: légende de l’axe horizontal.
        ylabel: légende de l’axe vertical.
        numeriques: axes dont les graduations sont des nombres, parmi ``x`` et ``y`` ; eux seuls
            ont une grille.
    """
    _, repere = plt.subplots()
    repere.set(title=titre, xlabel=xlabel, ylabel=ylabel)
    repere.grid(False)
    for nom in numeriques:
        repere.grid(axis=nom)
        getattr(repere, f"{nom}axis").set_major_formatter(Virgule())
    return repere


MOIS = ["janv.", "févr.", "mars", "avr.", "mai", "juin"]
MOIS += ["juil.", "août", "sept.", "oct.", "nov.", "déc."]


def noms_de_mois(dates: pd.Series) -> list[str]:
    """Noms abrégés des mois, en français."""
    return [MOIS[m - 1] for m in pd.to_datetime(dates).dt.month]


def calibration(courbes: dict[str, pd.DataFrame], titre: str) -> Axes:
    """Trace des courbes de calibration ; la diagonale est l’annonce parfaite."""
    repere = axe(titre, "retard annoncé (probabilité)", "retard observé (part des vols)", "xy")
    haut = max(c[["annonce", "observe"]].to_numpy().max() for c in courbes.values()) * 1.05
    repere.plot([0, haut], [0, haut], color=GRIS, linestyle="--", label="annonce parfaite")
    for (nom, courbe), (couleur, marque) in zip(courbes.items(), TRAITS[1:], strict=False):
        repere.plot(courbe["annonce"], courbe["observe"], marker=marque, color=couleur, label=nom)
    legender(repere)
    return repere


def comparer(
    mesures: dict[str, pd.DataFrame],
    colonne: str,
    titre: str,
    ylabel: str,
    seuils: tuple[float, ...] = (),
) -> Axes:
    """Trace une mesure mois par mois, une courbe par scénario, et ses seuils d’alarme."""
    repere = axe(titre, "mois de 2013", ylabel)
    for (nom, table), (couleur, marque) in zip(mesures.items(), TRAITS, strict=False):
        mois = noms_de_mois(table["mois"])
        repere.plot(mois, table[colonne], marker=marque, color=couleur, label=nom)
    for rang, seuil in enumerate(seuils):
        nom = None if rang else "seuil d’alarme"
        repere.axhline(seuil, color=GRIS, linestyle="--", label=nom)
    legender(repere)
    return repere
