"""Le suivi des essais et le registre de modèles (seul module qui importe MLflow)."""

import base64
import functools
import hashlib
import http.client
import logging
import os
import tempfile
import time
import urllib.error
import urllib.request
import uuid
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.metadata import version as version_du_paquet
from pathlib import Path
from urllib.request import url2pathname

import mlflow
import mlflow.sklearn
import mlflow.store.model_registry.sqlalchemy_store
import mlflow.store.tracking.sqlalchemy_store
import pandas as pd
import sqlalchemy as sa
from mlflow.exceptions import MlflowException
from mlflow.models import infer_signature
from requests import RequestException
from sklearn.pipeline import Pipeline

from mlops_demo import base, confiance, features, journal, tracabilite
from mlops_demo.configuration import (
    ErreurUtilisateur,
    dossier_travail,
    serveur_mlflow,
    utilisateur,
)
from mlops_demo.features import FEATURES

CHAMPION, CHALLENGER = "champion", "challenger"
# Un serveur à comptes ne dit pas si ce qui n’est pas à vous existe.
ABSENT = ("RESOURCE_DOES_NOT_EXIST", "PERMISSION_DENIED")
REPONSE_S = 10  # au-delà, un serveur MLflow est dit injoignable
DEPENDANCES = [f"{p}=={version_du_paquet(p)}" for p in ("scikit-learn", "pandas", "numpy")]

logging.getLogger("mlflow").setLevel(logging.ERROR)
logging.getLogger("alembic").setLevel(logging.ERROR)
logging.getLogger("psycopg").setLevel(logging.ERROR)  # « error ignored terminating », sans suite


@dataclass(frozen=True)
class ModeleServi:
    """Un modèle chargé du registre, avec sa version et l’essai qui l’a produit."""

    pipeline: Pipeline
    version: int
    run_id: str


@functools.cache
def _client_pour(adresse: str) -> mlflow.MlflowClient:
    if serveur_mlflow():
        _exiger_le_serveur(adresse)
    else:
        base.preparer()  # un notebook lancé hors d’une séance peut être le premier à s’en servir
    return mlflow.MlflowClient(adresse)


def _exiger_le_serveur(adresse: str) -> None:
    """Vérifie qu’un serveur MLflow répond et nous reconnaît ; lui insisterait plusieurs minutes."""
    compte = [os.environ.get(f"MLFLOW_TRACKING_{quoi}", "") for quoi in ("USERNAME", "PASSWORD")]
    jeton = base64.b64encode(":".join(compte).encode()).decode()
    try:
        demande = urllib.request.Request(f"{adresse.rstrip('/')}/api/2.0/mlflow/users/current")
        if any(compte):
            demande.add_header("Authorization", f"Basic {jeton}")
        urllib.request.urlopen(demande, timeout=REPONSE_S).close()
    except urllib.error.HTTPError as refus:
        if refus.code == http.HTTPStatus.UNAUTHORIZED:
            raise ErreurUtilisateur(
                f"le serveur MLflow {adresse} refuse le compte « {compte[0]} » : rien n’a changé "
                "au registre. Donnez le vôtre dans MLFLOW_TRACKING_USERNAME et "
                "MLFLOW_TRACKING_PASSWORD."
            ) from refus
        # Une autre erreur est une réponse : un serveur sans comptes ne connaît pas cette page.
    except (OSError, ValueError, http.client.HTTPException) as erreur:
        raise ErreurUtilisateur(
            f"le serveur MLflow {adresse} ne répond pas ({erreur}) : rien n’a changé au registre. "
            "Lancez-le, corrigez MLFLOW_TRACKING_URI, ou retirez cette variable pour que MLflow "
            "écrive dans la base."
        ) from erreur


@contextmanager
def _serveur_en_marche() -> Iterator[None]:
    """Dit qu’un serveur MLflow s’est arrêté en route, plutôt que l’erreur qui en vient."""
    try:
        yield
    except (MlflowException, RequestException):
        if serveur := serveur_mlflow():
            _exiger_le_serveur(serveur)
        raise


def client() -> mlflow.MlflowClient:
    """Client du serveur ``MLFLOW_TRACKING_URI`` s’il est donné, sinon de la base elle-même.

    Raises:
        ErreurUtilisateur: au premier appel, si ce serveur ne répond pas.
    """
    adresse = serveur_mlflow() or _adresse_en_base()
    mlflow.set_tracking_uri(adresse)  # à chaque fois : la base a pu changer, puis revenir
    return _client_pour(adresse)


def _adresse_en_base() -> str:
    return base.url_avec_schema(base.SCHEMA_MLFLOW).render_as_string(hide_password=False)


def creer_tables() -> None:
    """Crée les tables de MLflow sur une base vierge.

    MLflow y écrit sans le protéger un chemin, celui d’ici d’office : une apostrophe l’arrêterait.
    """
    artefacts = (dossier_travail() / "artefacts").as_uri()
    mlflow.store.tracking.sqlalchemy_store.SqlAlchemyStore(_adresse_en_base(), artefacts)


def nom_du_modele() -> str:
    """Nom, dans le registre, du modèle de l’utilisateur."""
    return f"retard-vol-{utilisateur()}"


def experience() -> str:
    """Identifiant de l’expérience de l’utilisateur, créée au besoin."""
    # Un serveur range lui-même les fichiers des modèles.
    artefacts = None if serveur_mlflow() else (dossier_travail() / "artefacts").as_uri()
    nom = f"retard-vol/{utilisateur()}"
    with _nom_libre(nom):
        connue = client().get_experiment_by_name(nom)
    if connue is not None and artefacts and connue.artifact_location != artefacts:
        # La même personne, depuis un autre dossier : ses fichiers ne se mélangent pas.
        nom += "-" + hashlib.sha256(artefacts.encode()).hexdigest()[:6]
        connue = client().get_experiment_by_name(nom)
    if connue is not None:
        return connue.experiment_id
    return client().create_experiment(nom, artifact_location=artefacts)


@contextmanager
def _nom_libre(nom: str) -> Iterator[None]:
    """Dit qu’un nom est déjà à un autre compte du serveur, plutôt qu’un refus sans raison."""
    try:
        yield
    except MlflowException as erreur:
        if erreur.error_code not in ("PERMISSION_DENIED", "RESOURCE_ALREADY_EXISTS"):
            raise
        raise ErreurUtilisateur(
            f"« {nom} » est déjà, dans MLflow, à un autre compte que le vôtre : demandez à qui "
            "l’administre de l’effacer, ou changez MLOPS_UTILISATEUR."
        ) from erreur


def enregistrer_essai(
    nom: str,
    pipeline: Pipeline,
    exemples: pd.DataFrame,
    mesures: dict[str, float],
    etiquettes: dict[str, str] | None = None,
) -> str:
    """Enregistre un essai : paramètres, mesures, empreintes, modèle et signature.

    Args:
        nom: nom lisible de l’essai.
        pipeline: modèle appris.
        exemples: exemples d’apprentissage (leur empreinte et leur période sont notées).
        mesures: mesures de validation.
        etiquettes: informations en plus.

    Returns:
        L’identifiant de l’essai (``run_id``).

    Raises:
        ErreurUtilisateur: si les fichiers du modèle ne s’écrivent pas (disque plein, droits), ou
            si le serveur MLflow s’arrête en route.
    """
    client()
    entree = exemples[FEATURES].head(200)
    signature = infer_signature(entree, pipeline.predict_proba(entree)[:, 1])
    with _serveur_en_marche(), mlflow.start_run(experiment_id=experience(), run_name=nom) as essai:
        mlflow.log_params(_parametres(pipeline))
        mlflow.log_metrics(mesures)
        mlflow.set_tags(
            {
                "donnees.empreinte": tracabilite.empreinte(exemples),
                "donnees.debut": str(exemples["flight_date"].min().date()),
                "donnees.fin": str(exemples["flight_date"].max().date()),
                "donnees.vols": str(len(exemples)),
                "code.version": tracabilite.version_du_code(),
                "code.verrou": tracabilite.verrou(),
                **(etiquettes or {}),
            }
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # colonnes entières : il n’y en a pas
            try:
                mlflow.sklearn.log_model(
                    pipeline,
                    name="modele",
                    signature=signature,
                    pip_requirements=DEPENDANCES,
                    skops_trusted_types=confiance.TYPES_ADMIS,
                    pyfunc_predict_fn="predict_proba",
                )
            except (OSError, MlflowException) as erreur:
                cause = erreur.__cause__ or erreur  # skops enveloppe celle du disque
                if not isinstance(cause, OSError) or isinstance(cause, RequestException):
                    raise
                raise ErreurUtilisateur(
                    f"les fichiers du modèle « {nom} » ne s’écrivent pas ({cause}) : l’essai est "
                    "noté en échec, aucune version n’est inscrite et le champion reste en service. "
                    "Libérez de la place ou rendez le dossier accessible, puis relancez l’étape."
                ) from erreur
    return essai.info.run_id


def _parametres(pipeline: Pipeline) -> dict[str, str]:
    """Réglages du modèle et variables qu’il lit."""
    reglages = {k: str(v) for k, v in pipeline[-1].get_params().items()}
    lues = FEATURES
    if len(pipeline) > 1:
        lues = [c for _, _, colonnes in pipeline[0].transformers for c in colonnes]
    return {"modele": type(pipeline[-1]).__name__, "variables": ", ".join(lues), **reglages}


def inscrire_challenger(run_id: str) -> int:
    """Crée une version du modèle à partir d’un essai, sous l’alias ``challenger``.

    Returns:
        Le numéro de version.
    """
    nom = nom_du_modele()
    if not client().search_registered_models(f"name = '{nom}'"):
        with _nom_libre(nom):
            client().create_registered_model(nom)
    (modele,) = client().search_logged_models(
        experiment_ids=[client().get_run(run_id).info.experiment_id],
        filter_string=f"source_run_id = '{run_id}'",
    )
    version = client().create_model_version(
        nom, source=modele.artifact_location, run_id=run_id, model_id=modele.model_id
    )
    client().set_registered_model_alias(nom, CHALLENGER, version.version)
    return int(version.version)


def version_de(alias: str) -> int | None:
    """Version que désigne un alias, ou rien."""
    try:
        return int(client().get_model_version_by_alias(nom_du_modele(), alias).version)
    except MlflowException as erreur:
        if erreur.error_code in (*ABSENT, "INVALID_PARAMETER_VALUE"):
            return None
        raise


def charger(version: int) -> ModeleServi:
    """Charge une version du modèle, sans rien en exécuter.

    Si le journal l’a acceptée, ses fichiers doivent être ceux qu’il a acceptés.

    Raises:
        ErreurUtilisateur: version inconnue, fichiers disparus, abîmés ou échangés.
    """
    return _charger(version, confiance.acceptee(version))


def _charger(version: int, tenue: confiance.Acceptee | None) -> ModeleServi:
    try:
        with tempfile.TemporaryDirectory() as dossier:
            fiche = telecharger(version, Path(dossier))
            if tenue is not None:
                confiance.exiger(tenue, version, Path(dossier))
            return ModeleServi(confiance.ouvrir(Path(dossier)), version, fiche.run_id)
    except confiance.Refus as erreur:
        raise confiance.Refus(_ne_se_charge_pas(version, erreur)) from erreur
    except ErreurUtilisateur:
        raise
    except Exception as erreur:  # MLflow lève de tout
        raise ErreurUtilisateur(_ne_se_charge_pas(version, erreur)) from erreur


def _ne_se_charge_pas(version: int, erreur: Exception) -> str:
    return (
        f"la version {version} du modèle « {nom_du_modele()} » ne se charge pas ({erreur}). "
        "Relancez l’entraînement (notebook 42)."
    )


@dataclass(frozen=True)
class Fiche:
    """Ce que le service dit du modèle qu’il sert."""

    modele: str
    version: int
    run_id: str
    cree_le: float  # secondes depuis 1970
    empreinte: str = ""  # des fichiers acceptés


def telecharger(version: int, dossier: Path) -> Fiche:
    """Copie les fichiers d’une version dans un dossier vide, si leurs noms et tailles conviennent.

    Raises:
        Refus: fichiers absents, de trop ou trop gros ; rien n’est alors copié.
    """
    fiche = client().get_model_version(nom_du_modele(), str(version))
    adresse = f"models:/{nom_du_modele()}/{version}"
    source = client().get_model_version_download_uri(nom_du_modele(), str(version))
    if source.startswith(("file:", "/")):  # des fichiers d’ici : aucun lien ne doit être suivi
        confiance.controler(Path(url2pathname(source.removeprefix("file://"))))
    else:
        pieces = mlflow.artifacts.list_artifacts(artifact_uri=adresse)
        confiance.controler_liste({p.path: p.file_size or 0 for p in pieces})
    mlflow.artifacts.download_artifacts(adresse, dst_path=str(dossier))
    (dossier / "registered_model_meta").unlink(missing_ok=True)  # ajouté par MLflow
    return Fiche(nom_du_modele(), version, fiche.run_id, fiche.creation_timestamp / 1000)


def empreinte(version: int) -> str:
    """Empreinte des fichiers d’une version, s’ils sont ceux d’un modèle de ce projet.

    Raises:
        Refus: s’ils ne le sont pas.
    """
    with tempfile.TemporaryDirectory() as dossier:
        telecharger(version, Path(dossier))
        confiance.controler(Path(dossier))
        return confiance.empreinte(Path(dossier))


def verifier_joignable() -> None:
    """Vérifie que la base qui tient le registre répond, s’il n’y a pas de serveur MLflow.

    MLflow, lui, insisterait plusieurs minutes avant de le dire.

    Raises:
        ErreurUtilisateur: si la base ne répond pas.
    """
    if not serveur_mlflow():
        with base.transaction():
            pass


def charger_champion() -> ModeleServi:
    """Charge le modèle que le journal dit en service, où que soit l’alias.

    Raises:
        ErreurUtilisateur: s’il n’y en a pas, ou si ses fichiers ne sont plus les siens.
    """
    tenue = confiance.en_service()
    if tenue is None:
        raise ErreurUtilisateur(
            "aucun modèle n’est en service : lancez d’abord l’entraînement (notebook 42)."
        )
    return _charger(tenue.version, tenue)


def essai_de(version: int) -> dict:
    """Ce que MLflow sait d’une version : essai, paramètres, mesures, empreintes.

    Raises:
        ErreurUtilisateur: si le registre ne l’a plus.
    """
    try:
        fiche = client().get_model_version(nom_du_modele(), str(version))
        essai = client().get_run(fiche.run_id)
    except MlflowException as erreur:
        if erreur.error_code not in ABSENT:
            raise
        raise ErreurUtilisateur(
            f"la version {version} n’est plus au registre, ou son essai ({erreur}) : le journal "
            "garde ce qu’elle a été. Relancez l’entraînement (notebook 42) pour en inscrire une."
        ) from erreur
    return {
        "version": version,
        "run_id": fiche.run_id,
        "nom": essai.info.run_name,
        **essai.data.tags,
        **essai.data.params,
        **essai.data.metrics,
    }


def chaine(version: int) -> Iterator[tuple[str, str]]:
    """Les maillons qui mènent des données à une version servie, chacun vérifié.

    Yields:
        Un maillon et ce qui le prouve, jusqu’au premier rompu.

    Raises:
        ErreurUtilisateur: au premier maillon rompu, avec sa raison.
    """
    essai = essai_de(version)
    _exiger_note(essai, "donnees.empreinte", "donnees.debut", "donnees.fin")
    if _relus(essai)[1] != essai["donnees.empreinte"]:
        raise confiance.Refus(
            f"les vols du {essai['donnees.debut']} au {essai['donnees.fin']} n’ont plus "
            f"l’empreinte {essai['donnees.empreinte']} : ils ont changé depuis l’entraînement."
        )
    yield "Données", f"empreinte {essai['donnees.empreinte']}, retrouvée en base"
    _exiger_note(essai, "code.version")
    yield "Code", essai["code.version"]
    _exiger_note(essai, "code.verrou")
    yield "Verrou", essai["code.verrou"]
    tenue = confiance.acceptee(version)
    faits = journal.tout()
    siens = faits[faits["version"] == version]
    if tenue is None:
        dits = "".join(f" ({x.action} : {x.raison})" for x in siens.tail(1).itertuples())
        raise confiance.Refus(f"le journal n’a pas accepté la version {version}{dits}.")
    fait = siens[siens["action"].isin(journal.ACCEPTATIONS)].iloc[-1]
    yield "Verdict", f"{fait['action']} par {fait['auteur']} : {fait['raison']}"
    with tempfile.TemporaryDirectory() as dossier:
        telecharger(version, Path(dossier))
        yield "Fichiers", f"SHA-256 {confiance.exiger(tenue, version, Path(dossier))}"


def _exiger_note(essai: dict, *tags: str) -> None:
    if absents := [tag for tag in tags if tag not in essai]:
        raise confiance.Refus(
            f"l’essai de la version {essai['version']} ne note pas « {', '.join(absents)} » : "
            "relancez l’entraînement (notebook 42)."
        )


def _relus(essai: dict) -> tuple[int, str]:
    """Les vols d’apprentissage d’un essai, relus en base : leur nombre et leur empreinte."""
    fin = pd.Timestamp(essai["donnees.fin"]) + pd.Timedelta(days=1)
    relus = features.etiquetes(features.exemples(essai["donnees.debut"], str(fin.date())))
    return len(relus), tracabilite.empreinte(relus)


def lignage(flight_id: int, scenario: str) -> dict:
    """Remonte de la dernière prédiction d’un vol, dans un scénario, à tout ce qui l’a produite.

    Returns:
        La prédiction, le vol, la version du modèle, l’essai, les empreintes, qui a mis cette
        version en service et quand, ``vols_relus`` : combien de vols ont aujourd’hui une
        étiquette sur la période d’apprentissage, et ``empreinte_retrouvee`` : vrai si ces
        vols, relus en base, ont toujours la même empreinte.

    Raises:
        ErreurUtilisateur: si ce vol n’a pas de prédiction dans ce scénario.
    """
    predictions = base.lire(
        "SELECT p.* FROM predictions AS p JOIN campagnes AS c ON c.id = p.campagne_id"
        " WHERE p.flight_id = $1 AND c.scenario = $2 ORDER BY p.id DESC LIMIT 1",
        flight_id,
        scenario,
    )
    if predictions.empty:
        raise ErreurUtilisateur(
            f"le vol {flight_id} n’a pas de prédiction dans le scénario « {scenario} »."
        )
    return _remonter(predictions.iloc[0].to_dict())


def lignage_de_la_demande(demande: str, rang: int = 1) -> dict:
    """Remonte d’une prédiction rendue par le service, comme ``lignage``.

    Args:
        demande: identifiant de la demande, tel que le service l’a rendu.
        rang: rang du vol dans la demande, à partir de 1.

    Raises:
        ErreurUtilisateur: si la base n’a pas cette prédiction.
    """
    try:
        cle = str(uuid.UUID(demande))
    except ValueError as erreur:
        raise ErreurUtilisateur(
            f"« {demande} » n’est pas l’identifiant d’une demande : le service le donne dans sa "
            "réponse."
        ) from erreur
    predictions = base.lire(
        "SELECT * FROM predictions WHERE demande = $1::uuid AND rang = $2", cle, rang
    )
    if predictions.empty:
        raise ErreurUtilisateur(
            f"la base n’a pas de prédiction de rang {rang} pour la demande {cle} : vérifiez-les, "
            "ou attendez que le service ait livré son journal."
        )
    return _remonter(predictions.iloc[0].to_dict() | {"demande": cle})


def _remonter(prediction: dict) -> dict:
    vols = base.lire(
        "SELECT carrier, flight, origin, dest, time_hour, arr_delay FROM flights"
        " WHERE flight_id = $1",
        int(prediction["flight_id"]),
    )
    version = int(prediction["version_modele"])
    essai = essai_de(version)
    vols_relus, empreinte_relue = _relus(essai)
    return {
        **prediction,
        # Le service juge aussi des vols que la base n’a pas encore reçus.
        **(vols.iloc[0].to_dict() if len(vols) else {}),
        **essai,
        **journal.mise_en_service(version, prediction["predit_le"]),
        "vols_relus": vols_relus,
        "empreinte_retrouvee": empreinte_relue == essai["donnees.empreinte"],
    }


def mettre_en_service(
    action: str,
    version: int,
    date_simulee: str,
    raison: str,
    *,
    attendu: int | None = None,
    details: dict | None = None,
    empreinte: str | None = None,
) -> None:
    """Donne l’alias ``champion`` à une version et l’inscrit au journal, ou ne fait rien.

    Un retour ou une reprise ne remet qu’une version que le journal a déjà acceptée, et dont les
    fichiers n’ont pas changé.

    Un verrou range les changements l’un derrière l’autre : si le champion que dit le journal n’est
    plus celui que l’on croyait remplacer, le changement est refusé.

    Args:
        action: une de celles de ``journal.CHANGEMENTS``.
        version: version à mettre en service.
        date_simulee: jour de l’histoire, ``AAAA-MM-JJ``.
        raison: pourquoi, en une phrase.
        attendu: version que l’on croit en service (aucune si ``None``).
        details: mesures et seuils qui ont décidé.
        empreinte: celle des fichiers que le gate et le canari ont acceptés, s’ils l’ont prise.

    Raises:
        ErreurUtilisateur: si un autre changement est passé avant, ou si les fichiers ont changé.
    """
    deplace = False
    try:
        prise = _empreinte_admise(action, version, empreinte)
        with base.transaction() as connexion:
            connexion.execute(
                sa.text("SELECT pg_advisory_xact_lock(hashtext(:cle))"),
                {"cle": f"champion:{nom_du_modele()}"},
            )
            actuel = journal.champion()
            if actuel != attendu:
                raise ErreurUtilisateur(
                    f"le champion est la version {actuel}, et non {attendu} : quelqu’un l’a changé "
                    "entre-temps. Comparez de nouveau avant de promouvoir."
                )
            journal.inscrire(
                connexion, action, version, actuel, date_simulee, raison, details, prise
            )
            deplace = True
            client().set_registered_model_alias(nom_du_modele(), CHAMPION, str(version))
    except sa.exc.OperationalError as erreur:
        raise ErreurUtilisateur(
            f"la base s’est arrêtée pendant le changement vers la version {version} ; le journal "
            "ne l’a pas inscrit, et fait foi. Relancez la base, puis l’étape : l’alias sera remis "
            "d’accord avec lui."
        ) from erreur
    except MlflowException as erreur:
        raise ErreurUtilisateur(
            f"MLflow n’a pas pu mettre en service la version {version} ({erreur}) ; le journal ne "
            "l’a pas inscrit, et fait foi. Vérifiez MLflow, puis relancez l’étape."
        ) from erreur
    except BaseException:
        if deplace:  # le journal n’a pas été validé : l’alias revient où il était
            _remettre_alias(attendu)
        raise


def _empreinte_admise(action: str, version: int, attendue: str | None) -> str:
    """L’empreinte à inscrire pour une mise en service, si cette version peut l’être."""
    if action in journal.ACCEPTATIONS:
        prise = empreinte(version)
    else:
        with tempfile.TemporaryDirectory() as dossier:
            telecharger(version, Path(dossier))
            prise = confiance.exiger(confiance.acceptee(version), version, Path(dossier))
    if attendue not in (None, prise):
        raise confiance.Refus(
            f"les fichiers de la version {version} ont changé depuis que le canari les a lus : "
            "elle n’est pas mise en service. Cherchez qui les a changés, puis relancez l’étape."
        )
    return prise


def _remettre_alias(version: int | None) -> None:
    if version is None:
        client().delete_registered_model_alias(nom_du_modele(), CHAMPION)
    else:
        client().set_registered_model_alias(nom_du_modele(), CHAMPION, str(version))


def refuser(version: int, date_simulee: str, raison: str, details: dict) -> None:
    """Inscrit au journal le refus d’un challenger ; le champion reste en service."""
    with base.transaction() as connexion:
        journal.inscrire(
            connexion, "refus", version, journal.champion(), date_simulee, raison, details
        )


def accorder() -> None:
    """Remet l’alias ``champion`` d’accord avec le journal, s’il a été déplacé à la main.

    Une version effacée du registre, ou dont les fichiers ont changé, ne peut plus l’avoir :
    l’alias reste où il est.
    """
    tenue = confiance.en_service()
    if tenue is None or version_de(CHAMPION) == tenue.version:
        return
    with suppress(ErreurUtilisateur):
        _charger(tenue.version, tenue)
        _remettre_alias(tenue.version)


def retour_arriere(raison: str, date_simulee: str) -> tuple[int, int, float]:
    """Remet en service la version que le champion avait remplacée.

    Returns:
        Version quittée, version remise, durée en secondes (alias déplacé et journal validé).

    Raises:
        ErreurUtilisateur: pas de champion, rien avant lui, ou une version qui ne se charge plus.
    """
    actuel = journal.champion()
    cible = journal.precedente(actuel) if actuel else None
    if cible is None:
        raise ErreurUtilisateur(
            "aucune version précédente n’est connue du journal : il n’y a rien à quoi revenir."
        )
    charger(cible)  # une version abîmée ne remplacerait pas celle qui sert
    debut = time.perf_counter()
    mettre_en_service("retour arrière", cible, date_simulee, raison, attendu=actuel)
    return actuel, cible, time.perf_counter() - debut
