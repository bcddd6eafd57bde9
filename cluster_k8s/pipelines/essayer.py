"""Exécute un pipeline compilé sur cette machine, sans cluster : le même YAML, les mêmes notebooks.

    PYTHONPATH=_build/kfp .venv/bin/python cluster_k8s/pipelines/essayer.py mois_du_modele

Par défaut, chaque étape est un processus du Python qui lance ce fichier. Avec --image, c’est un
conteneur. La base est celle de DATABASE_URL, sinon le Postgres embarqué. Les reprises du YAML sont
retirées : elles attendraient sans rien apprendre à qui essaie.
"""

import argparse
import json
import os
import re
import sys
from pathlib import Path

import mlops_demo
import yaml
from docker.errors import DockerException
from docker.types import Mount
from kfp import components, local
from kfp.local import docker_task_handler

ICI = Path(__file__).parent
TRANSMISES = ("DATABASE_URL", "MLOPS_UTILISATEUR", "MLOPS_TRAVAIL", "MLFLOW_TRACKING_URI")
COULEURS = re.compile(r"\x1b\[\d+m")


def charger(nom: str, image: str | None = None):
    """Lit un pipeline compilé, reprises retirées, et ``image`` à la place de celle du YAML."""
    documents = list(yaml.safe_load_all((ICI / f"{nom}.yaml").read_text(encoding="utf-8")))
    _sans_reprise(documents[0])
    if image is not None:
        for executeur in documents[0]["deploymentSpec"]["executors"].values():
            executeur["container"]["image"] = image
    return components.load_component_from_text(yaml.safe_dump_all(documents, allow_unicode=True))


def _sans_reprise(noeud: object) -> None:
    if isinstance(noeud, dict):
        noeud.pop("retryPolicy", None)
        noeud = list(noeud.values())
    if isinstance(noeud, list):
        for enfant in noeud:
            _sans_reprise(enfant)


def lancer_conteneur(client, image: str, command: list[str], volumes: dict, **reglages) -> int:
    """Exécute une étape dans un conteneur ; rend son code de sortie, et le retire.

    kfp 2.17.0 laisse Docker le retirer, et tient pour réussie l’étape dont il n’a pas eu le temps
    de lire le code : une étape en échec passe parfois (kubeflow/pipelines, issue 13332).
    """
    conteneur = client.containers.run(image, command, detach=True, volumes=volumes, **reglages)
    try:
        for ligne in conteneur.logs(stream=True):
            print(ligne.decode(), end="")
        return conteneur.wait()["StatusCode"]
    finally:
        conteneur.remove(force=True)


def executant(image: str | None) -> local.SubprocessRunner | local.DockerRunner:
    """Des processus d’ici, ou des conteneurs qui voient la même base et le même dossier."""
    if image is None:
        return local.SubprocessRunner(use_venv=False)
    docker_task_handler.run_docker_container = lancer_conteneur
    travail = str(mlops_demo.dossier_travail())
    return local.DockerRunner(
        network_mode="host",
        user=f"{os.getuid()}:{os.getgid()}",
        mounts=[Mount(travail, travail, type="bind")],
        environment={nom: os.environ[nom] for nom in TRANSMISES if nom in os.environ}
        | {"HOME": "/tmp", "MLOPS_TRAVAIL": travail},
    )


def resultats(dossier: Path) -> dict[str, object]:
    """Ce qu’a rendu chaque étape, sous son nom ; celles d’une boucle, avec leur rang."""
    rendus = {}
    for fichier in sorted(dossier.rglob("executor_output.json")):
        nom = "/".join(fichier.relative_to(dossier).parts[1:-1])
        sorties = json.loads(fichier.read_text(encoding="utf-8")).get("parameterValues", {})
        rendus[nom] = sorties.get("Output")
    return rendus


def principal() -> int:
    """Exécute, écrit ce qu’a rendu chaque étape, et rend le code de sortie."""
    analyseur = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    analyseur.add_argument("pipeline", choices=("grand_lot", "mois_du_modele"))
    analyseur.add_argument("--parametres", type=json.loads, default={}, help="en JSON")
    analyseur.add_argument("--dossier", type=Path, default=Path("_build/pipelines"))
    analyseur.add_argument("--image", help="image demo, pour exécuter dans des conteneurs")
    options = analyseur.parse_args()
    try:
        with mlops_demo.session():
            local.init(executant(options.image), pipeline_root=str(options.dossier.absolute()))
            charger(options.pipeline, options.image)(**options.parametres)
    except mlops_demo.ErreurUtilisateur as erreur:
        print(f"Erreur : {erreur}", file=sys.stderr)
        return 1
    except DockerException as erreur:
        print(
            f"Erreur : l’étape ne démarre pas dans l’image {options.image} : lancez Docker et "
            f"construisez l’image (make up), puis recommencez.\n{erreur}",
            file=sys.stderr,
        )
        return 1
    except RuntimeError as erreur:  # ce que lève kfp quand une étape échoue
        print(f"Erreur : {COULEURS.sub('', str(erreur))}", file=sys.stderr)
        return 1
    finally:
        texte = json.dumps(resultats(options.dossier), ensure_ascii=False, indent=2)
        options.dossier.mkdir(parents=True, exist_ok=True)
        (options.dossier / "resultats.json").write_text(texte + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(principal())
