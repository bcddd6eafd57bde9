"""Aucune variable ne dépend de ce que l’on ignore avant le départ."""

import pandas as pd
import pytest
import sqlalchemy as sa
from mlops_demo import base, contrat, entrainement, features
from mlops_demo.configuration import ErreurUtilisateur


def test_les_colonnes_d_apres_le_depart_sont_celles_que_l_on_croit():
    attendues = {"dep_time", "dep_delay", "arr_time", "arr_delay", "air_time"}
    assert contrat.connues_apres_depart() == attendues


@pytest.mark.parametrize("colonne", sorted(contrat.connues_apres_depart() | {"late"}))
def test_une_colonne_d_apres_le_depart_ne_peut_pas_entrer(annee, colonne):
    table = annee.head(500).assign(**{colonne: 1.0})
    with pytest.raises(ErreurUtilisateur, match=colonne):
        entrainement.apprendre(entrainement.lineaire(), table, [*features.FEATURES, colonne])


def test_une_colonne_etrangere_ne_peut_pas_entrer():
    with pytest.raises(ErreurUtilisateur, match="flight_id"):
        entrainement.verifier_colonnes(["flight_id"])


def test_changer_le_sort_d_un_jour_ne_change_aucune_variable_de_ce_jour(demo):
    """La preuve par les données : on bouleverse les retards d’un jour, ses variables tiennent."""
    jour, lendemain = "2013-05-10", "2013-05-11"
    avant = {j: _recalculees(j) for j in (jour, lendemain)}
    bouleverser = (
        "UPDATE flights SET dep_delay = dep_delay + 1440, arr_delay = arr_delay + 1440"
        f" WHERE flight_date = '{jour}' AND arr_delay < 1000 AND dep_delay < 1000"
    )
    with base.transaction() as connexion:
        connexion.execute(sa.text(bouleverser))
        apres = {j: _recalculees(j, connexion) for j in (jour, lendemain)}
        connexion.rollback()
    pd.testing.assert_frame_equal(apres[jour], avant[jour])
    veille = ["late_origin_d1", "late_carrier_d1"]
    autres = [c for c in avant[lendemain] if c not in veille]
    pd.testing.assert_frame_equal(apres[lendemain][autres], avant[lendemain][autres])
    assert not apres[lendemain][veille].equals(avant[lendemain][veille]), (
        "le lendemain, lui, doit voir les retards de la veille : sinon ce test ne prouve rien"
    )


def _recalculees(jour, connexion=None):
    """Les variables d’un jour, recalculées par la requête du paquet."""
    requete = features.requete()
    sql = sa.text(f"SELECT * FROM ({requete}) AS x WHERE flight_date = '{jour}' ORDER BY 1")
    if connexion is None:
        with base.moteur().connect() as nouvelle:
            return pd.read_sql(sql, nouvelle)
    return pd.read_sql(sql, connexion)


def test_la_jointure_meteo_ne_multiplie_aucun_vol(annee):
    assert annee["flight_id"].is_unique
    assert len(annee) == 336775


def test_le_taux_de_la_veille_recalcule_autrement(annee):
    """Recalcul en pandas, depuis les vols bruts."""
    brut = base.lire("SELECT * FROM flights WHERE flight_date = '2013-02-20' AND origin = 'JFK'")
    prevu = brut["sched_dep_time"] // 100 * 60 + brut["sched_dep_time"] % 100
    arrives = brut[prevu + brut["dep_delay"] + brut["air_time"] + 45 <= 28 * 60]
    attendu = (arrives["arr_delay"] >= 15).mean()
    jour = annee[(annee["flight_date"] == "2013-02-21") & (annee["origin"] == "JFK")]
    assert jour["late_origin_d1"].unique() == pytest.approx([attendu])


def test_chaque_variable_a_son_nom_en_francais():
    assert list(features.LIBELLES) == features.FEATURES
    assert features.libelle("dewp") == "point de rosée"
    assert features.libelle("dest_EYW") == "destination EYW"
