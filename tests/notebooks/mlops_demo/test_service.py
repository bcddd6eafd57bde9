"""Le service HTTP : mêmes probabilités que le lot, refus expliqués, suivi du champion."""

import json
import urllib.error

import numpy as np
import pandas as pd
import pytest
from mlops_demo import base, entrainement, registre, service, simulation
from mlops_demo.features import etiquetes


@pytest.fixture(scope="module")
def serveur(premier):
    """Un vrai service, dans son processus, avec sa campagne de journalisation."""
    simulation.repartir("2013-04-01")
    lance = service.lancer(simulation.ouvrir_campagne("test http"))
    lance.pret()
    yield lance
    lance.arreter()


@pytest.fixture(scope="module")
def vols(annee):
    """Quarante vols d’avril, dont certains aux valeurs inconnues."""
    avril = annee[annee["flight_date"].dt.month == 4]
    return pd.concat([avril[avril["plane_age"].isna()].head(20), avril.tail(20)])


def test_le_service_dit_la_meme_chose_que_le_lot(serveur, vols):
    reponse = service.appeler(serveur, "/predict", {"vols": service.en_json(vols)})
    par_http = [p["probabilite"] for p in reponse["predictions"]]
    par_lot = entrainement.probabilites(registre.charger_champion().pipeline, vols)
    assert np.array_equal(par_http, par_lot)


@pytest.mark.parametrize(
    ("changement", "motif"),
    [
        ({"dest": None}, "dest : texte attendu"),
        ({"origin": "Paris"}, "origin : mal formé"),
        ({"temp": "chaud"}, "temp : nombre"),
        ({"inconnu": 1}, "inconnu : inconnu"),
        ({"flight_id": -1}, "flight_id"),
    ],
)
def test_une_demande_mal_formee_est_refusee_en_francais(serveur, vols, changement, motif):
    vol = service.en_json(vols.head(1))[0] | changement
    with pytest.raises(urllib.error.HTTPError) as refus:
        service.appeler(serveur, "/predict", {"vols": [vol]})
    assert refus.value.code == 422
    assert motif in " ".join(json.load(refus.value)["motifs"])


def test_aucun_vol_est_refuse(serveur):
    with pytest.raises(urllib.error.HTTPError) as refus:
        service.appeler(serveur, "/predict", {"vols": []})
    assert refus.value.code == 422


def test_chaque_prediction_est_journalisee(premier, vols):
    campagne = simulation.ouvrir_campagne("test journal")
    lance = service.lancer(campagne)
    lance.pret()
    for _ in range(3):
        service.appeler(lance, "/predict", {"vols": service.en_json(vols)})
    lance.arreter()
    lignes = base.lire("SELECT * FROM predictions WHERE campagne_id = $1", campagne)
    assert len(lignes) == 3 * len(vols), "l’arrêt vide la file : aucune prédiction perdue"
    assert set(lignes["canal"]) == {"http"}
    assert lignes["version_modele"].unique().tolist() == [registre.version_de("champion")]


def test_le_service_suit_le_champion_sans_redemarrer(serveur, premier, annee):
    hiver = annee[annee["flight_date"] < "2013-02-01"]
    modele = entrainement.apprendre(entrainement.lineaire(), hiver)
    run_id = registre.enregistrer_essai("suivi", modele, etiquetes(hiver), {})
    version = registre.inscrire_challenger(run_id)
    registre.mettre_en_service("promotion", version, "2013-05-01", "suivi", attendu=premier)
    assert service.attendre_version(serveur, version) == version
    registre.retour_arriere("suivi", "2013-05-02")
    assert service.attendre_version(serveur, premier) == premier
