"""La boucle de l’année : décisions, lignage, et l’histoire que le livre raconte."""

import numpy as np
import pandas as pd
import pytest
from mlops_demo import base, registre, simulation, supervision
from mlops_demo.simulation import Politique, decider

ALARME = [supervision.CALIBRATION]
M = pd.Timestamp


@pytest.mark.parametrize(
    ("alertes", "mois", "essais", "attendu"),
    [
        ([], "2013-06", [], "aucune"),
        ([supervision.ENTREES, supervision.SORTIES], "2013-06", [], "aucune"),
        (ALARME, "2013-06", [], "réentraîner"),
        (ALARME, "2013-06", ["2013-05"], "repos"),
        (ALARME, "2013-06", ["2013-04"], "réentraîner"),
        (ALARME, "2013-12", ["2013-04", "2013-06", "2013-08"], "réentraîner"),
        (ALARME, "2013-12", ["2013-04", "2013-06", "2013-08", "2013-10"], "maximum atteint"),
    ],
)
def test_decider(alertes, mois, essais, attendu):
    assert decider(alertes, M(mois), [M(e) for e in essais], Politique()) == attendu


@pytest.fixture(scope="module")
def fige(premier):
    """L’année rejouée sans réentraîner."""
    return simulation.mesures_de(simulation.FIGE).set_index(pd.Index(range(4, 13)))


@pytest.fixture(scope="module")
def reentraine(premier):
    """L’année rejouée avec réentraînement."""
    return simulation.mesures_de(simulation.REENTRAINE).set_index(pd.Index(range(4, 13)))


def test_l_histoire_du_modele_fige(fige):
    juillet = fige.loc[7]
    assert juillet["auc"] > 0.69, "la discrimination paraît saine"
    assert juillet["brier_skill"] < -0.1, "les probabilités sont pires que le taux moyen"
    assert juillet["biais"] < -0.2, "il annonce bien trop peu de retards"


def test_le_reentrainement_repare_l_ete(fige, reentraine):
    assert reentraine.loc[7, "brier_skill"] > 0.1
    assert abs(reentraine.loc[7, "biais"]) < 0.05
    assert (reentraine.loc[5:8, "log_loss"] < fige.loc[5:8, "log_loss"]).all()


def test_la_boucle_promeut_et_refuse(reentraine):
    actions = base.lire("SELECT action, count(*) AS n FROM journal GROUP BY 1")
    compte = dict(actions.itertuples(index=False))
    assert compte["promotion"] >= 2
    assert compte["refus"] >= 1


def test_les_mesures_se_recalculent_depuis_les_predictions_en_sql(fige):
    """Par une autre voie : Postgres, à partir des prédictions journalisées."""
    sql = """
        SELECT extract(month FROM v.flight_date)::int AS mois,
            avg(p.probabilite) - avg((v.arr_delay >= 15)::int)::float8 AS biais,
            avg((p.probabilite - (v.arr_delay >= 15)::int) ^ 2) AS brier
        FROM predictions AS p JOIN flights AS v USING (flight_id)
        WHERE v.arr_delay IS NOT NULL AND p.campagne_id = $1 GROUP BY 1 ORDER BY 1
    """
    refaites = base.lire(sql, int(fige["campagne_id"].iloc[0])).set_index("mois")
    for mesure in ("biais", "brier"):
        assert np.allclose(refaites[mesure], fige[mesure].to_numpy(), atol=1e-12), mesure


def test_chaque_vol_prevu_a_une_prediction_et_une_seule(fige):
    sql = """
        SELECT count(*) AS n, count(DISTINCT flight_id) AS vols,
            (SELECT count(*) FROM flights WHERE flight_date >= '2013-04-01') AS prevus
        FROM predictions WHERE campagne_id = $1
    """
    ligne = base.lire(sql, int(fige["campagne_id"].iloc[0])).iloc[0]
    assert ligne["n"] == ligne["vols"] == ligne["prevus"]


def test_le_lignage_remonte_jusqu_aux_donnees(reentraine):
    vol = base.lire("SELECT max(flight_id) AS id FROM flights WHERE flight_date = '2013-08-15'")
    lignage = registre.lignage(int(vol["id"].iloc[0]), simulation.REENTRAINE)
    assert lignage["empreinte_retrouvee"]
    assert lignage["donnees.fin"] < "2013-08-01", "appris sur le passé seulement"


def test_seules_les_dernieres_campagnes_sont_gardees(premier):
    for _ in range(simulation.CAMPAGNES_GARDEES + 2):
        simulation.ouvrir_campagne("essai")
    gardees = base.lire("SELECT count(*) AS n FROM campagnes WHERE scenario = 'essai'")
    assert gardees["n"].iloc[0] == simulation.CAMPAGNES_GARDEES
