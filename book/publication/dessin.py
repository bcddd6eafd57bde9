"""Ce que les schémas partagent : les couleurs des familles, les icônes des outils."""

from dataclasses import dataclass

ENCRE = "#1d2530"
# Contraste d’une icône avec le fond : celui d’un texte, car certains tracés sont très fins.
CONTRASTE_MIN = 4.5
# Luminance du fond le plus soutenu sur lequel une icône est posée.
FOND = 0.92


@dataclass(frozen=True)
class Famille:
    """Ce qui distingue une sorte d’objet : la couleur de son bord et celle de son fond."""

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
