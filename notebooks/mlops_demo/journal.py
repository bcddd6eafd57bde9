"""Le journal des promotions et des retours : qui, quand, quelle version, pourquoi.

En ajout seul : la base refuse toute modification. En cas de désaccord avec les alias du
registre, c’est lui qui fait foi.
"""

import json

import pandas as pd
import sqlalchemy as sa

from mlops_demo import base
from mlops_demo.configuration import utilisateur

CHANGEMENTS = ("promotion", "promotion forcée", "retour arrière", "reprise")


def inscrire(
    connexion: sa.Connection,
    action: str,
    version: int,
    version_precedente: int | None,
    date_simulee: str,
    raison: str,
    details: dict | None = None,
) -> None:
    """Ajoute une ligne au journal, dans la transaction donnée."""
    connexion.execute(
        sa.text(
            "INSERT INTO journal (date_simulee, auteur, action, version, version_precedente,"
            " raison, details) VALUES (:date, :auteur, :action, :version, :precedente, :raison,"
            " CAST(:details AS jsonb))"
        ),
        {
            "date": date_simulee,
            "auteur": utilisateur(),
            "action": action,
            "version": version,
            "precedente": version_precedente,
            "raison": raison,
            "details": json.dumps(details or {}, ensure_ascii=False),
        },
    )


def tout() -> pd.DataFrame:
    """Le journal entier, du plus ancien au plus récent."""
    return base.lire("SELECT * FROM journal ORDER BY id")


def champion() -> int | None:
    """Version en service d’après le journal ; rien s’il n’y a jamais eu de promotion."""
    lignes = base.lire(
        "SELECT version FROM journal WHERE action = ANY($1) ORDER BY id DESC LIMIT 1",
        list(CHANGEMENTS),
    )
    return int(lignes["version"].iloc[0]) if len(lignes) else None


def forcee(version: int) -> bool:
    """Vrai si cette version a été mise en service sans passer le gate."""
    lignes = base.lire(
        "SELECT 1 AS oui FROM journal WHERE version = $1 AND action = 'promotion forcée' LIMIT 1",
        version,
    )
    return not lignes.empty


def precedente(version: int) -> int | None:
    """Version que ``version`` a remplacée, la dernière fois qu’elle a été promue."""
    lignes = base.lire(
        "SELECT version_precedente FROM journal WHERE version = $1"
        " AND action IN ('promotion', 'promotion forcée') ORDER BY id DESC LIMIT 1",
        version,
    )
    if lignes.empty or pd.isna(lignes["version_precedente"].iloc[0]):
        return None
    return int(lignes["version_precedente"].iloc[0])
