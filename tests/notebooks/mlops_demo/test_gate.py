"""Le gate, des deux côtés de chacun de ses seuils."""

from dataclasses import astuple

import numpy as np
import pandas as pd
import pytest
from mlops_demo.evaluation import gain, mesurer, pertes
from mlops_demo.gate import Seuils, Verdict, juger

RNG = np.random.default_rng(0)


def rang_de_compagnie(n):
    """Quatre grandes compagnies, et une cinquième qui n’a que 299 vols."""
    return np.where(np.arange(n) < 299, 4, np.arange(n) % 4)


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
            "carrier": np.array(["UA", "B6", "EV", "DL", "HA"])[rang_de_compagnie(n)],
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


@pytest.mark.parametrize(("marge", "tenue"), [(1e-9, True), (0, True), (-1e-9, False)])
@pytest.mark.parametrize(
    ("colonne", "sacrifie", "nom", "champ"),
    [
        ("origin", "LGA", "pire aéroport (perte en plus)", "perte_par_origine_max"),
        ("carrier", "EV", "pire compagnie (perte en plus)", "perte_par_compagnie_max"),
    ],
)
def test_chaque_plafond_par_groupe_des_deux_cotes(
    vols, colonne, sacrifie, nom, champ, marge, tenue
):
    duel = (vols, vols["vraie"] * 0.1, np.where(vols[colonne] == sacrifie, 0.9, vols["vraie"]))
    mesure = condition(juger(*duel), nom)["mesure"]
    assert condition(juger(*duel, Seuils(**{champ: mesure + marge})), nom)["tenue"] == tenue


def test_un_aeroport_sacrifie_fait_refuser_un_progres_d_ensemble(vols):
    nouveau = np.where(vols["origin"] == "LGA", 0.95, vols["vraie"])
    verdict = juger(vols, np.full(len(vols), 0.001), nouveau)
    assert verdict.gain > 0, "le progrès d’ensemble est réel"
    sacrifie = juger(vols, np.where(vols["origin"] == "LGA", 0.3, 0.001), nouveau)
    assert not sacrifie.promu
    assert "pire aéroport" in sacrifie.raison


def test_une_compagnie_sacrifiee_fait_refuser_un_progres_de_chaque_aeroport(vols):
    ancien = np.where(vols["carrier"] == "EV", vols["vraie"], vols["vraie"] * 0.1)
    verdict = juger(vols, ancien, np.where(vols["carrier"] == "EV", 0.6, vols["vraie"]))
    manquees = verdict.conditions.loc[~verdict.conditions["tenue"], "condition"]
    assert verdict.gain > 0, "le progrès d’ensemble est réel"
    assert list(manquees) == ["pire compagnie (perte en plus)"]


@pytest.mark.parametrize(("vols_en_plus", "suivie"), [(0, False), (1, True)])
def test_une_compagnie_compte_a_partir_de_trois_cents_vols(vols, vols_en_plus, suivie):
    vols.loc[299 : 299 + vols_en_plus - 1, "carrier"] = "HA"
    sacrifiee = vols["carrier"] == "HA"
    verdict = juger(vols, vols["vraie"] * 0.4, np.where(sacrifiee, 0.95, vols["vraie"]))
    assert (verdict.details["pire_compagnie"] > 0.02) == suivie
    assert verdict.promu != suivie


def test_sans_compagnie_assez_grande_rien_n_est_perdu(vols):
    peu = vols.head(200)
    verdict = juger(peu, peu["vraie"] * 0.4, np.full(200, 0.95))
    assert condition(verdict, "pire compagnie (perte en plus)")["mesure"] == 0


@pytest.mark.parametrize("mauvaise", [np.nan, np.inf, -0.1, 1.1])
def test_des_probabilites_impossibles_sont_refusees(vols, mauvaise):
    nouveau = vols["vraie"].to_numpy().copy()
    nouveau[5] = mauvaise
    with pytest.raises(ValueError, match="probabilités"):
        juger(vols, vols["vraie"].to_numpy(), nouveau)


def test_les_seuils_sont_fixes_d_avance():
    assert astuple(Seuils()) == (0.002, 0.0, 0.0, 0.02, 0.01, 0.02), (
        "les changer se décide, et se dit"
    )


@pytest.mark.parametrize("facteur", [0.4, 1.5])
def test_chaque_mesure_est_celle_qu_un_autre_calcul_donne(vols, facteur):
    champion, challenger = vols["vraie"] * facteur, vols["vraie"].to_numpy() * 0.8
    champion = np.clip(champion, 0, 1).to_numpy()
    observe = vols["late"].to_numpy()
    verdict = juger(vols, champion, challenger)
    moyen, bas, haut = gain(observe, champion, challenger, vols["flight_date"].to_numpy())
    par_aeroport = [
        (pertes(observe, challenger) - pertes(observe, champion))[vols["origin"] == o].mean()
        for o in ("EWR", "JFK", "LGA")
    ]
    par_compagnie = [
        (pertes(observe, challenger) - pertes(observe, champion))[vols["carrier"] == c].mean()
        for c in ("UA", "B6", "EV", "DL")
    ]
    m_champion, m_challenger = mesurer(observe, champion), mesurer(observe, challenger)
    assert m_challenger["biais"] < 0, "un biais négatif, sinon la valeur absolue ne compte pas"
    assert verdict.conditions["mesure"].tolist() == pytest.approx(
        [
            moyen,
            bas,
            m_challenger["brier_skill"],
            -m_challenger["biais"],
            max(par_aeroport),
            max(par_compagnie),
        ]
    )
    assert verdict.conditions["seuil"].tolist() == pytest.approx(
        [0.002, 0, 0, abs(m_champion["biais"]) + 0.02, 0.01, 0.02]
    )
    assert (verdict.gain, verdict.intervalle) == (moyen, (bas, haut))
    assert verdict.details["pire_origine"] == pytest.approx(max(par_aeroport))
    assert verdict.details["pire_compagnie"] == pytest.approx(max(par_compagnie))
    assert (verdict.details["champion"], verdict.details["challenger"]) == (
        m_champion,
        m_challenger,
    )


@pytest.mark.parametrize(
    ("champ", "rang", "tenue"),
    [
        ("gain_min", 0, True),
        ("gain_bas_min", 1, False),
        ("skill_min", 2, False),
        ("perte_par_origine_max", 4, True),
    ],
)
def test_au_seuil_exact(vols, champ, rang, tenue):
    duel = (vols, np.full(len(vols), 0.1), vols["vraie"].to_numpy())
    mesure = juger(*duel).conditions["mesure"].iloc[rang]
    assert juger(*duel, Seuils(**{champ: mesure})).conditions["tenue"].iloc[rang] == tenue


@pytest.mark.parametrize("annonce", [0.625, 0.375])
def test_au_plafond_de_biais_exact(annonce):
    """Un biais d’un huitième, en trop ou en moins, que le binaire écrit exactement."""
    vols = pd.DataFrame(
        {
            "late": [1.0, 0.0] * 60,
            "flight_date": pd.Timestamp("2013-06-03") + pd.to_timedelta(np.arange(120) % 28, "D"),
            "origin": ["EWR", "JFK", "LGA"] * 40,
            "carrier": "UA",
        }
    )
    duel = (vols, np.full(120, 0.5), np.full(120, annonce))
    nom = "calibration (biais absolu)"
    ligne = condition(juger(*duel, Seuils(biais_en_plus_max=0.125)), nom)
    assert (ligne["mesure"], ligne["seuil"], ligne["tenue"]) == (0.125, 0.125, True)
    assert not condition(juger(*duel, Seuils(biais_en_plus_max=0.124)), nom)["tenue"]


def test_la_raison_s_ecrit_avec_quatre_decimales():
    conditions = pd.DataFrame({"condition": ["a", "b"], "tenue": [True, False]})
    raison = Verdict(False, conditions, 0.12345, (-0.1, 0.5), {}).raison
    assert raison == "condition non tenue : b ; gain de log-loss +0,1235 [−0,1000 ; +0,5000]"
    promu = Verdict(True, conditions.head(1), 0.12345, (0.1, 0.5), {}).raison
    assert promu.startswith("toutes les conditions du gate sont tenues ; gain")
