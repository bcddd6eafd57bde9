"""Le jeu de diapositives : reveal.js, à partir des notebooks exécutés et de leurs métadonnées.

Ce que devient une cellule est dit par ``slideshow.slide_type`` : ``slide`` (début d’une colonne),
``subslide`` (diapositive suivante), ``fragment`` (paraît à la demande), ``-`` (suite de la même
diapositive), ``notes`` (pour l’orateur), ``skip``. Une cellule qui n’en a pas est ignorée. Le
titre d’une diapositive est ``slideshow.titre`` ou, à défaut, le dernier titre de la page. Le code
n’est montré que si ``slideshow.code`` est vrai. Il y a un jeu par version de l’exposé : le module
``temps`` dit laquelle montre quoi.
"""

import posixpath
import re
import shutil
from pathlib import Path

import nbformat
from nbconvert.exporters import SlidesExporter
from nbformat import NotebookNode
from nbformat.v4 import new_notebook

from publication import temps
from publication.annexes import LEGENDE
from publication.depot import ErreurPublication, ecrire, lire_sommaire, lire_yaml
from publication.html import fusionner, mettre_en_place
from publication.typographie import insecables

GABARIT = "diapositives"
# Ce qui, dans un lien du jeu, tient la place du chemin du livre.
LIVRE = "livre:"
TITRE = re.compile(r"^(#+) +(.+)\n*")
DUREE = re.compile(r"\s*\*[^*]+ minutes?\.\*")
LIEN = re.compile(r'(?P<avant>\]\(|href=")(?P<cible>[^")\s]+)')

# Dans un schéma : son cadre, l’échelle des niveaux (que dit déjà le titre), sa légende.
CADRE = re.compile(r'<rect x="1" y="1" [^>]*rx="14" fill="#fff"[^>]*/>\n?')
ECHELON = re.compile(r'<rect x="[\d.]+" y="([\d.]+)" [^>]*height="([\d.]+)" rx="22"')
CLES = re.compile(r'<path d="M32 ([\d.]+)H[\d.]+" stroke="#d4dbe2"[^>]*/>.*(?=</svg>)', re.DOTALL)
TOILE = re.compile(r'width="(\d+)" height="(\d+)" viewBox="0 0 \1 \2"')
# Ce qu’un schéma laisse vide au bord, en unités de son dessin ; sur les côtés, l’anneau de ce qui
# est nouveau déborde de sa boîte.
MARGE, MARGE_LATERALE = 14, 8
LEGENDE_DE_TABLEAU = re.compile(r"<caption>(.*?)</caption>", re.DOTALL)

# Ce que disent reveal.js et sa vue de l’orateur : fichier, texte anglais, texte français.
TRADUCTIONS = (
    ("reveal.js", "Keyboard Shortcuts", "Raccourcis clavier"),
    ("reveal.js", "<th>KEY</th><th>ACTION</th>", "<th>Touche</th><th>Action</th>"),
    ("reveal.js", "SPACE", "Espace"),
    ("reveal.js", '"ESC, O"', '"Échap, O"'),
    ("reveal.js", '"Shift + ', '"Maj + '),
    ("reveal.js", ">Esc <", ">Échap <"),
    ("reveal.js", '"Next slide"', '"Diapositive suivante"'),
    ("reveal.js", '"Previous slide"', '"Diapositive précédente"'),
    ("reveal.js", '"Navigate without fragments"', '"Passer sans dévoiler pas à pas"'),
    ("reveal.js", '"Jump to first/last slide"', '"Première ou dernière diapositive"'),
    ("reveal.js", '"Pause"', '"Écran noir"'),
    ("reveal.js", '"Fullscreen"', '"Plein écran"'),
    ("reveal.js", '"Jump to slide"', '"Aller à la diapositive"'),
    ("reveal.js", '"Slide overview"', '"Vue d’ensemble"'),
    ("reveal.js", '"next slide"', '"diapositive suivante"'),
    ("reveal.js", '"previous slide"', '"diapositive précédente"'),
    ("reveal.js", 'aria-label="above slide"', 'aria-label="diapositive du dessus"'),
    ("reveal.js", 'aria-label="below slide"', 'aria-label="diapositive du dessous"'),
    ("reveal.js", "Resume presentation", "Reprendre"),
    # Un en-tête de page dans un panneau égare les lecteurs d’écran.
    ("reveal.js", '<header class="r-overlay-header">', '<div class="r-overlay-header">'),
    ("reveal.js", "</header>", "</div>"),
    ("notes.js", '"Speaker notes view"', '"Vue de l’orateur"'),
    ("notes.js", '<html lang=\\"en\\">', '<html lang=\\"fr\\">'),
    ("notes.js", "reveal.js - Speaker View", "Vue de l’orateur"),
    ("notes.js", "Loading speaker view...", "Ouverture de la vue de l’orateur…"),
    ("notes.js", ">Upcoming<", ">Ensuite<"),
    ("notes.js", ">Time <", ">Temps écoulé <"),
    ("notes.js", "Click to Reset", "remettre à zéro"),
    ("notes.js", "Pacing – Time to finish current slide", "Reste sur cette diapositive"),
    ("notes.js", "'default': 'Default'", "'default': 'ordinaire'"),
    ("notes.js", "'wide': 'Wide'", "'wide': 'large'"),
    ("notes.js", "'tall': 'Tall'", "'tall': 'haute'"),
    ("notes.js", "'notes-only': 'Notes only'", "'notes-only': 'notes seules'"),
    ("notes.js", "'Layout' + (", "'Disposition' + ("),
    ("notes.js", "'en-US', { hour12: true,", "'fr-FR', {"),
    ("notes.js", "Speaker view popup failed to open.", "La fenêtre de l’orateur est bloquée."),
    (
        "notes.js",
        "Please make sure popups are allowed and reopen the speaker view.",
        "Autorisez les fenêtres pour cette page, puis recommencez.",
    ),
    ("notes.js", "Cross origin error.", "Origine différente."),
    (
        "notes.js",
        "The speaker window can only be opened from the same origin.",
        "La vue de l’orateur s’ouvre depuis les diapositives.",
    ),
    ("notes.js", "Error connecting to main window.", "Les diapositives ne répondent pas."),
    (
        "notes.js",
        "Please try closing and reopening the speaker view.",
        "Fermez cette fenêtre, puis ouvrez-la de nouveau.",
    ),
)


def construire_diapositives(racine: Path) -> Path:
    """Construit les trois jeux dans ``_build/diapositives`` et donne la page de l’ordinaire.

    Raises:
        ErreurPublication: si aucune cellule n’est marquée, ou si reveal.js a changé.
    """
    atelier = racine / "_build" / "atelier-diapositives"
    shutil.rmtree(atelier, ignore_errors=True)
    ecrire_les_jeux(racine, atelier, "../html/")
    place = racine / "_build" / "diapositives"
    mettre_en_place(atelier, place)
    return place / "index.html"


def a_des_diapositives(racine: Path) -> bool:
    """Dit si une cellule du livre est marquée comme une diapositive."""
    return any(
        cellule.metadata.get("slideshow", {}).get("slide_type") in temps.DEBUTS
        for chemin in lire_sommaire(racine)
        if chemin.endswith(".ipynb")
        for cellule in nbformat.read(racine / chemin, as_version=4).cells
    )


def ecrire_les_jeux(racine: Path, place: Path, livre: str) -> None:
    """Écrit les trois jeux dans un dossier ; ``livre`` est le chemin qui mène de là au livre."""
    source = racine / "book" / GABARIT
    exporteur = SlidesExporter(
        template_name=GABARIT,
        extra_template_basedirs=[str(source.parent)],
        exclude_anchor_links=True,
    )
    for version, fichier in temps.FICHIERS.items():
        jeu = assembler(racine, version)
        for cellule in jeu.cells:
            if "figure" in cellule.metadata:
                ecrire(place / cellule.metadata.figure.fichier, _svg(cellule))
        page, _ = exporteur.from_notebook_node(jeu)
        ecrire(place / fichier, page.replace(f'href="{LIVRE}', f'href="{livre}'))
    shutil.copy(source / "diapositives.css", place)
    shutil.copy(racine / "book" / "assets" / "favicon.svg", place)
    shutil.copytree(source / "reveal", place / "reveal")
    _traduire(place / "reveal")


def assembler(racine: Path, version: str = temps.ORDINAIRE) -> NotebookNode:
    """Réunit les cellules retenues de toutes les pages, prêtes pour le gabarit.

    Raises:
        ErreurPublication: si aucune cellule n’est marquée.
    """
    cellules: list[NotebookNode] = []
    for chemin in lire_sommaire(racine):
        if chemin.endswith(".ipynb"):
            cellules += _retenir(racine, chemin, version)
    if not cellules:
        raise ErreurPublication(
            "aucune cellule n’est une diapositive : dans JupyterLab, choisissez-en "
            "avec « Type de diapositive » (panneau de droite, outils communs)."
        )
    _minuter(cellules, temps.debuts(racine, version))
    titre = _titrer(lire_yaml(racine / "_config.yml")["title"], version)
    return new_notebook(metadata={"title": titre}, cells=cellules)


def _titrer(titre: str, version: str) -> str:
    """Met dans un titre la durée de cette version à la place de celle de l’exposé ordinaire."""
    ordinaire, duree = (temps.VERSIONS[v] for v in (temps.ORDINAIRE, version))
    return titre.replace(f"{ordinaire} minutes", f"{duree} minutes")


def _retenir(racine: Path, chemin: str, version: str) -> list[NotebookNode]:
    """Donne les cellules d’une page qui vont dans le jeu, avec ce que le gabarit en attend."""
    retenues: list[NotebookNode] = []
    titre = ""
    for cellule in temps.retenues(fusionner(racine, chemin).cells, version):
        genre = cellule.metadata.get("slideshow", {}).get("slide_type", "skip")
        trouve = TITRE.match(cellule.source) if cellule.cell_type == "markdown" else None
        titre = trouve[2] if trouve else titre
        if genre == "skip" or (not retenues and genre not in temps.DEBUTS):
            continue
        if genre in temps.DEBUTS:
            ouvre_la_page = bool(trouve) and len(trouve[1]) == 1
            diapositive = NotebookNode(
                id=cellule.id,
                page=chemin,
                titre=insecables(
                    _titrer(
                        re.sub(r"[*`]", "", cellule.metadata.slideshow.get("titre", titre)), version
                    )
                ),
                niveau="h1" if ouvre_la_page else "h2",
                genre="chapitre" if ouvre_la_page else "texte",
                corps=40,
                secondes=0,
            )
            cellule.metadata.diapositive = diapositive
        if genre == "notes":
            diapositive.secondes += round(temps.duree(cellule.source) + temps.exercice(cellule))
            if temps.exercice(cellule):
                duree = temps.ecrire_duree(temps.exercice(cellule))
                cellule.source = f"**Exercice, {duree}.** {cellule.source}"
        elif trouve:
            cellule.source = cellule.source.removeprefix(trouve[0])
            if len(trouve[1]) == 1:
                # La durée qu’annonce un chapitre est celle de l’exposé ordinaire.
                cellule.source = DUREE.sub("", cellule.source)
        if cellule.cell_type == "code":
            diapositive.corps = min(diapositive.corps, *map(_corps, cellule.outputs), 40)
        if _a_un_svg(cellule):
            cellule.metadata.figure = _figure(cellule, chemin)
            diapositive.genre = "image"
        _preparer(cellule, chemin, diapositive.titre)
        if genre == "notes" and temps.notes(retenues[-1]):
            # reveal.js ne montre qu’un bloc de notes par diapositive.
            retenues[-1].source += f"\n\n{cellule.source}"
        else:
            retenues.append(cellule)
    return retenues


def _minuter(cellules: list[NotebookNode], debuts: dict[str, float]) -> None:
    """Écrit en tête des notes l’heure où les commencer et celle où les finir."""
    heure, notes = 0.0, None
    for cellule in cellules:
        if "diapositive" in cellule.metadata:
            diapositive, notes = cellule.metadata.diapositive, None
            heure = debuts.pop(diapositive.page, heure)
        elif temps.notes(cellule) and notes is None:
            notes, fin = cellule, heure + diapositive.secondes
            minutage = f"{temps.ecrire_duree(heure)} → {temps.ecrire_duree(fin)}"
            cellule.source = f"**{minutage}**\n\n{cellule.source}"
            heure = fin


def _preparer(cellule: NotebookNode, chemin: str, titre: str) -> None:
    """Fait mener au livre les liens d’une cellule, et soigne la typographie de son texte.

    Un tableau dont la légende répète le titre de la diapositive ne la montre pas.
    """

    def legender(legende: re.Match[str]) -> str:
        return (
            legende[0].replace(">", ' class="repetee">', 1) if legende[1] == titre else legende[0]
        )

    if cellule.cell_type == "markdown":
        lignes = LIEN.sub(lambda lien: _lier(lien, chemin), cellule.source).split("\n")
        cellule.source = "\n".join(x if x.startswith("|") else insecables(x) for x in lignes)
        return
    for sortie in cellule.outputs:
        for genre in ("text/html", "text/markdown"):
            if genre in sortie.get("data", {}):
                texte = sortie.data[genre]
                texte = LIEN.sub(lambda lien: _lier(lien, chemin), texte)
                sortie.data[genre] = LEGENDE_DE_TABLEAU.sub(legender, texte)


def _lier(lien: re.Match[str], page: str) -> str:
    """Récrit un lien d’une page du livre pour qu’il parte du jeu de diapositives."""
    cible, diese, ancre = lien["cible"].partition("#")
    if "://" in cible:
        return lien[0]
    chemin = posixpath.join(posixpath.dirname(page), cible) if cible else page
    chemin = re.sub(r"\.ipynb$", ".html", posixpath.normpath(chemin))
    return f"{lien['avant']}{LIVRE}{chemin}{diese}{ancre}"


def _corps(sortie: NotebookNode) -> int:
    """Choisit, d’après ce qu’un tableau contient, la taille de son texte, en pixels."""
    html = sortie.get("data", {}).get("text/html", "")
    cases = len(re.findall(r"<t[dh]\b", html))
    lignes, signes = html.count("<tr"), len(re.sub(r"(?s)<style.*?</style>|<[^>]*>|\s", "", html))
    for taille, lignes_au_plus, signes_au_plus in ((36, 8, 400), (30, 10, 750), (28, 5, 1000)):
        if cases <= 6 * lignes and lignes <= lignes_au_plus and signes <= signes_au_plus:
            return taille
    return 24


def _a_un_svg(cellule: NotebookNode) -> bool:
    sorties = cellule.get("outputs", [])
    return any("image/svg+xml" in sortie.get("data", {}) for sortie in sorties)


def _svg(cellule: NotebookNode) -> str:
    """Donne le dessin d’une cellule de figure, recadré pour l’écran."""
    dessins = (s.data["image/svg+xml"] for s in cellule.outputs if "data" in s)
    return recadrer(next(dessins))


def recadrer(dessin: str) -> str:
    """Agrandit un schéma : du fond de la salle, ses petits textes doivent se lire.

    Son cadre, l’échelle des niveaux et sa légende restent au livre : sans eux, le plus petit texte
    fait 24 pixels sur un écran de 1920 × 1080, au lieu de 19.
    """
    toile = TOILE.search(dessin)
    if not toile or not CADRE.search(dessin):
        return dessin
    largeur, hauteur = int(toile[1]), int(toile[2])
    echelons = [float(y) + float(h) for y, h in ECHELON.findall(dessin)]
    haut = max(echelons) + 2 if echelons else MARGE
    cles = CLES.search(dessin)
    bas = float(cles[1]) - 4 if cles else hauteur - MARGE
    large, long = largeur - 2 * MARGE_LATERALE, bas - haut
    dessin = CADRE.sub("", CLES.sub("", dessin))
    return TOILE.sub(
        f'width="{large}" height="{long:g}" viewBox="{MARGE_LATERALE} {haut:g} {large} {long:g}"',
        dessin,
    )


def _figure(cellule: NotebookNode, page: str) -> NotebookNode:
    """Décrit la figure d’une cellule : son fichier, son texte de remplacement, son crédit."""
    reglages = cellule.metadata.get("mystnb", {})
    legende = LEGENDE.fullmatch(reglages.get("figure", {}).get("caption", ""))
    if not legende:
        raise ErreurPublication(
            f"la figure de la cellule {cellule.id} n’a pas d’auteur, de source ou de licence."
        )
    # Sans les mots « auteur », « source » et « licence » : le crédit tient sur une ligne.
    credit = "{auteur}, {source}. {licence}.".format(**legende.groupdict())
    return NotebookNode(
        fichier=f"figures/{reglages['figure']['name']}.svg",
        alt=reglages["image"]["alt"],
        credit=insecables(LIEN.sub(lambda lien: _lier(lien, page), credit)),
    )


def _traduire(dossier: Path) -> None:
    """Met en français les copies de reveal.js.

    Raises:
        ErreurPublication: si un texte à traduire n’y est plus.
    """
    for nom, anglais, francais in TRADUCTIONS:
        fichier = dossier / nom
        texte = fichier.read_text(encoding="utf-8")
        if anglais not in texte:
            raise ErreurPublication(f"reveal.js a changé : « {anglais} » n’est plus dans {nom}.")
        fichier.write_text(texte.replace(anglais, francais), encoding="utf-8")
