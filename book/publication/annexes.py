"""Les annexes du livre : bibliographie, glossaire, index des outils, registre des figures."""

import json
import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from html import escape, unescape
from pathlib import Path
from typing import Any

from docutils.nodes import make_id

from publication.depot import RACINE, ErreurPublication, lire_sommaire
from publication.plan import copie_executee
from publication.references import Reference, references
from publication.tableaux import Cellule, charger

ANNEXE = "book/annexes.ipynb"
ETAT = "book/etat.ipynb"
# La légende d’une figure est une phrase, suivie de sa source si elle adapte celle d’un autre.
LEGENDE = re.compile(r"(?P<legende>.+?)\.(?: Source : (?P<source>.+)\.)?")
LIEN = re.compile(r"\[([^\]]*)\]\(([^)]*)\)")
# Ce qui, dans un résultat, n’est pas du texte montré.
INVISIBLE = re.compile(r"<(style|script|metadata)\b.*?</\1>|<[^>]*>", re.DOTALL)


@dataclass(frozen=True)
class Entree:
    """Une entrée d’annexe : son ancre, son titre, et les morceaux de son texte."""

    ancre: str
    titre: Cellule
    suite: tuple[Cellule, ...]


@dataclass(frozen=True)
class Entrees:
    """Une liste d’entrées, chacune à son ancre."""

    entrees: tuple[Entree, ...]

    def _repr_html_(self) -> str:
        corps = "".join(
            f'<dt id="{escape(e.ancre)}">{e.titre.html()}</dt>'
            f"<dd>{''.join(morceau.html() for morceau in e.suite)}</dd>"
            for e in self.entrees
        )
        return f'<dl class="entrees">{corps}</dl>'

    def _repr_markdown_(self) -> str:
        return "\n".join(
            f"- **{e.titre.texte}** : {''.join(morceau.markdown() for morceau in e.suite)}"
            for e in self.entrees
        )


@dataclass(frozen=True)
class Figure:
    """Une figure du livre, telle que les métadonnées de sa cellule la décrivent."""

    numero: int
    page: str
    nom: str
    legende: str
    source: Cellule | None
    texte_alternatif: str


@dataclass(frozen=True)
class Page:
    """Une page du livre : son adresse depuis ``book/``, son titre court, ses cellules."""

    adresse: str
    titre: str
    cellules: list[dict[str, Any]]


def ancre(genre: str, nom: str) -> str:
    """Donne l’ancre d’un terme ou d’un outil : minuscules sans accents, tirets entre les mots."""
    return f"{genre}-{make_id(nom)}"


def bibliographie() -> Entrees:
    """Donne les références du livre, avec ce qui en a été lu."""
    triees = sorted(references().values(), key=lambda r: _cle_de_tri(r.court))
    return Entrees(tuple(map(_entree, triees)))


def glossaire() -> Entrees:
    """Donne les termes du livre, avec l’endroit où chacun est montré."""
    pages = {Path(page.adresse).stem: page for page in lire_pages()}
    entrees = []
    for ligne in sorted(charger("glossaire"), key=lambda ligne: _cle_de_tri(ligne["terme"])):
        suite = [Cellule(ligne["definition"] + " ")]
        if "equivalent" in ligne:
            autre, langue = (
                ("En français : ", None) if "langue" in ligne else ("En anglais : ", "en")
            )
            suite += [Cellule(autre), Cellule(ligne["equivalent"], langue=langue), Cellule(". ")]
        if "source" in ligne:
            suite += [Cellule("D’après "), Cellule(*_vers(ligne["source"])), Cellule(". ")]
        page = pages[ligne["page"]]
        suite += [Cellule("Voir "), Cellule(page.titre, page.adresse), Cellule(".")]
        titre = Cellule(ligne["terme"], langue=ligne.get("langue"))
        entrees.append(Entree(ancre("terme", ligne["terme"]), titre, tuple(suite)))
    return Entrees(tuple(entrees))


def index_des_outils() -> Entrees:
    """Donne les outils que nomment les données, et les sections du livre où ils apparaissent."""
    outils = noms_des_outils()
    motif = _motif(outils)
    lieux: dict[str, dict[str, list[Cellule]]] = {nom: {} for nom in outils}
    for page in lire_pages():
        for titre, textes in _sections(page).items():
            section = f"{page.adresse}#{make_id(titre)}"
            lien = Cellule(titre, section) if titre else Cellule("introduction", page.adresse)
            for nom in sorted({trouve["nom"] for t in textes for trouve in motif.finditer(t)}):
                lieux[nom].setdefault(page.titre, []).append(lien)
    entrees = [
        Entree(ancre("outil", nom), Cellule(nom), tuple(_lieux(lieux[nom])))
        for nom in sorted(outils, key=_cle_de_tri)
        if lieux[nom]
    ]
    return Entrees(tuple(entrees))


def registre_des_figures() -> Entrees:
    """Donne toutes les figures du livre, avec leur source et leur texte de remplacement."""
    return Entrees(
        tuple(
            Entree(
                f"registre-{figure.nom}",
                Cellule(f"Figure {figure.numero}. {figure.legende}", f"{figure.page}#{figure.nom}"),
                (
                    *((Cellule("Source : "), figure.source, Cellule(". ")) if figure.source else ()),
                    Cellule(f"Texte de remplacement : {figure.texte_alternatif}"),
                ),
            )
            for figure in lire_figures()
        )
    )


def lire_figures(racine: Path = RACINE) -> list[Figure]:
    """Relève les figures dans les métadonnées des cellules, numérotées dans l’ordre du livre.

    Raises:
        ErreurPublication: si une légende n’a pas son crédit.
    """
    figures: list[Figure] = []
    for page in lire_pages(racine):
        for cellule in page.cellules:
            reglages = cellule["metadata"].get("mystnb", {})
            if "figure" not in reglages:
                continue
            legende, nom = reglages["figure"]["caption"], reglages["figure"]["name"]
            lue = LEGENDE.fullmatch(legende)
            if not lue:
                raise ErreurPublication(
                    f"la légende de la figure « {nom} » doit être une phrase, finie par un point."
                )
            figures.append(
                Figure(
                    numero=len(figures) + 1,
                    page=page.adresse,
                    nom=nom,
                    legende=_sans_balise(lue["legende"]),
                    source=_source(lue["source"]) if lue["source"] else None,
                    texte_alternatif=reglages["image"]["alt"],
                )
            )
    return figures


def noms_des_outils() -> list[str]:
    """Donne les outils du marché, sous leur nom court, et les services des nuages."""
    outils = [ligne["outil"].removeprefix("Apache ") for ligne in charger("outils")]
    return outils + charger("services")


def lire_pages(racine: Path = RACINE) -> list[Page]:
    """Lit les notebooks du livre, avec les résultats de leur copie exécutée s’il y en a une.

    L’annexe n’y est pas : ce qu’elle relève est dans les autres. L’état du livre non plus : il
    s’exécute après elle.
    """
    pages = []
    for chemin in lire_sommaire(racine):
        if chemin in (ANNEXE, ETAT):
            continue
        cellules = _cellules(racine / chemin)
        copie = copie_executee(racine, chemin)
        if copie.is_file():
            resultats = [c.get("outputs", []) for c in _cellules(copie) if _est_code(c)]
            for cellule, sorties in zip(filter(_est_code, cellules), resultats, strict=False):
                cellule["outputs"] = sorties
        adresse = chemin.removeprefix("book/") if chemin.startswith("book/") else f"../{chemin}"
        titre = _texte(cellules[0]).splitlines()[0].lstrip("# ")
        pages.append(Page(adresse, re.split(r" [—:] ", titre)[0], cellules))
    return pages


def _cellules(fichier: Path) -> list[dict[str, Any]]:
    """Les cellules que voit le lecteur : pas les notes de l’orateur."""
    cellules = json.loads(fichier.read_text(encoding="utf-8"))["cells"]
    return [c for c in cellules if "remove-cell" not in c["metadata"].get("tags", [])]


def _est_code(cellule: dict[str, Any]) -> bool:
    return cellule["cell_type"] == "code"


def _texte(cellule: dict[str, Any]) -> str:
    return "".join(cellule["source"])


def _sections(page: Page) -> dict[str, list[str]]:
    """Donne les textes que montre chaque section d’une page ; le début n’a pas de titre."""
    titre, sections = "", {}
    for cellule in page.cellules:
        if _est_code(cellule):
            sections.setdefault(titre, []).extend(_resultats(cellule))
            continue
        for ligne in _texte(cellule).splitlines():
            if ligne.startswith("## "):
                titre = _sans_balise(ligne.removeprefix("## "))
            sections.setdefault(titre, []).append(_sans_balise(ligne))
    return sections


def _resultats(cellule: dict[str, Any]) -> Iterator[str]:
    """Donne le texte des résultats montrés : tableaux, schémas, phrases."""
    for sortie in cellule.get("outputs", []):
        donnees = sortie.get("data", {})
        for genre in ("text/html", "image/svg+xml", "text/markdown"):
            if genre in donnees:
                yield unescape(INVISIBLE.sub(" ", "".join(donnees[genre])))
                break


def _motif(noms: Iterable[str]) -> re.Pattern[str]:
    """Reconnaît chaque nom entier, le plus long d’abord : « Argo CD » n’est pas « Argo ».

    Ce qui a changé de nom se lit « ex-Vertex AI ».
    """
    choix = "|".join(re.escape(nom) for nom in sorted(noms, key=len, reverse=True))
    return re.compile(rf"(?<![\w-])(?:ex-)?(?P<nom>{choix})(?![\w-])")


def _lieux(pages: dict[str, list[Cellule]]) -> Iterator[Cellule]:
    """Met à la suite les sections où un outil apparaît, page par page."""
    for rang, (titre, liens) in enumerate(pages.items()):
        yield Cellule(f"{' ; ' if rang else ''}{titre} : ")
        for i, lien in enumerate(liens):
            yield Cellule(", " if i else "")
            yield lien
    yield Cellule(".")


def _entree(reference: Reference) -> Entree:
    """Écrit une référence en toutes lettres."""
    titre = Cellule(reference.titre, reference.adresse or None, reference.langue or None)
    suite = [Cellule(f"{reference.auteurs}, "), titre]
    suite.append(Cellule(f", {reference.parution}. " if reference.parution else ". "))
    suite.append(Cellule(f"Licence : {reference.licence}. Lecture : {reference.lecture}. "))
    if reference.note:
        suite.append(Cellule(reference.note))
    return Entree(f"ref-{reference.cle}", Cellule(reference.court), tuple(suite))


def _vers(cle: str) -> tuple[str, str]:
    """Donne le libellé d’une référence et son ancre, pour un lien de la même page."""
    return references()[cle].court, f"#ref-{cle}"


def _source(texte: str) -> Cellule:
    """Rend la source d’une figure, avec l’adresse de son lien s’il y en a un."""
    lien = LIEN.search(texte)
    if not lien:
        return Cellule(texte)
    return Cellule(LIEN.sub(r"\1", texte), lien[2].removeprefix("../book/"))


def _sans_balise(texte: str) -> str:
    """Retire la mise en forme Markdown d’une ligne."""
    return re.sub(r"[*`]", "", LIEN.sub(r"\1", texte))


def _cle_de_tri(nom: str) -> str:
    """Range les noms comme un dictionnaire, sans égard aux accents ni à la casse."""
    return unicodedata.normalize("NFD", nom.casefold()).encode("ascii", "ignore").decode()
