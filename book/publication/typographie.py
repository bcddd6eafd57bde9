"""Les espaces insécables du français, que personne n’a à taper."""

import re

FINE = re.compile(r" (?=[;!?])")
NORMALE = re.compile(r" (?=[:»%])|(?<=«) |(?<=\d) (?=(?:h|min|s|Mo|Go|minutes|secondes)\b)")


def insecables(texte: str) -> str:
    """Rend insécables les espaces qui précèdent une ponctuation double ou une unité."""
    return NORMALE.sub("\u00a0", FINE.sub("\u202f", texte))
