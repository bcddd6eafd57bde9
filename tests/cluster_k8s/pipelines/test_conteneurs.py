"""Le pipeline du dépôt, une étape par conteneur de l’image demo, sur un vrai moteur Docker."""

import pytest
from programmes import construire

pytestmark = [pytest.mark.local, pytest.mark.lent]

IMAGE = "mlops-essai/demo:local"
# Assez de jours pour que le gate accepte, ou trop peu.
ACCEPTE = {"debut": "2013-01-01", "mois": ["2013-04", "2013-05"]}
REFUSE = {"debut": "2013-02-25"}


@pytest.fixture(scope="module")
def image():
    """L’image demo, construite du dépôt ; celle de « make up » si rien n’a changé."""
    construire(IMAGE, "local/images/demo/Dockerfile")
    return ("--image", IMAGE)


@pytest.fixture(scope="module")
def deux_mois(essayer, image):
    """Avril et mai, d’une base vide, notés et supervisés de front."""
    essai = essayer("mois_du_modele", "conteneurs", *image, **ACCEPTE)
    assert essai.code == 0, essai.erreurs[-3000:] + essai.sortie[-3000:]
    return essai


def test_le_gate_accepte_et_deux_mois_se_notent_de_front(deux_mois):
    assert deux_mois.etape("gate") == "promu"
    mois = [
        r["en_service"]
        for n, r in sorted(deux_mois.resultats.items())
        if n.split("/")[-1] == "superviser"
    ]
    assert sorted(m["mois"] for m in mois) == ACCEPTE["mois"]
    demandes = [m["mois"] for m in mois if m["decision"] == "réentraîner"]
    assert deux_mois.etape("mois-a-reprendre") == max(demandes)
    assert [m["mois"] for m in deux_mois.etape("reentrainer")["mois"]] == [max(demandes)]


def test_un_conteneur_rend_le_meme_json_qu_un_processus(deux_mois, essayer, sans_volatil):
    processus = essayer("mois_du_modele", "processus", **ACCEPTE)
    assert processus.code == 0, processus.erreurs[-3000:]
    assert processus.resultats.keys() == deux_mois.resultats.keys()
    for nom, rendu in processus.resultats.items():
        assert sans_volatil(rendu) == sans_volatil(deux_mois.resultats[nom]), nom


def test_le_gate_refuse_et_rien_n_est_note(essayer, image):
    refus = essayer("mois_du_modele", "refus-conteneurs", *image, **REFUSE)
    assert refus.code == 0, refus.erreurs[-3000:]
    assert refus.etape("gate") == "refus"
    assert "noter" not in refus.faites()


def test_une_etape_en_echec_est_nommee_et_arrete_tout(essayer, image):
    echec = essayer("mois_du_modele", "refus-conteneurs", *image, debut_validation="jamais")
    assert echec.code == 1
    assert "entrainer-juger-promouvoir" in echec.erreurs.splitlines()[-1]
    assert "étape 42_entrainement en échec, cellule" in echec.sortie
    assert "gate" not in echec.faites()


def test_une_image_absente_est_dite(essayer):
    echec = essayer("mois_du_modele", "personne", "--image", "mlops-essai/absente:1")
    assert echec.code == 1
    assert "construisez l’image (make up)" in echec.erreurs
    assert "Traceback" not in echec.erreurs
