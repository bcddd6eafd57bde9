"""Les espaces insécables du français, que personne n’a à taper."""

import re

FINE = re.compile(r" (?=[;!?])")
NORMALE = re.compile(
    r" (?=[:»%])|(?<=«) |(?<=\d) (?=(?:h|min|s|Mo|Go|minutes|secondes)\b)|(?<=\bCC) (?=BY\b)"
    r"|(?<=\bCC BY) (?=\d)"
)


def insecables(texte: str) -> str:
    """Rend insécables les espaces d’une ponctuation double, d’une unité et de « CC BY 4.0 »."""
    return NORMALE.sub("\u00a0", FINE.sub("\u202f", texte))
