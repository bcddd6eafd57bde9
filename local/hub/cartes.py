"""Les cartes des participants : un nom et un mot de passe tirés d’une seule clé secrète.

Rien à enregistrer : qui a la clé retrouve toutes les cartes, qui n’a qu’une carte n’en déduit
aucune autre. Bibliothèque standard seulement : le hub et le script de lancement s’en servent.
"""

import base64
import hashlib
import hmac

ORATEUR = "orateur"


def noms(participants: int) -> list[str]:
    """Les noms des cartes : l’orateur, qui administre, puis les invités."""
    return [ORATEUR, *(f"invite{i:02d}" for i in range(1, participants + 1))]


def _derive(cle: str, usage: str, nom: str) -> str:
    condense = hmac.digest(cle.encode(), f"{usage}:{nom}".encode(), hashlib.sha256)
    return base64.b32encode(condense).decode().lower()


def mot_de_passe(cle: str, nom: str) -> str:
    """Le mot de passe d’une carte : 60 bits, sans 0, 1 ni 8, que l’on recopie mal."""
    return _a_recopier(_derive(cle, "carte", nom))


def mot_de_passe_mlflow(cle: str, nom: str) -> str:
    """Le mot de passe du compte MLflow d’une carte, que le navigateur demande."""
    return _a_recopier(_derive(cle, "mlflow", nom))


def _a_recopier(lettres: str) -> str:
    return "-".join(lettres[i : i + 4] for i in (0, 4, 8))


def mot_de_passe_de_base(cle: str, nom: str) -> str:
    """Le mot de passe du rôle Postgres d’un participant, qu’aucune carte ne montre."""
    return _derive(cle, "base", nom)[:32]


def reconnu(cle: str, nom: str, saisi: str) -> bool:
    """Dit si le mot de passe saisi est celui de la carte, majuscules et tirets mis à part."""
    lettres = "".join(c for c in saisi.lower() if c.isascii() and c.isalnum())
    return hmac.compare_digest(lettres, mot_de_passe(cle, nom).replace("-", ""))
