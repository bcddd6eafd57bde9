"""Ce que les pages de l’orateur et du participant tirent de l’exposé."""

from pathlib import Path
from typing import Any

from publication import expose, temps
from publication.depot import lire_sommaire
from publication.plan import CHAINE, lire_releve

REJOUER = ".venv/bin/papermill --cwd notebooks {notebook} _build/essai.ipynb"


def versions(racine: Path) -> list[dict[str, str]]:
    """Donne les versions de l’exposé, ce qu’elles durent et le fichier de leurs diapositives."""
    toutes = expose.lire_sans_sorties(racine)
    return [
        {
            "version": temps.NOMS[version],
            "minutes": str(minutes),
            "diapositives": str(sum(expose.parait(d.version, version) for d in toutes)),
            "fichier": temps.FICHIERS[version],
        }
        for version, minutes in temps.VERSIONS.items()
    ]


def etapes(racine: Path) -> list[dict[str, Any]]:
    """Donne les étapes de la démonstration : durée, commande qui la rejoue."""
    lignes = []
    for page in lire_sommaire(racine):
        if page.startswith(CHAINE):
            mesure = lire_releve(racine, page).get("duree")
            lignes.append(
                {
                    "etape": Path(page).stem,
                    "duree": temps.ecrire_duree(mesure) if mesure else "—",
                    "commande": REJOUER.format(notebook=page),
                }
            )
    return lignes


def exercices(racine: Path) -> list[dict[str, Any]]:
    """Donne les essais de la salle : à quelle diapositive, quoi, et en combien de minutes."""
    return [
        {
            "ou": diapositive.titre,
            "essai": notes.texte.removeprefix("À vous. ").replace("`", ""),
            "minutes": str(round(notes.exercice)),
        }
        for diapositive in expose.lire_sans_sorties(racine)
        for notes in diapositive.notes
        if notes.exercice
    ]
