"""Les deux scénarios d’installation, lus dans les fichiers de ``local`` et de ``cluster_k8s``."""

import re
from pathlib import Path
from typing import Any

import yaml

from publication.depot import RACINE, Analyseur, ErreurPublication, lire_yaml
from publication.tableaux import charger

PORT = re.compile(r"\$\{PORT_\w+:-(\d+)\}")
# Ce qu’un scénario n’a pas.
RIEN = ["—"]


def parties(racine: Path = RACINE) -> list[dict[str, Any]]:
    """Donne chaque partie de la démonstration, et ce qu’elle est dans chaque scénario.

    Raises:
        ErreurPublication: si ``scenarios.yaml`` cite un service ou un objet qui n’existe pas.
    """
    services, objets = services_locaux(racine), objets_du_cluster(racine)
    lignes = []
    for partie in charger("scenarios"):
        inconnus = {*partie["local"]} - {*services} | {*partie["cluster"]} - objets
        if inconnus:
            raise ErreurPublication(
                f"scenarios.yaml cite {', '.join(sorted(inconnus))}, que ni local/compose.yaml ni "
                "les manifestes de cluster_k8s ne décrivent : corrigez l’un ou l’autre."
            )
        local = [services[nom] for nom in partie["local"]] or RIEN
        lignes.append({**partie, "local": local, "cluster": partie["cluster"] or RIEN})
    return lignes


def services_locaux(racine: Path = RACINE) -> dict[str, str]:
    """Donne les services de Docker Compose, chacun avec le port et le profil qu’il a."""
    services = lire_yaml(racine / "local" / "compose.yaml")["services"]
    return {nom: ", ".join([nom, *_precisions(service)]) for nom, service in services.items()}


def _precisions(service: dict[str, Any]) -> list[str]:
    ports = [PORT.search(port)[1] for port in service.get("ports", [])]
    profils = service.get("profiles", [])
    return [f"port {port}" for port in ports] + [f"profil {profil}" for profil in profils]


def objets_du_cluster(racine: Path = RACINE) -> set[str]:
    """Donne le genre et le nom de chaque objet, et de chaque pipeline compilé."""
    objets = set()
    for fichier in (racine / "cluster_k8s").rglob("*.yaml"):
        for objet in yaml.load_all(fichier.read_text(encoding="utf-8"), Loader=Analyseur):
            if objet and "pipelineInfo" in objet:
                objets.add(f"Pipeline {objet['pipelineInfo']['name']}")
            elif objet and "metadata" in objet:
                objets.add(f"{objet['kind']} {objet['metadata']['name']}")
    return objets
