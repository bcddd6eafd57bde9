"""Ce que pèsent les pages : une seule feuille de style, des scripts différés, peu d’icônes.

Le thème demande neuf feuilles de style l’une après l’autre, où presque rien ne sert à ces pages,
bloque l’affichage sur une vingtaine de scripts et charge deux polices d’icônes entières, 270 ko,
pour en montrer seize. Sur un téléphone, la page en devenait deux fois plus lente à paraître.
"""

import hashlib
import posixpath
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import tinycss2
from fontTools import subset
from fontTools.ttLib import TTFont
from sphinx.errors import ExtensionError

FEUILLE = "styles/livre.css"
LIEN_DE_FEUILLE = re.compile(
    r'[ \t]*<link (?=[^>]*rel="stylesheet")[^>]*href="([^"?]+)[^"]*"[^>]*>\n?'
)
PRECHARGE = re.compile(r'<link rel="preload" as="script"[^>]*>\s*')
# Ce script-là pose la variable que lisent, sur place, ceux que le thème écrit dans la page.
SCRIPT = re.compile(r'<script (?!defer)(?=[^>]*src="(?![^"]*documentation_options))')
RECHERCHE = re.compile(
    r'<script [^>]*src="[^"]*(?:searchtools|language_data|searchindex)\.js[^"]*"></script>\s*'
)
# copier.js les demande à son tour, au premier geste.
COPIE = re.compile(
    r'<script [^>]*src="[^"]*_static/(?:clipboard\.min|copybutton)\.js[^"]*"></script>\s*'
)
IMPORT = re.compile(r'@import "([^"]+)";')
ADRESSE = re.compile(r"url\((?![\"']?data:)[\"']?([^)\"']+)[\"']?\)")
POLICE = re.compile(r"(@font-face\{[^}]*?)src:url\(([^)]+)\.woff2\)[^}]*\}")
MOT = re.compile(r"[\w-]+")
# Une icône dans une page ou un script, et le signe que lui donne la feuille du thème.
ICONE = re.compile(r"\bfa-([a-z-]+)")
SIGNE = re.compile(r'((?:\.fa-[\w-]+:before,?)+)\{content:"\\([0-9a-f]+)"\}')
# Dans un sélecteur : une classe ou un identifiant, et ce qui n’en demande aucun à la page.
CLASSE = re.compile(r"[.#]((?:\\.|[\w-])+)")
SANS_EXIGENCE = re.compile(r":[\w-]+\((?:[^()]|\([^()]*\))*\)|\[[^\]]*\]")
# Ceux que le thème dessine de lui-même, devant le titre d’un encadré par exemple.
SIGNE_DU_THEME = re.compile(r'--pst-icon-[\w-]+:\s*"([\ue000-\uf8ff])"')
# Une figure prend la largeur de la page ; son dessin en donne les proportions.
FIGURE = re.compile(r'<img (?=[^>]*style="width: 100%;")[^>]*?src="([^"]+\.svg)"')
CADRE = re.compile(r'<svg [^>]*?viewBox="[-\d.]+ [-\d.]+ ([\d.]+) ([\d.]+)"')


def alleger(sortie: Path, pages: list[Path]) -> None:
    """Allège les pages finies du livre, et ce qu’elles chargent.

    Raises:
        ExtensionError: si le thème n’écrit plus ses pages comme il le faisait.
    """
    statiques = sortie / "_static"
    toutes = {page: page.read_text(encoding="utf-8") for page in pages}
    # Une page que Sphinx n’a pas réécrite est déjà allégée.
    textes = {page: texte for page, texte in toutes.items() if FEUILLE not in texte}
    if not textes:
        return
    listes = {tuple(_feuilles(sortie, page, texte)) for page, texte in textes.items()}
    if len(listes) != 1:
        raise ExtensionError("le thème a changé : toutes les pages n’ont pas les mêmes styles.")
    feuilles = listes.pop()
    feuille = statiques / FEUILLE
    scripts = [script.read_text(encoding="utf-8") for script in statiques.rglob("*.js")]
    style = reduire_les_polices(
        fondre(feuilles, feuille), feuille, icones(statiques, textes.values())
    )
    style = elaguer(style, {mot for t in (*toutes.values(), *scripts) for mot in MOT.findall(t)})
    feuille.write_text(style, encoding="utf-8")
    version = hashlib.sha256(style.encode()).hexdigest()[:8]
    for page, texte in textes.items():
        racine = posixpath.relpath(sortie.as_posix(), page.parent.as_posix())
        lien = f'<link rel="stylesheet" href="{racine}/_static/{FEUILLE}?v={version}">\n'
        finie = simplifier(attendre_les_figures(texte, page.parent), lien, page.stem == "search")
        page.write_text(finie, encoding="utf-8")
    for superflue in {f for f in feuilles if f != feuille}:
        superflue.unlink()


def _feuilles(sortie: Path, page: Path, texte: str) -> list[Path]:
    """Donne les feuilles de style d’une page, dans l’ordre où elle les demande."""
    return [(page.parent / lien).resolve() for lien in LIEN_DE_FEUILLE.findall(texte)]


def fondre(feuilles: Iterable[Path], place: Path) -> str:
    """Met bout à bout des feuilles de style, celles qu’elles importent comprises."""

    def lire(feuille: Path) -> str:
        def situer(adresse: re.Match[str]) -> str:
            cible = (feuille.parent / adresse[1]).resolve()
            return f"url({posixpath.relpath(cible.as_posix(), place.parent.as_posix())})"

        if not feuille.is_file():
            raise ExtensionError(f"le thème a changé : {feuille.name} est introuvable.")
        style = ADRESSE.sub(situer, feuille.read_text(encoding="utf-8"))
        return IMPORT.sub(lambda autre: lire((feuille.parent / autre[1]).resolve()), style)

    return "\n".join(lire(feuille) for feuille in feuilles)


def elaguer(style: str, mots: set[str]) -> str:
    """Ne garde que les règles utiles, celles dont chaque classe est écrite quelque part.

    Un nom de classe que compose un script doit s’y lire en entier.
    """

    def utile(selecteur: str) -> bool:
        noms = CLASSE.findall(SANS_EXIGENCE.sub("", selecteur))
        return all(nom.replace("\\", "") in mots for nom in noms)

    def garder(regles: list[Any]) -> str:
        gardees = []
        for regle in regles:
            if regle.type == "qualified-rule":
                selecteurs = [s for s in separer(regle.prelude) if utile(s)]
                if selecteurs:
                    corps = tinycss2.serialize(regle.content).strip()
                    gardees.append(f"{','.join(selecteurs)}{{{corps}}}")
            elif regle.type == "at-rule" and regle.lower_at_keyword in ("media", "supports"):
                dedans = garder(tinycss2.parse_rule_list(regle.content, True, True))
                if dedans:
                    condition = tinycss2.serialize(regle.prelude).strip()
                    gardees.append(f"@{regle.at_keyword} {condition}{{{dedans}}}")
            else:
                gardees.append(regle.serialize())
        return "\n".join(gardees)

    return garder(tinycss2.parse_stylesheet(style, skip_comments=True, skip_whitespace=True))


def separer(prelude: list[Any]) -> list[str]:
    """Donne les sélecteurs d’une règle ; une virgule entre parenthèses n’en sépare pas deux."""
    selecteurs: list[list[Any]] = [[]]
    for morceau in prelude:
        if morceau.type == "literal" and morceau.value == ",":
            selecteurs.append([])
        else:
            selecteurs[-1].append(morceau)
    return [tinycss2.serialize(selecteur).strip() for selecteur in selecteurs]


def icones(statiques: Path, pages: Iterable[str]) -> set[str]:
    """Relève les icônes que montrent les pages, et celles que les scripts du thème y ajoutent."""
    scripts = (
        script.read_text(encoding="utf-8") for script in (statiques / "scripts").glob("*.js")
    )
    return {nom for texte in (*pages, *scripts) for nom in ICONE.findall(texte)}


def reduire_les_polices(style: str, feuille: Path, noms: set[str]) -> str:
    """Ne garde des polices d’icônes que les signes employés.

    Raises:
        ExtensionError: si la feuille de style ne déclare plus d’icônes ou de polices.
    """
    signes = {
        int(code, 16)
        for classes, code in SIGNE.findall(style)
        if noms & set(re.findall(r"\.fa-([\w-]+):", classes))
    }
    du_theme = {ord(signe) for signe in SIGNE_DU_THEME.findall(style)}
    if not signes or not du_theme:
        raise ExtensionError("le thème a changé : sa feuille de style ne déclare plus d’icônes.")

    def reduire(declaration: re.Match[str]) -> str:
        source = (feuille.parent / declaration[2]).resolve()
        options = subset.Options(flavor="woff", layout_features=[], notdef_outline=True)
        with TTFont(source.with_suffix(".ttf")) as police:
            reducteur = subset.Subsetter(options)
            reducteur.populate(unicodes=signes | du_theme)
            reducteur.subset(police)
            police.flavor = "woff"
            police.save(source.with_suffix(".woff"))
        for ancienne in (".ttf", ".woff2"):
            source.with_suffix(ancienne).unlink()
        return f'{declaration[1]}src:url({declaration[2]}.woff) format("woff")}}'

    style, combien = POLICE.subn(reduire, style)
    if not combien:
        raise ExtensionError("le thème a changé : sa feuille de style ne déclare plus de police.")
    return style


def attendre_les_figures(texte: str, dossier: Path) -> str:
    """Ne charge une figure qu’à son approche ; ses proportions lui gardent sa place.

    Raises:
        ExtensionError: si un dessin ne dit pas ses proportions.
    """

    def attendre(figure: re.Match[str]) -> str:
        dessin = (dossier / figure[1]).read_text(encoding="utf-8")
        cadre = CADRE.search(dessin)
        if not cadre:
            raise ExtensionError(f"le dessin {figure[1]} n’a pas de viewBox.")
        largeur, hauteur = (round(float(cote)) for cote in cadre.groups())
        attributs = f'loading="lazy" width="{largeur}" height="{hauteur}"'
        return figure[0].replace("<img", f"<img {attributs}", 1)

    return FIGURE.sub(attendre, texte)


def simplifier(texte: str, lien: str, recherche: bool) -> str:
    """Récrit l’en-tête d’une page : une feuille, et des scripts qui ne la retardent pas."""
    premiere = LIEN_DE_FEUILLE.search(texte)
    texte = texte[: premiere.start()] + lien + LIEN_DE_FEUILLE.sub("", texte[premiere.start() :])
    texte = COPIE.sub("", PRECHARGE.sub("", texte))
    if not recherche:
        texte = RECHERCHE.sub("", texte)
    return SCRIPT.sub("<script defer ", texte)
