"""Le gate, des deux côtés de chacun de ses seuils."""

import numpy as np
import pandas as pd
import pytest
from mlops_demo.gate import Seuils, juger

RNG = np.random.default_rng(0)


@pytest.fixture
def vols():
    """Quatre semaines de vols dont on connaît la vraie probabilité de retard."""
    n = 8000
    proba = RNG.uniform(0.05, 0.6, n)
    return pd.DataFrame(
        {
            "late": (RNG.uniform(size=n) < proba).astype(float),
            "flight_date": pd.Timestamp("2013-06-03") + pd.to_timedelta(np.arange(n) % 28, "D"),
            "origin": np.array(["EWR", "JFK", "LGA"])[np.arange(n) % 3],
            "vraie": proba,
        }
    )


def condition(verdict, nom):
    """Une condition du verdict, par son nom."""
    return verdict.conditions.set_index("condition").loc[nom]


def test_un_modele_juste_remplace_un_modele_mal_calibre(vols):
    verdict = juger(vols, vols["vraie"] * 0.4, vols["vraie"].to_numpy())
    assert verdict.promu, verdict.raison
    assert verdict.intervalle[0] > 0


def test_le_meme_modele_ne_remplace_pas_lui_meme(vols):
    verdict = juger(vols, vols["vraie"].to_numpy(), vols["vraie"].to_numpy())
    assert not verdict.promu
    assert "gain de log-loss" in verdict.raison


@pytest.mark.parametrize(("marge", "tenue"), [(-1e-9, True), (1e-9, False)])
@pytest.mark.parametrize(
    ("champ", "nom"),
    [
        ("gain_min", "gain de log-loss"),
        ("gain_bas_min", "borne basse du gain"),
        ("skill_min", "Brier skill"),
    ],
)
def test_chaque_plancher_des_deux_cotes(vols, champ, nom, marge, tenue):
    mesure = condition(juger(vols, vols["vraie"] * 0.4, vols["vraie"].to_numpy()), nom)["mesure"]
    seuils = Seuils(**{champ: mesure + marge})
    verdict = juger(vols, vols["vraie"] * 0.4, vols["vraie"].to_numpy(), seuils)
    assert condition(verdict, nom)["tenue"] == tenue
    assert verdict.promu == tenue, "une seule condition manquée suffit à refuser"


@pytest.mark.parametrize(("marge", "tenue"), [(1e-9, True), (-1e-9, False)])
def test_le_plafond_de_biais_des_deux_cotes(vols, marge, tenue):
    ancien, nouveau = vols["vraie"] * 0.4, vols["vraie"].to_numpy()
    nom = "calibration (biais absolu)"
    ligne = condition(juger(vols, ancien, nouveau), nom)
    biais_champion = ligne["seuil"] - Seuils().biais_en_plus_max
    seuils = Seuils(biais_en_plus_max=ligne["mesure"] - biais_champion + marge)
    assert condition(juger(vols, ancien, nouveau, seuils), nom)["tenue"] == tenue


@pytest.mark.parametrize(("marge", "tenue"), [(1e-9, True), (-1e-9, False)])
def test_le_plafond_par_aeroport_des_deux_cotes(vols, marge, tenue):
    nouveau = np.where(vols["origin"] == "LGA", 0.9, vols["vraie"])
    nom = "pire aéroport (perte en plus)"
    mesure = condition(juger(vols, vols["vraie"] * 0.1, nouveau), nom)["mesure"]
    seuils = Seuils(perte_par_origine_max=mesure + marge)
    verdict = juger(vols, vols["vraie"] * 0.1, nouveau, seuils)
    assert condition(verdict, nom)["tenue"] == tenue


def test_un_aeroport_sacrifie_fait_refuser_un_progres_d_ensemble(vols):
    nouveau = np.where(vols["origin"] == "LGA", 0.95, vols["vraie"])
    verdict = juger(vols, np.full(len(vols), 0.001), nouveau)
    assert verdict.gain > 0, "le progrès d’ensemble est réel"
    sacrifie = juger(vols, np.where(vols["origin"] == "LGA", 0.3, 0.001), nouveau)
    assert not sacrifie.promu
    assert "pire aéroport" in sacrifie.raison


@pytest.mark.parametrize("mauvaise", [np.nan, np.inf, -0.1, 1.1])
def test_des_probabilites_impossibles_sont_refusees(vols, mauvaise):
    nouveau = vols["vraie"].to_numpy().copy()
    nouveau[5] = mauvaise
    with pytest.raises(ValueError, match="probabilités"):
        juger(vols, vols["vraie"].to_numpy(), nouveau)
