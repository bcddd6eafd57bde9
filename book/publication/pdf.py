"""Les PDF : le jeu de diapositives, le livre et l’affiche, imprimés par Chromium."""

import os
import posixpath
import re
import shutil
import subprocess
import tempfile
from base64 import b64encode
from pathlib import Path

from bs4 import BeautifulSoup, Tag

from publication.depot import (
    ErreurPublication,
    adresse_publiee,
    ecrire,
    lire_sommaire,
    lire_yaml,
)

NOMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
# macOS range un navigateur dans une application, hors du chemin des commandes.
APPLICATIONS = (
    "Google Chrome.app/Contents/MacOS/Google Chrome",
    "Chromium.app/Contents/MacOS/Chromium",
)
DE_SNAP = (
    "Ce Chromium vient de snap, qui ne lui laisse voir que les dossiers non cachés de votre "
    "dossier personnel : placez-y le projet, ou installez un autre navigateur (Google Chrome) et "
    "donnez son chemin dans la variable CHROMIUM."
)
# Une impression qui dure plus est bloquée, pas lente.
DELAI = 180
# Du livre, on imprime le texte des pages, pas leurs boutons.
A_RETIRER = "script, button, .headerlink, .filtre, .prev-next-footer, .btn"
FIGURE = re.compile(r'src="([^":]+\.svg)"')
MOTIF = re.compile(r'<pattern id="([^"]+)".*?</pattern>', re.DOTALL)
TRAIT = re.compile(r'stroke="(#\w+)"')
FOND = re.compile(r'fill="(#\w+)"')
# Les diapositives s’impriment sans reveal.js : une section par page, rien à attendre d’un script.
DIAPOSITIVES = """
@page { size: 1280px 720px; margin: 0; }
/* Une ligature ne se retrouverait pas en cherchant le mot. */
* { -webkit-print-color-adjust: exact; font-variant-ligatures: none; }
body { margin: 0; counter-reset: page-du-jeu; }
aside.notes { display: none; }
.reveal section section {
  position: relative;
  overflow: hidden;
  break-after: page;
  counter-increment: page-du-jeu;
}
.reveal section:last-child > section:last-child { break-after: auto; }
.reveal section section::after {
  position: absolute;
  right: 48px;
  bottom: 10px;
  font-size: 16px;
  content: counter(page-du-jeu);
}
"""
AFFICHE = """<!DOCTYPE html><html lang="fr"><title>Le workflow MLOps complet</title>
<style>@page {{ size: 420mm 297mm; margin: 0; }} body {{ margin: 0; }}
img {{ display: block; width: 420mm; height: 296.8mm; object-fit: contain; }}</style>
<img alt="Le workflow MLOps complet" src="data:image/svg+xml;base64,{dessin}">"""
LIVRE = """
@page { size: A4; margin: 15mm 14mm; }
* { font-variant-ligatures: none; }
html, body { background: white; font-size: 10.5pt; }
article { max-width: none; padding: 0; break-before: page; }
article:first-of-type { break-before: auto; }
figure, img, svg, tr, .admonition { break-inside: avoid; }
h1, h2, h3, caption { break-after: avoid; }
img, svg { max-width: 100%; max-height: 230mm; }
.bd-article table :is(th, td) { padding: 0.25rem 0.35rem; font-size: 8.5pt; }
"""


def imprimer(racine: Path) -> list[Path]:
    """Imprime dans ``_build/pdf`` les diapositives et le livre, déjà construits, et l’affiche.

    Raises:
        ErreurPublication: si Chromium manque ou n’imprime pas.
    """
    chromium = trouver_chromium()
    place = racine / "_build" / "pdf"
    place.mkdir(parents=True, exist_ok=True)
    construction = racine / "_build"
    pages = {
        "diapositives": (construction / "diapositives", etaler(racine)),
        "livre": (construction / "html", reunir(racine)),
    }
    fichiers = []
    for nom, (dossier, page) in pages.items():
        # À côté des fichiers qu’elle demande, le temps d’être imprimée.
        provisoire = dossier / ".impression.html"
        autonome = inserer_les_figures(page, dossier)
        ecrire(provisoire, publier_les_liens(autonome, adresse_publiee(racine)))
        try:
            _imprimer_une(chromium, provisoire.as_uri(), place / f"{nom}.pdf")
        finally:
            provisoire.unlink()
        fichiers.append(place / f"{nom}.pdf")
    return [*fichiers, _imprimer_l_affiche(chromium, place)]


def _imprimer_l_affiche(chromium: str, place: Path) -> Path:
    """Imprime l’affiche sur une page A3, couchée."""
    from publication.schemas import schema

    dessin = b64encode(schema("affiche").svg.encode()).decode()
    provisoire = place / ".affiche.html"
    ecrire(provisoire, AFFICHE.format(dessin=dessin))
    try:
        _imprimer_une(chromium, provisoire.as_uri(), place / "affiche.pdf")
    finally:
        provisoire.unlink()
    return place / "affiche.pdf"


def trouver_chromium() -> str:
    """Donne le chemin de Chromium.

    Raises:
        ErreurPublication: s’il n’est pas installé.
    """
    if choisi := os.environ.get("CHROMIUM"):
        if chemin := shutil.which(choisi):
            return chemin
        raise ErreurPublication(
            f"« {choisi} » n’est pas un programme que l’on puisse lancer : corrigez CHROMIUM."
        )
    dossiers = (Path("/Applications"), Path("~/Applications").expanduser())
    candidats = (*NOMS, *(str(d / nom) for d in dossiers for nom in APPLICATIONS))
    if chemin := next(filter(None, map(shutil.which, candidats)), None):
        return chemin
    raise ErreurPublication(
        "Chromium est introuvable, et c’est lui qui imprime : installez-le (« sudo apt install "
        "chromium » sous Debian, Google Chrome ailleurs) ou donnez son chemin dans la variable "
        "CHROMIUM."
    )


def vient_de_snap(chromium: str) -> bool:
    """Dit si ce Chromium est celui de snap, ou le petit script d’Ubuntu qui y mène."""
    fichier = Path(chromium).resolve()
    if fichier.name == "snap" or "/snap/" in chromium or "snap" in fichier.parts:
        return True
    try:
        return fichier.stat().st_size < 10_000 and b"/snap/" in fichier.read_bytes()
    except OSError:
        return False


def publier_les_liens(page: str, adresse: str) -> str:
    """Fait mener au livre publié les liens d’une page vers d’autres fichiers du livre.

    Un PDF n’a pas de voisins : un lien relatif y mènerait à un dossier de cette machine.
    """

    def remplacer(lien: re.Match[str]) -> str:
        return f'<a{lien[1]}href="{adresse}/{posixpath.normpath(lien[2]).removeprefix("../html/")}"'

    return re.sub(r'<a\b([^>]*?)href="(?![a-z]+:|#)([^"]+)"', remplacer, page)


def inserer_les_figures(page: str, dossier: Path) -> str:
    """Met les figures dans la page, leurs hachures changées en couleurs unies.

    Chromium imprime un motif comme une image de la taille du dessin : le PDF en pèserait sept fois
    plus.
    """

    def inserer(source: re.Match[str]) -> str:
        dessin = (dossier / source[1]).read_text(encoding="utf-8")
        for motif in list(MOTIF.finditer(dessin)):
            couleur = TRAIT.search(motif[0]) or FOND.search(motif[0])
            if couleur:
                dessin = dessin.replace(f"url(#{motif[1]})", couleur[1])
        return f'src="data:image/svg+xml;base64,{b64encode(dessin.encode()).decode()}"'

    return FIGURE.sub(inserer, page)


def etaler(racine: Path) -> str:
    """Rend le jeu de diapositives en pages qui se suivent, sans script."""
    jeu = (racine / "_build" / "diapositives" / "index.html").read_text(encoding="utf-8")
    document = BeautifulSoup(jeu, "html.parser")
    for element in document.select('script, link[rel="preload"], link[href="reveal/reveal.css"]'):
        element.decompose()
    style = document.new_tag("style")
    style.string = DIAPOSITIVES
    document.head.append(style)
    return str(document)


def charger_toutes_les_figures(page: Tag) -> None:
    """Fait charger d’emblée les figures : à l’impression, aucune n’approche."""
    for image in page.select("img[loading]"):
        del image["loading"]


def reunir(racine: Path) -> str:
    """Met bout à bout les articles de toutes les pages ; leurs liens restent dans le document."""
    html = racine / "_build" / "html"
    pages = [re.sub(r"\.\w+$", ".html", page) for page in lire_sommaire(racine)]
    articles = []
    for page in pages:
        document = BeautifulSoup((html / page).read_text(encoding="utf-8"), "html.parser")
        article = document.select_one("article.bd-article")
        for superflu in article.select(A_RETIRER):
            superflu.decompose()
        for repli in article.select("details"):
            repli["open"] = ""
        charger_toutes_les_figures(article)
        _situer(article, page, pages)
        articles.append(str(article))
    titre = lire_yaml(racine / "_config.yml")["title"]
    # Les feuilles du thème, telles que la première page les demande.
    feuilles = [lien["href"] for lien in document.select('link[rel="stylesheet"]')]
    liens = "".join(f'<link rel="stylesheet" href="{_depuis(page, f)}">' for f in feuilles)
    return (
        f'<!DOCTYPE html><html lang="fr" data-theme="light"><head><meta charset="utf-8">'
        f"<title>{titre}</title>{liens}<style>{LIVRE}</style></head>"
        f"<body><main>{''.join(articles)}</main></body></html>"
    )


def _situer(article: Tag, page: str, pages: list[str]) -> None:
    """Récrit les ancres et les adresses d’un article pour le document réuni."""
    article["id"] = _ancre(page, "")
    for element in article.select("[id]"):
        element["id"] = _ancre(page, element["id"])
    for image in article.select("img[src]"):
        image["src"] = _depuis(page, image["src"])
    for lien in article.select("a[href]"):
        cible, diese, ancre = lien["href"].partition("#")
        if "://" in cible or cible.startswith("mailto:"):
            continue
        visee = _depuis(page, cible) if cible else page
        lien["href"] = f"#{_ancre(visee, ancre)}" if visee in pages else f"{visee}{diese}{ancre}"


def _ancre(page: str, ancre: str) -> str:
    """Donne une ancre unique dans le document réuni."""
    return f"{Path(page).stem}--{ancre}" if ancre else Path(page).stem


def _depuis(page: str, adresse: str) -> str:
    """Donne l’adresse, depuis la racine du livre, d’un fichier que cite une page."""
    return posixpath.normpath(posixpath.join(posixpath.dirname(page), adresse))


def _imprimer_une(chromium: str, adresse: str, fichier: Path) -> None:
    """Imprime une page, dans un profil jetable et sans réseau.

    Le profil est à côté du PDF : snap ne laisse pas voir /tmp à son Chromium.
    """
    fichier.unlink(missing_ok=True)
    with tempfile.TemporaryDirectory(dir=fichier.parent, prefix="profil-") as profil:
        commande = [
            chromium,
            "--headless",
            "--disable-gpu",
            "--no-first-run",
            f"--user-data-dir={profil}",
            "--host-resolver-rules=MAP * ~NOTFOUND",
            "--no-pdf-header-footer",
            f"--print-to-pdf={fichier}",
        ]
        # Chromium refuse son bac à sable au compte root, celui des conteneurs.
        commande += ["--no-sandbox"] if os.geteuid() == 0 else []
        try:
            resultat = subprocess.run(
                [*commande, adresse], capture_output=True, text=True, timeout=DELAI, check=False
            )
        except subprocess.TimeoutExpired as erreur:
            raise ErreurPublication(
                f"Chromium n’a pas imprimé {fichier.name} en {DELAI} secondes."
            ) from erreur
    if not fichier.is_file():
        raise ErreurPublication(
            DE_SNAP
            if vient_de_snap(chromium)
            else f"Chromium n’a pas imprimé {fichier.name} : {resultat.stderr.strip()[-300:]}"
        )
