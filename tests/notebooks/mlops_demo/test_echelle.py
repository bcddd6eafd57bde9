"""Ce que coûte un lot : les tirages viennent des vrais vols, la projection suit ses hypothèses."""

import numpy as np
import pandas as pd
import pytest
from mlops_demo import echelle


def test_les_tirages_sont_de_vrais_vols_et_toujours_les_memes():
    vols = pd.DataFrame({"flight_id": np.arange(50)})
    paquets = list(echelle.tirages(vols, 3))
    assert [len(p) for p in paquets] == [50, 50, 50]
    assert set(pd.concat(paquets)["flight_id"]) <= set(vols["flight_id"])
    assert not paquets[0].equals(paquets[1])
    for un, deux in zip(paquets, echelle.tirages(vols, 3), strict=True):
        pd.testing.assert_frame_equal(un, deux)


def test_la_projection_ajoute_des_pods_puis_du_temps():
    besoins = echelle.dimensionner(
        {"petit": 10**6, "juste": 10**9, "énorme": 10**12},
        secondes_par_vol=1e-5,
        demarrage_s=60,
        cible_s=1000,
        pods_max=200,
        prix_du_coeur_heure=0.36,
    ).set_index("lot")
    assert besoins["pods"].to_dict() == {"petit": 1, "juste": 10, "énorme": 200}
    assert besoins["durée (min)"]["juste"] == pytest.approx((60 + 1000) / 60)
    assert besoins["coût (centimes)"]["juste"] == pytest.approx(36 * (10_000 + 600) / 3600)
    assert besoins["durée (min)"]["énorme"] > 800, "passé le plafond de pods, le temps grandit"
    assert besoins["mémoire en tout (Gio)"]["juste"] == 20


def test_le_cout_compte_chaque_vol_et_ne_garde_rien(annee, premier):
    from mlops_demo import registre

    avril = annee[annee["flight_date"].between("2013-04-01", "2013-04-03")]
    mesure = echelle.cout(registre.charger(premier).pipeline, avril, 4)
    assert mesure["vols"] == 4 * len(avril)
    assert mesure["notation_s"] > 0
