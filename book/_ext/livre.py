"""Extension Sphinx du livre : encadrés, figures, renvois, descriptions, français, accessibilité.

Le thème laisse des textes en anglais et du JavaScript inutile. On les remplace dans les pages
finies, et un texte à remplacer qui ne s’y trouve plus arrête la construction : une mise à jour
du thème se voit, au lieu de défaire ces corrections en silence.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from html import escape, unescape
from pathlib import Path
from typing import Any

from alleger import alleger
from docutils import nodes
from partage import CARTE, baliser, dessiner_la_carte, ecrire_la_page_perdue
from publication.depot import adresse_jupyterhub, adresse_publiee
from publication.typographie import insecables
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.config import Config
from sphinx.environment import BuildEnvironment
from sphinx.errors import ExtensionError
from sphinx.search import languages
from sphinx.search.fr import SearchFrench

# Premiers mots en gras d’une citation, et style de l’encadré qu’elle devient.
ENCADRES = {
    "À retenir": "important",
    "Attention": "warning",
    "Astuce": "tip",
    "Définition": "note",
    "Note": "note",
}

# La fabrication met dans le livre les rapports et les diapositives, et vérifie qu’ils y sont.
RAPPORT = re.compile(r"(\.\./)*(rapports/[^/]+\.(html|json)|diapositives/index\.html)(#.*)?")

# Un lien vers un notebook du livre, ou vers une ancre de la page, dans une sortie HTML.
LIEN = re.compile(r'href="(?:(?P<chemin>[^":#]+)\.ipynb)?(?:#(?P<ancre>[^"]+))?"')
ANCRE = re.compile(r'<[^>]*\bid="([^"]+)"')
# Un tableau avec une légende, et son nom s’il en a un.
TABLEAU = re.compile(r'<table(?:[^>]*\bid="(?P<nom>[^"]+)")?[^>]*>\s*<caption[^>]*>')
# Le texte d’un renvoi que remplace le numéro de sa cible.
RENVOIS = {"figure", "tableau"}

# Ce dont le texte ne se retouche pas : du code, du HTML.
TEL_QUEL = (nodes.literal, nodes.FixedTextElement, nodes.raw)

# Dans les pages : ce que le thème écrit, ce que le lecteur doit lire.
PAGES = (
    ('aria-label="Main"', 'aria-label="Chapitres"'),
    ('aria-label="Page"', 'aria-label="Plan de la page"'),
    ('title="Toggle primary sidebar"', 'title="Afficher ou masquer le sommaire"'),
    ('title="Toggle secondary sidebar"', 'title="Afficher ou masquer le plan de la page"'),
    ('aria-label="Source repositories"', 'aria-label="Dépôt du livre"'),
    ('title="Suggest edit"', 'title="Proposer une modification"'),
    (">Suggest edit<", ">Proposer une modification<"),
    (">Repository<", ">Dépôt<"),
    ('title="Ouvrez un problème"', 'title="Signaler un problème"'),
    (">Open issue<", ">Signaler un problème<"),
    ("?title=Issue%20on%20page%20%2F", "?title=Page%20"),
    ("&body=Your%20issue%20content%20here.", ""),
    ('title="Télécharger le fichier source"', 'title="Télécharger le notebook"'),
    (
        "btn-download-source-button dropdown-item",
        'btn-download-source-button dropdown-item" download="',
    ),
    ('title="page suivante"', 'title="Page suivante"'),
    ('title="page précédente"', 'title="Page précédente"'),
    # Le nom accessible doit contenir le texte visible, qui ajoute le raccourci clavier.
    (' title="Recherche" aria-label="Recherche"', ' title="Recherche"'),
    # Sans attendre les scripts : sinon la page paraît claire avant de s’assombrir.
    (
        'localStorage.getItem("theme") || "auto"',
        'localStorage.getItem("theme") || '
        '(matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")',
    ),
    # Tout le contenu doit être dans une région nommée, le sommaire et son logo aussi.
    (
        '<div id="pst-primary-sidebar"',
        '<div id="pst-primary-sidebar" role="region" aria-label="Sommaire"',
    ),
)

# Dans les scripts copiés par le thème et ses extensions.
SCRIPTS = (
    ("searchtools.js", '"Searching"', '"Recherche en cours"'),
    # Un extrait vient de la page entière : on ne la demande que pour un résultat qui se voit.
    ("searchtools.js", "    fetch(requestUrl)", "    vu(listItem).then(() => fetch(requestUrl))"),
    # Le thème lisait la largeur d’un bloc, l’écrivait, et passait au suivant : une mise en page par
    # bloc. Toutes les largeurs d’abord ; un code replié va à la ligne et ne défile jamais.
    (
        "scripts/pydata-sphinx-theme.js",
        ".forEach(e=>{e.tabIndex=e.scrollWidth>e.clientWidth||e.scrollHeight>e.clientHeight?0:-1})}"
        ",t=_(e,300);",
        ".forEach((e,i,tous)=>{i||(tous.larges=Array.from(tous,e=>"
        '!e.closest("details:not([open])")&&'
        "(e.scrollWidth>e.clientWidth||e.scrollHeight>e.clientHeight))),"
        "e.tabIndex=tous.larges[i]?0:-1})},t=_(e,300);",
    ),
)

# Le bouton qui ouvre la page dans le JupyterHub du réglage LIVRE_JUPYTERHUB.
LANCEMENT = {
    "type": "link",
    "text": "",
    "tooltip": "Ouvrir dans JupyterHub",
    "icon": "fas fa-rocket",
    "label": "jupyterhub-button",
}

# Un mégaoctet et demi de JavaScript pour des icônes que la police de caractères dessine déjà.
FONTAWESOME = re.compile(r'<script defer src="[^"]*fontawesome\.js[^"]*"></script>\s*')
SUPERFLUS = ("scripts/fontawesome.js", "scripts/*.map", "styles/*.map")

# Depuis le disque, un navigateur refuse de lire les pages pour en montrer des extraits.
SANS_EXTRAIT = (
    'if (location.protocol === "file:") DOCUMENTATION_OPTIONS.SHOW_SEARCH_SUMMARY = false;\n'
)

# L’extrait que montre un résultat : le texte de l’article, sans son code ni les boutons de la page,
# là où se trouve ce qu’on cherche, avec ou sans accent.
EXTRAIT = r"""
const avecExtraits = DOCUMENTATION_OPTIONS.SHOW_SEARCH_SUMMARY;
document.documentElement.classList.toggle("avec-extraits", avecExtraits);
const vu = (resultat) => new Promise((montrer) => {
  new IntersectionObserver(([place], guet) => {
    if (!place.isIntersecting) return;
    guet.disconnect();
    montrer();
  }).observe(resultat);
});
Search.makeSearchSummary = (page, racines, ancre) => {
  const article = new DOMParser().parseFromString(page, "text/html").querySelector("article");
  const passage = (ancre && article.querySelector(ancre)) || article;
  passage.querySelectorAll(".headerlink, .cell_input, script, style").forEach((e) => e.remove());
  passage.querySelectorAll("caption, dd, dt, li, p, td, th").forEach((e) => e.append(" "));
  const entier = passage.textContent.replace(/\s+/g, " ").trim().normalize("NFC");
  // Sans ses accents, une lettre tient la même place.
  const plie = entier.normalize("NFD").replace(/\p{M}/gu, "").toLowerCase();
  const places = [...racines].map((racine) => plie.indexOf(racine)).filter((place) => place >= 0);
  const place = places.length ? Math.min(...places) : 0;
  const debut = place > 80 ? entier.indexOf(" ", place - 80) + 1 : 0;
  const extrait = document.createElement("p");
  extrait.className = "context";
  const texte = entier.slice(debut, debut + 240).trim();
  extrait.textContent = `${debut ? "… " : ""}${texte} …`;
  return extrait;
};
"""

# Le même repli des accents que dans l’index, pour ce que tape le lecteur.
SANS_ACCENT = r"""
Stemmer = function () {
  const francais = new FrenchStemmer();
  this.stemWord = (mot) => francais.stemWord(mot.normalize("NFD").replace(/[\u0300-\u036f]/g, ""));
};
"""

# Les pages que le thème n’écrit pas.
A_PART = ("index.html", "404.html")

ACCUEIL = """<!DOCTYPE html>
<html lang="fr">
  <head>
    <meta charset="utf-8">
    <title>{titre}</title>
    <link rel="icon" href="data:,">
    <meta http-equiv="refresh" content="0; url={page}">{balises}
  </head>
  <body><p><a href="{page}">{titre}</a></p></body>
</html>
"""


class RechercheSansAccent(SearchFrench):
    """Index de recherche où « donnees » trouve « données »."""

    def stem(self, word: str) -> str:
        """Réduit un mot à sa racine, accents retirés d’abord."""
        return super().stem(sans_accent(word))


def sans_accent(mot: str) -> str:
    """Retire les accents d’un mot."""
    decompose = unicodedata.normalize("NFD", mot)
    return "".join(lettre for lettre in decompose if not unicodedata.combining(lettre))


def transformer(app: Sphinx, doctree: nodes.document) -> None:
    """Fait des encadrés, des figures, des liens, et les espaces insécables du texte courant."""
    for citation in list(doctree.findall(nodes.block_quote)):
        encadrer(citation)
    for image in list(doctree.findall(nodes.image)):
        legender(image)
    for renvoi in list(doctree.findall(pending_xref)):
        if not lier_rapport(renvoi):
            viser(renvoi, app.env.docname)
    for renvoi in doctree.findall(nodes.reference):
        if "refid" in renvoi:
            renvoi["cible"] = (app.env.docname, renvoi["refid"])
    for texte in list(doctree.findall(nodes.Text)):
        if not any(isinstance(parent, TEL_QUEL) for parent in ascendance(texte)):
            texte.parent.replace(texte, nodes.Text(insecables(texte.astext())))


def agrandir(app: Sphinx, doctree: nodes.document, page: str) -> None:
    """Fait ouvrir en grand l’image d’une figure : Sphinx lie celles qui ont une taille."""
    for image in doctree.findall(nodes.image):
        if any(isinstance(parent, nodes.figure) for parent in ascendance(image)):
            image["width"] = "100%"


def ascendance(noeud: nodes.Node) -> Iterable[nodes.Node]:
    """Donne les parents d’un nœud, du plus proche au plus lointain."""
    while (noeud := noeud.parent) is not None:
        yield noeud


def encadrer(citation: nodes.block_quote) -> None:
    """Change « > **À retenir.** … » en encadré ; laisse les autres citations."""
    premier = citation.children[0] if citation.children else None
    if not isinstance(premier, nodes.paragraph):
        return
    # markdown-it place un texte vide avant le gras.
    suite = [n for n in premier.children if not isinstance(n, nodes.Text) or n.astext()]
    titre = suite[0].astext().rstrip(".") if suite and isinstance(suite[0], nodes.strong) else ""
    if titre not in ENCADRES:
        return
    texte = nodes.paragraph()
    texte += suite[1:]
    if texte.children and isinstance(texte.children[0], nodes.Text):
        texte.replace(texte.children[0], nodes.Text(texte.children[0].astext().lstrip()))
    encadre = nodes.admonition(classes=[ENCADRES[titre]])
    encadre += nodes.title("", titre)
    encadre += [texte, *citation.children[1:]]
    citation.replace_self(encadre)


def legender(image: nodes.image) -> None:
    """Change une image seule dans son paragraphe, et munie d’un titre, en figure numérotée."""
    paragraphe, titre = image.parent, image.get("title")
    if not titre or not isinstance(paragraphe, nodes.paragraph):
        return
    if any(n is not image and n.astext().strip() for n in paragraphe.children):
        return
    figure = nodes.figure(ids=[nodes.make_id(f"figure-{titre}")])
    del image["title"]
    figure += image
    figure += nodes.caption(titre, titre)
    paragraphe.replace_self(figure)


def lier_rapport(renvoi: pending_xref) -> bool:
    """Fait un lien ordinaire vers un rapport, fichier du livre que Sphinx ne connaît pas."""
    if not RAPPORT.fullmatch(renvoi["reftarget"]):
        return False
    lien = nodes.reference(refuri=renvoi["reftarget"])
    lien += renvoi.children
    renvoi.replace_self(lien)
    return True


def viser(renvoi: pending_xref, page: str) -> None:
    """Note la page et l’ancre que vise un lien, que MyST ne cherche que parmi les titres."""
    if renvoi.get("refdomain") == "doc":
        cible, ancre = renvoi["reftarget"], renvoi.get("reftargetid")
    else:
        chemin, _, ancre = renvoi["reftarget"].rpartition("#")
        cible = situer(page, chemin.removesuffix(".ipynb")) if chemin else page
    if ancre:
        lien = nodes.reference(cible=(cible, ancre), refuri=f"#{ancre}")
        lien += renvoi.children
        renvoi.replace_self(lien)


def situer(page: str, chemin: str) -> str:
    """Donne le nom, depuis la racine du livre, d’un chemin relatif à une page."""
    return (Path("/", page).parent / chemin).resolve().relative_to("/").as_posix()


@dataclass
class Index:
    """Ce à quoi le livre peut renvoyer : les ancres de chaque page, et ce qui est numéroté."""

    ancres: dict[str, set[str]] = field(default_factory=dict)
    pages: dict[str, str] = field(default_factory=dict)
    numeros: dict[str, int] = field(default_factory=dict)
    premier_tableau: dict[str, int] = field(default_factory=dict)

    def resoudre(self, page: str, ancre: str) -> tuple[str, str] | None:
        """Donne la page et l’ancre visées ; une figure ou un tableau se trouve d’où l’on est."""
        if ancre not in self.ancres.get(page, ()) and ancre in self.numeros:
            page = self.pages[ancre]
        return (page, ancre) if ancre in self.ancres.get(page, ()) else None


def indexer(env: BuildEnvironment) -> Index:
    """Relève les ancres de toutes les pages, et numérote les tableaux dans l’ordre du sommaire.

    Raises:
        ExtensionError: si deux tableaux ont le même nom.
    """
    index, suivant = Index(), 1
    for page in dans_l_ordre(env, env.config.root_doc):
        doctree = env.get_doctree(page)
        ancres = {nom for noeud in doctree.findall(nodes.Element) for nom in noeud["ids"]}
        index.premier_tableau[page] = suivant
        for brut in sorties_html(doctree):
            ancres.update(ANCRE.findall(brut.astext()))
            for tableau in TABLEAU.finditer(brut.astext()):
                if tableau["nom"]:
                    if tableau["nom"] in index.numeros:
                        raise ExtensionError(f"deux tableaux se nomment « {tableau['nom']} ».")
                    index.numeros[tableau["nom"]] = suivant
                    index.pages[tableau["nom"]] = page
                suivant += 1
        for nom, numero in env.toc_fignumbers.get(page, {}).get("figure", {}).items():
            index.numeros[nom] = numero[-1]
            index.pages[nom] = page
        index.ancres[page] = ancres
    return index


def dans_l_ordre(env: BuildEnvironment, page: str) -> Iterator[str]:
    """Donne les pages dans l’ordre du sommaire."""
    yield page
    for enfant in env.toctree_includes.get(page, ()):
        yield from dans_l_ordre(env, enfant)


def sorties_html(doctree: nodes.document) -> Iterator[nodes.raw]:
    """Donne le HTML que les cellules ont affiché."""
    return (brut for brut in doctree.findall(nodes.raw) if "html" in brut["format"].split())


def verifier(app: Sphinx, env: BuildEnvironment) -> None:
    """Vérifie que chaque lien mène à une ancre du livre.

    Raises:
        ExtensionError: si un lien mène à une ancre absente ; le message les donne tous.
    """
    env.livre = index = indexer(env)
    perdus = [
        f"{page} → {cible}#{ancre}"
        for page in index.ancres
        for cible, ancre in cibles(env.get_doctree(page), page)
        if not index.resoudre(cible, ancre)
    ]
    if perdus:
        liste = " ; ".join(sorted(set(perdus)))
        raise ExtensionError(f"des liens mènent à des ancres absentes du livre : {liste}.")


def cibles(doctree: nodes.document, page: str) -> Iterator[tuple[str, str]]:
    """Donne les pages et les ancres que visent les liens d’une page."""
    yield from (lien["cible"] for lien in doctree.findall(nodes.reference) if "cible" in lien)
    for brut in sorties_html(doctree):
        for lien in LIEN.finditer(brut.astext()):
            if lien["ancre"]:
                yield situer(page, lien["chemin"]) if lien["chemin"] else page, lien["ancre"]


def resoudre(app: Sphinx, doctree: nodes.document, page: str) -> None:
    """Écrit l’adresse des liens et le numéro des tableaux, dans le texte et dans les sorties."""
    if not hasattr(app.env, "livre"):  # Sphinx réécrit des pages qu’il n’a pas relues
        verifier(app, app.env)
    index: Index = app.env.livre
    for lien in doctree.findall(nodes.reference):
        if "cible" in lien:
            cible, ancre = index.resoudre(*lien["cible"])
            lien.attributes.pop("refid", None)
            lien["refuri"] = adresse(app, page, cible, ancre)
            lien["internal"] = True
            mot = lien.astext().lower()
            if ancre in index.numeros and mot in RENVOIS:
                texte = f"{lien.astext()}\u00a0{index.numeros[ancre]}"
                lien.clear()
                lien.append(nodes.Text(texte))
    numero = index.premier_tableau[page]
    for brut in list(sorties_html(doctree)):
        texte = lier_pages(brut.astext(), index, app, page)
        texte, combien = numeroter(texte, numero)
        numero += combien
        brut.replace_self(nodes.raw("", texte, **brut.attributes))


def adresse(app: Sphinx, page: str, cible: str, ancre: str) -> str:
    """Donne l’adresse d’une ancre, relative à la page d’où l’on part."""
    base = "" if cible == page else app.builder.get_relative_uri(page, cible)
    return f"{base}#{ancre}" if ancre else base


def lier_pages(corps: str, index: Index, app: Sphinx, page: str) -> str:
    """Fait mener à leurs pages les liens d’une sortie vers les notebooks du livre."""

    def remplacer(lien: re.Match[str]) -> str:
        cible, ancre = situer(page, lien["chemin"]) if lien["chemin"] else page, lien["ancre"]
        if cible not in index.ancres:
            return lien[0]
        cible, ancre = index.resoudre(cible, ancre) if ancre else (cible, "")
        return f'href="{adresse(app, page, cible, ancre)}"'

    return LIEN.sub(remplacer, corps)


def numeroter(corps: str, premier: int) -> tuple[str, int]:
    """Écrit le numéro de chaque tableau devant sa légende ; donne aussi leur nombre."""
    combien = 0

    def remplacer(debut: re.Match[str]) -> str:
        nonlocal combien
        combien += 1
        return f'{debut[0]}<span class="caption-number">Tableau {premier + combien - 1}. </span>'

    return TABLEAU.sub(remplacer, corps), combien


def completer_page(
    app: Sphinx, page: str, modele: str, contexte: dict[str, Any], doctree: nodes.document | None
) -> None:
    """Ajoute à la page sa description, sa carte de partage et son bouton de lancement.

    Les boutons de code replié, eux, sont nommés par leur texte.
    """
    description = decrire(app, doctree)
    titre = re.sub(r"<[^>]+>", "", contexte.get("title") or app.config.html_title)
    contexte["metatags"] = (
        contexte.get("metatags", "")
        + f'<meta name="description" content="{escape(description)}">'
        + baliser(
            app.config.html_title,
            unescape(titre),
            description,
            app.config.html_baseurl.rstrip("/"),
            f"{page}.html",
        )
    )
    if contexte.get("title") == app.config.html_title:
        contexte["docstitle"] = ""
    hub = adresse_jupyterhub()
    if hub and contexte.get("page_source_suffix") == ".ipynb":
        contexte["header_buttons"].insert(0, {**LANCEMENT, "url": f"{hub}/{page}.ipynb"})
    if "body" in contexte:
        contexte["body"] = contexte["body"].replace(' aria-label="Toggle hidden content"', "")


def decrire(app: Sphinx, doctree: nodes.document | None) -> str:
    """Donne la première phrase de la page, coupée à un mot près de 160 signes."""
    paragraphe = next(doctree.findall(nodes.paragraph), None) if doctree else None
    texte = " ".join((paragraphe.astext() if paragraphe else app.config.html_title).split())
    return texte if len(texte) <= 160 else texte[:160].rsplit(" ", 1)[0] + "…"


def finir(app: Sphinx, erreur: Exception | None) -> None:
    """Corrige les pages et les scripts une fois tout écrit."""
    if erreur or app.builder.name != "html":
        return
    sortie = Path(app.outdir)
    statiques = sortie / "_static"
    pages = [
        page
        for page in sortie.rglob("*.html")
        if not page.is_relative_to(statiques) and page.name not in A_PART
    ]
    corriger_pages(pages)
    for nom, avant, apres in SCRIPTS:
        remplacer_dans(statiques / nom, avant, apres)
    ajouter(statiques / "documentation_options.js", SANS_EXTRAIT)
    ajouter(statiques / "language_data.js", SANS_ACCENT)
    ajouter(statiques / "searchtools.js", EXTRAIT)
    for motif in SUPERFLUS:
        for fichier in statiques.glob(motif):
            fichier.unlink()
    alleger(sortie, pages)
    ecrire_les_pages_a_part(app, sortie)


def ecrire_les_pages_a_part(app: Sphinx, sortie: Path) -> None:
    """Écrit l’entrée du livre, sa carte de partage et sa page d’erreur."""
    livre, racine = app.config.html_title, app.config.html_baseurl.rstrip("/")
    phrase = app.config.html_context["phrase"]
    page = f"{app.config.root_doc}.html"
    balises = baliser(livre, livre, phrase, racine, "")
    accueil = ACCUEIL.format(titre=escape(livre), page=page, balises=balises)
    (sortie / "index.html").write_text(accueil, encoding="utf-8")
    dessiner_la_carte(sortie / CARTE, livre, phrase)
    titres = {
        f"{nom}.html": app.env.titles[nom].astext()
        for nom in dans_l_ordre(app.env, app.config.root_doc)
    }
    ecrire_la_page_perdue(sortie / "404.html", livre, racine, titres)


def corriger_pages(pages: list[Path]) -> None:
    """Applique les remplacements à toutes les pages.

    Raises:
        ExtensionError: si un texte à remplacer n’est dans aucune page.
    """
    restants = {avant for avant, _ in PAGES} | {FONTAWESOME.pattern}
    for page in pages:
        texte = page.read_text(encoding="utf-8")
        for avant, apres in PAGES:
            if avant in texte:
                restants.discard(avant)
                texte = texte.replace(avant, apres)
        texte, retires = FONTAWESOME.subn("", texte)
        if retires:
            restants.discard(FONTAWESOME.pattern)
        page.write_text(texte, encoding="utf-8")
    if restants:
        raise ExtensionError(
            "le thème a changé, ces textes à remplacer sont introuvables : "
            + " ; ".join(sorted(restants))
        )


def remplacer_dans(fichier: Path, avant: str, apres: str) -> None:
    """Remplace un texte dans un fichier.

    Raises:
        ExtensionError: si le fichier ou le texte n’existe pas.
    """
    texte = fichier.read_text(encoding="utf-8") if fichier.is_file() else ""
    if avant not in texte:
        raise ExtensionError(f"le thème a changé : « {avant} » introuvable dans {fichier.name}.")
    fichier.write_text(texte.replace(avant, apres), encoding="utf-8")


def ajouter(fichier: Path, suite: str) -> None:
    """Ajoute du code à la fin d’un script produit par Sphinx.

    Raises:
        ExtensionError: si le script n’existe pas.
    """
    if not fichier.is_file():
        raise ExtensionError(f"Sphinx n’a pas produit {fichier.name}.")
    with fichier.open("a", encoding="utf-8") as flux:
        flux.write(suite)


def situer_le_livre(app: Sphinx, config: Config) -> None:
    """Donne au livre l’adresse où il est publié, que ses pages ont à dire quand on les partage."""
    config.html_baseurl = f"{adresse_publiee(Path(app.srcdir))}/"


def setup(app: Sphinx) -> dict[str, Any]:
    """Branche l’extension sur Sphinx."""
    languages["fr"] = RechercheSansAccent
    app.connect("config-inited", situer_le_livre)
    app.connect("doctree-read", transformer)
    app.connect("env-check-consistency", verifier)
    app.connect("doctree-resolved", resoudre)
    app.connect("doctree-resolved", agrandir)
    app.connect("html-page-context", completer_page)
    # Après sphinx_external_toc, qui écrit aussi index.html à la fin.
    app.connect("build-finished", finir, priority=900)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
