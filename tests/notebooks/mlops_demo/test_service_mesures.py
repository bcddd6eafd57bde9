"""Ce que le service mesure de lui-même, dans chaque état, sans le lancer."""

import asyncio
import time
from types import SimpleNamespace

import pytest
from mlops_demo import registre, service_champion, service_journal
from mlops_demo.service_mesures import Chronometre, Mesures
from mlops_demo.service_tampon import Tampon


@pytest.fixture
def mesures(tmp_path):
    """Les mesures d’un service qui démarre : ni modèle, ni registre, un tampon vide."""
    suivi = SimpleNamespace(servi=None, etat=service_champion.DEMARRE, contredit=None)
    livreur = SimpleNamespace(etat=service_journal.A_JOUR, panne=None, tampon=Tampon(tmp_path))
    return Mesures(suivi, livreur)


def test_sans_modele_ni_version_ni_age(mesures):
    lire = mesures.registre.get_sample_value
    assert lire("mlops_version_servie") is None
    assert lire("mlops_modele_age_secondes") is None
    for etat, suivi in (
        (service_champion.DEMARRE, 0),
        (service_champion.SUIVI, 1),
        ("registre injoignable : délai dépassé", 0),
    ):
        mesures.suivi.etat = etat
        assert lire("mlops_registre_suivi") == suivi


def test_un_alias_qui_contredit_le_journal_se_mesure_et_le_registre_repond_quand_meme(mesures):
    lire = mesures.registre.get_sample_value
    assert lire("mlops_alias_mismatch") == 0
    mesures.suivi.contredit = mesures.suivi.etat = "l’alias désigne la version 9"
    assert (lire("mlops_alias_mismatch"), lire("mlops_registre_suivi")) == (1, 1)


@pytest.mark.parametrize(("ecart", "age"), [(-3600, 3600), (3600, 0)])
def test_l_age_du_modele_n_est_jamais_negatif(mesures, ecart, age):
    fiche = registre.Fiche("retard", 7, "essai", time.time() + ecart)
    mesures.suivi.servi = SimpleNamespace(fiche=fiche)
    lu = mesures.registre.get_sample_value("mlops_modele_age_secondes")
    assert lu == pytest.approx(age, abs=60)
    assert lu >= 0
    assert mesures.registre.get_sample_value("mlops_version_servie") == 7


def test_ce_qui_attend_et_ce_qui_est_en_panne_se_mesure(mesures):
    noms = ["journal_a_jour", "tampon_ecrit", "journal_attente_lignes", "journal_attente_octets"]

    def etat():
        return [mesures.registre.get_sample_value(f"mlops_{nom}") for nom in noms]

    assert etat() == [1, 1, 0, 0]
    mesures.livreur.tampon.ajouter(b"douze octets")
    mesures.livreur.etat = "en attente de Postgres"
    assert etat() == [0, 1, 1, 13]
    mesures.livreur.panne = "volume plein"
    assert etat() == [0, 0, 1, 13]


def test_les_probabilites_se_comptent_par_dixieme_et_par_version(mesures):
    mesures.compter(7, [0.05, 0.1, 0.15, 0.95])
    mesures.compter(8, [0.5])
    lire = mesures.registre.get_sample_value
    sous = [
        lire("mlops_probabilite_bucket", {"version": "7", "le": le}) for le in ("0.1", "0.2", "1.0")
    ]
    assert sous == [2, 3, 4]
    assert lire("mlops_predictions_total", {"version": "7"}) == 4
    assert lire("mlops_predictions_total", {"version": "8"}) == 1


def requete(mesures, chemin, app):
    """Passe une requête à un service chronométré."""

    async def rien(*_):
        """Ni corps à lire, ni client à qui répondre."""

    asyncio.run(Chronometre(app, mesures)({"type": "http", "path": chemin}, rien, rien))


def test_une_adresse_inventee_ne_cree_pas_de_mesure_a_elle(mesures):
    async def introuvable(scope, receive, send):
        await send({"type": "http.response.start", "status": 404})

    for chemin in ("/a", "/b", "/metrics"):
        requete(mesures, chemin, introuvable)
    compte = mesures.registre.get_sample_value
    assert compte("mlops_requete_secondes_count", {"route": "autre", "code": "404"}) == 2
    assert compte("mlops_requete_secondes_count", {"route": "/metrics", "code": "404"}) == 1


def test_une_erreur_du_service_compte_pour_une_reponse_500(mesures):
    async def casse(*_):
        raise RuntimeError

    with pytest.raises(RuntimeError):
        requete(mesures, "/predict", casse)
    etiquettes = {"route": "/predict", "code": "500"}
    assert mesures.registre.get_sample_value("mlops_requete_secondes_count", etiquettes) == 1
