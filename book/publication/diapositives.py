"""Le jeu de diapositives : reveal.js, par nbconvert, à partir des notebooks de l’exposé."""

import shutil
from pathlib import Path

from nbconvert.exporters import SlidesExporter
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from publication import expose, temps
from publication.depot import RACINE, ErreurPublication, ecrire, lire_yaml, mettre_en_place
from publication.expose import ORDINAIRE, Diapositive
from publication.plan import EXPOSE
from publication.planches import figures, html
from publication.references import reference
from publication.regles import verifier

GABARIT = "diapositives"
# Ce qui, dans un lien du jeu, tient la place du chemin du livre.
LIVRE = "livre:"
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
        ErreurPublication: si une diapositive ne tient pas ses règles, ou si reveal.js a changé.
    """
    atelier = racine / "_build" / "atelier-diapositives"
    shutil.rmtree(atelier, ignore_errors=True)
    ecrire_les_jeux(racine, atelier, "../html/")
    place = racine / "_build" / "diapositives"
    mettre_en_place(atelier, place)
    return place / "index.html"


def ecrire_les_jeux(racine: Path, place: Path, livre: str) -> None:
    """Écrit les trois jeux dans un dossier ; ``livre`` est le chemin qui mène de là au livre."""
    source = racine / "book" / GABARIT
    exporteur = SlidesExporter(
        template_name=GABARIT,
        extra_template_basedirs=[str(source.parent)],
        exclude_anchor_links=True,
    )
    toutes = expose.lire(racine)
    verifier(toutes, {d.id: temps.paroles(d) for d in toutes})
    for version, fichier in temps.FICHIERS.items():
        montrees = [d for d in toutes if expose.parait(d.version, version)]
        jeu = assembler(racine, montrees, version)
        page, _ = exporteur.from_notebook_node(jeu)
        ecrire(place / fichier, page.replace(f'href="{LIVRE}', f'href="{livre}'))
    _copier_les_images(toutes, place)
    shutil.copy(source / "diapositives.css", place)
    shutil.copy(racine / "book" / "assets" / "favicon.svg", place)
    shutil.copytree(racine / "book" / "assets" / "polices", place / "polices")
    shutil.copytree(source / "reveal", place / "reveal")
    _traduire(place / "reveal")


def _copier_les_images(diapositives: list[Diapositive], place: Path) -> None:
    for image in (f for d in diapositives for p in d.planches for f in figures(p)):
        if image["genre"] == "figure":
            ecrire(place / "figures" / f"{image['nom']}.svg", image["svg"])
        else:
            (place / "captures").mkdir(exist_ok=True)
            shutil.copy(RACINE / image["fichier"], place / "captures")


def assembler(racine: Path, diapositives: list[Diapositive], version: str) -> NotebookNode:
    """Réunit des diapositives en un notebook prêt pour le gabarit.

    Raises:
        ErreurPublication: s’il n’y a aucune diapositive.
    """
    if not diapositives:
        raise ErreurPublication(f"il n’y a aucune diapositive dans {EXPOSE}.")
    cellules, heures, heure = [], temps.debuts(racine, version), 0.0
    for d in diapositives:
        heure = heures.pop(d.partie, heure)
        fin = heure + temps.secondes(d, version)
        cellules += _cellules(d, version, heure, fin)
        heure = fin
    titre = lire_yaml(racine / "_config.yml")["title"]
    ordinaire, duree = (temps.VERSIONS[v] for v in (ORDINAIRE, version))
    titre = titre.replace(f"{ordinaire} minutes", f"{duree} minutes")
    return new_notebook(metadata={"title": titre}, cells=cellules)


def _cellules(d: Diapositive, version: str, debut: float, fin: float) -> list[NotebookNode]:
    """Rend une diapositive en cellules : son titre, ce qu’elle montre, ses notes."""
    genres = [d.genre or ("chapitre" if d.ouvre else "")]
    genres += sorted({f"avec-{planche['genre']}" for planche in d.planches})
    description = {
        "id": d.id,
        "titre": d.titre,
        "classes": " ".join(filter(None, genres)),
        "niveau": "h1" if d.ouvre else "h2",
        "secondes": round(fin - debut),
        "sources": _sources(d),
    }
    type_de_cellule = "slide" if d.ouvre else "subslide"
    tete = new_markdown_cell(id=d.id)
    tete.metadata = NotebookNode(slideshow={"slide_type": type_de_cellule}, diapositive=description)
    cellules = [tete]
    for rang, (planche, fragment) in enumerate(d.contenu):
        sortie = new_output("display_data", {"text/html": html(planche)})
        cellule = new_code_cell(id=f"{d.id}-{rang}", outputs=[sortie])
        cellule.metadata.slideshow = {"slide_type": "fragment" if fragment else "-"}
        cellules.append(cellule)
    minutage = f"**{temps.ecrire_duree(debut)} → {temps.ecrire_duree(fin)}**"
    dites = [minutage]
    for notes in d.paroles(version):
        exercice = temps.ecrire_duree(60 * notes.exercice)
        dites.append(f"**Exercice, {exercice}.** {notes.texte}" if notes.exercice else notes.texte)
    notes = new_markdown_cell("\n\n".join(dites), id=f"{d.id}-notes")
    notes.metadata.slideshow = {"slide_type": "notes"}
    return [*cellules, notes]


def _sources(d: Diapositive) -> str:
    """Écrit la ligne des sources, en HTML ; vide s’il n’y en a pas."""
    liens = [
        f'<a href="{LIVRE}book/annexes.html#ref-{cle}">{reference(cle).court}</a>'
        for cle in d.sources
    ]
    return " · ".join(liens)


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
