"""Les références du livre, lues dans ``book/references.bib``."""

import re
from dataclasses import dataclass
from functools import cache

from pybtex.database import Entry, Person, parse_file
from pybtex.scanner import PybtexSyntaxError

from publication.depot import RACINE, ErreurPublication

FICHIER = RACINE / "book" / "references.bib"
LECTURES = {
    "lu": "lu",
    "partielle": "lu en partie",
    "tierce": "lu chez un tiers",
    "non-lu": "non lu",
}
# Ce que BibTeX ajoute au texte : ses accolades et ses barres obliques.
BALISES = re.compile(r"[{}\\]")


@dataclass(frozen=True)
class Reference:
    """Une entrée de la bibliographie, prête à être affichée."""

    cle: str
    court: str
    auteurs: str
    titre: str
    parution: str
    adresse: str
    licence: str
    lecture: str
    note: str
    langue: str


@cache
def references() -> dict[str, Reference]:
    """Donne les références par clé, dans l’ordre du fichier.

    Raises:
        ErreurPublication: si references.bib n’est pas du BibTeX ou s’il manque un champ.
    """
    try:
        entrees = parse_file(str(FICHIER), bib_format="bibtex", encoding="utf-8").entries
    except PybtexSyntaxError as erreur:
        raise ErreurPublication(f"references.bib n’est pas du BibTeX : {erreur}") from erreur
    return {cle: _reference(cle, entree) for cle, entree in entrees.items()}


def reference(cle: str) -> Reference:
    """Donne une référence.

    Raises:
        ErreurPublication: si la clé n’est pas dans references.bib.
    """
    if cle not in references():
        raise ErreurPublication(f"la source « {cle} » n’est pas dans references.bib.")
    return references()[cle]


def lien(cle: str) -> tuple[str, str]:
    """Donne le libellé court d’une référence et l’adresse de son entrée dans l’annexe."""
    return reference(cle).court, f"annexes.ipynb#ref-{cle}"


def _reference(cle: str, entree: Entry) -> Reference:
    """Met en forme une entrée BibTeX."""
    champs = {nom: BALISES.sub("", valeur) for nom, valeur in entree.fields.items()}
    manque = [nom for nom in ("title", "court", "lecture", "licence") if nom not in champs]
    if manque or champs["lecture"] not in LECTURES:
        raise ErreurPublication(
            f"references.bib, « {cle} » : champ absent ou inconnu : {manque or ['lecture']}."
        )
    support = ("journal", "booktitle", "organization", "publisher", "howpublished")
    parution = [champs[nom] for nom in support if nom in champs]
    if "volume" in champs:
        parution.append(f"vol. {champs['volume']}")
    if "pages" in champs:
        parution.append(f"p. {champs['pages'].replace('--', '-')}")
    if "year" in champs:
        parution.append(champs["year"])
    return Reference(
        cle=cle,
        court=champs["court"],
        auteurs=", ".join(map(_nom, entree.persons.get("author", []))).replace(
            ", et al.", " et al."
        ),
        titre=champs["title"],
        parution=", ".join(parution),
        adresse=champs.get("url", ""),
        licence=champs["licence"],
        lecture=LECTURES[champs["lecture"]],
        note=champs.get("note", ""),
        langue="en" if champs.get("langid") == "english" else "",
    )


def _nom(personne: Person) -> str:
    """Écrit un nom comme on le lit : le prénom d’abord, « et al. » pour les autres."""
    nom = BALISES.sub("", " ".join(personne.first_names + personne.last_names))
    return "et al." if nom == "others" else nom
