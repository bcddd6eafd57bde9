"""Télécharge du registre la version d’un alias, et la sert par MLServer (protocole V2)."""

import json
import os
import sys
from pathlib import Path

import mlflow
from mlflow.exceptions import MlflowException


def telecharger(modele: str, dossier: Path) -> str:
    """Copie les fichiers du modèle dans un dossier et rend sa version.

    ``VERSION`` fixe la version ; sans elle, c’est celle de l’alias ``ALIAS`` (``champion``).

    Raises:
        SystemExit: registre injoignable, modèle ou alias inconnu.
    """
    client = mlflow.MlflowClient()
    version = os.environ.get("VERSION")
    try:
        if not version:
            alias = os.environ.get("ALIAS", "champion")
            version = client.get_model_version_by_alias(modele, alias).version
        mlflow.artifacts.download_artifacts(f"models:/{modele}/{version}", dst_path=str(dossier))
    except (MlflowException, OSError) as erreur:
        sys.exit(f"Erreur : le modèle « {modele} » ne se télécharge pas ({erreur}).")
    return str(version)


def reglages(nom: str, modele: str, version: str, dossier: Path) -> dict:
    """Ce que MLServer doit savoir du modèle."""
    return {
        "name": nom,
        "implementation": "mlserver_mlflow.MLflowRuntime",
        "parameters": {"uri": str(dossier), "version": version, "extra": {"modele": modele}},
    }


def principal() -> None:
    """Prépare le dossier de MLServer, puis lui laisse la place."""
    modele = os.environ.get("MODELE", "retard-vol-production")
    nom = os.environ.get("NOM", "retard-vol")
    racine = Path(os.environ.get("DOSSIER", "/tmp/modeles"))
    fichiers = racine / nom / "fichiers"
    fichiers.mkdir(parents=True, exist_ok=True)
    version = telecharger(modele, fichiers)
    texte = json.dumps(reglages(nom, modele, version, fichiers), indent=2)
    (racine / nom / "model-settings.json").write_text(texte, encoding="utf-8")
    print(f"{modele}, version {version}, servi sous le nom « {nom} ».", flush=True)
    os.execvp("mlserver", ["mlserver", "start", str(racine)])


if __name__ == "__main__":
    principal()
