"""Des pannes dans la boucle : ce qui a été perdu (rien), et ce que l’utilisateur a vu."""

import numpy as np
import pandas as pd
import pytest
from mlops_demo import base, journal, registre
from mlops_demo.configuration import ErreurUtilisateur
from mlops_demo.evaluation import mesurer
from mlops_demo.gate import juger


def test_postgres_tue_pendant_une_promotion_ne_perd_ni_journal_ni_champion(ailleurs, monkeypatch):
    avant = journal.tout()
    client = registre.client()
    vrai = client.set_registered_model_alias

    def deplacer_puis_mourir(*arguments):
        vrai(*arguments)
        ailleurs.tuer()  # l’alias est déplacé, le journal n’est pas validé

    monkeypatch.setattr(client, "set_registered_model_alias", deplacer_puis_mourir, raising=False)
    with pytest.raises(ErreurUtilisateur, match="la base s’est arrêtée pendant le changement"):
        registre.mettre_en_service("promotion", 2, "2013-05-01", "panne", attendu=1)
    monkeypatch.undo()
    ailleurs.lancer()
    base.oublier()
    pd.testing.assert_frame_equal(journal.tout(), avant, obj="le journal")
    registre.accorder()
    assert (registre.version_de(registre.CHAMPION), journal.champion()) == (1, 1)
    registre.mettre_en_service("promotion", 2, "2013-05-01", "reprise", attendu=1)
    assert (registre.version_de(registre.CHAMPION), journal.champion()) == (2, 2)


def test_une_meilleure_auc_avec_une_pire_calibration_est_refusee():
    aleas = np.random.default_rng(3)
    vraie = aleas.uniform(0.05, 0.6, 8000)
    vols = pd.DataFrame(
        {
            "late": (aleas.uniform(size=8000) < vraie).astype(float),
            "flight_date": pd.Timestamp("2013-06-03") + pd.to_timedelta(np.arange(8000) % 28, "D"),
            "origin": np.array(["EWR", "JFK", "LGA"])[np.arange(8000) % 3],
        }
    )
    champion = np.clip(vraie + aleas.normal(0, 0.1, 8000), 0.01, 0.99)
    challenger = np.clip(vraie + 0.25, 0, 0.99)
    mieux, moins = (mesurer(vols["late"], p)["auc"] for p in (challenger, champion))
    assert mieux > moins, "il classe mieux les vols"
    verdict = juger(vols, champion, challenger)
    assert not verdict.promu
    assert "calibration" in verdict.raison, "et le journal dira pourquoi"
