"""L’apprentissage : reproductible, et meilleur que rien."""

import numpy as np
import pandas as pd
import pytest
from mlops_demo import entrainement, evaluation
from mlops_demo.configuration import GRAINE, ErreurUtilisateur
from mlops_demo.features import METEO_SAISON, NOMBRES, etiquetes


@pytest.fixture(scope="module")
def hiver(annee):
    """Janvier et février."""
    return annee[annee["flight_date"] < "2013-03-01"]


@pytest.fixture(scope="module")
def mars(annee):
    """Les vols étiquetés de mars."""
    return etiquetes(annee[annee["flight_date"].dt.month == 3])


@pytest.mark.parametrize("nom", entrainement.CANDIDATS)
def test_deux_apprentissages_donnent_les_memes_probabilites(hiver, mars, nom):
    fabrique = entrainement.CANDIDATS[nom]
    un, deux = (
        entrainement.probabilites(entrainement.apprendre(fabrique(), hiver), mars) for _ in range(2)
    )
    assert np.array_equal(un, deux), "à graine et données égales, tout doit être égal"


def test_les_deux_vrais_modeles_battent_le_naif(hiver, mars):
    pertes = {
        nom: evaluation.mesurer(
            mars["late"],
            entrainement.probabilites(entrainement.apprendre(fabrique(), hiver), mars),
        )["log_loss"]
        for nom, fabrique in entrainement.CANDIDATS.items()
    }
    assert pertes["linéaire"] < pertes["naïf"] - 0.03
    assert pertes["boosting"] < pertes["naïf"] - 0.03


def test_une_destination_jamais_vue_et_des_valeurs_absentes_se_predisent(hiver, mars):
    modele = entrainement.apprendre(entrainement.lineaire(), hiver)
    etranges = mars.head(3).assign(dest="ZZZ", temp=np.nan, plane_age=np.nan)
    probas = entrainement.probabilites(modele, etranges)
    assert np.isfinite(probas).all()


def test_sans_etiquette_l_erreur_dit_quoi_faire(hiver):
    with pytest.raises(ErreurUtilisateur, match="élargissez la période"):
        entrainement.apprendre(entrainement.lineaire(), hiver.assign(late=0.0))


@pytest.mark.parametrize("nom", [*entrainement.CANDIDATS, "sans météo de saison"])
def test_un_vol_seul_a_la_meme_probabilite_qu_en_lot(hiver, annee, nom):
    fabriques = entrainement.CANDIDATS | {
        "sans météo de saison": lambda: entrainement.lineaire(sans=tuple(METEO_SAISON))
    }
    modele = entrainement.apprendre(fabriques[nom](), hiver)
    # Étant donné 3 000 vols de l’année, dont de destinations et de valeurs inconnues en hiver
    vols = annee.sample(3000 if nom != "naïf" else 50, random_state=GRAINE)
    vols = pd.concat([vols, annee[~annee["dest"].isin(hiver["dest"])].head(20)])
    vols = pd.concat([vols, annee[annee["temp"].isna()].head(20)])
    vols = pd.concat([vols, vols.head(3).assign(**dict.fromkeys(NOMBRES, np.nan), carrier="ZZ")])
    juger = entrainement.pour_un_vol(modele)
    un_a_un = [juger(vol) for vol in vols.replace({np.nan: None}).to_dict("records")]
    en_lot = entrainement.probabilites(modele, vols)
    assert np.array_equal(un_a_un, en_lot), f"écart de {np.abs(un_a_un - en_lot).max()}"
    assert len(set(un_a_un)) > len(vols) / 2 or nom == "naïf", "des vols différents, pour de vrai"


@pytest.mark.filterwarnings("ignore:Skipping features")
def test_une_variable_jamais_connue_a_l_apprentissage_ne_trompe_pas_la_voie_rapide(hiver):
    jamais = hiver.head(5000).assign(seats=np.nan)
    modele = entrainement.apprendre(entrainement.lineaire(), jamais)
    vols = hiver.tail(20)
    juger = entrainement.pour_un_vol(modele)
    un_a_un = [juger(vol) for vol in vols.replace({np.nan: None}).to_dict("records")]
    assert np.array_equal(un_a_un, entrainement.probabilites(modele, vols))
