"""Ce que les modèles de schémas partagent : couleurs, icônes, textes placés, contrôles."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from publication import mesure
from publication.depot import ErreurPublication

LARGEUR = 1280
# À cette taille et sous cette hauteur, aucun texte ne descend sous 24 pixels sur une diapositive de
# 1920 × 1080, ni sous 12 dans la colonne du livre (774 pixels de large).
TAILLE_MIN, HAUTEUR_MAX = 20, 812
ENCRE = "#1d2530"
# Contraste d’une icône avec le fond : celui d’un texte, car certains tracés sont très fins.
CONTRASTE_MIN = 4.5
# Luminance du fond le plus soutenu sur lequel une icône est posée.
FOND = 0.92


@dataclass(frozen=True)
class Famille:
    """Ce qui distingue une sorte d’objet : une couleur, et un motif pour qui ne la voit pas."""

    nom: str
    couleur: str
    fond: str


FAMILLES = {
    "donnees": Famille("données", "#0a5f91", "#eaf3f9"),
    "code": Famille("code", "#4b5563", "#f0f2f4"),
    "modele": Famille("modèle", "#b34700", "#fdf0e7"),
    "service": Famille("service", "#2f6d12", "#edf5e8"),
    "surveillance": Famille("surveillance", "#7a2f8f", "#f6edf8"),
    "humain": Famille("acte humain", "#7a5c00", "#fbf5df"),
    "neutre": Famille("autre", "#5a6573", "#ffffff"),
}


@dataclass(frozen=True)
class Icone:
    """Un outil : son nom, toujours écrit, et son tracé s’il en existe un libre."""

    nom: str
    titre: str
    couleur: str = ENCRE
    trace: str = ""
    # Épaisseur ajoutée à un tracé trop fin pour se voir.
    renfort: float = 0

    @property
    def lisible(self) -> str:
        """La couleur de la marque, assombrie s’il le faut pour se voir sur un fond clair."""
        rouge, vert, bleu = (int(self.couleur[i : i + 2], 16) for i in (1, 3, 5))
        while FOND / (_luminance(rouge, vert, bleu) + 0.05) < CONTRASTE_MIN:
            rouge, vert, bleu = (int(composante * 0.95) for composante in (rouge, vert, bleu))
        return f"#{rouge:02x}{vert:02x}{bleu:02x}"


def _luminance(*composantes: int) -> float:
    """Luminance relative d’une couleur, comme la définit le W3C."""
    lineaires = [
        c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4
        for c in (composante / 255 for composante in composantes)
    ]
    return sum(poids * c for poids, c in zip((0.2126, 0.7152, 0.0722), lineaires, strict=True))


@dataclass(frozen=True)
class Boite:
    """Un rectangle du dessin."""

    x: float
    y: float
    l: float  # noqa: E741 — la largeur, comme h est la hauteur
    h: float

    @property
    def droite(self) -> float:
        """Abscisse du bord droit."""
        return self.x + self.l

    @property
    def bas(self) -> float:
        """Ordonnée du bord inférieur."""
        return self.y + self.h

    @property
    def centre(self) -> tuple[float, float]:
        """Le milieu de la boîte."""
        return self.x + self.l / 2, self.y + self.h / 2

    def touche(self, autre: "Boite", jeu: float = 0) -> bool:
        """Vrai si les deux boîtes se chevauchent, à un jeu près."""
        return (
            self.x < autre.droite + jeu
            and autre.x < self.droite + jeu
            and self.y < autre.bas + jeu
            and autre.y < self.bas + jeu
        )

    def contient(self, autre: "Boite") -> bool:
        """Vrai si l’autre boîte est dedans."""
        return (
            self.x <= autre.x
            and self.y <= autre.y
            and autre.droite <= self.droite
            and autre.bas <= self.bas
        )


@dataclass(frozen=True)
class Ligne:
    """Une ligne de texte posée : son point d’ancrage est sur la ligne de base."""

    texte: str
    x: float
    y: float
    taille: float
    gras: bool = False
    ancre: str = "middle"
    couleur: str = ENCRE


def verifier(
    ou: str,
    donnees: Any,
    requises: Iterable[str],
    permises: Iterable[str] | None = None,
) -> None:
    """Refuse des données où une clé manque, ou dont une clé n’existe pas.

    Raises:
        ErreurPublication: avec le nom de la clé fautive.
    """
    if not isinstance(donnees, Mapping):
        raise ErreurPublication(f"{ou} : on attend des clés, pas « {donnees} ».")
    for cle in requises:
        if cle not in donnees:
            raise ErreurPublication(f"{ou} : la clé « {cle} » manque.")
    if permises is not None:
        for cle in donnees:
            if cle not in {*requises, *permises}:
                raise ErreurPublication(f"{ou} : la clé « {cle} » n’existe pas.")


def famille(ou: str, nom: str) -> str:
    """Rend le nom d’une famille s’il existe.

    Raises:
        ErreurPublication: sinon.
    """
    if nom not in FAMILLES:
        raise ErreurPublication(f"{ou} : la famille « {nom} » n’existe pas.")
    return nom


def lignes(ou: str, texte: str, place: float, taille: float, gras: bool = False) -> list[str]:
    """Coupe un texte à la largeur disponible.

    Raises:
        ErreurPublication: si un mot n’y tient pas, ou si le texte serait trop petit.
    """
    if taille < TAILLE_MIN:
        raise ErreurPublication(
            f"{ou} : un texte de {taille} serait illisible, au moins {TAILLE_MIN}."
        )
    coupe = mesure.couper(str(texte), place, taille, gras)
    if coupe is None:
        raise ErreurPublication(
            f"{ou} : le texte « {texte} » ne tient pas dans {place:.0f} pixels de large."
        )
    return coupe


def empiler(
    textes: Iterable[tuple[list[str], float, bool]],
    x: float,
    haut: float,
    ancre: str = "middle",
    couleur: str = ENCRE,
) -> list[Ligne]:
    """Pose des paragraphes coupés l’un sous l’autre, à partir du haut."""
    posees = []
    for coupe, taille, gras in textes:
        for ligne in coupe:
            posees.append(
                Ligne(ligne, x, haut + mesure.BASE * taille, taille, gras, ancre, couleur)
            )
            haut += mesure.INTERLIGNE * taille
    return posees


def hauteur(textes: Iterable[tuple[list[str], float, bool]]) -> float:
    """Hauteur de paragraphes coupés."""
    return sum(len(coupe) * mesure.INTERLIGNE * taille for coupe, taille, _ in textes)
