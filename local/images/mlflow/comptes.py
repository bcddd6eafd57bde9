"""Les comptes de MLflow : un par carte, « production », et celui de l’administration.

« python -m comptes », lancé par mlflow.sh avant le serveur, les crée ou les remet d’aplomb : quand
MLflow répond, chacun a déjà le sien, son expérience et son modèle, que personne ne peut plus
prendre avant lui. Le serveur, lui, demande à « reconnaitre » qui l’appelle.

Le reste des droits est celui de MLflow (mlflow.server.auth) : qui crée une expérience ou un modèle
en dispose, et personne d’autre n’en voit rien.
"""

import configparser
import functools
import os
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import cartes

SECRETS = Path("/run/secrets")
ADMIN, PRODUCTION = "admin", "production"
TOUT = "MANAGE"
# Ce que MLflow ouvre à tous les comptes, et dont la démonstration ne se sert pas : la liste des
# comptes, leur mot de passe (la carte n’ouvrirait plus), et ce qui sort vers d’autres adresses.
FERMEES = re.compile(
    r"/mlflow/(?:users/(?:list|update-password)|roles/list)$"
    r"|/gateway|/mlflow/(?:assistant|demo|scorers?|prompt-optimization)\b|/jobs\b|/mcp-servers\b"
)


def reconnaitre():
    """Le compte qui demande, ou un refus ; MLflow l’appelle à chaque requête."""
    from flask import request
    from mlflow.server import auth

    _garder_les_traces()
    if request.authorization is not None and request.authorization.username is None:
        return auth.make_basic_auth_response()  # un jeton, que MLflow ne sait pas lire
    reponse = auth.authenticate_request_basic_auth()
    refus = not isinstance(reponse, auth.Response) and _refusee(request)
    if refus and not auth.store.get_user(reponse.username).is_admin:
        return auth.make_forbidden_response()
    return reponse


def _refusee(requete) -> bool:
    """Dit si une requête sortirait de chez soi par où MLflow ne regarde pas."""
    from mlflow.protos import model_registry_pb2 as registre
    from mlflow.protos import service_pb2 as suivi
    from mlflow.server.handlers import _get_request_message as lire

    chemin = requete.path.rstrip("/")
    if FERMEES.search(chemin):
        return True
    # MLflow lirait et écrirait lui-même, sans demander à qui il est, le dossier ainsi choisi.
    if chemin.endswith("/mlflow/experiments/create"):
        return bool(lire(suivi.CreateExperiment()).artifact_location)
    if chemin.endswith("/mlflow/get-trace-artifact"):
        return not _range_chez_elle(requete.args.get("request_id", ""))
    # Dans les droits de MLflow, le modèle « * » est tous les modèles.
    if chemin.endswith("/mlflow/registered-models/create"):
        return lire(registre.CreateRegisteredModel()).name == "*"
    if chemin.endswith("/mlflow/registered-models/rename"):
        return lire(registre.RenameRegisteredModel()).new_name == "*"
    return False


def _range_chez_elle(trace: str) -> bool:
    """Dit si les fichiers d’une trace sont dans le dossier de son expérience."""
    from mlflow.server.handlers import _get_tracking_store

    experience, lieux = _ou_est(_get_tracking_store(), trace)
    dossier = f"mlflow-artifacts:/{experience}/traces/{trace}/"
    return all(lieu.startswith(dossier) and ".." not in lieu for lieu in lieux)


def _ou_est(magasin, trace: str) -> tuple[str | None, list[str]]:
    """L’expérience d’une trace et où sont ses fichiers ; rien si elle n’existe pas."""
    from mlflow.exceptions import MlflowException

    try:
        fiche = magasin.get_trace_info(trace)
    except MlflowException:
        return None, []
    noms = ("mlflow.artifactLocation", "mlflow.trace.archiveLocation")
    return fiche.experiment_id, [fiche.tags[nom] for nom in noms if nom in fiche.tags]


@functools.cache
def _garder_les_traces() -> None:
    """Refuse qu’une trace change d’expérience, ce que MLflow laisse faire à qui en sait le nom."""
    from mlflow.exceptions import MlflowException
    from mlflow.protos.databricks_pb2 import PERMISSION_DENIED
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore as Suivi

    def garder(methode, lire):
        @functools.wraps(methode)
        def gardee(magasin, *arguments):
            for trace, experience in lire(*arguments):
                if _ou_est(magasin, trace)[0] not in (None, str(experience)):
                    raise MlflowException("Permission denied", PERMISSION_DENIED)
            return methode(magasin, *arguments)

        return gardee

    Suivi.start_trace = garder(Suivi.start_trace, lambda t: [(t.trace_id, t.experiment_id)])
    Suivi.log_spans = garder(
        Suivi.log_spans, lambda lieu, spans, *_: [(s.trace_id, lieu) for s in spans]
    )


def ecrire_reglages(fichier: Path, base: str) -> None:
    """Écrit les réglages que lira le serveur (MLFLOW_AUTH_CONFIG_PATH)."""
    reglages = configparser.ConfigParser(interpolation=None)
    reglages["mlflow"] = {
        "default_permission": "NO_PERMISSIONS",
        "database_uri": base.replace("%", "%%"),
        "admin_username": ADMIN,
        "authorization_function": "comptes:reconnaitre",
        # Vérifier un mot de passe prend un dixième de seconde de processeur.
        "auth_cache_ttl_seconds": "60",
    }
    with fichier.open("w", encoding="utf-8") as sortie:
        reglages.write(sortie)


def mots_de_passe(participants: int, dossier: Path = SECRETS) -> dict[str, str]:
    """Le mot de passe de chaque compte, l’administration comprise."""
    lus = {
        nom: (dossier / fichier).read_text(encoding="utf-8").strip()
        for nom, fichier in (
            (ADMIN, "mot_de_passe_mlflow_admin"),
            (PRODUCTION, "mot_de_passe_mlflow_production"),
        )
    }
    cle = (dossier / "cle_mlflow").read_text(encoding="utf-8").strip()
    return lus | {nom: cartes.mot_de_passe_mlflow(cle, nom) for nom in cartes.noms(participants)}


def preparer(base: str, voulus: dict[str, str]) -> None:
    """Crée ce qui manque, et rend à chacun son mot de passe, son expérience et son modèle."""
    from mlflow.server.auth.sqlalchemy_store import SqlAlchemyStore as Comptes
    from mlflow.store.model_registry.sqlalchemy_store import SqlAlchemyStore as Registre
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore as Suivi

    suivi, registre, comptes = Suivi(base, "mlflow-artifacts:/"), Registre(base), Comptes()
    comptes.init_db(base)
    connus = {compte.username for compte in comptes.list_users()}
    for nom in connus - voulus.keys():
        comptes.update_user(nom, password=secrets.token_urlsafe(32))  # une carte retirée
    for nom, mot_de_passe in voulus.items():
        if nom not in connus:
            comptes.create_user(nom, mot_de_passe, is_admin=nom == ADMIN)
        elif not comptes.authenticate_user(nom, mot_de_passe):
            comptes.update_user(nom, password=mot_de_passe)
        if nom == ADMIN:
            continue
        experience, modele = f"retard-vol/{nom}", f"retard-vol-{nom}"
        with _sauf_s_il_existe():
            suivi.create_experiment(experience)
        with _sauf_s_il_existe():
            registre.create_registered_model(modele)
        numero = suivi.get_experiment_by_name(experience).experiment_id
        comptes.grant_user_permission(nom, "experiment", str(numero), TOUT)
        comptes.grant_user_permission(nom, "registered_model", modele, TOUT)


@contextmanager
def _sauf_s_il_existe() -> Iterator[None]:
    from mlflow.exceptions import MlflowException

    try:
        yield
    except MlflowException as erreur:
        if erreur.error_code != "RESOURCE_ALREADY_EXISTS":
            raise


if __name__ == "__main__":
    ADRESSE = os.environ["MLFLOW_BACKEND_STORE_URI"]
    ecrire_reglages(Path(os.environ["MLFLOW_AUTH_CONFIG_PATH"]), ADRESSE)
    VOULUS = mots_de_passe(int(os.environ["PARTICIPANTS"]))
    preparer(ADRESSE, VOULUS)
    print(f"{len(VOULUS)} comptes prêts.", flush=True)
