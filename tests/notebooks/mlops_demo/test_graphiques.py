"""Les graphiques : rien ne cache une courbe, et chaque seuil est tracé."""

import pandas as pd
import pytest
from matplotlib import pyplot as plt
from mlops_demo import graphiques
from mlops_demo.textes import mois_en_lettres

MESURES = pd.DataFrame({"mois": ["2013-04-01", "2013-05-01"], "biais": [-0.1, 0.2]})


@pytest.fixture(autouse=True)
def _fermer():
    """Ferme les figures ouvertes par un test."""
    yield
    plt.close("all")


def entrees(repere):
    """Les textes de la légende d’une figure, qui n’en a qu’une."""
    (legende,) = repere.figure.legends
    return [texte.get_text() for texte in legende.get_texts()]


def test_tous_les_seuils_sont_traces_et_un_seul_est_nomme():
    repere = graphiques.comparer({"figé": MESURES}, "biais", "Biais", "points", (-0.05, 0.05))
    tirets = [ligne.get_ydata()[0] for ligne in repere.lines if ligne.get_linestyle() == "--"]
    assert tirets == [-0.05, 0.05]
    assert entrees(repere) == ["figé", "seuil d’alarme"]
    assert [t.get_text() for t in repere.get_xticklabels()] == ["avr.", "mai"]


def test_la_legende_est_hors_du_repere_et_se_refait():
    repere = graphiques.comparer({"figé": MESURES}, "biais", "Biais", "points")
    graphiques.ombrer(repere, -0.5, 0.5, "congés")
    graphiques.legender(repere)
    assert entrees(repere) == ["figé", "congés"]
    repere.figure.canvas.draw()
    cadre, legende = repere.get_window_extent(), repere.figure.legends[0].get_window_extent()
    assert legende.y1 <= cadre.y0, "la légende recouvre le repère"


def test_deux_courbes_se_distinguent_sans_la_couleur():
    repere = graphiques.comparer({"a": MESURES, "b": MESURES}, "biais", "Biais", "points")
    marques = [ligne.get_marker() for ligne in repere.lines]
    assert len(set(marques)) == 2, marques


def test_un_mois_en_lettres():
    assert mois_en_lettres("2013-07") == "juillet 2013"
    assert mois_en_lettres("2013-12") == "décembre 2013"
