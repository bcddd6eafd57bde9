"""Le temps de l’exposé : prévu par le plan, estimé d’après les notes, mesuré sur la démonstration.

Trois versions, chacune contenue dans la suivante : courte, ordinaire, atelier.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from publication import expose, reference
from publication.depot import ErreurPublication, lire_yaml
from publication.expose import ORDINAIRE, Diapositive
from publication.plan import CHAINE

# Mots par minute : le milieu de la fourchette de 120 à 160 que donne, sans étude à l’appui, un
# formateur à la prise de parole (entrée COACH de references.bib).
DEBIT = 140
# Le plafond de chaque version, en minutes, et la clé de ses minutes dans plan.yaml.
VERSIONS = {"courte": 35, "ordinaire": 45, "atelier": 90}
CLES = {"courte": "courte", ORDINAIRE: "minutes", "atelier": "atelier"}
NOMS = {"courte": "Version courte", ORDINAIRE: "L’exposé", "atelier": "Atelier"}
# Le fichier des diapositives de chaque version.
FICHIERS = {"courte": "courte.html", ORDINAIRE: "index.html", "atelier": "atelier.html"}
# Une section peut dépasser son temps d’un cinquième, et laisser un quart du sien sans paroles.
TOLERANCE = 1.2
PLANCHER = 0.75
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


def duree(texte: str) -> float:
    """Donne le temps qu’il faut pour dire un texte, en secondes."""
    return 60 * len(MOT.findall(LIEN.sub(r"\1", texte))) / DEBIT


def secondes(diapositive: Diapositive, version: str = ORDINAIRE) -> float:
    """Donne le temps de dire les notes d’une diapositive, et de faire son exercice, en secondes."""
    return sum(duree(n.texte) + 60 * n.exercice for n in diapositive.paroles(version))


def paroles(diapositive: Diapositive, version: str = ORDINAIRE) -> float:
    """Donne le temps de dire les notes d’une diapositive, sans son exercice, en secondes."""
    return sum(duree(n.texte) for n in diapositive.paroles(version))


def lire_sections(racine: Path, version: str = ORDINAIRE) -> list[Section]:
    """Donne les sections d’une version, avec le temps que disent les notes et la référence.

    Raises:
        ErreurPublication: si une partie de l’exposé n’est pas dans plan.yaml.
    """
    diapositives = expose.lire_sans_sorties(racine)
    plan = lire_yaml(racine / "book" / "donnees" / "plan.yaml")
    absentes = {d.partie for d in diapositives} - {p.get("expose") for p in plan}
    if absentes:
        raise ErreurPublication(f"plan.yaml n’a pas les parties {sorted(absentes)} de l’exposé.")
    sections = []
    for partie in plan:
        siennes = [d for d in diapositives if d.partie == partie.get("expose")]
        siennes = [d for d in siennes if expose.parait(d.version, version)]
        estime = sum(secondes(d, version) for d in siennes)
        mesure = None
        if isinstance(partie["partie"], dict) and CHAINE in partie["partie"]["adresse"]:
            etapes = [n for n in reference.charger()["durees"] if n[:2].isdigit() and n[0] == "4"]
            mesure = sum(reference.charger()["durees"][n] for n in etapes)
        sections.append(Section(_nom(partie), 60 * partie[CLES[version]], estime, mesure))
    return sections


def debuts(racine: Path, version: str = ORDINAIRE) -> dict[str, float]:
    """Donne, pour chaque partie de l’exposé, l’heure prévue de son début, en secondes."""
    ecoule, heures = 0.0, {}
    for partie in lire_yaml(racine / "book" / "donnees" / "plan.yaml"):
        if nom := partie.get("expose"):
            heures[nom] = ecoule
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


def _nom(partie: dict[str, Any]) -> str:
    nom = partie["partie"]
    return nom["texte"] if isinstance(nom, dict) else nom


def ecrire_duree(secondes: float) -> str:
    """Écrit une durée en minutes et secondes, insécable, avec son signe si elle manque."""
    signe = "−" if round(secondes) < 0 else ""
    minutes, reste = divmod(round(abs(secondes)), 60)
    return f"{signe}{minutes}\u00a0min\u00a0{reste:02}"
