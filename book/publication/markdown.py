"""``presentation_mlops.md`` : toute la présentation en Markdown, à partir des notebooks exécutés.

Le code n’y est pas, ses réglages et ses résultats si. Ce qui change d’une exécution à l’autre est
remplacé par « … » : voir ``VARIABLES`` et ``COLONNES``. D’une cellule étiquetée
``sortie-variable``, tous les nombres le sont ; si c’est une figure, elle est montrée telle quelle.
Le texte se compare ainsi, mot pour mot, à celui qu’une autre exécution donnerait.

Une cellule étiquetée ``hors-document`` n’est pas reprise, ni une page dont les métadonnées disent
``"hors_document": true``.
"""

import posixpath
import re
import shutil
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from string import ascii_uppercase

from bs4 import BeautifulSoup, NavigableString, PageElement, Tag
from docutils.nodes import make_id
from nbformat import NotebookNode

from publication.depot import adresse_publiee, ecrire, lire_sommaire, lire_yaml
from publication.html import fusionner
from publication.plan import lire_releve

FICHIER = "presentation_mlops.md"
FIGURES = "book/figures"
MASQUE = "…"
NOTE = (
    "> **Note.** « … » tient la place de ce qui change d’une exécution à l’autre : une durée, une "
    "empreinte,\n> un nom d’utilisateur. Deux empreintes de même lettre sont égales."
)
# Identifiants d’essai, empreintes, commits ; ce qui suit « / » ou « - » est le bout d’une adresse.
# Ceux du code se reconnaissent à ce qui les précède : ils peuvent n’avoir que des chiffres.
IDENTIFIANT = re.compile(
    r"(?<![-/\w])(?:(?<=commit )|(?<=sources )|(?=[0-9a-f]*[a-f])(?=[0-9a-f]*\d))"
    r"[0-9a-f]{7,}\b(?:\+modifié)?"
)
# Versions du registre : elles se suivent, mais ne partent pas de 1 si la base a déjà servi.
VERSION = re.compile(
    r"(?<=[Vv]ersion )(?:\*\*)?(\d+)(?:\*\*)?"
    r"|(?<=models:/…/)(\d+)|(?<=\| version du modèle \| )(\d+)"
)
# Ce qu’une exécution ne redonne pas à l’identique, reconnu par sa forme.
VARIABLES = (
    # durées mesurées, en secondes ou en millisecondes ; « 21 h » et « 15 min » n’en sont pas
    r"(?<![\w,.])\d[\d\u202f\u00a0 ]*(?:[,.]\d+)?(?=[  ]m?s\b)",
    # dates et heures de l’exécution, à la minute ou à la seconde
    r"\b\d\d/\d\d(?:/\d{4})? \d\d:\d\d(?::\d\d)?\b|\b\d\d:\d\d:\d\d\b",
    # lignes du journal en tout
    r"(?<=, sur )\d+(?= en tout)",
    # écart entre deux modèles refaits sans graine, et ce que valent ceux des niveaux 0 et 1
    r"(?<=jusqu’à )\d+(?= points? d’écart)",
    r"[+−]?\d,\d+(?=( et \d,\d+)? aux? niveaux? [01]\b)",
    # version de Postgres, schéma de la personne
    r"(?<=PostgreSQL )[\d.]+|(?<=schéma `)[^`]+",
)
# Les colonnes de tableau qui en sont faites, et celles de versions.
COLONNES = {"auteur", "Durée", "de", "a"}
COLONNES_D_UN_TABLEAU = {"tab-couts": {"Niveau 0", "Niveau 1"}}
COLONNES_DE_VERSIONS = {"version", "version_modele", "version_precedente", "version précédente"}
ETIQUETTE = "sortie-variable"
ABSENTE = {"remove-cell", "hors-document"}

TITRE = re.compile(r"^(#+) +(.+?)\s*$")
LIEN = re.compile(r"\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^)\s]+)\)")
TEXTE = re.compile(r"<!-- (.*?) -->")
NUMEROTES = {"figure", "tableau"}
MOTIF = re.compile(r"(?<=id=\")[a-z][0-9a-f]{10}(?=\")")


@dataclass
class Document:
    """Le document en cours, avec les ancres de ses titres et les numéros de ses figures."""

    lignes: list[str] = field(default_factory=list)
    sommaire: list[str] = field(default_factory=list)
    ancres: dict[tuple[str, str], str] = field(default_factory=dict)
    numeros: dict[str, str] = field(default_factory=dict)
    premiere_version: int = 1
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
        self.ancres.setdefault((page, ""), ancre)
        if niveau in (2, 3, 4):
            self.sommaire.append(f"{'  ' * (niveau - 2)}- [{_nu(texte)}](#{ancre})")
        self.ajouter(f"{'#' * min(niveau, 6)} {texte}")

    def ajouter(self, bloc: str) -> None:
        """Ajoute un bloc, s’il n’est pas vide, séparé du suivant par une ligne vide."""
        if bloc.strip():
            self.lignes += [bloc.strip("\n"), ""]


def ecrire_presentation(racine: Path, destination: Path) -> int:
    """Écrit le document et ses figures dans un dossier ; donne le nombre de figures.

    Une figure de mesures déjà là est gardée si elle dit les mêmes mots : sans cela, elle changerait
    à chaque construction.
    """
    texte, document = composer(racine)
    place = destination / FIGURES
    anciennes = {f.name: f.read_text(encoding="utf-8") for f in place.glob("*.svg")}
    shutil.rmtree(place, ignore_errors=True)
    for nom, dessin in document.figures.items():
        ancienne = anciennes.get(nom, "")
        gardee = nom in document.figures_variables and _mots(ancienne) == _mots(dessin)
        ecrire(place / nom, ancienne if gardee else dessin)
    ecrire(destination / FICHIER, texte)
    return len(document.figures)


def composer(racine: Path) -> tuple[str, Document]:
    """Compose le document : son texte, et ce qui a servi à le faire, figures comprises."""
    pages = [page for page in lire_sommaire(racine) if page.endswith(".ipynb")]
    document = Document(premiere_version=_premiere_version(racine, pages))
    parties = _parties(racine)
    for page in pages:
        notebook = fusionner(racine, page)
        if notebook.metadata.get("hors_document"):
            continue
        if page in parties:
            document.titre(2, parties[page])
        # La première page n’est dans aucune partie : son titre est celui du document.
        _ajouter_page(document, page, notebook, 0 if page == pages[0] else 2)
    corps = "\n".join(document.lignes)
    corps = LIEN.sub(lambda lien: _relier(lien, document, adresse_publiee(racine)), corps)
    ouverture, suite = re.split(r"^(?=## )", corps, maxsplit=1, flags=re.MULTILINE)
    sommaire = "\n".join(["## Table des matières", "", *document.sommaire, "", NOTE, "", ""])
    return ouverture + sommaire + suite.rstrip("\n") + "\n", document


def _premiere_version(racine: Path, pages: list[str]) -> int:
    """Donne le numéro, au registre, de la première version que cite la démonstration."""
    resultats = [lire_releve(racine, page).get("resultat") or {} for page in pages]
    return min((r["version"] for r in resultats if "version" in r), default=1)


def _mots(dessin: str) -> list[str]:
    """Donne les textes d’un dessin, que matplotlib écrit en commentaire, sans les nombres."""
    return [texte for texte in TEXTE.findall(dessin) if re.search(r"[^\W\d]", texte)]


def _parties(racine: Path) -> dict[str, str]:
    """Donne le titre de partie que précède chaque première page d’une partie."""
    parties = lire_yaml(racine / "_toc.yml").get("parts", [])
    return {f"{p['chapters'][0]['file']}.ipynb": p["caption"] for p in parties}


def _ajouter_page(document: Document, page: str, notebook: NotebookNode, descente: int) -> None:
    """Ajoute une page, ses titres descendus d’autant de niveaux."""
    for cellule in notebook.cells:
        etiquettes = cellule.metadata.get("tags", [])
        if ABSENTE.intersection(etiquettes):
            continue
        if cellule.cell_type == "markdown":
            _ajouter_texte(document, page, cellule.source, descente)
        else:
            if "parameters" in etiquettes:
                document.ajouter(f"```python\n{cellule.source}\n```")
            for bloc in _resultats(document, page, cellule):
                document.ajouter(masquer(bloc, document.premiere_version))


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
        elif "text/html" in donnees:
            yield from _depuis_html(document, page, donnees["text/html"])
        elif "text/markdown" in donnees:
            texte = donnees["text/markdown"]
            yield _situer(re.sub(r"\d+", MASQUE, texte) if variable else texte, page)
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
    """Retire d’un dessin la date et l’outil qui l’ont fait, et numérote ses motifs.

    matplotlib tire leurs noms de coordonnées exactes, qu’un autre processeur donne autrement.
    """
    noms = dict.fromkeys(MOTIF.findall(dessin))
    for numero, nom in enumerate(noms, start=1):
        dessin = dessin.replace(nom, f"{nom[0]}{numero}")
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
    variables = COLONNES | COLONNES_D_UN_TABLEAU.get(table.get("id"), set())
    for colonne, titre in enumerate(_nu(c.text) for c in table.select("thead th")):
        for ligne in lignes:
            if titre in variables:
                ligne[colonne] = MASQUE
            elif titre in COLONNES_DE_VERSIONS and ligne[colonne].isdigit():
                ligne[colonne] = _compter(ligne[colonne], document.premiere_version)
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


def masquer(bloc: str, premiere_version: int = 1) -> str:
    """Remplace par « … » ce qui change d’une exécution à l’autre ; compte les versions de 1."""
    for motif in VARIABLES:
        bloc = re.sub(motif, MASQUE, bloc)
    vus = IDENTIFIANT.findall(bloc)
    distincts = list(dict.fromkeys(vus))

    def nommer(identifiant: re.Match[str]) -> str:
        lettre = ascii_uppercase[distincts.index(identifiant[0]) % 26]
        return f"{MASQUE} ({lettre})" if len(distincts) < len(vus) else MASQUE

    def compter(version: re.Match[str]) -> str:
        numero = next(filter(None, version.groups()))
        return version[0].replace(numero, _compter(numero, premiere_version))

    return VERSION.sub(compter, IDENTIFIANT.sub(nommer, bloc))


def _compter(version: str, premiere: int) -> str:
    """Compte une version à partir de la première ; une version d’avant elle n’est pas montrée."""
    numero = int(version) - premiere + 1
    return str(numero) if numero > 0 else "—"


def _situer(texte: str, page: str) -> str:
    """Écrit les liens d’une page depuis la racine du dépôt, en gardant la page d’où ils partent."""

    def remplacer(lien: re.Match[str]) -> str:
        cible, diese, ancre = lien[2].partition("#")
        if "://" in cible:
            return lien[0]
        chemin = posixpath.normpath(posixpath.join(posixpath.dirname(page), cible))
        return f"[{lien[1]}]({chemin if cible else page}{diese}{ancre})"

    return LIEN.sub(remplacer, texte)


def _relier(lien: re.Match[str], document: Document, adresse: str) -> str:
    """Fait mener un lien à sa place dans le document ; vers un rapport, à celle du livre publié."""
    texte, visee = lien[1], lien[2]
    page, _, ancre = visee.partition("#")
    if "://" in visee or page.startswith(FIGURES):
        return lien[0]
    if "rapports/" in page:
        return f"[{texte}]({adresse}/{page})"
    if not page.endswith(".ipynb"):
        return f"[{texte}]({visee})"
    if (page, "") not in document.ancres:
        # Une page hors du document, comme celle de l’orateur, reste dans le livre.
        html = page.removesuffix(".ipynb") + ".html"
        return f"[{texte}]({adresse}/{html}{'#' if ancre else ''}{ancre})"
    if ancre in document.numeros and texte.lower() in NUMEROTES:
        texte = f"{texte}\u00a0{document.numeros[ancre]}"
    return f"[{texte}](#{document.ancres.get((page, ancre), ancre)})"


def ancre_github(titre: str) -> str:
    """Donne l’ancre que GitHub fait d’un titre."""
    return re.sub(r"[^\w\- ]", "", _nu(titre).lower()).replace(" ", "-")


def _nu(titre: str) -> str:
    """Retire la mise en forme d’un titre."""
    return re.sub(r"[*`]", "", LIEN.sub(r"\1", titre))
