"""Le temps de l’exposé : prévu par le plan, estimé d’après les notes, mesuré sur la démo.

Trois versions, chacune contenue dans la suivante : courte, ordinaire, atelier. Une cellule de
diapositive ou de notes dit dans ``slideshow.version`` la plus petite où elle paraît ; si elle ne
le dit pas, c’est la courte. En atelier, ``slideshow.exercice`` est le temps, en minutes, laissé à
la salle pour essayer.
"""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from publication.depot import ErreurPublication, lire_sommaire, lire_yaml
from publication.plan import CHAINE, lire_releve

# Mots par minute : le milieu de la fourchette de 120 à 160 que donne, sans étude à l’appui, un
# formateur à la prise de parole (entrée COACH de references.bib).
DEBIT = 140
# Le plafond de chaque version, en minutes, et la clé de ses minutes dans plan.yaml.
VERSIONS = {"courte": 35, "ordinaire": 45, "atelier": 90}
ORDINAIRE = "ordinaire"
CLES = {"courte": "courte", ORDINAIRE: "minutes", "atelier": "atelier"}
NOMS = {"courte": "Version courte", ORDINAIRE: "L’exposé", "atelier": "Atelier"}
# Le fichier des diapositives de chaque version.
FICHIERS = {"courte": "courte.html", ORDINAIRE: "index.html", "atelier": "atelier.html"}
# Une section peut dépasser son temps d’un cinquième, et laisser un quart du sien sans paroles.
TOLERANCE = 1.2
PLANCHER = 0.75
# Les types de cellule qui commencent une diapositive.
DEBUTS = {"slide", "subslide"}
LIEN = re.compile(r"\[([^\]]*)\]\([^)]*\)")
MOT = re.compile(r"\w[\w’'-]*")


@dataclass(frozen=True)
class Section:
    """Une section de l’exposé ; les durées sont en secondes."""

    nom: str
    prevu: float
    estime: float
    mesure: float | None

    @property
    def retenu(self) -> float:
        """Le temps à compter : on parle pendant que la démonstration tourne."""
        return max(self.estime, self.mesure or 0)


def duree(notes: str) -> float:
    """Donne le temps qu’il faut pour dire des notes, en secondes."""
    texte = LIEN.sub(r"\1", notes)
    return 60 * len(MOT.findall(texte)) / DEBIT


def exercice(cellule: dict[str, Any]) -> float:
    """Donne le temps que des notes laissent à la salle pour essayer, en secondes."""
    return 60 * cellule["metadata"].get("slideshow", {}).get("exercice", 0)


def notes(cellule: dict[str, Any]) -> bool:
    """Vrai pour une cellule de notes de l’orateur."""
    return cellule["metadata"].get("slideshow", {}).get("slide_type") == "notes"


def retenues(cellules: list[dict[str, Any]], version: str) -> list[dict[str, Any]]:
    """Donne les cellules qui paraissent dans une version ; la suite d’une diapositive la suit.

    Raises:
        ErreurPublication: si une cellule nomme une version qui n’existe pas.
    """
    ordre = list(VERSIONS)
    gardees, diapositive = [], 0
    for cellule in cellules:
        reglages = cellule["metadata"].get("slideshow", {})
        nom = reglages.get("version", ordre[0])
        if nom not in ordre:
            raise ErreurPublication(f"la cellule {cellule['id']} est d’une version « {nom} ».")
        rang = ordre.index(nom)
        if reglages.get("slide_type") in DEBUTS:
            diapositive = rang
        if not reglages or max(rang, diapositive) <= ordre.index(version):
            gardees.append(cellule)
    return gardees


def lire_sections(racine: Path, version: str = ORDINAIRE) -> list[Section]:
    """Donne les sections d’une version, avec le temps que disent les notes et les relevés."""
    sections = []
    for partie, pages in repartir(racine):
        estime = sum(_duree_des_notes(racine / page, version) for page in pages)
        etapes = [page for page in pages if page.startswith(CHAINE)]
        mesure = sum(lire_releve(racine, page).get("duree", 0) for page in etapes)
        prevu = 60 * partie[CLES[version]]
        sections.append(Section(_nom(partie), prevu, estime, mesure or None))
    return sections


def repartir(racine: Path) -> list[tuple[dict[str, Any], list[str]]]:
    """Range les notebooks du sommaire dans les parties du plan.

    Une page appartient à la dernière partie dont la page d’ouverture la précède ; celles d’avant la
    première ouverture sont à la première partie.

    Raises:
        ErreurPublication: si le plan cite une page qui n’est pas au sommaire.
    """
    pages = [page for page in lire_sommaire(racine) if page.endswith(".ipynb")]
    parties = [(partie, []) for partie in lire_yaml(racine / "book" / "donnees" / "plan.yaml")]
    ouvertures = {_page(partie, racine): contenu for partie, contenu in parties}
    absentes = ouvertures.keys() - {"", *pages}
    if absentes:
        raise ErreurPublication(f"plan.yaml cite des pages absentes : {sorted(absentes)}.")
    contenu = parties[0][1]
    for page in pages:
        contenu = ouvertures.get(page, contenu)
        contenu.append(page)
    return parties


def debuts(racine: Path, version: str = ORDINAIRE) -> dict[str, float]:
    """Donne, pour la page d’ouverture de chaque partie, l’heure prévue, en secondes."""
    ecoule, heures = 0.0, {}
    for partie, pages in repartir(racine):
        if pages:
            heures[pages[0]] = ecoule
        ecoule += 60 * partie[CLES[version]]
    return heures


def depassements(sections: list[Section], version: str = ORDINAIRE) -> list[str]:
    """Dit en quoi une version ne tient pas dans son temps ; rien si elle tient."""
    fautes = [
        f"« {s.nom} » prend {ecrire_duree(s.retenu)} pour {ecrire_duree(s.prevu)} prévues"
        for s in sections
        if s.retenu > s.prevu * TOLERANCE
    ]
    fautes += [
        f"« {s.nom} » n’occupe que {ecrire_duree(s.retenu)} des {ecrire_duree(s.prevu)} prévues"
        for s in sections
        if 0 < s.retenu < s.prevu * PLANCHER
    ]
    plafond = VERSIONS[version]
    for mot, total in (("prévu", _total(sections)), ("estimé", total_retenu(sections))):
        if total > 60 * plafond:
            fautes.append(f"le temps {mot} est de {ecrire_duree(total)}, au-delà de {plafond} min")
    return fautes


def en_lignes(sections: list[Section], version: str = ORDINAIRE) -> list[dict[str, str]]:
    """Donne le plan en lignes : prévu, estimé, mesuré, marge, puis leur total."""
    lignes = [
        {
            "partie": s.nom,
            "prevu": ecrire_duree(s.prevu),
            "estime": ecrire_duree(s.estime),
            "mesure": ecrire_duree(s.mesure) if s.mesure else "—",
            "marge": ecrire_duree(s.prevu - s.retenu),
        }
        for s in sections
    ]
    retenu = total_retenu(sections)
    total = {
        "partie": "Total, questions comprises",
        "prevu": ecrire_duree(_total(sections)),
        "estime": ecrire_duree(retenu),
        "mesure": "",
        "marge": ecrire_duree(60 * VERSIONS[version] - retenu),
    }
    return [*lignes, total]


def presenter(racine: Path) -> str:
    """Met en tableaux le plan des trois versions."""
    blocs = []
    for version, plafond in VERSIONS.items():
        titre = f"{NOMS[version]}, {plafond} min"
        lignes = [f"{titre:52}{'prévu':>10}{'estimé':>10}{'mesuré':>10}{'marge':>10}"]
        for ligne in en_lignes(lire_sections(racine, version), version):
            partie, *durees = ligne.values()
            lignes.append(f"{partie:52}" + "".join(f"{duree:>10}" for duree in durees))
        blocs.append("\n".join(lignes))
    blocs.append(
        f"Estimé : les mots des notes de l’orateur, à {DEBIT} par minute (milieu de la fourchette\n"
        "de 120 à 160 que donne un formateur, sans étude à l’appui), et les exercices.\n"
        "Mesuré : la dernière exécution de la démonstration. On parle pendant qu’elle tourne :\n"
        "le plus long des deux est compté."
    )
    return "\n\n".join(blocs)


def _total(sections: list[Section]) -> float:
    return sum(section.prevu for section in sections)


def total_retenu(sections: list[Section]) -> float:
    """Compte une section sans notes, comme les questions, pour ce qui est prévu."""
    return sum(section.retenu or section.prevu for section in sections)


def _page(partie: dict[str, Any], racine: Path) -> str:
    """Donne la page où commence une partie du plan, depuis la racine ; vide si elle n’en a pas."""
    if not isinstance(partie["partie"], dict):
        return ""
    chemin = racine / "book" / partie["partie"]["adresse"]
    return chemin.resolve().relative_to(racine.resolve()).as_posix()


def _nom(partie: dict[str, Any]) -> str:
    nom = partie["partie"]
    return nom["texte"] if isinstance(nom, dict) else nom


def _duree_des_notes(notebook: Path, version: str) -> float:
    """Donne le temps de dire les notes d’un notebook, et de faire ses exercices."""
    cellules = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    gardees = [c for c in retenues(cellules, version) if notes(c)]
    return sum(duree("".join(c["source"])) + exercice(c) for c in gardees)


def ecrire_duree(secondes: float) -> str:
    """Écrit une durée en minutes et secondes, insécable, avec son signe si elle manque."""
    signe = "−" if round(secondes) < 0 else ""
    minutes, reste = divmod(round(abs(secondes)), 60)
    return f"{signe}{minutes}\u00a0min\u00a0{reste:02}"
