"""Les licences des paquets installés : toutes connues, toutes acceptées."""

import importlib.util
from email.message import Message
from pathlib import Path
from types import SimpleNamespace

import pytest

CHEMIN = Path(__file__).resolve().parents[2] / "requirements" / "licences.py"
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
    assert set(licences.LUES) <= set(licences.relever())


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
