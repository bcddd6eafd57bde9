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
from kfp import components, local

ICI = Path(__file__).parent
TRANSMISES = ("DATABASE_URL", "MLOPS_UTILISATEUR", "MLOPS_TRAVAIL", "MLFLOW_TRACKING_URI")
COULEURS = re.compile(r"\x1b\[\d+m")


def charger(nom: str):
    """Lit un pipeline compilé, reprises retirées."""
    documents = list(yaml.safe_load_all((ICI / f"{nom}.yaml").read_text(encoding="utf-8")))
    _sans_reprise(documents[0])
    return components.load_component_from_text(yaml.safe_dump_all(documents, allow_unicode=True))


def _sans_reprise(noeud: object) -> None:
    if isinstance(noeud, dict):
        noeud.pop("retryPolicy", None)
        noeud = list(noeud.values())
    if isinstance(noeud, list):
        for enfant in noeud:
            _sans_reprise(enfant)


def executant(image: str | None) -> local.SubprocessRunner | local.DockerRunner:
    """Des processus d’ici, ou des conteneurs qui voient la même base et le même dossier."""
    if image is None:
        return local.SubprocessRunner(use_venv=False)
    from docker.types import Mount

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
            charger(options.pipeline)(**options.parametres)
    except mlops_demo.ErreurUtilisateur as erreur:
        print(f"Erreur : {erreur}", file=sys.stderr)
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
