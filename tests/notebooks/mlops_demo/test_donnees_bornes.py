"""Les bornes d’un lot, de chaque côté, pour chaque indicateur et chaque durée du contrat."""

import math

import pytest
from mlops_demo import contrat
from mlops_demo.donnees import hors_bornes

JOURS = {"mois": 20, "court": 19}
BORNES = [
    (table, nom, duree)
    for table in ("weather", "flights")
    for nom, bornes in contrat.contrat(table)["lot"].items()
    for duree in ("mois", "court")
    if duree in bornes
]


def milieu(table, duree):
    """Un lot de cette durée dont chaque indicateur est au milieu de ses bornes."""
    lot = contrat.contrat(table)["lot"].items()
    bornes = {nom: b.get(duree, (0, 0)) for nom, b in lot}
    return {"jours": JOURS[duree]} | {nom: (a + b) / 2 for nom, (a, b) in bornes.items()}


@pytest.mark.parametrize(("table", "nom", "duree"), BORNES)
def test_une_borne_est_permise_et_juste_apres_refuse(table, nom, duree):
    regle = contrat.contrat(table)["lot"][nom]
    mini, maxi = regle[duree]
    lot = milieu(table, duree)
    assert hors_bornes(lot, table) == []
    for permise in (mini, maxi, (mini, maxi)):
        assert hors_bornes(lot | {nom: permise}, table) == []
    unite = f" {regle['unite']}" if "unite" in regle else ""
    for refusee in (
        math.nextafter(mini, -math.inf),
        math.nextafter(maxi, math.inf),
        math.nan,
        (math.nextafter(mini, -math.inf), maxi),
        (mini, math.nextafter(maxi, math.inf)),
    ):
        (motif,) = hors_bornes(lot | {nom: refusee}, table)
        assert motif.startswith(f"{nom} : ")
        assert f"{unite}, attendu entre " in motif


def test_la_duree_du_lot_choisit_ses_bornes():
    tempete = milieu("flights", "court") | {"part de vols sans retard connu": 0.5}
    assert hors_bornes(tempete, "flights") == []
    assert len(hors_bornes(tempete | {"jours": 20}, "flights")) == 1


def test_une_borne_que_la_duree_n_a_pas_ne_se_juge_pas():
    assert hors_bornes({"jours": 19, "part de lignes écartées": 0.0}, "weather") == []


def test_une_table_sans_bornes_n_a_que_celle_des_lignes_ecartees():
    assert hors_bornes({"part de lignes écartées": 0.01}, "planes") == []
    assert hors_bornes({"part de lignes écartées": 0.02}, "planes") == [
        "part de lignes écartées : 0,02, attendu entre 0 et 0,01"
    ]
