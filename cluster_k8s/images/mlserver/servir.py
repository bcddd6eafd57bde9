"""Sert par MLServer (protocole V2) la version que le journal a acceptée, et elle seule."""

import json
import os
import sys
from pathlib import Path

from mlops_demo import confiance, registre
from mlops_demo.configuration import ErreurUtilisateur, poser_reglages

ICI = Path(__file__).parent


def telecharger(dossier: Path) -> int:
    """Copie dans un dossier vide les fichiers de la version à servir ; rend sa version.

    C’est celle que le journal dit en service, si ses fichiers ont encore l’empreinte qu’il a
    acceptée. Un canari (``MLOPS_ALIAS=challenger``) sert celle que personne n’a encore acceptée.

    Raises:
        ErreurUtilisateur: rien en service, ou une version qui ne peut pas être servie.
    """
    if os.environ.get("MLOPS_ALIAS") == registre.CHALLENGER:
        version = registre.version_de(registre.CHALLENGER)
        if version is None:
            raise ErreurUtilisateur("aucune version ne porte l’alias « challenger ».")
        registre.telecharger(version, dossier)
        return version
    tenue = confiance.en_service()
    if tenue is None:
        raise ErreurUtilisateur(
            f"le journal ne dit en service aucune version de « {registre.nom_du_modele()} » : "
            "lancez d’abord l’entraînement (notebook 42)."
        )
    registre.telecharger(tenue.version, dossier)
    confiance.exiger(tenue, tenue.version, dossier)
    return tenue.version


def principal() -> None:
    """Prépare le dossier de MLServer, puis lui laisse la place."""
    nom = os.environ.get("NOM", "retard-vol")
    racine = Path(os.environ.get("DOSSIER", "/tmp/modeles"))
    fichiers = racine / nom / "fichiers"
    fichiers.mkdir(parents=True, exist_ok=True)
    poser_reglages()
    try:
        version = telecharger(fichiers)
    except Exception as erreur:  # base ou registre injoignable : leurs bibliothèques lèvent de tout
        dit = str(erreur) if isinstance(erreur, ErreurUtilisateur) else repr(erreur)
        sys.exit(f"Erreur : {dit}")
    reglages = {
        "name": nom,
        "implementation": "moteur.Moteur",
        "parameters": {"uri": str(fichiers), "version": str(version)},
    }
    (racine / nom / "model-settings.json").write_text(json.dumps(reglages), encoding="utf-8")
    print(f"{registre.nom_du_modele()}, version {version}, servie sous « {nom} ».", flush=True)
    os.environ["PYTHONPATH"] = os.pathsep.join(
        filter(None, (str(ICI), os.environ.get("PYTHONPATH")))
    )
    os.execvp("mlserver", ["mlserver", "start", str(racine)])


if __name__ == "__main__":
    principal()
