"""Les données du livre se tiennent : sources connues, étapes réelles, temps compté."""

import pytest
from publication.depot import RACINE
from publication.tableaux import DONNEES, charger

FICHIERS = sorted(f.stem for f in DONNEES.glob("*.yaml"))


def parcourir(valeur):
    """Donne toutes les fiches d’un fichier de données, quelle que soit leur profondeur."""
    if isinstance(valeur, dict):
        yield valeur
        valeur = list(valeur.values())
    if isinstance(valeur, list):
        for element in valeur:
            yield from parcourir(element)


def test_le_deroule_tient_en_45_minutes():
    total = sum(partie["minutes"] for partie in charger("plan"))
    assert total <= 45, f"La présentation dure {total} minutes."


@pytest.mark.parametrize("nom", FICHIERS)
def test_etapes_existent(nom):
    for ligne in parcourir(charger(nom)):
        if "etape" in ligne:
            notebook = RACINE / "notebooks" / f"{ligne['etape']}.ipynb"
            assert notebook.is_file(), f"{nom}.yaml renvoie à un notebook absent : {ligne}"


def test_compte_des_definitions_niveaux_et_principes():
    assert len(charger("definitions")) == 5
    assert [ligne["niveau"][0] for ligne in charger("niveaux")] == list("01234")
    assert len(charger("principes")) == 11
