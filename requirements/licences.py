"""Liste la licence de chaque paquet installé, et refuse celles que le projet n’accepte pas.

``.venv/bin/python requirements/licences.py`` en écrit le tableau. Lancé avec ``--image`` par le
Python d’une image, il écrit celui de l’image : ``licences_images.json`` garde ce qui y a été
relevé. La licence est celle que le paquet déclare : son expression SPDX, sinon ses
« classifiers », sinon la première ligne du champ.
"""

import json
import re
import sys
from collections.abc import Set
from importlib.metadata import Distribution, distributions
from pathlib import Path

VERROU_NPM = Path(__file__).with_name("package-lock.json")

# Permissives, ou à réciprocité limitée au fichier (MPL) ou à la bibliothèque (LGPL) : le projet
# importe ces paquets sans les modifier ni les redistribuer dans le sien.
ACCEPTEES = {
    *("0BSD", "Apache-2.0", "BSD", "BSD-2-Clause", "BSD-3-Clause", "CC0-1.0", "CNRI-Python"),
    *("ISC", "LGPL-3.0-only", "MIT", "MIT-0", "MIT-CMU", "MPL-2.0", "PSF-2.0", "TCL", "ZPL-2.1"),
    "Zlib",
}
# Dans une image seulement : un outil à part (Superset, Airflow), que le projet n’importe pas.
DES_IMAGES = {
    *("Artistic-1.0-Perl", "LGPL", "LGPL-2.1", "LGPL-2.1-or-later", "LGPL-3.0-or-later"),
    "Unlicense",
}
# Chez npm seulement : les outils qui mesurent les pages, que le livre ne contient pas.
DE_NPM = {"BlueOak-1.0.0"}
# Ce que des paquets écrivent à la place d’un identifiant SPDX.
SYNONYMES = {
    "3-Clause BSD License": "BSD-3-Clause",
    "Apache 2.0": "Apache-2.0",
    "Apache License": "Apache-2.0",
    "Apache License 2.0": "Apache-2.0",
    "Apache License, Version 2.0": "Apache-2.0",
    "Apache Software License": "Apache-2.0",
    "BSD License": "BSD",
    "GNU Lesser General Public License v3 or later (LGPLv3+)": "LGPL-3.0-or-later",
    "GNU Library or Lesser General Public License (LGPL)": "LGPL",
    "ISC License (ISCL)": "ISC",
    "MIT License": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "Python Software Foundation License": "PSF-2.0",
    "Simplified BSD": "BSD-2-Clause",
    "The Unlicense (Unlicense)": "Unlicense",
}
# Ce que leurs métadonnées ne disent pas, ou mal, et où nous l’avons lu.
LUES = {
    # Leur fichier LICENSE, dans le paquet.
    "huey": "MIT",
    "jupyterhub-idle-culler": "BSD-3-Clause",
    "polyline": "MIT",
    "py-grpc-prometheus": "Apache-2.0",
    "skops": "MIT",
    # L’en-tête de ses fichiers ; ses « classifiers » ajoutent Apache et GPL.
    "odfpy": "LGPL-2.1-or-later",
    # Son METADATA : au choix.
    "text-unidecode": "Artistic-1.0-Perl OR GPL-2.0-or-later",
    # Son METADATA : toute licence approuvée par l’OSI.
    "apsw": "0BSD",
    # Son COPYING : domaine public (CC0), avec des fichiers sous BSD et ZPL ; la GPL ne vaut que
    # pour un mode d’Emacs, que le paquet ne contient pas.
    "docutils": "CC0-1.0 AND BSD-2-Clause AND BSD-3-Clause AND ZPL-2.1",
}


def licence(paquet: Distribution) -> str:
    """Donne la licence que déclare un paquet, ou « inconnue »."""
    donnees = paquet.metadata
    if donnees["Name"] in LUES:
        return LUES[donnees["Name"]]
    if expression := donnees.get("License-Expression"):
        return expression
    classes = [c for c in donnees.get_all("Classifier", []) if c.startswith("License ::")]
    noms = [c.split(" :: ")[-1] for c in classes if c.count(" :: ") > 1]
    if not noms:
        noms = (donnees.get("License") or "").strip().splitlines()[:1]
    return " AND ".join(SYNONYMES.get(nom, nom) for nom in noms) or "inconnue"


def acceptee(expression: str, en_plus: Set[str] = frozenset()) -> bool:
    """Dit si chaque licence d’un « AND », ou l’une au moins d’un « OR », est acceptée."""
    acceptees = ACCEPTEES | en_plus
    choix = re.split(r"\s+OR\s+", expression.replace("(", "").replace(")", ""))
    return any(set(re.split(r"\s+AND\s+", partie)) <= acceptees for partie in choix)


def relever() -> dict[str, tuple[str, str]]:
    """Donne la version et la licence de chaque paquet installé, hors celui du dépôt."""
    vus = {p.metadata["Name"]: (p.version, licence(p)) for p in distributions()}
    return {nom: vus[nom] for nom in sorted(vus, key=str.lower) if nom != "presentation-mlops"}


def relever_npm() -> dict[str, list[str]]:
    """Donne chaque licence du verrou de npm, et les paquets qui la déclarent."""
    verrou = json.loads(VERROU_NPM.read_text(encoding="utf-8"))["packages"]
    releve: dict[str, list[str]] = {}
    for chemin, paquet in sorted(verrou.items()):
        if chemin:  # le premier, sans nom, est celui qui les demande tous
            nom = chemin.rpartition("node_modules/")[2]
            releve.setdefault(paquet.get("license", "inconnue"), []).append(nom)
    return releve


def principal() -> int:
    """Écrit le tableau ; rend 1 si une licence est refusée."""
    print("| Paquet | Version | Licence |\n|---|---|---|")
    releve, en_plus = relever(), DES_IMAGES if "--image" in sys.argv[1:] else frozenset()
    for nom, (version, expression) in releve.items():
        print(f"| {nom} | {version} | {expression} |")
    refusees = [f"{nom} ({e})" for nom, (_, e) in releve.items() if not acceptee(e, en_plus)]
    if refusees:
        print(f"Licences refusées ou inconnues : {', '.join(refusees)}", file=sys.stderr)
    return 1 if refusees else 0


if __name__ == "__main__":
    sys.exit(principal())
