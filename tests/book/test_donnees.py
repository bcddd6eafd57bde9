"""Les données du livre se tiennent : sources connues, étapes réelles, temps compté."""

import pytest
from publication.depot import RACINE
from publication.tableaux import DONNEES, charger

FICHIERS = sorted(f.stem for f in DONNEES.glob("*.yaml"))


def test_le_deroule_tient_en_45_minutes():
    total = sum(partie["minutes"] for partie in charger("plan"))
    assert total <= 45, f"La présentation dure {total} minutes."


@pytest.mark.parametrize("nom", [nom for nom in FICHIERS if nom != "sources"])
def test_sources_et_etapes_existent(nom):
    sources = charger("sources")
    for ligne in charger(nom):
        if "source" in ligne:
            assert ligne["source"] in sources, f"{nom}.yaml cite une source inconnue : {ligne}"
        if "etape" in ligne:
            notebook = RACINE / "notebooks" / f"{ligne['etape']}.ipynb"
            assert notebook.is_file(), f"{nom}.yaml renvoie à un notebook absent : {ligne}"


def test_chaque_source_est_citee_et_dit_comment_elle_a_ete_lue():
    citees = {ligne.get("source") for nom in FICHIERS if nom != "sources" for ligne in charger(nom)}
    for cle, source in charger("sources").items():
        assert source["lecture"] in {"lu", "partielle", "tierce"}, f"{cle} : lecture non dite."
        assert source["adresse"].startswith("https://"), f"{cle} : adresse absente."
        assert cle in citees | {"MS"}, f"{cle} n’est citée nulle part."


def test_rappi_n_est_pas_cite_comme_lu():
    # L’article n’a pas pu être lu : il n’appuie aucun critère
    assert not any("rappi" in s["adresse"] for s in charger("sources").values())


def test_compte_des_definitions_niveaux_et_principes():
    assert len(charger("definitions")) == 5
    assert [ligne["niveau"][0] for ligne in charger("niveaux")] == list("01234")
    assert len(charger("principes")) == 11
