"""Les schémas du livre : des données en YAML, un dessin vectoriel autonome.

``schema("venn")`` dessine ``book/donnees/schemas/venn.yaml``. Le dessin est un SVG sans script ni
police à charger, sur un panneau clair. Ce qui ne tient pas, se chevauche ou n’existe pas arrête le
dessin avec une phrase qui dit quoi corriger.

Clés de tous les schémas
------------------------
``modele``
    ``flux``, ``boucle`` ou ``venn``.
``titre``, ``description``
    Le titre court, sans point final, et le texte de remplacement : des phrases complètes qui
    disent ce qu’on voit.
``credit``
    ``{auteur: presentation_mlops, source: d’après …, licence: CC BY 4.0}``.
``hauteur``, ``corps``
    Hauteur pour 1280 de large (720 par défaut) ; taille du texte principal (20 par défaut). Aucun
    texte ne descend sous 20, et la hauteur ne dépasse pas 812 : une diapositive le réduirait.

Modèle ``flux``
---------------
Des nœuds sur une grille, des flèches, des zones. Une case est ``[colonne, ligne]``, comptée à
partir de 1, décimales admises ; une taille est ``[colonnes, lignes]``.

``grille``
    ``colonnes`` et ``lignes`` : un nombre, ou la liste des poids relatifs ; ``ecart`` : les blancs
    ``[entre colonnes, entre lignes]`` en pixels (``[110, 56]`` par défaut) ; ``marge`` : les blancs
    du tour ``[haut, droite, bas, gauche]`` (``[32, 32, 32, 32]`` par défaut).
``legende``
    ``false`` pour ne pas montrer la légende des familles et des flèches.
``zones``
    Liste de ``{titre, de: case, a: case, famille}`` : un cadre titré autour de ces cases. Il
    déborde de 48 en haut et de 16 ailleurs : prévoir un écart en conséquence.
``noeuds``
    Un nom suivi de : ``case`` ; ``taille`` (``[1, 1]``) ; ``texte`` (en gras) et ``detail`` (plus
    petit) ; ``famille`` : ``donnees``, ``code``, ``modele``, ``service``, ``surveillance``,
    ``humain`` ou ``neutre`` ; ``outils`` : des noms de ``icones.yaml`` ; ``manuel: true`` pose une
    main ; ``accent: true`` met le nœud en évidence ; ``pastille`` : un mot à cheval sur le bord,
    à droite sauf si ``pastille_a`` dit ``gauche`` ; ``forme`` :

    - ``rectangle`` (par défaut), ``cylindre`` (une base), ``document``, ``personne``, ``texte``
      (sans bord, aligné au centre) ;
    - ``tableau`` : ``colonnes`` (les têtes), ``lignes`` (des listes), ``surligne`` (le numéro de la
      ligne à montrer, à partir de 1), ``poids`` (largeurs relatives) ;
    - ``jauge`` : ``valeur`` et ``maximum`` (un arc gradué sous le texte) ;
    - ``courbe`` : ``points`` (des ``[x, y]`` entre 0 et 1, y vers le haut), ``seuil: {y, texte}``,
      ``reperes`` (des ``{x, y, texte}`` entre 0 et 1), ``axes: [abscisse, ordonnée]``.
``fleches``
    Liste de ``{de, vers}`` avec au besoin :

    - ``texte``, posé le long du plus long segment, et pour le déplacer : ``place`` (0.5, part du
      segment), ``cote`` (``dessus``, ``dessous``, ``droite``, ``gauche``), ``largeur`` en pixels ;
    - ``depart`` et ``arrivee`` : ``haut``, ``bas``, ``gauche``, ``droite``, ou ``[côté, part]`` où
      la part va de 0 (gauche ou haut) à 1. Sans eux, la flèche est droite si les nœuds se font
      face, sinon coudée : elle sort à l’horizontale et entre à la verticale ;
    - ``milieu`` : la part (0.5) où tourne une flèche en Z ; ``detour`` : l’écart (32) d’une flèche
      en U, qui sort et entre du même côté ;
    - ``trait`` : ``plein`` ou ``pointille`` ; ``manuel: true`` : tirets et main ; ``accent: true``
      la met en évidence.

Une zone, un nœud ou une flèche peut porter ``depuis`` et ``jusqua`` : les niveaux entre lesquels
il existe (``schema("niveaux", niveau=2)``). Toute valeur peut dépendre du niveau : on l’écrit
alors ``{0: Notebook, 2: Pipeline}``, et la dernière atteinte vaut. ``echelle`` donne le nom des
niveaux. Ce qui apparaît, s’automatise, ou change de texte ou d’outils au niveau montré est mis en
évidence, ce qui viendra n’est qu’esquissé.

Modèle ``boucle``
-----------------
De un à trois anneaux accolés. ``anneaux`` : liste de ``{texte, detail, famille, accent, depart,
quartiers}`` ; ``texte`` est au centre ; ``depart`` est l’angle où commence le premier quartier, en
degrés depuis le haut (0) ; chaque quartier a ``texte``, et au besoin ``famille``, ``accent`` et,
pour un anneau seul, ``detail`` (écrit à côté). On tourne dans le sens des aiguilles d’une montre.
``retour`` : le texte d’une flèche qui revient du dernier anneau au premier. ``notes`` : liste de
textes écrits sous les anneaux, un par anneau. ``lien`` : ``double`` pour des flèches ⇄ entre
anneaux.

Modèle ``venn``
---------------
Trois ``cercles`` (``texte``, ``detail``, ``famille``) et leur ``centre`` (``texte``, ``detail``).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from publication import anneaux, carte, croquis, flux
from publication.depot import RACINE, ErreurPublication, lire_yaml
from publication.dessin import FAMILLES, HAUTEUR_MAX, LARGEUR, Icone, verifier
from publication.typographie import insecables

SCHEMAS = RACINE / "book" / "donnees" / "schemas"
ICONES = RACINE / "book" / "donnees" / "icones.yaml"
GABARITS = Path(__file__).parent / "gabarits"

COMMUNES = ("modele", "titre", "description", "credit")
MODELES = {"flux": flux.disposer, "boucle": anneaux.boucle, "venn": anneaux.venn}


@dataclass(frozen=True)
class Schema:
    """Un schéma dessiné, avec ce qui doit l’accompagner."""

    nom: str
    titre: str
    description: str
    credit: Mapping[str, str]
    svg: str = field(repr=False)

    @property
    def legende(self) -> str:
        """La légende de la figure : son titre, puis son auteur, sa source et sa licence."""
        credit = (f"{nom} : {self.credit[nom.lower()]}." for nom in ("Auteur", "Source", "Licence"))
        return " ".join([f"{self.titre.rstrip('.')}.", *credit])

    def _repr_svg_(self) -> str:
        return self.svg


def schema(nom: str, niveau: int | None = None) -> Schema:
    """Dessine un schéma de ``book/donnees/schemas``.

    Args:
        nom: le nom du fichier, sans son extension.
        niveau: le niveau à montrer, pour un schéma qui grandit.

    Raises:
        ErreurPublication: si le fichier est fautif ou si le dessin ne tient pas.
    """
    donnees = lire_yaml(SCHEMAS / f"{nom}.yaml")
    if donnees["modele"] in {"carte", "affiche", "acteurs", "croquis"}:
        return _dessiner_a_place_fixe(nom, donnees, niveau)
    return dessiner(nom, donnees, niveau)


def _dessiner_a_place_fixe(nom: str, donnees: Mapping[str, Any], niveau: int | None) -> Schema:
    """Dessine un schéma dont les données donnent toutes les places."""
    try:
        if donnees["modele"] == "croquis":
            dessin = croquis.disposer(donnees)
        elif donnees["modele"] in {"affiche", "acteurs"}:
            explication = lire_yaml(SCHEMAS / "affiche.yaml")
            dessin = carte.affiche(explication, lire_yaml(SCHEMAS / "carte.yaml"), icones())
        elif niveau is None:
            raise ErreurPublication("ce schéma grandit, il faut dire quel niveau montrer.")
        else:
            dessin = carte.disposer(donnees, icones(), niveau)
    except ErreurPublication as erreur:
        raise ErreurPublication(f"schéma « {nom} » : {erreur}") from erreur
    prefixe = nom if niveau is None else f"{nom}-{niveau}"
    titre, description = (
        insecables(carte.au_niveau(donnees[cle], niveau or 0)).strip()
        for cle in ("titre", "description")
    )
    gabarit = _gabarits().get_template(f"{donnees['modele']}.svg.j2")
    svg = gabarit.render(
        prefixe=prefixe,
        titre=titre,
        description=description,
        police=carte.police_incorporee(),
        **dessin,
    )
    return Schema(prefixe, titre, description, donnees["credit"], svg)


def dessiner(nom: str, donnees: Mapping[str, Any], niveau: int | None = None) -> Schema:
    """Dessine un schéma à partir de ses données."""
    try:
        verifier("schéma", donnees, COMMUNES)
        donnees = flux.au_niveau(donnees, niveau)
        verifier("crédit", donnees["credit"], ("auteur", "source", "licence"), ())
        if donnees["modele"] not in MODELES:
            raise ErreurPublication(f"le modèle « {donnees['modele']} » n’existe pas.")
        if donnees.get("hauteur", 0) > HAUTEUR_MAX:
            raise ErreurPublication(f"la hauteur dépasse {HAUTEUR_MAX} pixels.")
        dessin = MODELES[donnees["modele"]](donnees, icones(), niveau)
    except ErreurPublication as erreur:
        raise ErreurPublication(f"schéma « {nom} » : {erreur}") from erreur
    prefixe = nom if niveau is None else f"{nom}-{niveau}"
    titre, description = (insecables(donnees[cle]).strip() for cle in ("titre", "description"))
    svg = (
        _gabarits()
        .get_template(f"{donnees['modele']}.svg.j2")
        .render(
            prefixe=prefixe,
            titre=titre,
            description=description,
            largeur=LARGEUR,
            familles=FAMILLES,
            police=carte.police_incorporee(),
            **dessin,
        )
    )
    return Schema(prefixe, donnees["titre"], donnees["description"], donnees["credit"], svg)


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
