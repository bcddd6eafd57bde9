"""``presentation_mlops.md`` : toute la présentation en Markdown, à partir des notebooks exécutés.

Le code n’y est pas, ses résultats si. Ce qui change d’une exécution à l’autre est remplacé par
« … » : voir ``VARIABLES`` et ``COLONNES``. Le résultat d’une cellule étiquetée ``sortie-variable``
n’est pas montré ; si c’est une figure, elle l’est, mais n’a pas à être la même d’une fois sur
l’autre. Le texte se compare ainsi, mot pour mot, à celui qu’une autre exécution donnerait.
"""

import posixpath
import re
import shutil
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from bs4 import BeautifulSoup, NavigableString, PageElement, Tag
from docutils.nodes import make_id
from nbformat import NotebookNode

from publication.depot import ecrire, lire_sommaire, lire_yaml
from publication.html import fusionner

FICHIER = "presentation_mlops.md"
FIGURES = "book/figures"
MASQUE = "…"
# Ce qu’une exécution ne redonne pas à l’identique, reconnu par sa forme.
VARIABLES = (
    # durées mesurées, en secondes ou en millisecondes ; « 21 h » et « 15 min » n’en sont pas
    r"(?<![\w,.])\d[\d\u202f\u00a0 ]*(?:[,.]\d+)?(?=[  ]m?s\b)",
    # dates et heures de l’exécution, à la minute ou à la seconde
    r"\b\d\d/\d\d(?:/\d{4})? \d\d:\d\d(?::\d\d)?\b|\b\d\d:\d\d:\d\d\b",
    # identifiants d’essai, empreintes, commits
    r"\b(?=[0-9a-f]*[a-f])(?=[0-9a-f]*\d)[0-9a-f]{7,}\b(?:\+modifié)?",
    # numéros de version du registre, lignes du journal en tout
    r"(?<=\| version du modèle \| )\d+",
    r"(?<=[Vv]ersion )(?:\*\*)?\d+(?:\*\*)?|(?<=models:/…/)\d+|(?<=, sur )\d+(?= en tout)",
    # écart entre deux modèles refaits sans graine
    r"(?<=jusqu’à )\d+(?= points? d’écart)",
    # version de Postgres, schéma de la personne
    r"(?<=PostgreSQL )[\d.]+|(?<=schéma `)[^`]+",
)
# Les colonnes de tableau qui en sont faites.
COLONNES = {
    *("version", "version_modele", "version_precedente", "version précédente"),
    *("auteur", "Durée", "de", "a"),
}
ETIQUETTE = "sortie-variable"

TITRE = re.compile(r"^(#+) +(.+?)\s*$")
LIEN = re.compile(r"\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^)\s]+)\)")
NUMEROTES = {"figure", "tableau"}


@dataclass
class Document:
    """Le document en cours, avec les ancres de ses titres et les numéros de ses figures."""

    lignes: list[str] = field(default_factory=list)
    sommaire: list[str] = field(default_factory=list)
    ancres: dict[tuple[str, str], str] = field(default_factory=dict)
    numeros: dict[str, str] = field(default_factory=dict)
    vues: Counter[str] = field(default_factory=Counter)
    figures: dict[str, str] = field(default_factory=dict)
    figures_variables: set[str] = field(default_factory=set)
    tableaux: int = 0

    def titre(self, niveau: int, texte: str, page: str = "") -> None:
        """Ajoute un titre et retient son ancre, celle que GitHub calcule."""
        ancre = ancre_github(texte)
        suffixe = f"-{self.vues[ancre]}" if self.vues[ancre] else ""
        self.vues[ancre] += 1
        ancre += suffixe
        self.ancres.setdefault((page, make_id(_nu(texte))), ancre)
        if niveau in (2, 3):
            self.ancres.setdefault((page, ""), ancre)
            self.sommaire.append(f"{'  ' * (niveau - 2)}- [{_nu(texte)}](#{ancre})")
        self.ajouter(f"{'#' * min(niveau, 6)} {texte}")

    def ajouter(self, bloc: str) -> None:
        """Ajoute un bloc, s’il n’est pas vide, séparé du suivant par une ligne vide."""
        if bloc.strip():
            self.lignes += [bloc.strip("\n"), ""]


def ecrire_presentation(racine: Path, destination: Path) -> int:
    """Écrit le document et ses figures dans un dossier ; donne le nombre de figures."""
    texte, document = composer(racine)
    place = destination / FIGURES
    shutil.rmtree(place, ignore_errors=True)
    for nom, dessin in document.figures.items():
        ecrire(place / nom, dessin)
    ecrire(destination / FICHIER, texte)
    return len(document.figures)


def composer(racine: Path) -> tuple[str, Document]:
    """Compose le document : son texte, et ce qui a servi à le faire, figures comprises."""
    reglages = lire_yaml(racine / "_config.yml")
    document = Document()
    pages = [page for page in lire_sommaire(racine) if page.endswith(".ipynb")]
    parties = _parties(racine)
    for page in pages:
        if page in parties:
            document.titre(2, parties[page])
        # La première page n’est dans aucune partie : son titre en tient lieu.
        _ajouter_page(document, racine, page, 1 if page == pages[0] else 2)
    corps = "\n".join(document.lignes)
    corps = LIEN.sub(lambda lien: _relier(lien, document), corps)
    tete = [f"# {reglages['title']}", "", "## Table des matières", "", *document.sommaire, ""]
    return "\n".join(tete) + "\n" + corps.rstrip("\n") + "\n", document


def _parties(racine: Path) -> dict[str, str]:
    """Donne le titre de partie que précède chaque première page d’une partie."""
    parties = lire_yaml(racine / "_toc.yml").get("parts", [])
    return {f"{p['chapters'][0]['file']}.ipynb": p["caption"] for p in parties}


def _ajouter_page(document: Document, racine: Path, page: str, descente: int) -> None:
    """Ajoute une page, ses titres descendus d’autant de niveaux."""
    for cellule in fusionner(racine, page).cells:
        etiquettes = cellule.metadata.get("tags", [])
        if "remove-cell" in etiquettes:
            continue
        if cellule.cell_type == "markdown":
            _ajouter_texte(document, page, cellule.source, descente)
        else:
            for bloc in _resultats(document, page, cellule):
                document.ajouter(masquer(bloc))


def _ajouter_texte(document: Document, page: str, texte: str, descente: int) -> None:
    """Ajoute une cellule de texte ; ses liens disent de quelle page ils partent."""
    bloc: list[str] = []
    for ligne in _situer(texte, page).splitlines():
        titre = TITRE.match(ligne)
        if titre:
            document.ajouter("\n".join(bloc))
            bloc = []
            document.titre(len(titre[1]) + descente, titre[2], page)
        else:
            bloc.append(ligne)
    document.ajouter("\n".join(bloc))


def _resultats(document: Document, page: str, cellule: NotebookNode) -> Iterator[str]:
    """Rend les résultats d’une cellule en Markdown."""
    variable = ETIQUETTE in cellule.metadata.get("tags", [])
    for sortie in cellule.outputs:
        donnees = sortie.get("data", {})
        if "image/svg+xml" in donnees:
            yield _figure(document, page, cellule, donnees["image/svg+xml"])
            if variable:
                document.figures_variables.add(next(reversed(document.figures)))
        elif variable:
            continue
        elif "text/html" in donnees:
            yield from _depuis_html(document, page, donnees["text/html"])
        elif "text/markdown" in donnees:
            yield _situer(donnees["text/markdown"], page)
        elif sortie.output_type == "stream":
            yield f"```text\n{sortie.text.rstrip()}\n```"


def _figure(document: Document, page: str, cellule: NotebookNode, dessin: str) -> str:
    """Rend une figure : son ancre, son image, sa légende."""
    reglages = cellule.metadata.mystnb
    nom = reglages.figure.name
    document.figures[f"{nom}.svg"] = stabiliser(dessin)
    document.numeros[nom] = str(len(document.figures))
    alternatif = " ".join(reglages.image.alt.split()).replace("[", "(").replace("]", ")")
    legende = _situer(reglages.figure.caption, page)
    return (
        f'<a id="{nom}"></a>\n\n![{alternatif}]({FIGURES}/{nom}.svg)\n\n'
        f"*Figure {len(document.figures)}. {legende}*"
    )


def stabiliser(dessin: str) -> str:
    """Retire d’un dessin la date et l’outil qui l’ont fait."""
    return re.sub(r"(?s)\s*<metadata>.*?</metadata>", "", dessin).rstrip("\n") + "\n"


def _depuis_html(document: Document, page: str, html: str) -> Iterator[str]:
    """Rend en Markdown les tableaux et les listes d’un résultat en HTML."""
    arbre = BeautifulSoup(html, "html.parser")
    for superflu in arbre.select("style, script"):
        superflu.decompose()
    blocs = arbre.select("table, dl")
    if not blocs and arbre.get_text(strip=True):
        yield _situer(_en_ligne(arbre), page)
    for bloc in blocs:
        rendu = _tableau(document, bloc) if bloc.name == "table" else _entrees(bloc)
        yield _situer(rendu, page)


def _tableau(document: Document, table: Tag) -> str:
    """Rend un tableau, sa légende numérotée au-dessus."""
    rangees = [[_en_ligne(c) for c in r.select("th, td")] for r in table.select("tr")]
    tete, *lignes = rangees
    variables = {i for i, c in enumerate(table.select("thead th")) if _nu(c.text) in COLONNES}
    lignes = [[MASQUE if i in variables else c for i, c in enumerate(r)] for r in lignes]
    grille = [tete, ["---"] * len(tete), *lignes]
    texte = "\n".join(f"| {' | '.join(c.replace('|', chr(92) + '|') for c in r)} |" for r in grille)
    legende = table.caption
    if legende is None:
        return texte
    document.tableaux += 1
    ancre = ""
    # pandas donne à ses tableaux un nom tiré au hasard.
    if table.get("id", "").startswith("tab-"):
        document.numeros[table["id"]] = str(document.tableaux)
        ancre = f'<a id="{table["id"]}"></a>\n\n'
    return f"{ancre}*Tableau {document.tableaux}. {_en_ligne(legende)}*\n\n{texte}"


def _entrees(liste: Tag) -> str:
    """Rend une liste d’entrées d’annexe, chacune à son ancre."""
    return "\n".join(
        f'- <a id="{terme["id"]}"></a>**{_en_ligne(terme)}** : '
        f"{_en_ligne(terme.find_next_sibling('dd'))}"
        for terme in liste.select("dt")
    )


def _en_ligne(noeud: PageElement) -> str:
    """Rend le contenu d’un nœud HTML en Markdown, sur une ligne."""
    if isinstance(noeud, NavigableString):
        return re.sub(r"([*_<])", r"\\\1", re.sub(r"\s+", " ", noeud))
    texte = "".join(map(_en_ligne, noeud.children)) if isinstance(noeud, Tag) else ""
    if noeud.name == "a" and noeud.get("href"):
        return f"[{texte}]({noeud['href']})"
    if noeud.name == "code":
        return f"`{noeud.get_text()}`"
    if noeud.name == "br":
        return " "
    marque = {"strong": "**", "b": "**", "em": "*", "i": "*"}.get(noeud.name, "")
    texte = f"{marque}{texte}{marque}"
    return texte.strip() if noeud.name in {"th", "td", "caption", "dt", "dd"} else texte


def masquer(bloc: str) -> str:
    """Remplace par « … » ce qui change d’une exécution à l’autre."""
    for motif in VARIABLES:
        bloc = re.sub(motif, MASQUE, bloc)
    return bloc


def _situer(texte: str, page: str) -> str:
    """Écrit les liens d’une page depuis la racine du dépôt, en gardant la page d’où ils partent."""

    def remplacer(lien: re.Match[str]) -> str:
        cible, diese, ancre = lien[2].partition("#")
        if "://" in cible:
            return lien[0]
        chemin = posixpath.normpath(posixpath.join(posixpath.dirname(page), cible))
        return f"[{lien[1]}]({chemin if cible else page}{diese}{ancre})"

    return LIEN.sub(remplacer, texte)


def _relier(lien: re.Match[str], document: Document) -> str:
    """Fait mener un lien à sa place dans le document ; vers un rapport, il n’en a pas."""
    texte, visee = lien[1], lien[2]
    page, _, ancre = visee.partition("#")
    if "://" in visee or page.startswith(FIGURES):
        return lien[0]
    if "rapports/" in page:
        return texte
    if not page.endswith(".ipynb"):
        return f"[{texte}]({visee})"
    if ancre in document.numeros and texte.lower() in NUMEROTES:
        texte = f"{texte}\u00a0{document.numeros[ancre]}"
    return f"[{texte}](#{document.ancres.get((page, ancre), ancre)})"


def ancre_github(titre: str) -> str:
    """Donne l’ancre que GitHub fait d’un titre."""
    return re.sub(r"[^\w\- ]", "", _nu(titre).lower()).replace(" ", "-")


def _nu(titre: str) -> str:
    """Retire la mise en forme d’un titre."""
    return re.sub(r"[*`]", "", LIEN.sub(r"\1", titre))
