"""Un lot en retard, en désordre, hostile : rien de perdu, rien d’abîmé, une raison donnée."""

import numpy as np
import pandas as pd
import pytest
from mlops_demo import base, contrat, donnees


def _vols_du(jour):
    colonnes = ", ".join(contrat.schema_arrow("flights").names)
    return base.lire(f"SELECT {colonnes} FROM flights WHERE flight_date = $1::date", jour)


def test_en_retard_ou_en_desordre_les_memes_lots_donnent_les_memes_variables(demo):
    """Le 31 arrive avant le 30, et la météo du 30 après les deux."""
    temoin = (
        "SELECT v.carrier, v.flight, v.time_hour, x.* FROM features AS x JOIN flights AS v"
        " USING (flight_id) WHERE v.flight_date >= '2013-12-30' ORDER BY 3, 1, 2"
    )
    du_30 = "time_hour BETWEEN '2013-12-30 00:00Z' AND '2013-12-30 23:00Z'"
    avant = base.lire(temoin).drop(columns="flight_id")
    lots = [(_vols_du(jour), "flights") for jour in ("2013-12-31", "2013-12-30")]
    lots.append((base.lire(f"SELECT * FROM weather WHERE {du_30}"), "weather"))
    with base.transaction() as connexion:
        for ordre in (
            "DELETE FROM features WHERE flight_date >= '2013-12-30'",
            "DELETE FROM flights WHERE flight_date >= '2013-12-30'",
            f"DELETE FROM weather WHERE {du_30}",
        ):
            assert connexion.exec_driver_sql(ordre).rowcount > 0
    for lot, table in lots:
        bilan = donnees.recevoir(lot, table)
        assert (bilan.decision, bilan.chargees) == ("accepté", len(lot)), bilan.motifs
    pd.testing.assert_frame_equal(base.lire(temoin).drop(columns="flight_id"), avant)


HOSTILES = {
    "une formule de tableur": (lambda d: d.assign(tailnum="=cmd|' /C calc'!A0"), "tailnum"),
    "aucune étiquette": (lambda d: d.assign(arr_delay=np.nan), "retard connu"),
    "une étiquette infinie sur dix": (
        lambda d: d.assign(arr_delay=d["arr_delay"].mask(np.arange(len(d)) % 10 == 0, np.inf)),
        "arr_delay illisible",
    ),
    "des immatriculations toutes vides": (
        lambda d: d.assign(tailnum=None),
        "tailnum : aucune valeur dans tout le lot",
    ),
}


@pytest.mark.parametrize("nom", HOSTILES)
def test_un_jour_hostile_est_refuse_et_n_ajoute_rien(demo, nom):
    deformer, motif = HOSTILES[nom]
    avant = base.lire("SELECT count(*) AS n FROM flights")["n"].iloc[0]
    bilan = donnees.recevoir(deformer(_vols_du("2013-03-05")))
    assert (bilan.decision, bilan.chargees) == ("refusé", 0)
    assert any(motif in m for m in bilan.motifs), bilan.motifs
    assert base.lire("SELECT count(*) AS n FROM flights")["n"].iloc[0] == avant


def test_une_meteo_sans_une_seule_temperature_est_refusee(demo):
    releves = base.lire("SELECT * FROM weather WHERE time_hour < '2013-02-01'")
    bilan = donnees.recevoir(releves.assign(temp=np.nan, dewp=np.nan), "weather")
    vides = {m for m in bilan.motifs if m.endswith("aucune valeur dans tout le lot")}
    assert (bilan.decision, len(vides)) == ("refusé", 2), bilan.motifs
    peu = releves.head(99).assign(temp=np.nan, dewp=np.nan)
    assert not any("aucune valeur" in m for m in donnees.recevoir(peu, "weather").motifs)


# --- Une météo dans d’autres unités, ou à une autre heure ------------------------------------

DEREGLEE = {
    "degrés Celsius": (
        lambda d: d.assign(temp=(d["temp"] - 32) / 1.8, dewp=(d["dewp"] - 32) / 1.8),
        "température médiane",
    ),
    "kilomètres par heure": (
        lambda d: d.assign(wind_speed=d["wind_speed"] * 1.609, wind_gust=d["wind_gust"] * 1.609),
        "vent médian",
    ),
    "millimètres": (lambda d: d.assign(precip=d["precip"] * 25.4), "précipitations moyennes"),
    "heure locale donnée pour de l’UTC": (
        lambda d: d.assign(
            time_hour=d["time_hour"]
            .dt.tz_convert("America/New_York")
            .dt.tz_localize(None)
            .dt.tz_localize("UTC")
        ),
        "heure la plus chaude",
    ),
}


@pytest.fixture
def sans_meteo(demo):
    """Les relevés de l’année, qu’une base vide de météo va recevoir mois par mois."""
    releves = base.lire("SELECT * FROM weather")
    locale = releves["time_hour"].dt.tz_convert("America/New_York")
    # Un lot reçu recalcule les variables : elles se rendent avec la météo.
    with base.transaction() as connexion:
        for table in ("weather", "features"):
            connexion.exec_driver_sql(f"CREATE TABLE garde_{table} AS TABLE {table}")
        connexion.exec_driver_sql("DELETE FROM weather")
    yield dict(list(releves.groupby(locale.dt.month)))
    with base.transaction() as connexion:
        for table in ("weather", "features"):
            connexion.exec_driver_sql(f"DELETE FROM {table}")
            connexion.exec_driver_sql(f"INSERT INTO {table} TABLE garde_{table}")
            connexion.exec_driver_sql(f"DROP TABLE garde_{table}")


def test_chaque_mois_de_meteo_entre_et_deregle_il_est_refuse_pour_cela(sans_meteo):
    for mois, releves in sans_meteo.items():
        for nom, (deregler, motif) in DEREGLEE.items():
            bilan = donnees.recevoir(deregler(releves), "weather")
            assert not bilan.accepte, f"mois {mois}, {nom} : accepté"
            assert any(m.startswith(f"{motif} :") for m in bilan.motifs), (mois, nom, bilan.motifs)
        bilan = donnees.recevoir(releves, "weather")
        assert bilan.accepte, (mois, bilan.motifs)
        assert bilan.chargees == len(releves)


def test_un_lot_de_meteo_trop_court_ne_se_juge_pas_sur_ses_moyennes(sans_meteo):
    froid = sans_meteo[1].head(18 * 24)
    assert donnees.recevoir(froid.assign(temp=20.0, dewp=10.0), "weather").accepte


def test_une_colonne_que_la_base_n_a_jamais_eue_peut_rester_vide(sans_meteo):
    bilan = donnees.recevoir(sans_meteo[1].head(200).assign(wind_gust=np.nan), "weather")
    assert bilan.accepte, bilan.motifs
