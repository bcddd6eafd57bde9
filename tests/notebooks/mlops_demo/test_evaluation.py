"""Les mesures, contre des valeurs que l’on peut recalculer de tête ou par une autre voie."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mlops_demo import evaluation


def test_mesurer_contre_un_calcul_a_la_main():
    observe, proba = np.array([1, 0, 0, 1]), np.array([0.8, 0.4, 0.1, 0.3])
    mesures = evaluation.mesurer(observe, proba)
    brier = (0.2**2 + 0.4**2 + 0.1**2 + 0.7**2) / 4
    assert mesures["brier"] == pytest.approx(brier)
    assert mesures["brier_skill"] == pytest.approx(1 - brier / 0.25)
    assert mesures["biais"] == pytest.approx(0.4 - 0.5)
    assert mesures["auc"] == pytest.approx(3 / 4), "3 paires bien classées sur 4"


def test_annoncer_la_moyenne_donne_un_skill_nul():
    observe = np.array([1, 0, 0, 0])
    assert evaluation.mesurer(observe, np.full(4, 0.25))["brier_skill"] == pytest.approx(0)


def test_le_gain_change_de_signe_quand_on_echange_les_modeles():
    rng = np.random.default_rng(1)
    observe = rng.integers(0, 2, 500)
    a, b = rng.uniform(0.1, 0.9, 500), rng.uniform(0.1, 0.9, 500)
    jours = np.arange(500) % 20
    aller = evaluation.gain(observe, a, b, jours)
    retour = evaluation.gain(observe, b, a, jours)
    assert aller == pytest.approx((-retour[0], -retour[2], -retour[1]))
    assert aller[1] <= aller[0] <= aller[2]


def test_l_intervalle_par_jour_est_plus_large_que_par_vol():
    rng = np.random.default_rng(2)
    jours = np.repeat(np.arange(20), 100)
    effet = np.repeat(rng.normal(0, 0.3, 20), 100)
    observe = (rng.uniform(size=2000) < np.clip(0.5 + effet, 0.05, 0.95)).astype(float)
    a, b = np.full(2000, 0.3), np.full(2000, 0.6)
    par_jour = evaluation.gain(observe, a, b, jours)
    par_vol = evaluation.gain(observe, a, b, np.arange(2000))
    assert par_jour[2] - par_jour[1] > 2 * (par_vol[2] - par_vol[1])


@given(st.lists(st.floats(0.01, 0.99), min_size=50, max_size=200))
def test_le_psi_d_un_echantillon_avec_lui_meme_est_nul(valeurs):
    scores = np.array(valeurs)
    assert evaluation.psi(scores, scores) == pytest.approx(0, abs=1e-9)


def test_le_psi_voit_un_deplacement():
    rng = np.random.default_rng(3)
    reference = rng.normal(size=5000)
    assert evaluation.psi(reference, rng.normal(size=5000)) < 0.02
    assert evaluation.psi(reference, rng.normal(1, 1, 5000)) > 0.5


def test_la_calibration_garde_les_effectifs():
    rng = np.random.default_rng(4)
    courbe = evaluation.courbe_de_calibration(rng.integers(0, 2, 1000), rng.uniform(size=1000))
    assert courbe["vols"].sum() == 1000
    assert courbe["annonce"].is_monotonic_increasing


def test_l_intervalle_du_gain_est_a_95_pour_cent():
    """Quatre cents jours d’un vol : 1,96 écart-type de la moyenne de chaque côté."""
    aleas = np.random.default_rng(5)
    observe, ancien = np.ones(400), aleas.uniform(0.2, 0.8, 400)
    moyen, bas, haut = evaluation.gain(observe, ancien, np.full(400, 0.5), np.arange(400))
    attendu = 1.96 * np.std(evaluation.pertes(observe, ancien)) / 20
    assert moyen - bas == pytest.approx(attendu, rel=0.1)
    assert haut - moyen == pytest.approx(attendu, rel=0.1)


def test_le_psi_d_un_score_tombe_dans_un_seul_decile():
    """Neuf déciles vidés valent chacun (0,0001 − 0,1) ln(0,0001 / 0,1) : le plancher d’un vide."""
    reference = np.arange(1000) / 1000
    attendu = 9 * (1e-4 - 0.1) * np.log(1e-4 / 0.1) + 0.9 * np.log(10)
    assert evaluation.psi(reference, np.full(50, 0.999)) == pytest.approx(attendu, rel=1e-9)
