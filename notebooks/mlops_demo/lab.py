"""JupyterLab sur les notebooks, avec la base et l’interface de MLflow, le temps d’une séance."""

import contextlib
import os
import secrets
import signal
import sys
from pathlib import Path

from mlops_demo import base, processus
from mlops_demo.configuration import RACINE, dossier_travail
from mlops_demo.session import session


def ouvrir(port: int, port_mlflow: int, navigateur: bool) -> None:
    """Lance tout, imprime les adresses, et arrête tout à la fermeture (Ctrl-C).

    Args:
        port: port souhaité de JupyterLab.
        port_mlflow: celui de MLflow.
        navigateur: ouvrir une page du navigateur.

    Raises:
        ErreurUtilisateur: port pris, serveur qui ne démarre pas.
    """
    processus.verifier_port(port, "PORT")
    processus.verifier_port(port_mlflow, "PORT_MLFLOW")
    with session() as url:
        mlflow = _mlflow(port_mlflow)
        lab = _jupyterlab(port, navigateur)
        try:
            mlflow.pret()
            lab.pret()
            hote = url.rsplit("@", 1)[-1]
            jeton = os.environ["JUPYTER_TOKEN"]
            print(f"JupyterLab : http://127.0.0.1:{port}/lab?token={jeton}")
            print(f"MLflow     : {mlflow.adresse.removesuffix('/health')}")
            print(f"Postgres   : {hote} (adresse complète dans DATABASE_URL des notebooks)")
            print("Ctrl-C arrête tout.", flush=True)
            signal.signal(signal.SIGTERM, signal.default_int_handler)
            lab.processus.wait()
        except KeyboardInterrupt:
            print("\nArrêt.")
        finally:
            lab.arreter()
            mlflow.arreter()


def _nom_public(port: int) -> str | None:
    """Le nom sous lequel GitHub Codespaces montre un port, ou rien ailleurs."""
    espace = os.environ.get("CODESPACE_NAME")
    domaine = os.environ.get("GITHUB_CODESPACES_PORT_FORWARDING_DOMAIN", "app.github.dev")
    return f"{espace}-{port}.{domaine}" if espace else None


def _mlflow(port: int) -> processus.Serveur:
    """L’interface de MLflow ; l’adresse de la base passe par l’environnement, jamais par ``ps``."""
    adresse = base.en_texte(base.url_avec_schema(base.SCHEMA_MLFLOW))
    artefacts = dossier_travail() / "artefacts"
    artefacts.mkdir(exist_ok=True)
    os.environ["MLFLOW_BACKEND_STORE_URI"] = adresse
    os.environ["MLFLOW_DEFAULT_ARTIFACT_ROOT"] = artefacts.as_uri()
    if public := _nom_public(port):
        os.environ["MLFLOW_SERVER_ALLOWED_HOSTS"] = f"localhost:*,127.0.0.1:*,{public}"
        os.environ["MLFLOW_SERVER_CORS_ALLOWED_ORIGINS"] = f"https://{public}"
    # MLflow appelle « uvicorn » par le PATH : celui du même environnement doit venir d’abord.
    os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    commande = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1"]
    commande += ["--port", str(port), "--workers", "1"]
    sante = f"http://127.0.0.1:{port}/health"
    return processus.Serveur("MLflow", commande, sante, dossier_travail() / "mlflow.journal")


def _jupyterlab(port: int, navigateur: bool) -> processus.Serveur:
    """JupyterLab en français, sans annonce ni recherche de mise à jour."""
    # Le jeton passe par l’environnement : sur la ligne de commande, « ps » le montrerait.
    os.environ["JUPYTER_TOKEN"] = secrets.token_urlsafe(16)
    reglages = Path(sys.prefix) / "share" / "jupyter" / "lab" / "settings" / "overrides.json"
    with contextlib.suppress(OSError):  # dans une image, l’environnement est en lecture seule
        reglages.parent.mkdir(parents=True, exist_ok=True)
        reglages.write_text('{"@jupyterlab/translation-extension:plugin": {"locale": "fr_FR"}}\n')
    commande = [sys.executable, "-m", "jupyterlab", f"--port={port}", "--ip=127.0.0.1"]
    commande += ["--ServerApp.port_retries=0", f"--ServerApp.root_dir={RACINE / 'notebooks'}"]
    commande += ["--LabApp.news_url=", "--LabApp.check_for_updates_class="]
    commande[-1] += "jupyterlab.NeverCheckForUpdate"
    if public := _nom_public(port):
        commande += [f"--ServerApp.allow_origin=https://{public}"]
        commande += ["--ServerApp.allow_remote_access=True"]
    if not navigateur:
        commande.append("--no-browser")
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        commande.append("--allow-root")
    sante = f"http://127.0.0.1:{port}/api"
    return processus.Serveur(
        "JupyterLab", commande, sante, dossier_travail() / "jupyterlab.journal"
    )
