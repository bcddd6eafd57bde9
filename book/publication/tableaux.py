"""Les tableaux des pages : lisibles dans le livre, dans JupyterLab et par un lecteur d’écran."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from html import escape
from typing import Any

from publication.depot import RACINE, ErreurPublication, lire_yaml
from publication.typographie import insecables

DONNEES = RACINE / "book" / "donnees"


@dataclass(frozen=True)
class Cellule:
    """Le texte d’une case, avec au besoin son adresse et sa langue."""

    texte: str
    adresse: str | None = None
    langue: str | None = None

    def html(self) -> str:
        """Rend la case en HTML."""
        contenu = escape(insecables(self.texte), quote=False)
        if self.langue:
            contenu = f'<span lang="{escape(self.langue)}">{contenu}</span>'
        if self.adresse:
            contenu = f'<a href="{escape(self.adresse)}">{contenu}</a>'
        return contenu

    def markdown(self) -> str:
        """Rend la case en Markdown."""
        contenu = self.texte.replace("|", "\\|")
        return f"[{contenu}]({self.adresse})" if self.adresse else contenu


@dataclass(frozen=True)
class Tableau:
    """Un tableau avec sa légende ; la première colonne nomme les lignes."""

    legende: str
    colonnes: tuple[str, ...]
    lignes: tuple[tuple[Cellule, ...], ...]

    def _repr_html_(self) -> str:
        tete = "".join(f'<th scope="col">{escape(nom)}</th>' for nom in self.colonnes)
        corps = "".join(
            f'<tr><th scope="row">{premiere.html()}</th>'
            + "".join(f"<td>{case.html()}</td>" for case in suite)
            + "</tr>"
            for premiere, *suite in self.lignes
        )
        return (
            f'<table class="tableau"><caption>{escape(insecables(self.legende))}</caption>'
            f"<thead><tr>{tete}</tr></thead><tbody>{corps}</tbody></table>"
        )

    def _repr_markdown_(self) -> str:
        rangees = [self.colonnes, ["---"] * len(self.colonnes)]
        rangees += [[case.markdown() for case in ligne] for ligne in self.lignes]
        return "\n".join(f"| {' | '.join(rangee)} |" for rangee in rangees)


def charger(nom: str) -> Any:
    """Lit un fichier de ``book/donnees``."""
    return lire_yaml(DONNEES / f"{nom}.yaml")


def tableau(
    lignes: Iterable[Mapping[str, Any]], colonnes: Mapping[str, str], legende: str
) -> Tableau:
    """Compose un tableau à partir de données.

    Args:
        lignes: les données, une ligne chacune ; les clés ``source`` et ``etape`` deviennent
            des liens, vers la référence et vers le notebook de la démonstration.
        colonnes: les clés à montrer, et le titre de chaque colonne.
        legende: ce que montre le tableau, en une phrase.
    """
    sources = charger("sources")
    rangees = tuple(
        tuple(_cellule(cle, ligne[cle], sources) for cle in colonnes) for ligne in lignes
    )
    return Tableau(legende, tuple(colonnes.values()), rangees)


def _cellule(cle: str, valeur: Any, sources: Mapping[str, Mapping[str, str]]) -> Cellule:
    """Rend une valeur : source, étape, texte (seul, ou avec une adresse ou une langue)."""
    if cle == "source":
        if valeur not in sources:
            raise ErreurPublication(f"la source « {valeur} » n’est pas dans sources.yaml.")
        return Cellule(sources[valeur]["court"], sources[valeur].get("adresse"))
    if cle == "etape":
        return Cellule(str(valeur), f"../notebooks/{valeur}.ipynb")
    if isinstance(valeur, Mapping):
        return Cellule(**valeur)
    return Cellule(str(valeur))
