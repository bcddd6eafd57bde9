"""La fiche d’un modèle, et la rétention des prédictions : ce qu’il faut dire, et effacer."""

import pandas as pd
import sqlalchemy as sa

from mlops_demo import base, contrat, evaluation, journal, registre
from mlops_demo.configuration import ErreurUtilisateur
from mlops_demo.features import FEATURES, LIBELLES, RETARD_MIN
from mlops_demo.gate import Seuils
from mlops_demo.textes import nombre

VOLS_MIN = 1000  # en dessous, la mesure d’un segment tient du hasard
RETENTION_JOURS = 365
RETENTION_MAX_JOURS = 36_500  # un siècle ; Postgres ne sait pas soustraire bien plus
LIMITES = [
    "appris sur les seuls départs de New York en 2013 : ailleurs ou plus tard, il n’a rien appris",
    "la météo est celle observée à l’heure du départ : une prévision sera moins bonne",
    "un vol annulé ou dérouté n’a pas d’étiquette : la fiche ne dit rien de ceux-là",
    "la probabilité aide à décider ; elle ne doit pas décider seule pour une personne",
]


def segments(version: int) -> pd.DataFrame:
    """Mesures d’une version sur les vols qu’elle a vraiment servis, par segment.

    Returns:
        Une ligne par aéroport, compagnie et mois d’au moins ``VOLS_MIN`` vols étiquetés :
        ``segment``, ``vols``, ``auc``, ``biais``, ``brier_skill``. Vide si elle n’a pas servi.
    """
    servis = base.lire(
        "SELECT DISTINCT ON (p.flight_id) v.origin AS aéroport, v.carrier AS compagnie,"
        " to_char(v.flight_date, 'YYYY-MM') AS mois, p.probabilite,"
        f" (v.arr_delay >= {RETARD_MIN})::int AS late"
        " FROM predictions AS p JOIN flights AS v USING (flight_id)"
        " WHERE p.version_modele = $1 AND v.arr_delay IS NOT NULL ORDER BY p.flight_id, p.id DESC",
        version,
    )
    lignes = []
    for axe in ("aéroport", "compagnie", "mois"):
        for valeur, groupe in servis.groupby(axe):
            if len(groupe) >= VOLS_MIN and groupe["late"].nunique() == 2:
                m = evaluation.mesurer(groupe["late"], groupe["probabilite"])
                mesures = (m["auc"], m["biais"], m["brier_skill"])
                lignes.append((f"{axe} {valeur}", len(groupe), *mesures))
    return pd.DataFrame(lignes, columns=["segment", "vols", "auc", "biais", "brier_skill"])


def rediger(version: int) -> str:
    """Rédige en Markdown la fiche d’une version, d’après le registre, la base et le journal.

    Raises:
        ErreurUtilisateur: si le journal ne connaît pas cette version.
    """
    faits = journal.tout()
    siens = faits[(faits["version"] == version)]
    if siens.empty:
        raise ErreurUtilisateur(
            f"le journal ne connaît pas la version {version} : « mlops-demo journal » liste "
            "celles qui existent."
        )
    essai = registre.essai_de(version)
    lues = [LIBELLES.get(v, v) for v in essai["variables"].split(", ")]
    texte = [
        f"# Fiche du modèle {registre.nom_du_modele()}, version {version}",
        "",
        "Annonce la probabilité qu’un vol qui quitte New York arrive avec au moins "
        f"{RETARD_MIN} minutes de retard.",
        "",
        "## Données",
        "",
        f"- Apprises : {nombre(int(essai['donnees.vols']), 0)} vols, du {essai['donnees.debut']} "
        f"au {essai['donnees.fin']}, empreinte `{essai['donnees.empreinte']}`.",
        f"- Contrat : empreinte `{contrat.empreinte()[:16]}`.",
        f"- Variables ({len(lues)} sur {len(FEATURES)}) : {', '.join(lues)}.",
        f"- Modèle : {essai['modele']}, essai `{essai['run_id']}`.",
        f"- Code : {essai['code.version']}.",
        "",
        "## Qui, quand, pourquoi",
        "",
    ]
    texte += [
        f"- {x.horodatage:%Y-%m-%d %H:%M:%S} UTC, {x.auteur} : {x.action} ({x.raison})."
        for x in siens.itertuples()
    ]
    texte += ["", f"Seuils du gate : {Seuils()}.", "", "## Mesures sur les vols servis", ""]
    table = segments(version)
    if table.empty:
        texte.append("Cette version n’a pas encore servi assez de vols pour être mesurée.")
    else:
        texte += ["| Segment | Vols | AUC | Biais | Brier skill |", "|---|---|---|---|---|"]
        texte += [
            f"| {s} | {nombre(n, 0)} | {nombre(a)} | {nombre(b, signe=True)} | {nombre(k)} |"
            for s, n, a, b, k in table.itertuples(index=False)
        ]
    texte += ["", "## Limites", "", *(f"- {limite}." for limite in LIMITES), ""]
    return "\n".join(texte)


def oublier_les_predictions(jours: int = RETENTION_JOURS) -> int:
    """Efface les prédictions plus vieilles que la rétention ; mesures et journal restent.

    Returns:
        Le nombre de prédictions effacées.

    Raises:
        ErreurUtilisateur: si la durée n’est pas d’un jour à un siècle.
    """
    if jours < 1:
        raise ErreurUtilisateur("gardez les prédictions un jour au moins : donnez « --jours 1 ».")
    if jours > RETENTION_MAX_JOURS:
        raise ErreurUtilisateur(
            f"gardez les prédictions {RETENTION_MAX_JOURS} jours au plus (« --jours »)."
        )
    with base.transaction() as connexion:
        return connexion.execute(
            sa.text("DELETE FROM predictions WHERE predit_le < now() - make_interval(days => :j)"),
            {"j": jours},
        ).rowcount
