"""Noter et mesurer part par part : des statistiques qui s’additionnent, une seule fusion.

Chaque part (des jours entiers) est lue, notée et résumée par un pod qui ne garde rien des autres.
Le résumé est fait de comptes et de sommes : la somme des résumés est le résumé du tout, dans
n’importe quel ordre et quel que soit le découpage. Rien n’a besoin d’un moteur réparti.
"""

import itertools
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields

import numpy as np
import pandas as pd
import sqlalchemy as sa

from mlops_demo import base, evaluation
from mlops_demo.configuration import ErreurUtilisateur, utilisateur

CASES = 1000  # de l’histogramme des probabilités, d’où l’on tire l’AUC et ses bornes

TABLE = """
CREATE TABLE IF NOT EXISTS statistiques (
    campagne_id bigint NOT NULL REFERENCES campagnes ON DELETE CASCADE,
    part integer NOT NULL CHECK (part >= 0),
    parts integer NOT NULL CHECK (parts > part),
    debut date NOT NULL,
    fin date NOT NULL CHECK (fin > debut),
    version_modele integer NOT NULL CHECK (version_modele > 0),
    contenu jsonb NOT NULL,
    PRIMARY KEY (campagne_id, part)
)"""


@dataclass(frozen=True)
class Statistiques:
    """Ce qu’il faut garder d’une part pour mesurer le tout."""

    vols: int
    retards: int
    somme_proba: float
    somme_brier: float
    somme_log_loss: float
    a_l_heure: np.ndarray  # effectif par case de probabilité, vols arrivés à l’heure
    en_retard: np.ndarray  # de même, vols en retard
    sans_etiquette: np.ndarray  # de même, vols dont le retard n’est pas connu

    def __add__(self, autre: "Statistiques") -> "Statistiques":
        """Le résumé de deux parts réunies."""
        noms = [champ.name for champ in fields(self)]
        return Statistiques(*(getattr(self, n) + getattr(autre, n) for n in noms))

    def en_json(self) -> str:
        """Le résumé, écrit."""
        return json.dumps(asdict(self), default=np.ndarray.tolist)


VIDE = Statistiques(0, 0, 0.0, 0.0, 0.0, *(np.zeros(CASES, "int64") for _ in range(3)))


def resumer(late: np.ndarray, proba: np.ndarray) -> Statistiques:
    """Résume des vols notés.

    Args:
        late: 1, 0, ou NaN tant que le retard n’est pas connu.
        proba: probabilité de retard annoncée, dans [0 ; 1].
    """
    case = np.minimum((proba * CASES).astype("int64"), CASES - 1)
    connus = ~np.isnan(late)
    comptes = [
        np.bincount(case[choix], minlength=CASES) for choix in (late == 0, late == 1, ~connus)
    ]
    observe, annonce = late[connus], proba[connus]
    return Statistiques(
        len(late),
        int((late == 1).sum()),
        float(annonce.sum()),
        float(((annonce - observe) ** 2).sum()),
        float(evaluation.pertes(observe, annonce).sum()),
        *comptes,
    )


def depuis_json(texte: str | dict) -> Statistiques:
    """Le résumé relu, d’un texte ou de ce que Postgres en rend."""
    lu = json.loads(texte) if isinstance(texte, str) else texte
    return Statistiques(**{n: np.array(v) if isinstance(v, list) else v for n, v in lu.items()})


def fusionner(parts: Iterable[Statistiques]) -> Statistiques:
    """Le résumé du tout."""
    return sum(parts, VIDE)


def mesurer(total: Statistiques) -> dict[str, float]:
    """Les mesures de ``evaluation.mesurer``, tirées du résumé ; l’AUC, de son histogramme.

    Returns:
        Mêmes noms ; en plus, ``auc_bas`` et ``auc_haut`` : l’AUC exacte est entre les deux. Deux
        vols d’une même case comptent pour moitié dans ``auc``, pour rien ou pour un dans ces
        bornes.

    Raises:
        ErreurUtilisateur: une seule classe observée.
    """
    etiquetes = int(total.a_l_heure.sum() + total.en_retard.sum())
    if not 0 < total.retards < etiquetes:
        raise ErreurUtilisateur(
            "une seule classe est observée : aucune mesure n’a de sens. Élargissez la période."
        )
    taux, brier = total.retards / etiquetes, total.somme_brier / etiquetes
    plus_bas = np.cumsum(total.a_l_heure) - total.a_l_heure
    paires = total.retards * (etiquetes - total.retards)
    bas = float((total.en_retard * plus_bas).sum() / paires)
    egales = float((total.en_retard * total.a_l_heure).sum() / paires)
    return {
        "etiquetes": etiquetes,
        "taux_observe": taux,
        "proba_moyenne": total.somme_proba / etiquetes,
        "biais": total.somme_proba / etiquetes - taux,
        "auc": bas + egales / 2,
        "auc_bas": bas,
        "auc_haut": bas + egales,
        "log_loss": total.somme_log_loss / etiquetes,
        "brier": brier,
        "brier_skill": 1 - brier / (taux * (1 - taux)),
    }


def bornes(debut: str, fin: str, parts: int) -> list[tuple[str, str]]:
    """Découpe une période en parts de jours entiers, premier jour compris, dernier exclu.

    Raises:
        ErreurUtilisateur: période vide, dates illisibles, plus de parts que de jours.
    """
    try:
        jours = pd.date_range(debut, fin, inclusive="left")
    except ValueError as erreur:
        raise ErreurUtilisateur(f"« {debut} » ou « {fin} » n’est pas un jour AAAA-MM-JJ.") from (
            erreur
        )
    if not 1 <= parts <= len(jours):
        raise ErreurUtilisateur(
            f"du {debut} au {fin} (exclu) il y a {len(jours)} jours : on ne peut pas en faire "
            f"{parts} parts. Donnez un nombre de parts entre 1 et {len(jours)}."
        )
    coupes = [jours[i * len(jours) // parts] for i in range(parts)] + [pd.Timestamp(fin)]
    ecrites = [f"{coupe:%Y-%m-%d}" for coupe in coupes]
    return list(itertools.pairwise(ecrites))


def campagne_du_lot(lot: str) -> int:
    """La campagne d’un lot, ouverte par la première part qui la demande."""
    with base.transaction() as connexion:
        connexion.execute(sa.text("SELECT pg_advisory_xact_lock(hashtext('mlops_demo:lots'))"))
        connexion.execute(sa.text(TABLE))
        connue = connexion.execute(
            sa.text("SELECT max(id) FROM campagnes WHERE scenario = :lot"), {"lot": lot}
        ).scalar_one()
        return (
            connue
            or connexion.execute(
                sa.text("INSERT INTO campagnes (scenario, auteur) VALUES (:s, :a) RETURNING id"),
                {"s": lot, "a": utilisateur()},
            ).scalar_one()
        )


def oublier_part(campagne: int, debut: str, fin: str) -> None:
    """Efface ce qu’un essai précédent de la part aurait déjà noté : la relancer ne double rien."""
    with base.transaction() as connexion:
        connexion.execute(
            sa.text(
                "DELETE FROM predictions AS p USING flights AS f WHERE p.campagne_id = :c"
                " AND p.flight_id = f.flight_id AND f.flight_date >= :d AND f.flight_date < :f"
            ),
            {"c": campagne, "d": debut, "f": fin},
        )


def deposer(
    campagne: int, part: int, parts: int, periode: tuple[str, str], version: int, s: Statistiques
) -> None:
    """Écrit le résumé d’une part, à la place de ceux d’un essai ou d’un découpage précédents."""
    with base.transaction() as connexion:
        connexion.execute(
            sa.text("DELETE FROM statistiques WHERE campagne_id = :c AND parts <> :n"),
            {"c": campagne, "n": parts},
        )
        connexion.execute(
            sa.text(
                "INSERT INTO statistiques VALUES (:c, :p, :n, :d, :f, :v, CAST(:s AS jsonb))"
                " ON CONFLICT (campagne_id, part) DO UPDATE SET parts = excluded.parts,"
                " debut = excluded.debut, fin = excluded.fin,"
                " version_modele = excluded.version_modele, contenu = excluded.contenu"
            ),
            dict(
                zip("cpndfvs", (campagne, part, parts, *periode, version, s.en_json()), strict=True)
            ),
        )


def reunir(campagne: int, parts: int) -> tuple[Statistiques, int]:
    """Fusionne les parts déposées ; rend le tout et la version qui les a notées.

    Raises:
        ErreurUtilisateur: une part manque, ou toutes n’ont pas été notées par le même modèle.
    """
    lues = base.lire(
        "SELECT part, parts, version_modele, contenu::text FROM statistiques"
        " WHERE campagne_id = $1 ORDER BY part",
        campagne,
    )
    manquantes = sorted(set(range(parts)) - set(lues["part"]))
    if manquantes or set(lues["parts"]) != {parts}:
        raise ErreurUtilisateur(
            f"il manque des parts sur {parts} : {', '.join(map(str, manquantes)) or 'découpage'}. "
            "Relancez-les, puis la fusion."
        )
    versions = sorted(set(lues["version_modele"]))
    if len(versions) > 1:
        raise ErreurUtilisateur(
            f"le modèle a changé pendant le lot (versions {', '.join(map(str, versions))}) : "
            "relancez le lot sous un autre nom."
        )
    return fusionner(map(depuis_json, lues["contenu"])), int(versions[0])
