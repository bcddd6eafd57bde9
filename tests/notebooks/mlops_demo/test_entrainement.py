"""L’apprentissage : reproductible, et meilleur que rien."""

import numpy as np
import pytest
from mlops_demo import entrainement, evaluation
from mlops_demo.configuration import ErreurUtilisateur
from mlops_demo.features import etiquetes


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
