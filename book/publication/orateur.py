"""Ce que les pages de l’orateur et du participant tirent des métadonnées des notebooks."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from publication import temps
from publication.depot import lire_sommaire
from publication.plan import CHAINE, lire_releve

TITRE = re.compile(r"#+ +(.+)")
REJOUER = ".venv/bin/papermill --cwd notebooks {notebook} _build/essai.ipynb"


def versions(racine: Path) -> list[dict[str, str]]:
    """Donne les versions de l’exposé, ce qu’elles durent et le fichier de leurs diapositives."""
    return [
        {
            "version": temps.NOMS[version],
            "minutes": str(minutes),
            "diapositives": str(sum(1 for _ in _diapositives(racine, version))),
            "fichier": temps.FICHIERS[version],
        }
        for version, minutes in temps.VERSIONS.items()
    ]


def etapes(racine: Path) -> list[dict[str, Any]]:
    """Donne les étapes de la démonstration : diapositives, durée, commande qui la rejoue."""
    titres: dict[str, list[str]] = {}
    for page, titre in _diapositives(racine, temps.ORDINAIRE):
        titres.setdefault(page, []).append(titre)
    lignes = []
    for page in lire_sommaire(racine):
        if page.startswith(CHAINE):
            mesure = lire_releve(racine, page).get("duree")
            lignes.append(
                {
                    "etape": Path(page).stem,
                    "diapositives": titres.get(page, ["aucune"]),
                    "duree": temps.ecrire_duree(mesure) if mesure else "—",
                    "commande": REJOUER.format(notebook=page),
                }
            )
    return lignes


def exercices(racine: Path) -> list[dict[str, Any]]:
    """Donne les essais de l’atelier : où, quoi, et en combien de minutes."""
    return [
        {
            "ou": {"texte": _titre(_cellules(racine, page)[0]), "adresse": _depuis_book(page)},
            "essai": "".join(cellule["source"]).removeprefix("À vous. ").replace("`", ""),
            "minutes": str(round(temps.exercice(cellule) / 60)),
        }
        for page in _pages(racine)
        for cellule in temps.retenues(_cellules(racine, page), "atelier")
        if temps.exercice(cellule)
    ]


def _diapositives(racine: Path, version: str) -> Iterator[tuple[str, str]]:
    """Parcourt les diapositives d’une version : leur page et leur titre."""
    for page in _pages(racine):
        titre = ""
        for cellule in temps.retenues(_cellules(racine, page), version):
            titre = _titre(cellule) or titre
            reglages = cellule["metadata"].get("slideshow", {})
            if reglages.get("slide_type") in temps.DEBUTS:
                yield page, reglages.get("titre", titre)


def _pages(racine: Path) -> list[str]:
    return [page for page in lire_sommaire(racine) if page.endswith(".ipynb")]


def _cellules(racine: Path, page: str) -> list[dict[str, Any]]:
    return json.loads((racine / page).read_text(encoding="utf-8"))["cells"]


def _titre(cellule: dict[str, Any]) -> str:
    """Donne le titre qui ouvre une cellule de texte ; vide si elle n’en a pas."""
    trouve = TITRE.match("".join(cellule["source"]))
    return trouve[1] if trouve and cellule["cell_type"] == "markdown" else ""


def _depuis_book(page: str) -> str:
    return page.removeprefix("book/") if page.startswith("book/") else f"../{page}"
