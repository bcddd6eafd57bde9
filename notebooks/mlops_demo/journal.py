"""Le journal des promotions et des retours : qui, quand, quelle version, pourquoi.

En ajout seul : la base refuse toute modification. En cas de désaccord avec les alias du
registre, c’est lui qui fait foi.
"""

import json
from datetime import datetime

import pandas as pd
import sqlalchemy as sa

from mlops_demo import base
from mlops_demo.configuration import utilisateur

ACCEPTATIONS = ("promotion", "promotion forcée")
CHANGEMENTS = (*ACCEPTATIONS, "retour arrière", "reprise")


def inscrire(
    connexion: sa.Connection,
    action: str,
    version: int,
    version_precedente: int | None,
    date_simulee: str,
    raison: str,
    details: dict | None = None,
    empreinte: str | None = None,
) -> None:
    """Ajoute une ligne au journal, dans la transaction donnée."""
    connexion.execute(
        sa.text(
            "INSERT INTO journal (date_simulee, auteur, action, version, version_precedente,"
            " raison, details, empreinte) VALUES (:date, :auteur, :action, :version, :precedente,"
            " :raison, CAST(:details AS jsonb), :empreinte)"
        ),
        {
            "date": date_simulee,
            "auteur": utilisateur(),
            "action": action,
            "version": version,
            "precedente": version_precedente,
            "raison": raison,
            "details": json.dumps(details or {}, ensure_ascii=False),
            "empreinte": empreinte,
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


def acceptation(version: int) -> tuple[bool, str | None]:
    """Si une version a été acceptée, et l’empreinte des fichiers qui l’ont été la dernière fois."""
    lignes = base.lire(
        "SELECT empreinte FROM journal WHERE version = $1 AND action = ANY($2)"
        " ORDER BY id DESC LIMIT 1",
        version,
        list(ACCEPTATIONS),
    )
    # Une colonne sans aucune valeur se lit NaN.
    prise = lignes["empreinte"].astype(object).where(lignes["empreinte"].notna(), None)
    return (True, prise.iloc[0]) if len(lignes) else (False, None)


def mise_en_service(version: int, avant: datetime) -> dict:
    """Qui a mis une version en service pour la dernière fois avant un instant, quand, pourquoi.

    Returns:
        ``en_service_depuis``, ``en_service_par`` et ``en_service_pour`` ; rien si elle ne l’était
        pas.
    """
    lignes = base.lire(
        "SELECT horodatage AS en_service_depuis, auteur AS en_service_par,"
        " action || ' : ' || raison AS en_service_pour FROM journal"
        " WHERE version = $1 AND action = ANY($2) AND horodatage <= $3 ORDER BY id DESC LIMIT 1",
        version,
        list(CHANGEMENTS),
        avant,
    )
    return lignes.iloc[0].to_dict() if len(lignes) else {}


def forcee(version: int) -> bool:
    """Vrai si cette version a été mise en service sans passer le gate."""
    lignes = base.lire(
        "SELECT 1 AS oui FROM journal WHERE version = $1 AND action = 'promotion forcée' LIMIT 1",
        version,
    )
    return not lignes.empty


def precedente(version: int) -> int | None:
    """Version à laquelle revient un retour arrière depuis ``version``.

    Les champions s’empilent. Un retour arrière ou une reprise oublie ceux qui ont suivi celui
    qu’il remet : une version retirée ne revient que si elle est promue de nouveau.
    """
    lignes = base.lire(
        "SELECT action, version FROM journal WHERE action = ANY($1) ORDER BY id",
        list(CHANGEMENTS),
    )
    pile: list[int] = []
    for action, mise in lignes.itertuples(index=False):
        if action in ("retour arrière", "reprise") and mise in pile:
            while pile[-1] != mise:
                pile.pop()
        elif pile[-1:] != [mise]:  # se remplacer soi-même ne change rien
            pile.append(mise)
    while pile and pile[-1] != version:
        pile.pop()
    return int(pile[-2]) if len(pile) > 1 else None
