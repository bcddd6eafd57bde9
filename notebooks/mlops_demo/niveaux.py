"""Le même cas d’usage aux cinq niveaux de maturité, exécuté puis mesuré (chapitre 2).

Un modèle appris de janvier à mars est en service ; la seconde quinzaine d’avril arrive. Chaque
niveau mène ce lot, avec les pièces du paquet, jusqu’à un nouveau modèle en service. Tout se passe
à part : un autre schéma Postgres, un autre nom de modèle et un autre dossier qu’au chapitre 4.

On compte ce que la procédure fait et arrête, jamais ce qu’une personne attentive aurait vu.
"""

import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import joblib
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from sklearn.pipeline import Pipeline

from mlops_demo import (
    base,
    contrat,
    donnees,
    entrainement,
    evaluation,
    features,
    registre,
    simulation,
    supervision,
    tracabilite,
)
from mlops_demo.configuration import GRAINE, dossier_donnees, dossier_travail, schema, utilisateur
from mlops_demo.features import RETARD_MIN, etiquetes
from mlops_demo.gate import JOURS_DE_JUGEMENT
from mlops_demo.graphiques import BLEU, GRIS, ORANGE, VERT, Virgule
from mlops_demo.session import session
from mlops_demo.textes import nombre

DEBUT, MARS, AVRIL, MAI = (f"2013-{mois:02}-01" for mois in (1, 3, 4, 5))
LOT, FIN = "2013-04-16", "2013-05-16"  # le lot : la seconde quinzaine d’avril
JUGEMENT = pd.Timestamp(MAI) - pd.Timedelta(days=JOURS_DE_JUGEMENT)
UN_SUR = 4  # un vol sur quatre suffit à comparer des façons de faire

DATA, DEV, OPS = "data scientist", "développeur", "administrateur système"
AVANT, ETIQUETTES, JAMAIS = "avant la mise en service", "à l’arrivée des étiquettes", "jamais"
AU_SUIVI = "seulement si l’on ouvre le suivi des essais"
RIEN, CONTRAT, GATE, SURVEILLANCE = "rien", "le contrat de données", "le gate", "la surveillance"

HISTORIQUE, NOUVEAUX = "historique.csv", "nouveaux.csv"
LIVRAISON, MODELE = "livraison.json", "modele.joblib"


@dataclass(frozen=True)
class Acte:
    """Un geste qu’une personne a dû faire."""

    metier: str
    libelle: str


@dataclass
class Passage:
    """Un lot mené, ou non, jusqu’à la mise en service : gestes comptés, issue.

    ``lot`` vaut ``None`` quand il est déjà entré et qu’on ne fait que refaire le modèle.
    """

    lot: pd.DataFrame | None
    lire: Callable[["Passage"], pd.DataFrame]
    preparer: Callable[[pd.DataFrame], pd.DataFrame]
    champion: Pipeline
    dossier: Path
    tirages: np.random.Generator
    actes: list[Acte] = field(default_factory=list)
    modele: Pipeline | None = None
    arret: tuple[str, str] | None = None
    version: int | None = None
    alertes: list[str] = field(default_factory=list)

    def agir(self, metier: str, libelle: str, geste: Callable[[], Any] = lambda: None) -> Any:
        """Fait faire un geste par une personne, et le compte."""
        self.actes.append(Acte(metier, libelle))
        return geste()

    def apprendre(self, exemples: pd.DataFrame) -> Pipeline:
        """Prépare les exemples, puis apprend."""
        return entrainement.apprendre(entrainement.lineaire(), self.preparer(exemples))

    @property
    def attentes(self) -> int:
        """Nombre de fois où le travail attend une personne, la première comprise."""
        metiers = [acte.metier for acte in self.actes]
        return sum(a != b for a, b in zip([None, *metiers], metiers, strict=False))

    @property
    def en_service(self) -> Pipeline:
        """Le modèle servi à la fin : le nouveau, ou l’ancien si quelque chose l’a arrêté."""
        return self.modele or self.champion


@dataclass(frozen=True)
class Incident:
    """Ce qui est arrivé à ce qui n’aurait pas dû entrer : servi ou non, par quoi, quand vu."""

    servi: bool
    par: str
    quand: str
    motif: str = ""


@dataclass(frozen=True)
class Mesures:
    """Ce que l’exécution d’un niveau a donné.

    - ``ecart`` : plus grand écart de probabilité entre le modèle et sa relance ;
    - ``traces`` : ce que l’on retrouve en partant du modèle en service ;
    - ``skill`` : Brier skill du modèle en service, sur la quinzaine d’après ;
    - ``retour_s`` : durée du retour arrière, s’il tient en une commande.
    """

    niveau: int
    actes: list[Acte]
    attentes: int
    duree_s: float
    ecart: float
    reproductible: bool
    traces: dict[str, bool]
    mauvais_lot: Incident
    mauvais_modele: Incident
    degradation: Incident
    skill: dict[str, float]
    retour_s: float | None


# --- Un atelier à part ---------------------------------------------------------------------


@dataclass(frozen=True)
class Atelier:
    """Ce que les niveaux partagent : deux lots, les vols d’après, le champion, le hasard.

    Aux niveaux 0 et 1, chaque lecture tire d’autres vols, et personne ne note lesquels. La suite de
    ces tirages, elle, est toujours la même : l’expérience donne les mêmes nombres à chaque fois.
    """

    lot: pd.DataFrame
    mauvais_lot: pd.DataFrame
    suite: pd.DataFrame
    champion: registre.ModeleServi
    tirages: np.random.Generator

    def passage(self, niveau: int, **particularites: Any) -> Passage:
        """Un passage neuf ; sans particularité, tout s’y passe bien."""
        reglages = {"lot": self.lot, "lire": SOURCES[niveau], "preparer": lambda e: e}
        reglages |= {"champion": self.champion.pipeline, "tirages": self.tirages}
        return Passage(dossier=dossier_de(niveau), **(reglages | particularites))


def dossier_de(niveau: int) -> Path:
    """Dossier de l’application d’un niveau."""
    dossier = dossier_travail() / f"niveau_{niveau}"
    dossier.mkdir(exist_ok=True)
    return dossier


@contextmanager
def atelier() -> Iterator[Atelier]:
    """Ouvre un atelier neuf, sur la base de la démonstration mais à part d’elle.

    Raises:
        ErreurUtilisateur: base injoignable, ou niveaux déjà en cours pour cette personne.
    """
    nom = f"niveaux_{utilisateur()}"
    source, dossier = dossier_donnees(), dossier_travail() / nom
    reglages = {
        "DATABASE_URL": base.url(),
        "MLOPS_UTILISATEUR": nom,
        "MLOPS_DONNEES": str(dossier / "donnees"),
        "MLOPS_TRAVAIL": str(dossier),
    }
    avant = {variable: os.environ.get(variable) for variable in reglages}
    base.oublier()
    os.environ.update(reglages)
    try:
        with session():
            _effacer()
            _copier_les_donnees(source)
            yield _installer()
    finally:
        for variable, valeur in avant.items():
            del os.environ[variable]
            if valeur is not None:
                os.environ[variable] = valeur
        base.oublier()


def _effacer() -> None:
    """Efface ce qu’une exécution précédente a laissé : schéma, modèle, fichiers."""
    with base.transaction() as connexion:
        connexion.exec_driver_sql(f"DROP SCHEMA {schema()} CASCADE")
        connexion.exec_driver_sql(f"CREATE SCHEMA {schema()}")
        connexion.connection.driver_connection.execute(base.tables_de_travail())
    nom = registre.nom_du_modele()
    if registre.client().search_registered_models(f"name = '{nom}'"):
        registre.client().delete_registered_model(nom)
    shutil.rmtree(dossier_travail())


def _copier_les_donnees(source: Path) -> None:
    """Écrit les données utiles et leurs empreintes là où la session les cherche."""
    cible = dossier_donnees()
    cible.mkdir(parents=True)
    limite = pd.Timestamp(FIN, tz="America/New_York").tz_convert("UTC")
    lignes = []
    for nom in contrat.TABLES:
        table = pq.read_table(source / f"{nom}.parquet")
        if "time_hour" in table.column_names:
            table = table.filter(pc.less(table["time_hour"], limite))
        if nom == "flights":
            table = table.take(_rangs_gardes(table))
        pq.write_table(table, cible / f"{nom}.parquet", compression="none")
        empreinte = hashlib.sha256((cible / f"{nom}.parquet").read_bytes()).hexdigest()
        lignes.append(f"{empreinte}  {nom}.parquet\n")
    (cible / "SHA256SUMS").write_text("".join(lignes))


def _rangs_gardes(vols: pa.Table) -> np.ndarray:
    """Un vol sur quatre avant le lot et sa veille, tous ensuite."""
    veille = pd.Timestamp(LOT, tz="America/New_York") - pd.Timedelta(days=1)
    anciens = np.asarray(pc.less(vols["time_hour"], veille.tz_convert("UTC")))
    rangs = np.arange(len(vols))
    return np.concatenate([rangs[anciens][::UN_SUR], rangs[~anciens]])


def _installer() -> Atelier:
    """Charge la base jusqu’à la mi-avril, puis met le premier modèle en service."""
    donnees.charger()
    colonnes = ", ".join(contrat.schema_arrow("flights").names)
    lot = base.lire(
        f"SELECT {colonnes} FROM flights WHERE flight_date >= $1::date AND flight_date < $2::date"
        " ORDER BY flight_id",
        LOT,
        MAI,
    )
    # Le lot empoisonné du chapitre 4 : milles devenus kilomètres, signe des retards inversé.
    mauvais = lot.assign(distance=(lot["distance"] * 1.609).round(), arr_delay=-lot["arr_delay"])
    suite = etiquetes(features.exemples(MAI, FIN).iloc[::UN_SUR])
    _retirer_le_lot()
    with base.transaction_en_bloc() as connexion:
        base.executer(
            connexion,
            f"CREATE TABLE entrepot AS SELECT x.*, (v.arr_delay >= {RETARD_MIN})::int::float8"
            " AS late FROM features AS x JOIN flights AS v USING (flight_id)",
        )
    connus = exemples_connus()
    connus.to_csv(dossier_de(0) / HISTORIQUE, index=False)
    hiver = connus[connus["flight_date"] < AVRIL]
    debut = hiver[hiver["flight_date"] < MARS]
    verdict = simulation.juger_sur(
        hiver[hiver["flight_date"] >= MARS],
        entrainement.apprendre(entrainement.naif(), debut),
        entrainement.apprendre(entrainement.lineaire(), debut),
    )
    modele = entrainement.apprendre(entrainement.lineaire(), hiver)
    version = simulation.inscrire_et_promouvoir(modele, hiver, verdict, AVRIL, "premier champion")
    tirages = np.random.default_rng(GRAINE)
    return Atelier(lot, mauvais, suite, registre.charger(version), tirages)


def _retirer_le_lot() -> None:
    """Ramène la base à la veille du lot."""
    with base.transaction_en_bloc() as connexion:
        for table in ("features", "flights"):
            base.executer(connexion, f"DELETE FROM {table} WHERE flight_date >= '{LOT}'")


def exemples_connus() -> pd.DataFrame:
    """Un vol étiqueté sur quatre, toujours les mêmes ; l’historique est déjà éclairci."""
    connus = features.exemples(DEBUT, FIN)
    lot = connus["flight_date"] >= LOT
    return etiquetes(pd.concat([connus[~lot], connus[lot].iloc[::UN_SUR]], ignore_index=True))


def melanger(exemples: pd.DataFrame) -> pd.DataFrame:
    """Un défaut de préparation : les étiquettes d’avant les quatre dernières semaines mélangées.

    Les dernières semaines restent justes : c’est sur elles que l’on juge.
    """
    avant = (exemples["flight_date"] < JUGEMENT).to_numpy()
    retards = exemples["late"].to_numpy().copy()
    retards[avant] = np.random.default_rng(GRAINE).permutation(retards[avant])
    return exemples.assign(late=retards)


# --- Ce que chaque niveau fait du lot ------------------------------------------------------


def niveau_0(p: Passage) -> None:
    """Des fichiers, et des personnes qui se les passent."""
    p.agir(DATA, "décider de réentraîner")
    p.agir(DATA, "exporter les vols en CSV", lambda: exporter(p))
    exemples = p.agir(DATA, "rassembler les fichiers CSV", lambda: p.lire(p))
    modele = p.agir(DATA, "entraîner dans un notebook", lambda: p.apprendre(exemples))
    p.agir(DATA, "regarder les résultats à l’écran", lambda: mesurer_a_la_main(modele, exemples))
    envoi = p.dossier / "envoi.joblib"
    p.agir(DATA, "envoyer le fichier du modèle", lambda: joblib.dump(modele, envoi))
    p.agir(DEV, "copier le fichier dans l’application", lambda: envoi.replace(p.dossier / MODELE))
    p.agir(DEV, "essayer l’application", lambda: essayer(joblib.load(p.dossier / MODELE), exemples))
    p.modele = p.agir(OPS, "redémarrer le service", lambda: joblib.load(p.dossier / MODELE))


def niveau_1(p: Passage) -> None:
    """L’ingestion et l’application sont automatiques ; le modèle est toujours un fichier."""
    ingerer(p.lot)
    p.agir(DATA, "décider de réentraîner")
    exemples = p.lire(p)
    modele = p.agir(DATA, "entraîner dans un notebook", lambda: p.apprendre(exemples))
    p.agir(DATA, "regarder les résultats à l’écran", lambda: mesurer_a_la_main(modele, exemples))
    envoi = p.dossier / "envoi.joblib"
    p.agir(DATA, "envoyer le fichier du modèle", lambda: joblib.dump(modele, envoi))
    p.agir(DEV, "déposer le fichier dans le dépôt", lambda: envoi.replace(p.dossier / MODELE))
    p.modele = joblib.load(p.dossier / MODELE)
    essayer(p.modele, exemples)
    livrer(p, application=tracabilite.version_du_code())


def niveau_2(p: Passage) -> None:
    """Contrat, entraînement paramétré, suivi et registre ; on livre encore à la main."""
    if not recevoir(p):
        return
    p.agir(DATA, "décider de réentraîner")
    exemples = p.preparer(p.lire(p))
    dernieres = exemples[exemples["flight_date"] >= JUGEMENT]
    avant = exemples[exemples["flight_date"] < JUGEMENT]
    juge = entrainement.apprendre(entrainement.lineaire(), avant)
    mesures = evaluation.mesurer(dernieres["late"], entrainement.probabilites(juge, dernieres))
    mesures.pop("etiquetes")
    modele = entrainement.apprendre(entrainement.lineaire(), exemples)
    run_id = registre.enregistrer_essai("réentraînement", modele, exemples, mesures)
    version = registre.inscrire_challenger(run_id)
    p.agir(DATA, "approuver la version au registre")
    servi = p.agir(DEV, "mettre la version en service", lambda: registre.charger(version))
    p.modele, p.version = servi.pipeline, version
    essayer(p.modele, exemples)
    livrer(p, version=version)


def niveau_3(p: Passage) -> None:
    """Le gate juge, l’alias bascule ; quelqu’un décide encore du moment."""
    if not recevoir(p):
        return
    p.agir(DATA, "décider de réentraîner")
    juger_et_promouvoir(p, p.lire(p))


def niveau_4(p: Passage) -> None:
    """La production déclenche : prédire, mesurer, alerter, réentraîner, juger, promouvoir."""
    if not recevoir(p):
        return
    exemples = p.lire(p)
    du_mois = (exemples["flight_date"] >= AVRIL).to_numpy()
    champion = registre.charger_champion()
    probas = entrainement.probabilites(champion.pipeline, exemples)
    campagne = simulation.ouvrir_campagne("niveau 4")
    simulation.enregistrer_predictions(
        campagne, exemples[du_mois], probas[du_mois], champion.version
    )
    mesures = evaluation.mesurer(exemples["late"][du_mois], probas[du_mois])
    mesures["psi_score"] = evaluation.psi(probas[~du_mois], probas[du_mois])
    p.alertes = supervision.muettes(exemples[~du_mois], exemples[du_mois])
    p.alertes += supervision.alertes(mesures, registre.essai_de(champion.version)["auc"])
    politique = simulation.Politique()
    if simulation.decider(p.alertes, pd.Timestamp(AVRIL), [], politique) == "réentraîner":
        juger_et_promouvoir(p, exemples)


NIVEAUX = (niveau_0, niveau_1, niveau_2, niveau_3, niveau_4)


# --- Les gestes ----------------------------------------------------------------------------


def variables_sans_contrat(lot: pd.DataFrame) -> pd.DataFrame:
    """Calcule les variables d’un lot que rien n’a contrôlé, comme le ferait un script."""
    lignes, _ = donnees.typer(lot, "flights")
    colonnes = ", ".join(lignes.column_names)
    with base.transaction_en_bloc() as connexion:
        ddl = contrat.ddl_colonnes("flights").replace("CREATE TABLE", "CREATE TEMP TABLE", 1)
        base.executer(connexion, f"{ddl} ON COMMIT DROP")
        base.executer(
            connexion,
            f"INSERT INTO pg_temp.flights ({colonnes}) SELECT {colonnes} FROM {schema()}.flights"
            f" WHERE flight_date = date '{LOT}' - 1",
        )
        base.inserer(connexion, "flights", lignes, temporary=True)
        return base.lire(
            f"SELECT x.*, (v.arr_delay >= {RETARD_MIN})::int::float8 AS late"
            f" FROM ({features.requete()}) AS x JOIN flights AS v"
            f" USING (flight_id) WHERE x.flight_date >= '{LOT}' ORDER BY flight_id",
            connexion=connexion,
        )


def exporter(p: Passage) -> None:
    """Écrit les nouveaux vols en CSV, à côté de l’historique."""
    if p.lot is not None:
        variables_sans_contrat(p.lot)[::UN_SUR].to_csv(p.dossier / NOUVEAUX, index=False)


def rassembler(p: Passage) -> pd.DataFrame:
    """Lit les CSV et en garde neuf lignes sur dix, au hasard : le tirage n’est pas noté."""
    fichiers = [pd.read_csv(p.dossier / nom) for nom in (HISTORIQUE, NOUVEAUX)]
    table = pd.concat(fichiers, ignore_index=True)
    table["flight_date"] = pd.to_datetime(table["flight_date"])
    return etiquetes(table).sample(frac=0.9, random_state=p.tirages)


def ingerer(lot: pd.DataFrame | None) -> None:
    """Verse un lot dans l’entrepôt, sans contrôle."""
    if lot is None:
        return
    variables = variables_sans_contrat(lot)[::UN_SUR]
    table = pa.Table.from_pandas(variables, preserve_index=False)
    with base.transaction_en_bloc() as connexion:
        base.executer(connexion, f"DELETE FROM entrepot WHERE flight_date >= '{LOT}'")
        base.inserer(connexion, "entrepot", table)


def tirer_de_l_entrepot(p: Passage) -> pd.DataFrame:
    """Tire neuf vols sur dix de l’entrepôt ; le tirage n’est pas noté."""
    table = base.lire("SELECT * FROM entrepot ORDER BY flight_id")
    table["flight_date"] = pd.to_datetime(table["flight_date"])
    return etiquetes(table).sample(frac=0.9, random_state=p.tirages)


def recevoir(p: Passage) -> bool:
    """Fait juger le lot par le contrat ; refusé, il arrête tout."""
    if p.lot is None:
        return True
    bilan = donnees.recevoir(p.lot)
    if not bilan.accepte:
        p.arret = (CONTRAT, bilan.motifs[0])
    return bilan.accepte


def juger_et_promouvoir(p: Passage, exemples: pd.DataFrame) -> None:
    """Réentraîne, puis promeut si le gate l’accepte."""
    verdict, p.version = simulation.reentrainer(
        p.preparer(exemples), pd.Timestamp(AVRIL), p.champion
    )
    if not verdict.promu:
        p.arret = (GATE, verdict.raison)
        return
    p.modele = registre.charger_champion().pipeline
    livrer(p, alias=registre.CHAMPION)


def mesurer_a_la_main(modele: Pipeline, exemples: pd.DataFrame) -> dict[str, float]:
    """Ce qu’on lit à l’écran du notebook, et que rien ne garde."""
    dernieres = exemples[exemples["flight_date"] >= JUGEMENT]
    return evaluation.mesurer(dernieres["late"], entrainement.probabilites(modele, dernieres))


def essayer(modele: Pipeline, vols: pd.DataFrame) -> None:
    """Le test de l’application : elle répond, et répond des probabilités."""
    probas = entrainement.probabilites(modele, vols.head(50))
    assert ((probas >= 0) & (probas <= 1)).all(), "l’application ne rend pas des probabilités"


def livrer(p: Passage, **contenu: Any) -> None:
    """Livre l’application et note quand, avec ce qu’elle sert."""
    fiche = {"livre_le": f"{pd.Timestamp.now('UTC'):%Y-%m-%dT%H:%M:%SZ}", **contenu}
    (p.dossier / LIVRAISON).write_text(json.dumps(fiche), encoding="utf-8")


# D’où chaque niveau tire ses exemples.
SOURCES = (rassembler, tirer_de_l_entrepot) + (lambda _: exemples_connus(),) * 3


# --- Mesurer un niveau ---------------------------------------------------------------------


def executer(atelier: Atelier) -> list[Mesures]:
    """Exécute les cinq niveaux l’un après l’autre, et les mesure."""
    return [mesurer(niveau, atelier) for niveau in range(len(NIVEAUX))]


def mesurer(niveau: int, atelier: Atelier) -> Mesures:
    """Fait arriver à un niveau un bon lot, un mauvais modèle, puis un mauvais lot."""
    simulation.repartir(AVRIL)
    bon = atelier.passage(niveau)
    debut = time.perf_counter()
    NIVEAUX[niveau](bon)
    duree = time.perf_counter() - debut
    relus = bon.lire(bon)
    traces = chercher(bon, relus)
    ecart, reproductible = relancer(bon, relus, atelier.suite)
    retour = None
    if "alias" in lire_livraison(bon):
        *_, retour = registre.retour_arriere("mesure du retour arrière", MAI)
    mauvais_modele = atelier.passage(niveau, lot=None, lire=lambda _: relus, preparer=melanger)
    NIVEAUX[niveau](mauvais_modele)
    _retirer_le_lot()
    mauvais_lot = atelier.passage(niveau, lot=atelier.mauvais_lot)
    NIVEAUX[niveau](mauvais_lot)
    passages = {"bon lot": bon, "mauvais lot": mauvais_lot, "mauvais modèle": mauvais_modele}
    return Mesures(
        niveau=niveau,
        actes=bon.actes,
        attentes=bon.attentes,
        duree_s=duree,
        ecart=ecart,
        reproductible=reproductible,
        traces=traces,
        mauvais_lot=incident(mauvais_lot, atelier),
        mauvais_modele=incident(mauvais_modele, atelier),
        degradation=degradation(bon),
        skill={nom: brier_skill(p.en_service, atelier.suite) for nom, p in passages.items()},
        retour_s=retour,
    )


def brier_skill(modele: Pipeline, mois: pd.DataFrame) -> float:
    """Brier skill d’un modèle sur un mois."""
    return evaluation.mesurer(mois["late"], entrainement.probabilites(modele, mois))["brier_skill"]


def relancer(p: Passage, relus: pd.DataFrame, mois: pd.DataFrame) -> tuple[float, bool]:
    """Refait le modèle en service avec ce que le niveau a gardé, et compare les prédictions.

    Returns:
        Le plus grand écart de probabilité, et l’égalité des empreintes.
    """
    annonces = [
        entrainement.probabilites(modele, mois) for modele in (p.en_service, p.apprendre(relus))
    ]
    empreintes = {tracabilite.empreinte(pd.DataFrame({"p": a})) for a in annonces}
    return float(np.abs(annonces[0] - annonces[1]).max()), len(empreintes) == 1


def lire_livraison(p: Passage) -> dict[str, Any]:
    """La fiche de livraison de l’application, si elle en a une."""
    fichier = p.dossier / LIVRAISON
    return json.loads(fichier.read_text(encoding="utf-8")) if fichier.exists() else {}


def chercher(p: Passage, relus: pd.DataFrame) -> dict[str, bool]:
    """Part de l’application en service et cherche d’où vient son modèle.

    On ouvre ce qui est à côté d’elle : sa fiche de livraison, le fichier du modèle ; puis, si
    elle nomme une version ou un alias, le registre et le journal.
    """
    fiche = lire_livraison(p)
    if (p.dossier / MODELE).exists():
        reglages = joblib.load(p.dossier / MODELE)[-1].get_params()
        fiche |= {nom: str(valeur) for nom, valeur in reglages.items()}
    version = registre.version_de(fiche["alias"]) if "alias" in fiche else fiche.get("version")
    if version:
        fiche |= registre.essai_de(version)
        decisions = base.lire("SELECT raison FROM journal WHERE version = $1", version)
        fiche |= decisions.tail(1).squeeze(axis=0).to_dict() if len(decisions) else {}
    return {
        "données": fiche.get("donnees.empreinte") == tracabilite.empreinte(relus),
        "code": fiche.get("code.version") == tracabilite.version_du_code(),
        "paramètres": fiche.get("max_iter") == str(p.en_service[-1].max_iter),
        "métriques": "auc" in fiche,
        "auteur de l’entraînement": "mlflow.user" in fiche,
        "date de livraison": "livre_le" in fiche,
        "motif de la décision": "raison" in fiche,
    }


def incident(p: Passage, atelier: Atelier) -> Incident:
    """Ce que la procédure a fait d’un mauvais lot ou d’un mauvais modèle."""
    if p.arret:
        return Incident(False, p.arret[0], AVANT, p.arret[1])
    if p.version:
        perdue = _auc(atelier.champion.version) - _auc(p.version)
        if perdue > supervision.Alarmes().auc_perdue_max:
            return Incident(True, RIEN, AU_SUIVI)
    return Incident(True, RIEN, JAMAIS)


def _auc(version: int) -> float:
    return registre.essai_de(version)["auc"]


def degradation(p: Passage) -> Incident:
    """Si quelque chose a dit que le champion, en avril, se trompait plus qu’avant."""
    if p.alertes:
        return Incident(True, SURVEILLANCE, ETIQUETTES, ", ".join(p.alertes))
    return Incident(True, RIEN, JAMAIS)


def resultat(mesures: list[Mesures]) -> list[dict[str, Any]]:
    """Met les mesures en données simples, une ligne par niveau, pour un résultat en JSON."""
    return [
        {
            "niveau": m.niveau,
            "gestes": len(m.actes),
            "gestes_par_metier": {
                metier: sum(a.metier == metier for a in m.actes) for metier in (DATA, DEV, OPS)
            },
            "attentes": m.attentes,
            "duree_s": m.duree_s,
            "ecart_points": 100 * m.ecart,
            "reproductible": m.reproductible,
            "traces": sum(m.traces.values()),
            "mauvais_lot": _en_mots(m.mauvais_lot),
            "mauvais_modele": _en_mots(m.mauvais_modele),
            "degradation": m.degradation.quand,
            "retour_s": m.retour_s,
            "skill": m.skill,
        }
        for m in mesures
    ]


# --- Montrer les mesures -------------------------------------------------------------------


def lignes(mesures: list[Mesures]) -> list[dict[str, str]]:
    """Une ligne par mesure, une colonne par niveau (« 0 » à « 4 »)."""
    lectures: dict[str, Callable[[Mesures], str]] = {
        "Gestes faits à la main": lambda m: str(len(m.actes)),
        "Attentes d’une personne": lambda m: str(m.attentes),
        "Temps machine jusqu’à la mise en service": lambda m: f"{nombre(m.duree_s, 1)} s",
        "Le modèle, refait": lambda m: (
            "identique" if m.reproductible else f"jusqu’à {nombre(100 * m.ecart, 0)} points d’écart"
        ),
        "Retrouvé depuis le modèle en service": lambda m: (
            f"{sum(m.traces.values())} sur {len(m.traces)}"
        ),
        "Un mauvais lot arrive": lambda m: _en_mots(m.mauvais_lot),
        "Un mauvais modèle arrive": lambda m: _en_mots(m.mauvais_modele),
        "La dégradation d’avril est vue": lambda m: m.degradation.quand,
        "Retour arrière en une commande": lambda m: (
            f"{nombre(m.retour_s, 2)} s" if m.retour_s else "non"
        ),
    }
    return [
        {"mesure": nom} | {str(m.niveau): lire(m) for m in mesures}
        for nom, lire in lectures.items()
    ]


def _en_mots(incident: Incident) -> str:
    if incident.servi:
        return f"servi ; vu : {incident.quand}"
    return f"arrêté par {incident.par}, {incident.quand}"


def dessiner(mesures: list[Mesures]) -> None:
    """Deux graphiques côte à côte : les gestes par métier, le temps machine."""
    _, (gauche, droite) = plt.subplots(1, 2, figsize=(10, 4.2), width_ratios=(3, 2))
    rangs = [m.niveau for m in mesures]
    bas = np.zeros(len(mesures))
    styles = ((DATA, BLEU, ""), (DEV, ORANGE, "//"), (OPS, VERT, ".."))
    for metier, couleur, motif in styles:
        combien = np.array([sum(a.metier == metier for a in m.actes) for m in mesures])
        gauche.bar(
            rangs, combien, bottom=bas, color=couleur, hatch=motif, edgecolor="black", label=metier
        )
        bas += combien
    for rang, total in zip(rangs, bas, strict=True):
        gauche.annotate(f"{total:.0f}", (rang, total), ha="center", va="bottom", weight="bold")
    gauche.set(title="Gestes faits à la main", xlabel="niveau", ylabel="gestes", ylim=(0, 10.5))
    gauche.legend()
    durees = [m.duree_s for m in mesures]
    droite.bar(rangs, durees, color=GRIS)
    for rang, duree in zip(rangs, durees, strict=True):
        droite.annotate(nombre(duree, 1), (rang, duree), ha="center", va="bottom", weight="bold")
    droite.set(title="Temps machine", xlabel="niveau", ylabel="secondes")
    droite.set_ylim(0, 1.15 * max(durees))
    for repere in (gauche, droite):
        repere.yaxis.set_major_formatter(Virgule())
        repere.grid(axis="x", visible=False)
