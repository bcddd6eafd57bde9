"""Le tableau qui termine la démonstration : durées, mémoire et résumé de chaque étape."""

import textwrap
from pathlib import Path
from typing import Any

COLONNES = ("étape", "durée", "noyau", "imports", "mémoire")


def recapituler(etapes: list[tuple[str, dict[str, Any]]], total: float, largeur: int = 88) -> str:
    """Met en tableau les relevés des étapes ; le total compte aussi la préparation."""
    lignes = [f"{'':22}{''.join(f'{nom:>10}' for nom in COLONNES[1:])}"]
    for chemin, releve in etapes:
        chiffres = [_secondes(releve[cle]) for cle in ("duree", "noyau", "imports")]
        chiffres.append(f"{releve['memoire_mo']} Mo")
        lignes.append(f"{Path(chemin).stem:22}{''.join(f'{c:>10}' for c in chiffres)}")
        resume = releve["resultat"]["resume"]
        lignes += textwrap.wrap(resume, largeur, initial_indent="  ", subsequent_indent="  ")
    somme = {c: sum(releve[c] for _, releve in etapes) for c in ("noyau", "imports")}
    lignes.append(
        f"Total : {_secondes(total)}, préparation comprise. Dès la deuxième étape, le noyau "
        f"démarre ({_secondes(somme['noyau'])} en tout) et importe ({_secondes(somme['imports'])}) "
        "pendant la précédente : sa durée ne les compte pas."
    )
    return "\n".join(lignes)


def _secondes(valeur: float) -> str:
    """Écrit une durée à la française, au dixième."""
    return f"{valeur:.1f} s".replace(".", ",")
