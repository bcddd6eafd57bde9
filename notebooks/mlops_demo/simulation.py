"""L’année rejouée mois après mois : prédire, attendre les retards, mesurer, décider."""

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, field

import numpy as np
import pandas as pd
import pyarrow as pa
import sqlalchemy as sa
from sklearn.pipeline import Pipeline

from mlops_demo import (
    base,
    canari,
    donnees,
    entrainement,
    evaluation,
    journal,
    livraison,
    registre,
    supervision,
)
from mlops_demo.configuration import ErreurUtilisateur, utilisateur
from mlops_demo.features import etiquetes, exemples
from mlops_demo.gate import JOURS_DE_JUGEMENT, Verdict, juger

DEBUT, MISE_EN_SERVICE, FIN = "2013-01-01", "2013-04-01", "2014-01-01"
FIGE, REENTRAINE = "figé", "réentraîné"
CAMPAGNES_GARDEES = 2  # par scénario ; les prédictions des plus anciennes sont effacées


@dataclass(frozen=True)
class Politique:
    """Quand réentraîner : au plus ``maximum`` fois, à ``repos`` mois d’écart au moins.

    Le repos d’un mois entier garantit que les quatre semaines de jugement n’ont servi à
    apprendre ni au champion ni au challenger.
    """

    repos: int = 2
    maximum: int = 4


@dataclass
class Mois:
    """Ce qui s’est passé un mois : mesures, alarmes, décision."""

    mois: pd.Timestamp
    version: int
    mesures: dict
    alertes: list[str]
    decision: str = "aucune"
    verdict: Verdict | None = None
    promue: int | None = None
    probas: np.ndarray = field(default=None, repr=False)


# --- L’état de départ ----------------------------------------------------------------------


def premier_champion() -> int:
    """Version mise en service le 1er avril, apprise de janvier à mars.

    Elle est recréée si le registre ou ses fichiers ont disparu.
    """
    donnees.charger()
    registre.accorder()
    lignes = base.lire(
        "SELECT version FROM journal WHERE action = 'promotion' AND date_simulee = $1::date"
        " ORDER BY id DESC LIMIT 1",
        MISE_EN_SERVICE,
    )
    if len(lignes):
        version = int(lignes["version"].iloc[0])
        try:
            registre.charger(version)
            return version
        except ErreurUtilisateur:
            pass  # les fichiers du modèle ont disparu : on le refait
    return mettre_en_service_initial()


def mettre_en_service_initial() -> int:
    """Choisit en mars, réapprend de janvier à mars, passe le gate, met en service."""
    hiver = exemples(DEBUT, "2013-03-01")
    mars = exemples("2013-03-01", MISE_EN_SERVICE)
    choisi = entrainement.apprendre(entrainement.lineaire(), hiver)
    naif = entrainement.apprendre(entrainement.naif(), hiver)
    verdict = juger_sur(mars, naif, choisi)
    complet = pd.concat([hiver, mars], ignore_index=True)
    final = entrainement.apprendre(entrainement.lineaire(), complet)
    return inscrire_et_promouvoir(final, complet, verdict, MISE_EN_SERVICE, "v1 linéaire")


def assurer_champion() -> None:
    """Assure qu’un modèle passé par le gate est en service.

    Une promotion forcée, reste d’une exécution interrompue, est d’abord annulée.
    """
    premier_champion()
    actuel = journal.champion()
    if journal.forcee(actuel):
        registre.retour_arriere("promotion forcée d’une exécution interrompue", FIN)
        assurer_champion()


def repartir(date: str) -> int:
    """Ramène la démonstration au 1er avril : le premier champion est en service.

    Si des décisions ont suivi le dernier départ, une reprise les sépare au journal de celles à
    venir, même quand un retour arrière avait déjà remis ce champion.

    Returns:
        La version en service.
    """
    version = premier_champion()
    actuel = journal.champion()
    histoire = livraison.derniere_histoire(journal.tout(), MISE_EN_SERVICE)
    if actuel != version or len(histoire) > 1:
        registre.mettre_en_service(
            "reprise", version, date, "la démonstration est rejouée du début", attendu=actuel
        )
    return version


# --- Juger et promouvoir -------------------------------------------------------------------


def juger_sur(mois: pd.DataFrame, champion: Pipeline, challenger: Pipeline) -> Verdict:
    """Passe deux pipelines au gate sur les vols étiquetés d’une période."""
    connus = etiquetes(mois)
    return juger(
        connus,
        entrainement.probabilites(champion, connus),
        entrainement.probabilites(challenger, connus),
    )


def inscrire_et_promouvoir(
    pipeline: Pipeline,
    appris_sur: pd.DataFrame,
    verdict: Verdict,
    date: str,
    nom: str,
) -> int:
    """Enregistre le modèle comme challenger, puis le promeut si le gate et le canari l’acceptent.

    Returns:
        La version créée, promue ou non.
    """
    chiffres = {k: v for k, v in verdict.details["challenger"].items() if k != "etiquetes"}
    run_id = registre.enregistrer_essai(
        nom, pipeline, etiquetes(appris_sur), chiffres | {"gain": verdict.gain}
    )
    version = registre.inscrire_challenger(run_id)
    essai = canari.essayer(version, pipeline, appris_sur) if verdict.promu else None
    if essai and not essai.accepte:
        registre.refuser(version, date, f"canari : {essai.motif}", verdict.details)
    elif verdict.promu:
        registre.mettre_en_service(
            "promotion",
            version,
            date,
            verdict.raison,
            attendu=journal.champion(),
            details=verdict.details | {"canari": asdict(essai)},
            empreinte=essai.empreinte,
        )
    else:
        registre.refuser(version, date, verdict.raison, verdict.details)
    return version


def reentrainer(
    annee: pd.DataFrame, mois_fini: pd.Timestamp, champion: Pipeline
) -> tuple[Verdict, int]:
    """Réapprend sur toute l’histoire connue et fait juger la recette par le gate.

    La recette est d’abord apprise sans les quatre dernières semaines, où elle affronte le
    champion ; puis, pour ne rien perdre, réapprise sur tout. C’est cette version qui est
    inscrite, et promue si la recette a gagné.

    Args:
        annee: les vols de l’année ; ceux d’après ``mois_fini`` sont ignorés.
        mois_fini: premier jour du mois dont les retards viennent d’être connus.
        champion: pipeline en service.

    Returns:
        Le verdict et la version inscrite.
    """
    fin = mois_fini + pd.offsets.MonthBegin(1)
    jugement = fin - pd.Timedelta(days=JOURS_DE_JUGEMENT)
    tout = annee[annee["flight_date"] < fin]
    avant = tout[tout["flight_date"] < jugement]
    with ThreadPoolExecutor(2) as fils:  # un par cœur
        pretendant, final = fils.map(
            lambda vols: entrainement.apprendre(entrainement.lineaire(), vols), (avant, tout)
        )
    verdict = juger_sur(tout[tout["flight_date"] >= jugement], champion, pretendant)
    nom = f"réentraînement de {mois_fini:%Y-%m}"
    return verdict, inscrire_et_promouvoir(final, tout, verdict, str(fin.date()), nom)


# --- Rejouer -------------------------------------------------------------------------------


def ouvrir_campagne(scenario: str) -> int:
    """Ouvre une campagne de prédictions et efface les plus anciennes du même scénario."""
    with base.transaction() as connexion:
        numero = connexion.execute(
            sa.text("INSERT INTO campagnes (scenario, auteur) VALUES (:s, :a) RETURNING id"),
            {"s": scenario, "a": utilisateur()},
        ).scalar_one()
        connexion.execute(
            sa.text(
                "DELETE FROM campagnes WHERE scenario = :s AND id NOT IN (SELECT id FROM campagnes"
                " WHERE scenario = :s ORDER BY id DESC LIMIT :garde)"
            ),
            {"s": scenario, "garde": CAMPAGNES_GARDEES},
        )
    return numero


def enregistrer_predictions(
    campagne: int, vols: pd.DataFrame, probas: np.ndarray, version: int, canal: str = "lot"
) -> None:
    """Journalise des prédictions : vol, version, probabilité ; l’heure est celle de la base."""
    n = len(vols)
    table = pa.table(
        {
            "campagne_id": pa.array(np.full(n, campagne), pa.int64()),
            "canal": pa.array([canal] * n, pa.string()),
            "flight_id": pa.array(vols["flight_id"].to_numpy(), pa.int64()),
            "version_modele": pa.array(np.full(n, version), pa.int32()),
            "probabilite": pa.array(probas, pa.float64()),
        }
    )
    with base.transaction_en_bloc() as connexion:
        base.inserer(connexion, "predictions", table)


def enregistrer_mesures(campagne: int, bilan: Mois, vols: int) -> None:
    """Écrit les mesures d’un mois, à la place de celles qu’il aurait déjà."""
    ligne = {
        "campagne_id": campagne,
        "mois": bilan.mois.date(),
        "version_modele": bilan.version,
        "vols": vols,
        "alertes": bilan.alertes,
        **{"part_derive": None, **bilan.mesures},
    }
    colonnes = ", ".join(ligne)
    valeurs = ", ".join(f":{c}" for c in ligne)
    with base.transaction() as connexion:
        connexion.execute(
            sa.text("DELETE FROM mesures WHERE campagne_id = :campagne_id AND mois = :mois"), ligne
        )
        connexion.execute(sa.text(f"INSERT INTO mesures ({colonnes}) VALUES ({valeurs})"), ligne)


def rejouer(
    scenario: str,
    politique: Politique | None = None,
    derives: dict[pd.Timestamp, Future[float]] | None = None,
    annee: pd.DataFrame | None = None,
    premier: str = "2013-04",
    dernier: str = "2013-12",
) -> Iterator[Mois]:
    """Rejoue l’histoire mois par mois : d’avril, avec le premier champion, ou d’un mois plus tardif
    avec celui qui est en service.

    Chaque mois : le champion prédit tous les vols prévus, puis les retards sont connus, on
    mesure, on lève les alarmes ; avec une politique, on réentraîne s’il le faut. Sans elle, rien
    ne change au modèle en service.

    Args:
        scenario: nom sous lequel garder prédictions et mesures.
        politique: quand réentraîner ; jamais si ``None``.
        derives: par mois, la part des variables en dérive qu’un autre processus calcule.
        annee: les vols de l’année, si l’appelant les a déjà lus.
        premier: premier mois rejoué, ``AAAA-MM``.
        dernier: dernier mois rejoué.

    Yields:
        Le bilan de chaque mois, au fur et à mesure.

    Raises:
        ErreurUtilisateur: un des mois n’a pas encore de vols ; rien n’est alors noté ni décidé.
    """
    initial = premier_champion()
    annee = exemples(DEBUT, FIN) if annee is None else annee
    mois_de = annee["flight_date"].dt.to_period("M").dt.to_timestamp()
    rejoues = pd.date_range(f"{premier}-01", f"{dernier}-01", freq="MS")
    if absents := [f"{mois:%Y-%m}" for mois in rejoues.difference(mois_de)]:
        raise ErreurUtilisateur(
            f"aucun vol n’est chargé pour {', '.join(absents)} : recevez d’abord ces vols "
            "(« mlops-demo recevoir »), puis rejouez."
        )
    if premier > MISE_EN_SERVICE[:7]:
        servi, essais = registre.charger_champion(), _essais_du_journal()
    else:
        servi = registre.charger(repartir(MISE_EN_SERVICE) if politique else initial)
        essais = []
    auc_reference = registre.essai_de(initial)["auc"]
    scores_appris = _scores_appris(servi, annee)
    campagne = ouvrir_campagne(scenario)
    for mois in rejoues:
        vols = annee[mois_de == mois]
        probas = entrainement.probabilites(servi.pipeline, vols)
        enregistrer_predictions(campagne, vols, probas, servi.version)
        connus = vols["late"].notna().to_numpy()
        mesures = evaluation.mesurer(vols["late"].to_numpy()[connus], probas[connus])
        mesures["psi_score"] = evaluation.psi(scores_appris, probas)
        mesures["age_jours"] = _age(servi.version, mois)
        if derives:
            mesures["part_derive"] = derives[mois].result()
        alertes = supervision.muettes(_appris(servi, annee), vols)
        alertes += supervision.alertes(mesures, auc_reference)
        bilan = Mois(mois, servi.version, mesures, alertes, probas=probas)
        enregistrer_mesures(campagne, bilan, len(vols))
        if politique and mois + pd.offsets.MonthBegin(1) < pd.Timestamp(FIN):
            bilan.decision = decider(bilan.alertes, mois, essais, politique)
            if bilan.decision == "réentraîner":
                essais.append(mois)
                bilan.verdict, inscrite = reentrainer(annee, mois, servi.pipeline)
                promue = journal.champion() == inscrite
                bilan.decision = "promu" if promue else "refusé"
                if promue:
                    bilan.promue = inscrite
                    servi = registre.charger(inscrite)
                    scores_appris = _scores_appris(servi, annee)
        yield bilan


def controler(scenario: str, politique: Politique, annee: pd.DataFrame) -> Mois:
    """Juge le modèle en service sur le dernier mois noté, et dit s’il faut réentraîner.

    Les prédictions jugées sont celles que la base a gardées, telles qu’elles ont été annoncées.
    S’il n’y en a pas encore, le champion note avril.

    Args:
        scenario: celui sous lequel le mois a été noté.
        politique: quand réentraîner.
        annee: les vols de l’année.

    Returns:
        Le bilan du mois, dont les mesures sont aussi écrites en base.
    """
    campagne = _derniere_campagne(scenario) or _noter_avril(scenario, annee)
    notes = base.lire(
        "SELECT flight_id, version_modele, probabilite FROM predictions"
        " WHERE campagne_id = $1 AND canal = 'lot'",
        campagne,
    )
    vols = annee.merge(notes, on="flight_id")
    mois = vols["flight_date"].min().to_period("M").to_timestamp()
    servi = registre.charger(int(vols["version_modele"].iloc[0]))
    connus = etiquetes(vols)
    mesures = evaluation.mesurer(connus["late"], connus["probabilite"])
    mesures["psi_score"] = evaluation.psi(_scores_appris(servi, annee), vols["probabilite"])
    mesures["age_jours"] = _age(servi.version, mois)
    auc_reference = registre.essai_de(premier_champion())["auc"]
    alertes = supervision.muettes(_appris(servi, annee), vols)
    alertes += supervision.alertes(mesures, auc_reference)
    decision = decider(alertes, mois, _essais_du_journal(), politique)
    bilan = Mois(mois, servi.version, mesures, alertes, decision)
    enregistrer_mesures(campagne, bilan, len(vols))
    return bilan


def _scores_appris(servi: registre.ModeleServi, annee: pd.DataFrame) -> np.ndarray:
    """Ce que le modèle annonce pour les vols sur lesquels il a appris."""
    return entrainement.probabilites(servi.pipeline, _appris(servi, annee))


def _appris(servi: registre.ModeleServi, annee: pd.DataFrame) -> pd.DataFrame:
    """Les vols sur lesquels un modèle a appris."""
    return annee[annee["flight_date"] <= registre.essai_de(servi.version)["donnees.fin"]]


def _age(version: int, mois: pd.Timestamp) -> int:
    """Jours écoulés, au début d’un mois, depuis le dernier vol que le modèle a appris.

    Zéro s’il a appris ce mois-là, ou après : on renote alors un mois déjà passé.
    """
    return max(0, (mois - pd.Timestamp(registre.essai_de(version)["donnees.fin"])).days)


def _derniere_campagne(scenario: str) -> int | None:
    """La dernière campagne d’un scénario où un lot a été noté."""
    lignes = base.lire(
        "SELECT max(c.id) AS id FROM campagnes AS c WHERE scenario = $1 AND EXISTS"
        " (SELECT 1 FROM predictions AS p WHERE p.campagne_id = c.id AND canal = 'lot')",
        scenario,
    )
    return None if pd.isna(lignes["id"].iloc[0]) else int(lignes["id"].iloc[0])


def _noter_avril(scenario: str, annee: pd.DataFrame) -> int:
    assurer_champion()
    servi = registre.charger_champion()
    avril = annee[annee["flight_date"].between(MISE_EN_SERVICE, "2013-04-30")]
    campagne = ouvrir_campagne(scenario)
    probas = entrainement.probabilites(servi.pipeline, avril)
    enregistrer_predictions(campagne, avril, probas, servi.version)
    return campagne


def _essais_du_journal() -> list[pd.Timestamp]:
    """Les mois dont la fin a fait réentraîner, promotion ou refus, dans la dernière histoire."""
    histoire = livraison.derniere_histoire(journal.tout(), MISE_EN_SERVICE)
    juges = histoire[histoire["action"].isin(("promotion", "refus"))]
    jours = pd.to_datetime(juges["date_simulee"])
    return [
        jour - pd.offsets.MonthBegin(1) for jour in jours if jour > pd.Timestamp(MISE_EN_SERVICE)
    ]


def decider(
    alertes: list[str], mois: pd.Timestamp, essais: list[pd.Timestamp], politique: Politique
) -> str:
    """Réentraîner, attendre ou ne rien faire.

    Returns:
        ``"aucune"``, ``"réentraîner"``, ``"repos"`` ou ``"maximum atteint"``.
    """
    if not set(alertes) & set(supervision.DECLENCHEURS):
        return "aucune"
    if len(essais) >= politique.maximum:
        return "maximum atteint"
    if essais:
        ecart = (mois.year - essais[-1].year) * 12 + mois.month - essais[-1].month
        if ecart < politique.repos:
            return "repos"
    return "réentraîner"


def predictions_de(campagne: int) -> pd.Series:
    """Probabilités journalisées par une campagne, indexées par ``flight_id``."""
    table = base.lire(
        "SELECT flight_id, probabilite FROM predictions WHERE campagne_id = $1 AND canal = 'lot'",
        campagne,
    )
    return table.set_index("flight_id")["probabilite"]


def mesures_de(scenario: str) -> pd.DataFrame:
    """Mesures de la dernière campagne achevée d’un scénario, en rejouant s’il n’y en a pas."""
    requete = (
        "SELECT m.* FROM mesures AS m WHERE campagne_id = (SELECT max(c.id) FROM campagnes AS c"
        " JOIN mesures AS d ON d.campagne_id = c.id WHERE c.scenario = $1"
        " AND d.mois = '2013-12-01') ORDER BY mois"
    )
    table = base.lire(requete, scenario)
    if table.empty:
        politique = Politique() if scenario == REENTRAINE else None
        for _ in rejouer(scenario, politique):
            pass
        table = base.lire(requete, scenario)
    return table
