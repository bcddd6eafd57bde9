"""Les indicateurs de livraison, sur un journal écrit à la main dont on connaît les réponses."""

import pandas as pd
import pytest
from mlops_demo import livraison

DEBUT, FIN = "2013-04-01", "2014-01-01"


def ligne(minute, date, action, version, precedente=None):
    return {
        "horodatage": pd.Timestamp(f"2026-01-01 10:{minute:02}:00", tz="UTC"),
        "date_simulee": pd.Timestamp(date).date(),
        "action": action,
        "version": version,
        "version_precedente": precedente,
    }


@pytest.fixture
def journal():
    """Une exécution d’hier, puis l’histoire : quatre mises en service, un refus, un retour."""
    return pd.DataFrame(
        [
            ligne(0, "2013-04-01", "promotion", 1),
            ligne(1, "2013-06-01", "promotion", 2, 1),
            ligne(10, "2013-04-01", "promotion", 3, 2),
            ligne(20, "2013-05-01", "promotion", 4, 3),
            ligne(30, "2013-07-01", "promotion", 5, 4),
            ligne(40, "2013-10-01", "refus", 6, 5),
            ligne(50, "2013-12-01", "promotion forcée", 7, 5),
            ligne(51, "2014-01-01", "retour arrière", 5, 7),
        ]
    )


@pytest.fixture
def histoire(journal):
    return livraison.derniere_histoire(journal, DEBUT)


def test_seule_la_derniere_histoire_compte(histoire):
    assert list(histoire["version"]) == [3, 4, 5, 6, 7, 5], "l’exécution d’hier est écartée"


def test_une_reprise_ouvre_une_histoire(journal):
    reprise = pd.DataFrame([ligne(55, "2013-04-01", "reprise", 3, 5)])
    suite = livraison.derniere_histoire(pd.concat([journal, reprise], ignore_index=True), DEBUT)
    assert list(suite["action"]) == ["reprise"], "rejouer du début remet les compteurs à zéro"


def test_un_retour_au_premier_jour_n_ouvre_pas_d_histoire(journal):
    retour = pd.DataFrame([ligne(55, DEBUT, "retour arrière", 3, 5)])
    suite = livraison.derniere_histoire(pd.concat([journal, retour], ignore_index=True), DEBUT)
    assert list(suite["version"]) == [3, 4, 5, 6, 7, 5, 3], "rien n’a été remis en service"


def test_frequence(histoire):
    assert livraison.frequence(histoire, DEBUT, FIN) == pytest.approx(4 / 9), (
        "quatre mises en service, ni refus ni retour, sur neuf mois"
    )


def test_delais(histoire):
    predits_le = pd.Series(pd.to_datetime(["2026-01-01 10:19:30Z", "2026-01-01 10:29:00Z"]))
    # Rien n’a été prédit avant la première promotion : son délai n’est pas mesurable.
    assert list(livraison.delais(histoire, predits_le)) == [30, 60], "du dernier lot au service"


def test_taux_d_echec_et_retablissement(histoire):
    assert livraison.taux_d_echec(histoire) == 1 / 4, "une version sur quatre a été retirée"
    assert livraison.retablissement_en_jours(histoire) == 31, "du 1er décembre au 1er janvier"


def test_taux_de_reprise_et_de_refus(histoire):
    assert livraison.taux_de_reprise(histoire) == 1 / 5, "un changement sur cinq répare"
    assert livraison.taux_de_refus(histoire) == 1 / 4, "un challenger jugé sur quatre"


def test_une_version_retiree_deux_fois_compte_deux_pannes(journal):
    encore = [
        ligne(52, "2014-02-01", "promotion forcée", 7, 5),
        ligne(53, "2014-02-11", "retour arrière", 5, 7),
    ]
    suite = pd.concat([journal, pd.DataFrame(encore)], ignore_index=True)
    histoire = livraison.derniere_histoire(suite, DEBUT)
    assert livraison.taux_d_echec(histoire) == 2 / 5, "deux échecs sur cinq mises en service"
    assert livraison.retablissement_en_jours(histoire) == (31 + 10) / 2, "chacun depuis sa mise"


def test_un_journal_vide_n_a_pas_de_taux(journal):
    vide = livraison.derniere_histoire(journal.iloc[:0], DEBUT)
    assert livraison.frequence(vide, DEBUT, FIN) == 0, "aucune mise en service"
    taux = [livraison.taux_d_echec, livraison.taux_de_reprise, livraison.taux_de_refus]
    assert [t(vide) for t in taux] == [None] * 3, "un taux sur rien n’a pas de valeur"
    assert livraison.retablissement_en_jours(vide) is None, "pas de panne, pas de durée"
