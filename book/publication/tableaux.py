"""Les tableaux des pages : lisibles dans le livre, dans JupyterLab et par un lecteur d’écran."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from html import escape
from typing import Any

from publication.depot import RACINE, lire_yaml
from publication.reference import remplir
from publication.references import lien
from publication.typographie import insecables

DONNEES = RACINE / "book" / "donnees"
# La source de ce qui vient de nous, et n’a donc pas d’entrée dans la bibliographie.
SYNTHESE = "synthese"


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
    """Un tableau avec sa légende ; la première colonne nomme les lignes.

    Une case réunit une ou plusieurs valeurs. Le script ``filtre.js`` du livre ajoute des filtres
    aux tableaux qui portent l’attribut ``data-filtrable``.
    """

    legende: str
    colonnes: tuple[str, ...]
    lignes: tuple[tuple[tuple[Cellule, ...], ...], ...]
    nom: str | None = None
    filtrable: bool = False

    def _repr_html_(self) -> str:
        tete = "".join(f'<th scope="col">{escape(nom)}</th>' for nom in self.colonnes)
        corps = "".join(
            f'<tr><th scope="row">{_joindre_html(premiere)}</th>'
            + "".join(f"<td>{_joindre_html(case)}</td>" for case in suite)
            + "</tr>"
            for premiere, *suite in self.lignes
        )
        attributs = f' id="{escape(self.nom)}"' if self.nom else ""
        attributs += " data-filtrable" if self.filtrable else ""
        legende = escape(insecables(self.legende))
        return (
            f'<table class="tableau"{attributs}><caption>{legende}</caption>'
            f"<thead><tr>{tete}</tr></thead><tbody>{corps}</tbody></table>"
        )

    def _repr_markdown_(self) -> str:
        rangees = [self.colonnes, ["---"] * len(self.colonnes)]
        rangees += [
            [" ; ".join(valeur.markdown() for valeur in case) for case in ligne]
            for ligne in self.lignes
        ]
        return "\n".join(f"| {' | '.join(rangee)} |" for rangee in rangees)


def _joindre_html(case: Iterable[Cellule]) -> str:
    """Sépare les valeurs d’une case comme le fait une phrase."""
    return insecables(" ; ").join(valeur.html() for valeur in case)


def charger(nom: str) -> Any:
    """Lit un fichier de ``book/donnees``."""
    return lire_yaml(DONNEES / f"{nom}.yaml")


def tableau(
    lignes: Iterable[Mapping[str, Any]],
    colonnes: Mapping[str, str],
    legende: str,
    nom: str | None = None,
    filtrable: bool = False,
) -> Tableau:
    """Compose un tableau à partir de données.

    Args:
        lignes: les données, une ligne chacune. ``source`` (une clé de references.bib,
            « synthese » pour ce qui vient de nous, ou une liste) devient un lien vers la
            bibliographie, ``etape`` vers le notebook de la démonstration. Une liste met
            plusieurs valeurs dans la case.
        colonnes: les clés à montrer, et le titre de chaque colonne.
        legende: ce que montre le tableau, en une phrase.
        nom: l’ancre du tableau, « tab-… », pour y renvoyer.
        filtrable: vrai pour que le livre ajoute des filtres au-dessus du tableau.
    """
    rangees = tuple(tuple(_case(cle, ligne) for cle in colonnes) for ligne in lignes)
    return Tableau(legende, tuple(colonnes.values()), rangees, nom, filtrable)


def _case(cle: str, ligne: Mapping[str, Any]) -> tuple[Cellule, ...]:
    """Rend la ou les valeurs d’une case."""
    valeur = ligne[cle]
    return tuple(_cellule(cle, v) for v in (valeur if isinstance(valeur, list) else [valeur]))


def _cellule(cle: str, valeur: Any) -> Cellule:
    """Rend une valeur : source, étape, texte (seul, ou avec une adresse ou une langue).

    Un texte peut appeler un nombre de l’exécution de référence, ``{{ nom }}``.
    """
    if cle == "source" and valeur == SYNTHESE:
        return Cellule("notre synthèse")
    if cle == "source":
        return Cellule(*lien(valeur))
    if cle == "etape":
        return Cellule(titre_de_l_etape(valeur), f"../notebooks/{valeur}.ipynb")
    if isinstance(valeur, Mapping):
        return Cellule(**valeur | {"texte": remplir(valeur["texte"])})
    return Cellule(remplir(str(valeur)))


def titre_de_l_etape(nom: str) -> str:
    """Nomme une étape de la démonstration : son numéro, et le début du titre de son notebook."""
    notebook = json.loads((RACINE / "notebooks" / f"{nom}.ipynb").read_text(encoding="utf-8"))
    titre = "".join(notebook["cells"][0]["source"]).splitlines()[0].removeprefix("# ")
    return f"{nom[:2]}, {titre.split(' : ')[0].lower()}"
