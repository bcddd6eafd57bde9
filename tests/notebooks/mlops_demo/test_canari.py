"""Le canari : quels vols il juge, et chaque raison qu’il a de refuser, sans base ni registre."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from mlops_demo import canari, confiance, registre, service_champion
from mlops_demo.features import FEATURES

FICHE = registre.Fiche("retard", 7, "essai", 0.0)


def modele(probabilite):
    """Un modèle qui annonce à chaque vol une probabilité calculée de sa distance."""
    return SimpleNamespace(
        predict_proba=lambda x: np.column_stack([x["distance"], probabilite(x["distance"])])
    )


JUGE = modele(lambda d: d / 1000)


@pytest.fixture
def vols():
    """Quarante jours de cent vols, de 0 à 1 000 milles, dont on ignore l’âge de l’avion."""
    n = np.arange(4000)
    table = pd.DataFrame(0.0, index=n, columns=FEATURES).assign(
        flight_id=n, flight_date=pd.Timestamp("2013-06-01") + pd.to_timedelta(n // 100, "D")
    )
    return table.assign(distance=n % 9 * 125.0, plane_age=np.nan)


@pytest.fixture
def essayer(monkeypatch, vols):
    """Essaie une version dont les fichiers donnent un modèle."""

    def telecharger(version, dossier):
        return FICHE

    monkeypatch.setattr(registre, "telecharger", telecharger)
    monkeypatch.setattr(confiance, "empreinte", lambda dossier: "e")

    def essayer(servi, seul=lambda vol: vol["distance"] / 1000):
        champion = service_champion.Champion(FICHE, servi, seul)
        monkeypatch.setattr(service_champion, "ouvrir", lambda dossier, fiche: champion)
        return canari.essayer(7, JUGE, vols)

    return essayer


def test_un_vol_sur_vingt_va_au_canari_et_toujours_les_memes():
    numeros = pd.Series(np.arange(1, 336_777))
    choisis = canari.choisis(numeros)
    assert choisis.mean() == pytest.approx(0.05, abs=0.001)
    assert choisis.groupby(numeros // 10_000).mean().between(0.04, 0.06).all(), "mal répartis"
    assert canari.choisis(numeros, 0.1)[choisis].all(), "une part plus grande garde les premiers"
    assert not canari.choisis(pd.Series([0]), 0).any(), "une part nulle n’en prend aucun"


def test_le_canari_juge_les_vols_choisis_des_quatre_dernieres_semaines(essayer, vols):
    recents = vols[vols["flight_date"] >= "2013-06-13"]
    assert recents["flight_date"].nunique() == 28
    vus = []
    essai = essayer(JUGE, lambda vol: vus.append(vol) or vol["distance"] / 1000)
    assert essai.empreinte == "e", "celle des fichiers essayés, que la promotion inscrira"
    assert (essai.accepte, essai.vols) == (True, canari.choisis(recents["flight_id"]).sum())
    assert len(vus) == 50, "cinquante vols jugés seuls"
    assert {vol["plane_age"] for vol in vus} == {None}, "l’inconnu vaut null, comme par HTTP"


@pytest.mark.parametrize(
    "probabilite",
    [lambda d: d / 1000 - 1e-9, lambda d: d / 1000 + 1e-9, lambda d: d * np.nan],
    ids=["négative", "plus de 1", "indéfinie"],
)
def test_des_probabilites_impossibles_sont_refusees(essayer, probabilite):
    essai = essayer(modele(probabilite))
    assert not essai.accepte
    assert "ne sont pas des nombres de [0 ; 1]" in essai.motif


def test_un_autre_modele_que_celui_juge_est_refuse(essayer):
    essai = essayer(modele(lambda d: 1 - d / 1000), lambda vol: 1 - vol["distance"] / 1000)
    assert not essai.accepte
    assert "ne sont pas le modèle que le gate a jugé" in essai.motif


def test_un_vol_juge_seul_autrement_qu_en_lot_est_refuse(essayer):
    essai = essayer(JUGE, lambda vol: 0.5)
    assert not essai.accepte
    assert "un vol seul n’a pas la même probabilité qu’en lot" in essai.motif


def test_des_fichiers_que_la_porte_refuse_sont_refuses_avec_son_motif(essayer, monkeypatch):
    def telecharger(version, dossier):
        raise confiance.Refus("900 Mio de fichiers, 50 au plus")

    monkeypatch.setattr(registre, "telecharger", telecharger)
    essai = essayer(JUGE)
    assert (essai.accepte, essai.motif) == (False, "900 Mio de fichiers, 50 au plus")
