"""Les schémas du livre : des places en données (YAML), un dessin vectoriel autonome.

``schema("venn")`` dessine ``book/donnees/schemas/venn.yaml`` ; ``schema("carte", niveau=2)``, la
carte des niveaux. Aucun moteur ne place rien : chaque bloc, chaque flèche est là où les données le
mettent, et ce qui ne tient pas, sort du cadre ou n’existe pas arrête le dessin par une phrase.

Clés de tous les schémas : ``modele`` (``croquis``, ``carte``, ``acteurs`` ou ``affiche``),
``titre`` (court, sans point final), ``description`` (le texte de remplacement : des phrases
complètes qui disent ce qu’on voit), et ``source`` si le dessin adapte celui d’un autre. Les clés de
chaque modèle sont dites dans ``croquis.py`` et ``carte.py``.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from publication import carte, croquis
from publication.depot import RACINE, ErreurPublication, lire_yaml
from publication.dessin import Icone
from publication.typographie import insecables

SCHEMAS = RACINE / "book" / "donnees" / "schemas"
ICONES = RACINE / "book" / "donnees" / "icones.yaml"
GABARITS = Path(__file__).parent / "gabarits"
MODELES = ("croquis", "carte", "acteurs", "affiche")


@dataclass(frozen=True)
class Schema:
    """Un schéma dessiné, avec ce qui doit l’accompagner."""

    nom: str
    titre: str
    description: str
    source: str
    svg: str = field(repr=False)

    @property
    def legende(self) -> str:
        """La légende de la figure : son titre, et sa source si elle en a une."""
        source = f" Source : {self.source}." if self.source else ""
        return f"{self.titre}.{source}"

    def _repr_svg_(self) -> str:
        return self.svg


def schema(nom: str, niveau: int | None = None) -> Schema:
    """Dessine un schéma de ``book/donnees/schemas``.

    Args:
        nom: le nom du fichier, sans son extension.
        niveau: le niveau à montrer, pour la carte.

    Raises:
        ErreurPublication: si le fichier est fautif ou si le dessin ne tient pas.
    """
    return dessiner(nom, lire_yaml(SCHEMAS / f"{nom}.yaml"), niveau)


def dessiner(nom: str, donnees: Mapping[str, Any], niveau: int | None = None) -> Schema:
    """Dessine un schéma à partir de ses données.

    Raises:
        ErreurPublication: si elles sont fautives ou si le dessin ne tient pas.
    """
    try:
        manque = [cle for cle in ("modele", "titre", "description") if not donnees.get(cle)]
        if manque:
            raise ErreurPublication(f"il manque {' et '.join(manque)}.")
        dessin = _disposer(donnees, niveau)
    except ErreurPublication as erreur:
        raise ErreurPublication(f"schéma « {nom} » : {erreur}") from erreur
    prefixe = nom if niveau is None else f"{nom}-{niveau}"
    titre, description = (
        " ".join(insecables(carte.au_niveau(donnees[cle], niveau or 0)).split())
        for cle in ("titre", "description")
    )
    svg = (
        _gabarits()
        .get_template(f"{donnees['modele']}.svg.j2")
        .render(
            prefixe=prefixe,
            titre=titre,
            description=description,
            police=carte.police_incorporee(),
            **dessin,
        )
    )
    return Schema(prefixe, titre, description, insecables(donnees.get("source", "")), svg)


def _disposer(donnees: Mapping[str, Any], niveau: int | None) -> dict[str, Any]:
    modele = donnees["modele"]
    if modele == "croquis":
        return croquis.disposer(donnees, icones())
    if modele == "carte":
        if niveau is None:
            raise ErreurPublication("ce schéma grandit, il faut dire quel niveau montrer.")
        return carte.disposer(donnees, icones(), niveau)
    if modele in MODELES:
        explication, fond = (lire_yaml(SCHEMAS / f"{n}.yaml") for n in ("affiche", "carte"))
        return carte.affiche(explication, fond, icones())
    raise ErreurPublication(f"le modèle « {modele} » n’existe pas.")


@cache
def icones() -> dict[str, Icone]:
    """Les outils qu’un schéma peut nommer, avec leur icône s’ils en ont une."""
    return {nom: Icone(nom, **outil) for nom, outil in lire_yaml(ICONES)["outils"].items()}


@cache
def _gabarits() -> Environment:
    """L’atelier de dessin : une donnée oubliée est une erreur, pas un blanc."""
    atelier = Environment(
        loader=FileSystemLoader(GABARITS),
        undefined=StrictUndefined,
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    atelier.filters["coude"] = carte.coude
    atelier.filters["n"] = lambda nombre: f"{nombre:.1f}".removesuffix(".0")
    return atelier
