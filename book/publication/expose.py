"""L’exposé : ses diapositives, lues dans les notebooks de ``book/expose``.

Une diapositive est une suite de cellules. ``slideshow.slide_type`` dit le rôle de chacune :

- ``slide`` (l’ouverture d’une partie) ou ``subslide`` : le titre, donc le message ;
- ``-`` ou ``fragment`` : ce qu’elle montre, une planche (cellule de code) ou un texte court ;
- ``notes`` : ce que dit l’orateur ; ``slideshow.exercice`` y ajoute des minutes d’essai ;
- ``skip``, étiquetée ``texte`` : le paragraphe de ``presentation_mlops.md``, et ses sources ;
- ``skip``, étiquetée ``document`` : une planche qui n’est que dans ``presentation_mlops.md``.

``slideshow.version`` dit la plus petite version où une diapositive ou des notes paraissent :
``courte`` (si elle ne dit rien), ``ordinaire`` ou ``atelier``. ``slideshow.genre`` règle la mise en
page : ``titre``, ``chapitre``, ``nombre``…
"""

import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from publication.depot import ErreurPublication
from publication.plan import fusionner, pages_de_l_expose
from publication.planches import MIME, mots
from publication.reference import remplir
from publication.typographie import insecables

VERSIONS = ("courte", "ordinaire", "atelier")
ORDINAIRE = "ordinaire"
TITRE = re.compile(r"#+ +(.+)\n*")
SOURCES = re.compile(r"\n*^Sources : (.+?)\.?\s*\Z", re.MULTILINE)
DEBUTS = {"slide", "subslide"}
ROLES = DEBUTS | {"-", "fragment", "notes", "skip"}


@dataclass(frozen=True)
class Notes:
    """Ce que dit l’orateur, à partir d’une version, et les minutes laissées à la salle."""

    version: str
    texte: str
    exercice: float = 0


@dataclass
class Diapositive:
    """Une diapositive.

    ``contenu`` est une suite de planches, avec « paraît à la demande » ; ``document``, celles que
    seul le document Markdown montre.
    """

    id: str
    partie: str
    titre: str
    genre: str
    version: str
    ouvre: bool
    contenu: list[tuple[dict[str, Any], bool]] = field(default_factory=list)
    document: list[dict[str, Any]] = field(default_factory=list)
    notes: list[Notes] = field(default_factory=list)
    texte: str = ""
    sources: list[str] = field(default_factory=list)

    def paroles(self, version: str) -> list[Notes]:
        """Donne les notes à dire dans une version."""
        return [n for n in self.notes if parait(n.version, version)]

    @property
    def planches(self) -> list[dict[str, Any]]:
        """Ce qu’elle montre."""
        return [planche for planche, _ in self.contenu]

    @property
    def visible(self) -> str:
        """Le texte qu’elle fait lire : titre et planches, code et dessins exclus."""
        return " ".join([self.titre, *map(mots, self.planches)])


def parait(version: str, montree: str) -> bool:
    """Dit si ce qui est d’une version paraît dans une autre, plus longue ou égale."""
    return VERSIONS.index(version) <= VERSIONS.index(montree)


def lire(racine: Path, version: str = VERSIONS[-1]) -> list[Diapositive]:
    """Lit les diapositives d’une version, dans les notebooks exécutés.

    Raises:
        ErreurPublication: si une cellule n’est pas à sa place.
    """
    return [
        diapositive
        for page in pages_de_l_expose(racine)
        for diapositive in _lire_une_partie(page, fusionner(racine, page).cells)
        if parait(diapositive.version, version)
    ]


def lire_sans_sorties(racine: Path) -> list[Diapositive]:
    """Lit titres, notes et textes dans les sources : il n’y faut aucune exécution."""
    lues = []
    for page in pages_de_l_expose(racine):
        cellules = json.loads((racine / page).read_text(encoding="utf-8"))["cells"]
        lues += _lire_une_partie(page, cellules)
    return lues


def _lire_une_partie(page: str, cellules: list[dict[str, Any]]) -> list[Diapositive]:
    partie, lues = Path(page).stem, []
    for cellule in cellules:
        reglages = cellule["metadata"].get("slideshow", {})
        genre = reglages.get("slide_type", "skip")
        source = "".join(cellule["source"])
        try:
            if genre not in ROLES:
                raise ErreurPublication(f"le rôle « {genre} » n’existe pas.")
            if (version := reglages.get("version", VERSIONS[0])) not in VERSIONS:
                raise ErreurPublication(f"la version « {version} » n’existe pas.")
            if genre in DEBUTS:
                lues.append(_ouvrir(partie, cellule["id"], source, reglages))
            elif genre in {"-", "fragment", "notes"} or _etiquettes(cellule) & {
                "texte",
                "document",
            }:
                if not lues:
                    raise ErreurPublication("elle précède la première diapositive.")
                _ajouter(lues[-1], genre, cellule, source, reglages)
        except ErreurPublication as erreur:
            raise ErreurPublication(f"{page}, cellule {cellule['id']} : {erreur}") from erreur
    return lues


def _ouvrir(partie: str, nom: str, source: str, reglages: dict[str, Any]) -> Diapositive:
    titre = TITRE.match(source)
    if not titre:
        raise ErreurPublication("une diapositive commence par son titre, « ## Le message ».")
    version = reglages.get("version", VERSIONS[0])
    ouvre = reglages["slide_type"] == "slide"
    diapositive = Diapositive(
        nom, partie, _soigner(titre[1]), reglages.get("genre", ""), version, ouvre
    )
    if reste := source[titre.end() :].strip():
        diapositive.contenu.append(({"genre": "texte", "texte": _soigner(reste)}, False))
    return diapositive


def _ajouter(
    diapositive: Diapositive,
    genre: str,
    cellule: dict[str, Any],
    source: str,
    reglages: dict[str, Any],
) -> None:
    if genre == "notes":
        version = reglages.get("version", VERSIONS[0])
        notes = Notes(version, _soigner(source), reglages.get("exercice", 0))
        diapositive.notes.append(notes)
    elif "texte" in _etiquettes(cellule):
        if trouvees := SOURCES.search(source):
            diapositive.sources = [s.strip() for s in trouvees[1].split(",")]
        diapositive.texte = _soigner(SOURCES.sub("", source).strip())
    elif cellule["cell_type"] == "markdown":
        planche = {"genre": "texte", "texte": _soigner(source)}
        diapositive.contenu.append((planche, genre == "fragment"))
    else:
        for sortie in cellule.get("outputs", []):
            planche = sortie.get("data", {}).get(MIME)
            if planche and "document" in _etiquettes(cellule):
                diapositive.document.append(dict(planche))
            elif planche:
                diapositive.contenu.append((dict(planche), genre == "fragment"))


def _etiquettes(cellule: dict[str, Any]) -> set[str]:
    return set(cellule["metadata"].get("tags", []))


def _soigner(texte: str) -> str:
    """Met les valeurs à leur place, et les espaces insécables du français."""
    rempli = remplir(texte)
    return "\n".join(x if x.startswith("|") else insecables(x) for x in rempli.split("\n"))
