"""Réglages de la démonstration : dossiers, utilisateur, variables d’environnement."""

import contextlib
import getpass
import os
import re
from pathlib import Path

RACINE = Path(__file__).resolve().parents[2]
GRAINE = 42

# Réglages que les bibliothèques lisent à leur import : ils doivent être posés avant.
# La chaîne « true » et non « 1 » : MLflow ignore DO_NOT_TRACK=1.
AVANT_IMPORT = {
    "DO_NOT_TRACK": "true",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    # MLflow lui-même ne charge aucun modèle : confiance.py le fait, sans rien exécuter.
    "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
    # Une demi-minute laisse un serveur redémarrer ; d’office, MLflow insiste plus de deux minutes.
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "4",
    # Sur une machine partagée, l’attente active d’OpenMP rend le gradient boosting
    # jusqu’à dix fois plus lent avec plusieurs fils.
    "OMP_NUM_THREADS": "1",
}
# Ce qu’un autre projet aurait laissé dans le terminal, et qui détournerait nos essais vers le sien.
D_UN_AUTRE_PROJET = (
    "MLFLOW_EXPERIMENT_ID",
    "MLFLOW_EXPERIMENT_NAME",
    "MLFLOW_REGISTRY_URI",
    "MLFLOW_RUN_ID",
)
BOUCLE_LOCALE = ("localhost", "127.0.0.1", "::1")


class ErreurUtilisateur(Exception):
    """Erreur que l’utilisateur peut corriger : le message dit quoi faire."""

    def _render_traceback_(self) -> list[str]:
        """Ce que JupyterLab et papermill affichent : la phrase, sans pile d’appels."""
        return [f"Erreur : {self}"]


def poser_reglages() -> None:
    """Pose les réglages par défaut, sans écraser ceux de l’utilisateur."""
    for nom, valeur in AVANT_IMPORT.items():
        os.environ.setdefault(nom, valeur)
    for nom in D_UN_AUTRE_PROJET:
        os.environ.pop(nom, None)
    boucle_locale_sans_proxy()
    donner_une_maison()


def donner_une_maison() -> None:
    """Donne un dossier personnel à qui n’en a pas : IPython, matplotlib et Jupyter y écrivent.

    Sans lui, chacun le dit à sa façon, en anglais, jusque dans les notebooks.
    """
    maison = os.path.expanduser("~")
    if os.path.isdir(maison) and os.access(maison, os.W_OK | os.X_OK):
        return
    with contextlib.suppress(ErreurUtilisateur, OSError):  # qui s’en sert le dira
        remplacante = dossier_travail() / "maison"
        remplacante.mkdir(mode=0o700, exist_ok=True)
        os.environ["HOME"] = str(remplacante)


def boucle_locale_sans_proxy() -> None:
    """Garde hors du proxy ce que cette machine se dit à elle-même, ici et chez nos enfants.

    Sans proxy dans l’environnement, rien n’est posé : macOS oublierait alors celui du système.
    """
    if not any(nom.lower().endswith("_proxy") for nom in os.environ if nom.lower() != "no_proxy"):
        return
    donnes = f"{os.environ.get('no_proxy', '')},{os.environ.get('NO_PROXY', '')}".split(",")
    exclus = dict.fromkeys(nom.strip() for nom in (*donnes, *BOUCLE_LOCALE) if nom.strip())
    if "*" in exclus:  # rien ne passe par le proxy ; urllib ne le lit que seul
        exclus = {"*": None}
    os.environ["no_proxy"] = os.environ["NO_PROXY"] = ",".join(exclus)


def dossier_donnees() -> Path:
    """Dossier des fichiers Parquet (variable ``MLOPS_DONNEES``, sinon ``data/``)."""
    return Path(os.environ.get("MLOPS_DONNEES") or RACINE / "data")


def dossier_travail() -> Path:
    """Dossier de ce que la démonstration produit (``MLOPS_TRAVAIL``, sinon ``_build/demo``).

    Raises:
        ErreurUtilisateur: si le dossier ne peut pas être créé ou écrit.
    """
    dossier = Path(os.environ.get("MLOPS_TRAVAIL") or RACINE / "_build" / "demo")
    return _accessible(dossier, "le dossier de travail", "MLOPS_TRAVAIL")


def dossier_tampon() -> Path:
    """Dossier du tampon et de la copie du champion du service, propre à chaque utilisateur.

    ``MLOPS_TAMPON`` le déplace : un disque local (les verrous du tampon ne valent rien sur NFS),
    que les réplicas d’une machine peuvent partager.

    Raises:
        ErreurUtilisateur: si le dossier ne peut pas être créé ou écrit.
    """
    racine = Path(os.environ.get("MLOPS_TAMPON") or dossier_travail() / "service")
    return _accessible(racine / utilisateur(), "le dossier du tampon", "MLOPS_TAMPON")


def _accessible(dossier: Path, nom: str, variable: str) -> Path:
    """Crée un dossier au besoin, vérifie que l’on peut y écrire, et rend son chemin absolu."""
    dossier = dossier.absolute()
    try:
        dossier.mkdir(parents=True, exist_ok=True)
    except OSError as erreur:
        raise ErreurUtilisateur(
            f"impossible de créer {nom} « {dossier} » ({erreur.strerror}) : "
            f"donnez un dossier accessible en écriture dans la variable {variable}."
        ) from erreur
    if not os.access(dossier, os.W_OK):
        raise ErreurUtilisateur(
            f"{nom} « {dossier} » n’est pas accessible en écriture : "
            f"changez ses droits ou donnez-en un autre dans la variable {variable}."
        )
    return dossier


def serveur_mlflow() -> str | None:
    """Adresse du serveur MLflow (``MLFLOW_TRACKING_URI``), ou rien : MLflow écrit en base.

    Seule une adresse HTTP compte : MLflow lui-même pose cette variable quand on lui donne la base.
    """
    adresse = os.environ.get("MLFLOW_TRACKING_URI", "")
    return adresse if adresse.startswith(("http://", "https://")) else None


def utilisateur() -> str:
    """Nom de la personne qui fait la démonstration, réduit à ``[a-z0-9_]`` (40 au plus).

    Il vient de ``MLOPS_UTILISATEUR``, sinon de JupyterHub, sinon du compte du système.

    Raises:
        ErreurUtilisateur: si le compte n’a pas de nom, ou si rien d’utilisable n’en reste.
    """
    brut = os.environ.get("MLOPS_UTILISATEUR") or os.environ.get("JUPYTERHUB_USER")
    brut = brut or _compte()
    nom = re.sub(r"[^a-z0-9]+", "_", brut.lower()).strip("_")[:40]
    if not nom:
        raise ErreurUtilisateur(
            f"le nom d’utilisateur « {brut} » ne contient ni lettre ni chiffre sans accent : "
            "donnez-en un autre dans la variable MLOPS_UTILISATEUR."
        )
    return nom


def _compte() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError) as erreur:  # un conteneur lancé sous un numéro quelconque
        raise ErreurUtilisateur(
            f"le compte numéro {os.getuid()} n’a pas de nom sur cette machine : donnez le vôtre "
            "dans la variable MLOPS_UTILISATEUR."
        ) from erreur


def schema() -> str:
    """Schéma Postgres propre à l’utilisateur."""
    return f"demo_{utilisateur()}"
