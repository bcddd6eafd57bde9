"""Les statistiques d’un lot : leur somme, quel que soit le découpage, vaut un seul passage."""

import itertools
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mlops_demo import evaluation, partitions
from mlops_demo.configuration import ErreurUtilisateur

COMPTES = ("vols", "retards", "a_l_heure", "en_retard", "sans_etiquette")
SOMMES = ("somme_proba", "somme_brier", "somme_log_loss")
VOL = st.tuples(st.sampled_from([0.0, 1.0, np.nan]), st.floats(0, 1))


def comme(un, autre):
    """Vérifie que deux résumés disent la même chose : comptes égaux, sommes à l’arrondi près."""
    for nom in COMPTES:
        assert np.array_equal(getattr(un, nom), getattr(autre, nom)), nom
    for nom in SOMMES:
        assert getattr(un, nom) == pytest.approx(getattr(autre, nom), rel=1e-9, abs=1e-9), nom


@settings(max_examples=200, deadline=None)
@given(st.lists(VOL, max_size=60), st.lists(st.integers(0, 60), max_size=8), st.randoms())
def test_la_somme_des_parts_vaut_un_seul_passage(vols, coupes, hasard):
    late, proba = (np.array(c, float) for c in zip(*vols, strict=True)) if vols else ([], [])
    late, proba = np.asarray(late, float), np.asarray(proba, float)
    bords = [0, *sorted(min(c, len(vols)) for c in coupes), len(vols)]
    parts = [partitions.resumer(late[a:b], proba[a:b]) for a, b in itertools.pairwise(bords)]
    hasard.shuffle(parts)
    relues = [partitions.depuis_json(p.en_json()) for p in parts]
    comme(partitions.fusionner(relues), partitions.resumer(late, proba))


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.sampled_from([0.0, 1.0]), st.floats(0.001, 0.999)), min_size=2))
def test_les_mesures_du_resume_sont_celles_des_vols(vols):
    late, proba = map(np.array, zip(*vols, strict=True))
    if len(set(late)) < 2:
        with pytest.raises(ErreurUtilisateur, match="une seule classe"):
            partitions.mesurer(partitions.resumer(late, proba))
        return
    exactes = evaluation.mesurer(late, proba)
    lues = partitions.mesurer(partitions.resumer(late, proba))
    bas, haut, _ = lues.pop("auc_bas"), lues.pop("auc_haut"), lues.pop("auc")
    assert bas - 1e-12 <= exactes.pop("auc") <= haut + 1e-12
    assert lues == pytest.approx(exactes, rel=1e-9, abs=1e-9)


@given(st.integers(1, 61))
def test_les_parts_couvrent_chaque_jour_une_fois(parts):
    bornes = partitions.bornes("2013-04-01", "2013-06-01", parts)
    assert len(bornes) == parts
    assert (bornes[0][0], bornes[-1][1]) == ("2013-04-01", "2013-06-01")
    assert all(debut < fin for debut, fin in bornes)
    assert all(a[1] == b[0] for a, b in itertools.pairwise(bornes))


@pytest.mark.parametrize(
    ("demande", "plainte"),
    [
        (("2013-04-01", "2013-05-01", 31), "entre 1 et 30"),
        (("2013-04-01", "2013-05-01", 0), "entre 1 et 30"),
        (("2013-05-01", "2013-04-01", 2), "0 jours"),
        (("avril", "2013-05-01", 2), "n’est pas un jour"),
    ],
)
def test_un_decoupage_impossible_est_refuse(demande, plainte):
    with pytest.raises(ErreurUtilisateur, match=plainte):
        partitions.bornes(*demande)


def deposer(campagne, part, parts, version=1):
    """Dépose une part de deux vols."""
    resume = partitions.resumer(np.array([0.0, 1.0]), np.array([0.2, 0.6]))
    jours = (f"2013-04-0{part + 1}", f"2013-04-0{part + 2}")
    partitions.deposer(campagne, part, parts, jours, version, resume)


def test_une_part_manquante_arrete_la_fusion(demo):
    campagne = partitions.campagne_du_lot("lot incomplet")
    assert partitions.campagne_du_lot("lot incomplet") == campagne, "une campagne par lot"
    deposer(campagne, 0, 3)
    deposer(campagne, 2, 3)
    with pytest.raises(ErreurUtilisateur, match="il manque des parts sur 3 : 1"):
        partitions.reunir(campagne, 3)
    deposer(campagne, 1, 3)
    with pytest.raises(ErreurUtilisateur, match="il manque des parts sur 2 : découpage"):
        partitions.reunir(campagne, 2)
    deposer(campagne, 1, 3)  # relancée, elle ne compte qu’une fois
    assert partitions.reunir(campagne, 3)[0].vols == 6
    deposer(campagne, 0, 1)  # un autre découpage remplace le premier
    assert partitions.reunir(campagne, 1)[0].vols == 2


def test_les_premieres_parts_d_un_lot_ouvrent_ensemble_une_seule_campagne(demo):
    """Huit parts partent en même temps, comme les pods d’un Job, à chaque tour d’un lot neuf."""
    depart = threading.Barrier(8)

    def ouvrir(lot):
        depart.wait(30)
        return partitions.campagne_du_lot(lot)

    with ThreadPoolExecutor(8) as pods:
        for tour in range(5):
            assert len(set(pods.map(ouvrir, [f"lot en course {tour}"] * 8))) == 1


def test_deux_modeles_dans_un_lot_arretent_la_fusion(demo):
    campagne = partitions.campagne_du_lot("lot à deux modèles")
    deposer(campagne, 0, 2, version=1)
    deposer(campagne, 1, 2, version=2)
    with pytest.raises(ErreurUtilisateur, match="le modèle a changé pendant le lot"):
        partitions.reunir(campagne, 2)


def test_le_lot_par_parts_donne_les_mesures_d_un_seul_passage(demo, premier):
    """Les vrais notebooks, trois parts puis la fusion, contre tout avril d’un coup."""
    from mlops_demo import base, entrainement, etape, registre
    from mlops_demo.features import etiquetes, exemples

    lot = {"lot": "lot entier", "debut": "2013-04-01", "fin": "2013-04-10", "parts": 3}
    for part in (0, 1, 2, 1):  # la deuxième est relancée
        etape.executer("etapes/partition", {**lot, "part": part})
    fusion = etape.executer("etapes/fusion", lot)
    vols = exemples("2013-04-01", "2013-04-10")
    connus = etiquetes(vols)
    modele = registre.charger(fusion["version"]).pipeline
    exactes = evaluation.mesurer(connus["late"], entrainement.probabilites(modele, connus))
    mesures = fusion["mesures"]
    assert mesures.pop("auc_bas") <= exactes["auc"] <= mesures.pop("auc_haut")
    assert mesures.pop("auc") == pytest.approx(exactes.pop("auc"), abs=1e-3)
    assert mesures == pytest.approx(exactes, rel=1e-9)
    (ecrites,) = base.lire(
        "SELECT count(*) AS n FROM predictions AS p JOIN campagnes AS c ON c.id = campagne_id"
        " WHERE scenario = 'lot entier'"
    )["n"]
    assert ecrites == len(vols) == fusion["vols"]
