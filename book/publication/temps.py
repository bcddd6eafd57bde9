"""Le temps de l’exposé : prévu par le plan, estimé d’après les notes, mesuré sur la démo."""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from publication.depot import ErreurPublication, lire_sommaire, lire_yaml
from publication.plan import CHAINE, lire_releve

# Mots par minute : le milieu de la fourchette de 120 à 160 que donnent, sans étude à l’appui, des
# formateurs à la prise de parole (coachingprisedeparole.fr et felobel.be, lus en extraits en 2026).
DEBIT = 140
DUREE_MAXIMALE = 45 * 60
# Une section peut dépasser son temps d’un cinquième.
TOLERANCE = 1.2
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


def notes(cellule: dict[str, Any]) -> bool:
    """Vrai pour une cellule de notes de l’orateur."""
    return cellule["metadata"].get("slideshow", {}).get("slide_type") == "notes"


def lire_sections(racine: Path) -> list[Section]:
    """Donne les sections du plan, avec le temps que disent les notes et les relevés."""
    sections = []
    for partie, pages in repartir(racine):
        estime = sum(_duree_des_notes(racine / page) for page in pages)
        etapes = [page for page in pages if page.startswith(CHAINE)]
        mesure = sum(lire_releve(racine, page).get("duree", 0) for page in etapes)
        sections.append(Section(_nom(partie), 60 * partie["minutes"], estime, mesure or None))
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


def debuts(racine: Path) -> dict[str, float]:
    """Donne, pour la page d’ouverture de chaque partie, l’heure prévue, en secondes."""
    ecoule, heures = 0.0, {}
    for partie, pages in repartir(racine):
        if pages:
            heures[pages[0]] = ecoule
        ecoule += 60 * partie["minutes"]
    return heures


def depassements(sections: list[Section]) -> list[str]:
    """Dit en quoi l’exposé ne tient pas dans son temps ; rien s’il tient."""
    fautes = [
        f"« {s.nom} » prend {ecrire_duree(s.retenu)} pour {ecrire_duree(s.prevu)} prévues"
        for s in sections
        if s.retenu > s.prevu * TOLERANCE
    ]
    for mot, total in (("prévu", _total(sections)), ("estimé", _total_retenu(sections))):
        if total > DUREE_MAXIMALE:
            fautes.append(f"le temps {mot} est de {ecrire_duree(total)}, au-delà de 45 min")
    return fautes


def presenter(sections: list[Section]) -> str:
    """Met le plan en tableau : prévu, estimé, mesuré, marge."""
    lignes = [f"{'':46}{'prévu':>10}{'estimé':>10}{'mesuré':>10}{'marge':>10}"]
    for s in sections:
        mesure = ecrire_duree(s.mesure) if s.mesure else "—"
        marge = ecrire_duree(s.prevu - s.retenu)
        lignes.append(
            f"{s.nom:46}{ecrire_duree(s.prevu):>10}{ecrire_duree(s.estime):>10}{mesure:>10}{marge:>10}"
        )
    prevu, retenu = _total(sections), _total_retenu(sections)
    lignes.append(
        f"{'Total, questions comprises':46}{ecrire_duree(prevu):>10}{ecrire_duree(retenu):>10}"
        f"{'':10}{ecrire_duree(DUREE_MAXIMALE - retenu):>10}"
    )
    lignes.append(
        f"Estimé : les mots des notes de l’orateur, à {DEBIT} par minute (milieu de la fourchette\n"
        "de 120 à 160 que donnent des formateurs, sans étude à l’appui). Mesuré : la dernière\n"
        "exécution de la démonstration. On parle pendant qu’elle tourne : le plus long des deux\n"
        "est compté."
    )
    return "\n".join(lignes)


def _total(sections: list[Section]) -> float:
    return sum(section.prevu for section in sections)


def _total_retenu(sections: list[Section]) -> float:
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


def _duree_des_notes(notebook: Path) -> float:
    cellules = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    return sum(duree("".join(c["source"])) for c in cellules if notes(c))


def ecrire_duree(secondes: float) -> str:
    """Écrit une durée en minutes et secondes, avec son signe si elle manque."""
    signe = "−" if round(secondes) < 0 else ""
    minutes, reste = divmod(round(abs(secondes)), 60)
    return f"{signe}{minutes} min {reste:02}"
