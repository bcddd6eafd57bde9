"""Le compte MLflow d’un participant : le nom et le mot de passe de sa carte."""

import base64
import json
import urllib.error
import urllib.request
from pathlib import Path

ADRESSE = "http://mlflow:5000/api/2.0/mlflow/users"
SECRET = Path("/run/secrets/mot_de_passe_mlflow_admin")
# Le proxy d’une entreprise ne connaît pas « mlflow ».
OUVREUR = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class SansCompte(Exception):
    """Le compte n’a pas pu être créé ; le hub montre cette phrase."""

    jupyterhub_message = "MLflow ne répond pas encore : réessayez dans une minute."


def preparer(nom: str, mot_de_passe: str) -> None:
    """Crée le compte, ou lui rend le mot de passe de sa carte.

    Raises:
        SansCompte: MLflow ne répond pas, ou refuse.
    """
    compte = {"username": nom, "password": mot_de_passe}
    try:
        try:
            _demander("POST", "create", compte)
        except urllib.error.HTTPError as refus:
            if json.load(refus).get("error_code") != "RESOURCE_ALREADY_EXISTS":
                raise
            _demander("PATCH", "update-password", compte)
    except (OSError, ValueError) as erreur:
        raise SansCompte(f"compte MLflow de {nom} : {erreur}") from erreur


def _demander(methode: str, geste: str, corps: dict[str, str]) -> None:
    admin = f"admin:{SECRET.read_text(encoding='utf-8').strip()}"
    entetes = {
        "Authorization": f"Basic {base64.b64encode(admin.encode()).decode()}",
        "Content-Type": "application/json",
    }
    demande = urllib.request.Request(
        f"{ADRESSE}/{geste}", json.dumps(corps).encode(), entetes, method=methode
    )
    OUVREUR.open(demande, timeout=30).close()
