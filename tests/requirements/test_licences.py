"""Les licences des paquets installés : toutes connues, toutes acceptées."""

import importlib.util
import json
import re
from email.message import Message
from pathlib import Path
from types import SimpleNamespace

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

RACINE = Path(__file__).resolve().parents[2]
CHEMIN = RACINE / "requirements" / "licences.py"
IMAGES = json.loads((RACINE / "requirements" / "licences_images.json").read_text(encoding="utf-8"))
VERROUS = sorted(RACINE.glob("*/images/*/requirements.txt"))
SPEC = importlib.util.spec_from_file_location("licences", CHEMIN)
licences = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(licences)


def paquet(**champs):
    """Un paquet qui déclare ces métadonnées."""
    donnees = Message()
    donnees["Name"] = "essai"
    for nom, valeur in champs.items():
        donnees[nom.replace("_", "-")] = valeur
    return SimpleNamespace(metadata=donnees)


def test_chaque_paquet_installe_a_une_licence_acceptee():
    releve = licences.relever()
    assert len(releve) > 200, "le verrou n’est pas installé ?"
    assert {n: e for n, (_, e) in releve.items() if not licences.acceptee(e)} == {}


def test_une_licence_lue_par_nous_est_celle_d_un_paquet_installe():
    des_images = {p for image in IMAGES.values() for noms in image.values() for p in noms}
    assert set(licences.LUES) <= set(licences.relever()) | des_images


def test_une_licence_de_plus_ne_vaut_que_dans_une_image():
    assert licences.acceptee("Unlicense", licences.DES_IMAGES)
    assert not licences.acceptee("Unlicense")


# Où tournent les images.
LINUX = {"sys_platform": "linux", "platform_system": "Linux", "os_name": "posix"}
LINUX |= {"platform_machine": "x86_64", "python_version": "3.11", "python_full_version": "3.11.2"}
LINUX |= {"implementation_name": "cpython", "platform_python_implementation": "CPython"}


@pytest.mark.parametrize("verrou", VERROUS, ids=lambda v: v.parent.name)
def test_chaque_paquet_d_une_image_a_une_licence_acceptee(verrou):
    """Le relevé vient de l’image elle-même ; un paquet de plus au verrou demande d’y relire."""
    releve = IMAGES[verrou.parent.name]
    refusees = [
        expression
        for expression in releve
        if not licences.acceptee(expression, licences.DES_IMAGES)
    ]
    assert refusees == []
    texte = verrou.read_text(encoding="utf-8")
    lignes = re.findall(r"^(\w\S*==.*?) \\$", texte, re.MULTILINE)
    assert len(lignes) == len(re.findall(r"^\w", texte, re.MULTILINE)) > 0, "verrou mal lu"
    exigences = [Requirement(ligne) for ligne in lignes]
    installes = {
        canonicalize_name(e.name) for e in exigences if not e.marker or e.marker.evaluate(LINUX)
    }
    connus = {nom for noms in releve.values() for nom in noms}
    assert installes - connus == set(), "relancez requirements/licences.py --image dans cette image"


def test_chaque_paquet_de_npm_a_une_licence_acceptee():
    releve = licences.relever_npm()
    demandes = json.loads((RACINE / "requirements" / "package.json").read_text())["dependencies"]
    assert set(demandes) <= {nom for noms in releve.values() for nom in noms}
    assert sum(map(len, releve.values())) > 100, "verrou mal lu"
    assert [e for e in releve if not licences.acceptee(e, licences.DE_NPM)] == []


def test_un_paquet_de_npm_sans_licence_est_vu(monkeypatch, tmp_path):
    verrou = {"packages": {"": {}, "node_modules/a/node_modules/@b/c": {}}}
    (tmp_path / "verrou.json").write_text(json.dumps(verrou))
    monkeypatch.setattr(licences, "VERROU_NPM", tmp_path / "verrou.json")
    assert licences.relever_npm() == {"inconnue": ["@b/c"]}
    assert not licences.acceptee("inconnue", licences.DE_NPM)


@pytest.mark.parametrize(
    ("champs", "lue"),
    [
        ({"License_Expression": "MIT OR GPL-2.0"}, "MIT OR GPL-2.0"),
        ({"Classifier": "License :: OSI Approved :: BSD License"}, "BSD"),
        ({"Classifier": "License :: OSI Approved"}, "inconnue"),
        ({"License": "Apache 2.0\nle texte entier"}, "Apache-2.0"),
        ({}, "inconnue"),
    ],
)
def test_la_licence_est_celle_que_declare_le_paquet(champs, lue):
    assert licences.licence(paquet(**champs)) == lue


@pytest.mark.parametrize(
    ("expression", "verdict"),
    [
        ("MIT", True),
        ("GPL-3.0-only OR MIT", True),
        ("MIT AND BSD-3-Clause", True),
        ("GPL-3.0-only", False),
        ("MIT AND GPL-3.0-only", False),
        ("AGPL-3.0-only OR GPL-3.0-only", False),
        ("inconnue", False),
    ],
)
def test_une_licence_est_acceptee_ou_non(expression, verdict):
    assert licences.acceptee(expression) is verdict
