"""La boucle de l’année : décisions, lignage, et l’histoire que le livre raconte."""

import numpy as np
import pandas as pd
import pytest
from mlops_demo import base, registre, simulation, supervision
from mlops_demo.configuration import ErreurUtilisateur
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
        (ALARME, "2013-05", ["2013-06"], "repos"),  # mai, en retard, après l’essai de juin
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


def test_le_lignage_sur_une_base_vide_dit_qu_il_n_y_a_pas_de_prediction(demo, monkeypatch):
    monkeypatch.setenv("MLOPS_UTILISATEUR", "sans_vols")
    base.oublier()
    with pytest.raises(ErreurUtilisateur, match="le vol 1 n’a pas de prédiction"):
        registre.lignage(1, simulation.FIGE)
    base.oublier()


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


def test_repartir_separe_une_histoire_de_la_suivante(premier):
    """Même quand le premier champion est déjà en service, après un retour arrière."""
    version = simulation.repartir(simulation.MISE_EN_SERVICE)
    registre.refuser(version, "2013-05-01", "essai", {})
    assert simulation._essais_du_journal() == [M("2013-04")]
    for _ in range(2):  # la seconde fois, rien n’est à séparer
        assert simulation.repartir(simulation.MISE_EN_SERVICE) == version
        assert simulation._essais_du_journal() == []
    departs = base.lire("SELECT action FROM journal ORDER BY id DESC LIMIT 2")["action"]
    assert departs.tolist() == ["reprise", "refus"]


def test_un_mois_a_la_fois_on_decide_comme_en_rejouant_l_annee(annee, fige, reentraine):
    """Ce que fait un ordonnanceur : noter, contrôler, réentraîner, et le mois suivant."""
    simulation.repartir(simulation.MISE_EN_SERVICE)
    avril = simulation.controler("au fil de l’eau 2013-04", Politique(), annee)
    assert avril.decision == "réentraîner"
    assert avril.mesures["biais"] == pytest.approx(fige.loc[4, "biais"], abs=1e-12)
    assert avril.mesures["psi_score"] == pytest.approx(fige.loc[4, "psi_score"], abs=1e-12)

    *_, rejoue = simulation.rejouer(
        simulation.REENTRAINE, Politique(), annee=annee, dernier="2013-04"
    )
    assert rejoue.mois == M("2013-04"), "le rejeu s’arrête où on le lui dit"
    servi = registre.charger_champion()
    assert servi.version == rejoue.promue

    vols = annee[annee["flight_date"].between("2013-05-01", "2013-05-31")]
    campagne = simulation.ouvrir_campagne("au fil de l’eau 2013-05")
    probas = simulation.entrainement.probabilites(servi.pipeline, vols)
    simulation.enregistrer_predictions(campagne, vols, probas, servi.version)
    for _ in range(2):  # contrôler de nouveau remplace les mesures, sans les doubler
        mai = simulation.controler("au fil de l’eau 2013-05", Politique(), annee)
    assert (mai.version, mai.decision) == (servi.version, "aucune")
    gardees = base.lire("SELECT * FROM mesures WHERE campagne_id = $1", campagne)
    assert gardees["brier"].tolist() == pytest.approx([reentraine.loc[5, "brier"]], abs=1e-12)

    (juin,) = simulation.rejouer(
        simulation.REENTRAINE, Politique(), annee=annee, premier="2013-06", dernier="2013-06"
    )
    assert juin.version == servi.version, "le modèle en service le reste jusqu’à la décision"
    assert juin.decision == "promu"
    assert juin.mesures["psi_score"] == pytest.approx(reentraine.loc[6, "psi_score"], abs=1e-12)
    essais = simulation._essais_du_journal()
    assert [f"{mois:%m}" for mois in essais] == ["04", "06"], "lus dans le journal"


def test_rejouer_le_modele_fige_ne_change_pas_celui_en_service(annee, reentraine):
    avant = registre.version_de(registre.CHAMPION)
    for _ in simulation.rejouer(simulation.FIGE, annee=annee, dernier="2013-04"):
        pass
    assert registre.version_de(registre.CHAMPION) == avant


def test_decembre_ne_fait_pas_reentrainer(annee, reentraine, monkeypatch):
    """Rien ne suit décembre : même alarmé, il ne change pas le modèle en service."""
    monkeypatch.setattr(supervision, "alertes", lambda *_: ALARME)
    (decembre,) = simulation.rejouer(
        "fin d’année", Politique(maximum=99), annee=annee, premier="2013-12"
    )
    assert (decembre.alertes, decembre.decision) == (ALARME, "aucune")


def test_un_modele_appris_apres_le_mois_n_a_pas_d_age(premier):
    ages = [simulation._age(premier, M(mois)) for mois in ("2013-01", "2013-04", "2013-05")]
    assert ages == [0, 1, 31], "jamais négatif, et un jour le lendemain du dernier vol appris"


def test_les_scores_appris_comptent_le_dernier_jour(annee, premier):
    servi = registre.charger(premier)
    appris = annee[annee["flight_date"] < simulation.MISE_EN_SERVICE]
    assert len(simulation._scores_appris(servi, annee)) == len(appris)
