"""Refait les schémas de ce dossier d’après les définitions (CRD) qu’installe Kubeflow.

Il lit du YAML tel que kubectl le compose, et remplace ceux des schémas qui sont déjà là : README.md
donne les commandes.
"""

import gzip
import json
import sys
from pathlib import Path

import yaml

DOSSIER = Path(__file__).resolve().parent
# Les tests ne les lisent pas, et c’est l’essentiel de ces définitions.
NON_LUS = {"description", "x-kubernetes-list-type", "x-kubernetes-list-map-keys"}


def alleger(schema: object, noms: bool = False) -> object:
    """Le schéma, sans ce que les tests ne lisent pas ; ``noms`` : ses clés nomment des champs."""
    if isinstance(schema, list):
        return [alleger(partie) for partie in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        cle: alleger(valeur, cle == "properties" and not noms)
        for cle, valeur in schema.items()
        if noms or cle not in NON_LUS
    }


def comprimer(schema: object) -> bytes:
    """Le schéma allégé, en JSON comprimé : les mêmes octets à chaque fois."""
    texte = json.dumps(alleger(schema), sort_keys=True, separators=(",", ":"))
    return gzip.compress(texte.encode(), 9, mtime=0)


def principal() -> None:
    """Remplace les schémas dont la définition est dans l’entrée."""
    for objet in yaml.load_all(sys.stdin, yaml.CSafeLoader):
        if not objet or objet["kind"] != "CustomResourceDefinition":
            continue
        for version in objet["spec"]["versions"]:
            nom = f"{objet['spec']['names']['kind']}.{version['name']}.json.gz"
            if (DOSSIER / nom).exists():
                (DOSSIER / nom).write_bytes(comprimer(version["schema"]["openAPIV3Schema"]))
                print(nom)


if __name__ == "__main__":
    principal()
