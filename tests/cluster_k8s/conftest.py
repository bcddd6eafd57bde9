"""Les installations telles que kubectl les compose, et les outils qui les vérifient."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

RACINE = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(Path(__file__).parent))  # controles.py

BIN = Path(sys.executable).parent
A_PART = ("kserve", "notebooks", "pipelines")


@pytest.fixture(scope="session")
def outils(tmp_path_factory):
    """kubectl, checkov et kubernetes-validate, installés aux empreintes de outils.txt."""
    from programmes import environnement

    verrou = Path(__file__).with_name("outils.txt")
    return environnement(tmp_path_factory.mktemp("outils"), verrou)


@pytest.fixture(scope="session")
def depot(tmp_path_factory):
    """Une copie de cluster_k8s et de local/postgres, avec des secrets d’essai."""
    racine = tmp_path_factory.mktemp("k8s")
    sans = shutil.ignore_patterns("mot_de_passe_*", "cle_*", "__pycache__", "images")
    shutil.copytree(RACINE / "cluster_k8s", racine / "cluster_k8s", ignore=sans)
    shutil.copytree(RACINE / "local" / "postgres", racine / "local" / "postgres")
    fichier = racine / "cluster_k8s" / "secrets" / "kustomization.yaml"
    for genere in yaml.safe_load(fichier.read_text(encoding="utf-8"))["secretGenerator"]:
        for secret in genere["files"]:
            fichier.with_name(secret).write_text(f"essai-{secret}", encoding="utf-8")
    return racine / "cluster_k8s"


@pytest.fixture(scope="session")
def rendus(outils, depot, tmp_path_factory):
    """Le YAML de chaque installation, et celui du Job qui copie les sauvegardes."""
    from controles import AVEC_ECHELLE, INSTALLATIONS

    dossier = tmp_path_factory.mktemp("rendus")
    for installation in AVEC_ECHELLE:
        copie = depot / installation
        shutil.copytree(depot / installation.removesuffix("-echelle"), copie)
        fichier = copie / "kustomization.yaml"
        texte = fichier.read_text(encoding="utf-8")
        if "../production\n" in texte:
            texte = texte.replace("../production\n", "../production-echelle\n")
        else:
            texte += "components: [../../echelle]\n"
        fichier.write_text(texte, encoding="utf-8")
    for installation in (*INSTALLATIONS, *AVEC_ECHELLE, *A_PART):
        fait = subprocess.run(
            [outils / "kubectl", "kustomize", depot / installation],
            capture_output=True,
            text=True,
            encoding="utf-8",
            check=False,
        )
        assert fait.returncode == 0, fait.stderr
        (dossier / f"{Path(installation).name}.yaml").write_text(fait.stdout, encoding="utf-8")
    shutil.copy(depot / "copie.yaml", dossier)
    return dossier


@pytest.fixture(scope="session")
def objets(rendus):
    """Rend les objets d’une installation."""
    connus = {}

    def lire(installation):
        if installation not in connus:
            texte = (rendus / f"{Path(installation).name}.yaml").read_text(encoding="utf-8")
            connus[installation] = [o for o in yaml.safe_load_all(texte) if o]
        return connus[installation]

    return lire


@pytest.fixture(scope="session")
def champion(tmp_path_factory):
    """Le premier champion, entraîné sur nos vols et inscrit par un serveur MLflow, comme là-bas."""
    from mlops_demo import base, donnees, postgres, processus, registre, simulation
    from mlops_demo.session import session
    from programmes import programme

    dossier = tmp_path_factory.mktemp("registre")
    port = processus.port_libre()
    adresse = f"http://127.0.0.1:{port}"
    commande = [
        BIN / "mlflow",
        "server",
        "--port",
        str(port),
        "--workers",
        "1",
        "--serve-artifacts",
    ]
    commande += ["--artifacts-destination", dossier / "artefacts"]
    with pytest.MonkeyPatch.context() as reglages:
        reglages.setenv("MLOPS_TRAVAIL", str(dossier))
        reglages.setenv("MLOPS_UTILISATEUR", "production")
        reglages.delenv("DATABASE_URL", raising=False)
        base.oublier()
        try:
            with session():
                donnees.charger()
                registre_en_base = base.url_avec_schema(base.SCHEMA_MLFLOW)
                env = os.environ | {
                    "MLFLOW_BACKEND_STORE_URI": registre_en_base.render_as_string(
                        hide_password=False
                    ),
                    "PATH": f"{BIN}:{os.environ['PATH']}",
                }
                with programme(commande, dossier / "mlflow.journal", env, f"{adresse}/health"):
                    reglages.setenv("MLFLOW_TRACKING_URI", adresse)
                    simulation.assurer_champion()
                    yield adresse, registre.version_de(registre.CHAMPION)
        finally:
            base.oublier()
            postgres.fermer()
            postgres.effacer()
