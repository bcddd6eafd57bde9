"""Les sources des variables : toutes comptées, chacune avec son coût et ce qu’elle rapporte."""

from mlops_demo import sources
from mlops_demo.features import FEATURES


def test_chaque_variable_vient_d_une_seule_source():
    citees = [colonne for source in sources.SOURCES.values() for colonne in source.colonnes]
    assert sorted(citees) == sorted(FEATURES)


def test_lire_deux_fois_coute_au_moins_le_double(demo):
    une, deux = "SELECT * FROM flights", "SELECT * FROM flights UNION ALL SELECT * FROM flights"
    assert sources.cout_estime(deux) >= 2 * sources.cout_estime(une) > 0


def test_le_bilan_dit_ce_que_coute_et_rapporte_chaque_source(annee):
    bilan = sources.bilan(annee).set_index("origine")
    assert list(bilan.index) == list(sources.SOURCES)
    assert bilan["variables"].sum() == len(FEATURES)
    assert (bilan[["lecture_us", "octets", "gain"]] > 0).all(axis=None)


def test_brouiller_ce_que_le_modele_ne_lit_pas_ne_coute_rien(annee):
    assert sources.utilite(annee)(["flight_id"]) == 0
