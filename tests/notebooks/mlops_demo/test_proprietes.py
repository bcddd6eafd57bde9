"""Ce qui doit être vrai quelles que soient les données : contrat, variables, gate, journal."""

import datetime as dt

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mlops_demo import base, contrat, donnees, entrainement, livraison, supervision
from mlops_demo.features import CATEGORIES, NOMBRES, etiquetes
from mlops_demo.gate import Seuils, juger
from mlops_demo.service_demande import COLONNES, EXEMPLE, Vol

# Postgres est partagé par tous les exemples d’une propriété, et la machine peut être chargée.
REGLAGES = settings(
    deadline=None,
    max_examples=40,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


# --- Le gate -------------------------------------------------------------------------------


@st.composite
def duels(draw):
    """Un champion, un challenger, et ce qui est arrivé : quatre semaines de vols."""
    n = draw(st.integers(60, 200))
    aleas = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    vraie = aleas.uniform(0.05, 0.95, n)
    vols = pd.DataFrame(
        {
            "late": (aleas.uniform(size=n) < vraie).astype(float),
            "flight_date": pd.Timestamp("2013-06-03") + pd.to_timedelta(np.arange(n) % 28, "D"),
            "origin": np.array(["EWR", "JFK", "LGA"])[np.arange(n) % 3],
            "carrier": np.array(["UA", "B6"])[np.arange(n) % 2],
        }
    )
    vols.loc[:1, "late"] = [0.0, 1.0]  # les deux issues, sinon rien ne se mesure
    champion, challenger = (
        np.clip(
            vraie + draw(st.floats(-0.5, 0.5)) + draw(st.floats(0, 0.5)) * aleas.normal(size=n),
            0,
            1,
        )
        for _ in range(2)
    )
    return vols, champion, challenger


@REGLAGES
@given(duels())
def test_promu_veut_dire_toutes_les_conditions_tenues(duel):
    verdict = juger(*duel)
    assert verdict.promu == bool(verdict.conditions["tenue"].all())
    assert ("condition non tenue" in verdict.raison) != verdict.promu
    manquees = verdict.conditions.loc[~verdict.conditions["tenue"], "condition"]
    assert all(nom in verdict.raison for nom in manquees)


@REGLAGES
@given(duels())
def test_un_modele_ne_se_remplace_jamais_lui_meme(duel):
    vols, champion, _ = duel
    assert not juger(vols, champion, champion).promu


@REGLAGES
@given(duels(), st.floats(0, 0.5))
def test_durcir_un_seuil_ne_fait_jamais_promouvoir(duel, pas):
    if juger(*duel).promu:
        return
    base_ = Seuils()
    plus_durs = [
        Seuils(gain_min=base_.gain_min + pas),
        Seuils(gain_bas_min=base_.gain_bas_min + pas),
        Seuils(skill_min=base_.skill_min + pas),
        Seuils(biais_en_plus_max=base_.biais_en_plus_max - pas),
        Seuils(perte_par_origine_max=base_.perte_par_origine_max - pas),
    ]
    for seuils in plus_durs:
        assert not juger(*duel, seuils).promu, seuils


@REGLAGES
@given(duels(), st.randoms(use_true_random=False))
def test_l_ordre_des_vols_ne_change_pas_le_verdict(duel, aleas):
    vols, champion, challenger = duel
    ordre = list(range(len(vols)))
    aleas.shuffle(ordre)
    melange = juger(vols.iloc[ordre], champion[ordre], challenger[ordre])
    droit = juger(*duel)
    assert melange.gain == pytest.approx(droit.gain, abs=1e-12)
    assert melange.intervalle == pytest.approx(droit.intervalle, abs=1e-12)


@REGLAGES
@given(duels(), st.sampled_from([np.nan, np.inf, -np.inf, -1e-9, 1 + 1e-9, 1e308]), st.data())
def test_une_seule_probabilite_impossible_arrete_tout(duel, mauvaise, tirage):
    vols, champion, challenger = duel
    challenger = challenger.copy()
    challenger[tirage.draw(st.integers(0, len(vols) - 1))] = mauvaise
    with pytest.raises(ValueError, match="probabilités"):
        juger(vols, champion, challenger)


# --- Les alarmes ---------------------------------------------------------------------------

MESURES = st.fixed_dictionaries(
    {
        "biais": st.floats(-1, 1),
        "brier_skill": st.floats(-5, 1),
        "auc": st.floats(0, 1),
        "psi_score": st.floats(0, 10),
        "part_derive": st.one_of(st.none(), st.floats(0, 1)),
        "age_jours": st.one_of(st.none(), st.integers(0, 2000)),
    }
)


@given(MESURES)
def test_une_mesure_pire_ne_fait_jamais_taire_une_alarme(mesures):
    avant = set(supervision.alertes(mesures, 0.7))
    pire = {
        "biais": mesures["biais"] * 2,
        "brier_skill": mesures["brier_skill"] - 1,
        "auc": mesures["auc"] / 2,
        "psi_score": mesures["psi_score"] * 2,
        "part_derive": (mesures["part_derive"] or 0) + 1,
        "age_jours": (mesures["age_jours"] or 0) + 365,
    }
    for nom, valeur in pire.items():
        assert avant <= set(supervision.alertes(mesures | {nom: valeur}, 0.7)), nom


# --- Le contrat ----------------------------------------------------------------------------

TEXTES = st.text(st.characters(blacklist_categories=["Cs"]), max_size=12)
VALEURS = st.one_of(st.none(), st.integers(), st.floats(), TEXTES, st.booleans())


@REGLAGES
@given(st.lists(VALEURS, min_size=1, max_size=20), st.sampled_from(["distance", "dest", "tailnum"]))
def test_une_valeur_quelconque_est_lue_ou_nommee_et_jamais_perdue(valeurs, colonne):
    noms = contrat.schema_arrow("flights").names
    lot = pd.DataFrame({n: pd.Series([None] * len(valeurs), dtype=object) for n in noms})
    lot["time_hour"] = pd.Timestamp("2013-05-01 12:00", tz="UTC")
    lot[colonne] = pd.Series(valeurs, dtype=object)
    try:
        lignes, lectures = donnees.typer(lot, "flights")
    except donnees.LotIllisible:
        return  # refusé en entier, avec sa raison
    assert lignes.num_rows == len(valeurs), "aucune ligne ne disparaît"
    for rang, (lu, recu) in enumerate(zip(lignes[colonne].to_pylist(), valeurs, strict=True), 1):
        absent = recu is None or recu == "" or (isinstance(recu, float) and np.isnan(recu))
        if lu is None and not absent:
            assert rang in lectures, f"« {recu!r} » a été effacé sans le dire"


@REGLAGES
@given(st.lists(st.floats(-200, 200), min_size=1, max_size=50))
def test_la_regle_en_sql_et_la_borne_du_contrat_disent_la_meme_chose(demo, valeurs):
    colonne = contrat.contrat("weather")["colonnes"]["temp"]
    (regle,) = [p for i, p in contrat.regles("weather").items() if i.startswith("temp hors")]
    liste = ", ".join(f"({v!r}::float8)" for v in valeurs)
    jugees = base.lire(f'SELECT ({regle}) AS tenue FROM (VALUES {liste}) AS t("temp")')
    attendues = [colonne["min"] <= v <= colonne["max"] for v in valeurs]
    assert jugees["tenue"].tolist() == attendues


# --- Les variables -------------------------------------------------------------------------


def _nombre(nom):
    bornes = COLONNES[nom]
    valeur = st.floats(bornes["min"], bornes["max"], allow_nan=False)
    if bornes["type"] == "smallint":
        valeur = st.integers(bornes["min"], bornes["max"]).map(float)
    return valeur if bornes.get("requis") else st.one_of(st.none(), valeur)


VOLS = st.fixed_dictionaries(
    {n: _nombre(n) for n in NOMBRES}
    | {
        "carrier": st.sampled_from(["UA", "B6", "HA", "ZZ"]),
        "origin": st.sampled_from(["EWR", "JFK", "LGA"]),
        "dest": st.sampled_from(["IAH", "LAX", "ZZZ"]),
    }
)


@pytest.fixture(scope="module")
def modeles(annee):
    """Les deux modèles, appris sur peu de vols."""
    vols = etiquetes(annee)[:90_000:30]
    return [
        entrainement.apprendre(f(), vols) for f in (entrainement.lineaire, entrainement.boosting)
    ]


@REGLAGES
@given(st.lists(VOLS, min_size=1, max_size=8))
def test_tout_vol_conforme_a_une_probabilite_la_meme_seul_qu_en_lot(modeles, vols):
    for modele in modeles:
        en_lot = entrainement.probabilites(modele, entrainement.table(vols))
        assert ((en_lot >= 0) & (en_lot <= 1)).all()
        assert [entrainement.pour_un_vol(modele)(vol) for vol in vols] == en_lot.tolist()


@REGLAGES
@given(VOLS)
def test_la_decomposition_d_un_vol_retrouve_sa_probabilite(modeles, vol):
    etapes = entrainement.expliquer(modeles[0], vol)
    attendue = entrainement.pour_un_vol(modeles[0])(vol)
    assert etapes["probabilite"].iloc[-1] == pytest.approx(attendue, abs=1e-9)


@given(VOLS)
def test_le_service_accepte_ce_qui_est_au_contrat(vol):
    coherent = vol | {"dewp": None, "wind_gust": None}
    Vol(**EXEMPLE | coherent)
    assert set(CATEGORIES) <= set(vol)


# --- Le journal ----------------------------------------------------------------------------

LIGNES = st.lists(
    st.tuples(
        st.dates(dt.date(2013, 4, 1), dt.date(2013, 12, 31)),
        st.sampled_from(["promotion", "refus", "promotion forcée", "retour arrière", "reprise"]),
        st.integers(1, 5),
        st.one_of(st.none(), st.integers(1, 5)),
    ),
    max_size=12,
)


def _table(lignes):
    table = pd.DataFrame(
        lignes, columns=["date_simulee", "action", "version", "version_precedente"]
    )
    table["horodatage"] = pd.date_range("2026-01-01", periods=len(table), freq="min", tz="UTC")
    return table


@given(LIGNES)
def test_les_indicateurs_d_un_journal_quelconque_restent_des_parts(lignes):
    table = _table(lignes)
    for indicateur in (
        livraison.taux_d_echec(table),
        livraison.taux_de_reprise(table),
        livraison.taux_de_refus(table),
    ):
        assert indicateur is None or indicateur >= 0
    assert livraison.frequence(table, "2013-04-01", "2014-01-01") >= 0
    refus = livraison.taux_de_refus(table)
    assert refus is None or refus <= 1
