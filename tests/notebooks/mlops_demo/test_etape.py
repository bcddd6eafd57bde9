"""Une étape : un notebook, des paramètres vérifiés, son JSON à lui."""

import json
import os
import signal
import subprocess
import sys
import time

import psutil
import pytest
from mlops_demo import __main__, etape, resultats
from mlops_demo.configuration import ErreurUtilisateur

REGLAGE = {"max_iter": 5, "debut_validation": "2013-02-01", "mise_en_service": "2013-02-08"}


def test_les_parametres_viennent_du_notebook_et_prennent_son_type():
    lus = etape.lire_parametres(
        "43_mise_en_production", ["debut=2013-07-01", "echantillon=20", "repartir_du_debut=false"]
    )
    assert lus == {"debut": "2013-07-01", "echantillon": 20, "repartir_du_debut": False}


@pytest.mark.parametrize(
    ("nom", "donnes", "plainte"),
    [
        ("48_rien", [], "aucune étape ne s’appelle « 48_rien »"),
        ("44_supervision", ["mois"], "n’est pas de la forme nom=valeur"),
        ("44_supervision", ["moi=2013-07"], "n’a pas de paramètre moi"),
        ("44_supervision", ["seuil_psi=haut"], "n’est pas un nombre"),
        ("43_mise_en_production", ["echantillon=2.5"], "n’est pas un entier"),
        ("43_mise_en_production", ["echantillon=inf"], "n’est pas un entier"),
        ("43_mise_en_production", ["repartir_du_debut=oui"], "n’est pas true ou false"),
    ],
)
def test_un_parametre_qui_ne_va_pas_est_refuse_en_une_phrase(nom, donnes, plainte):
    with pytest.raises(ErreurUtilisateur, match=plainte):
        etape.lire_parametres(nom, donnes)


def test_les_bornes_d_un_mois_s_ecrivent_dans_les_parametres():
    modele = {"debut": "{premier_jour}", "fin": "{mois_suivant}", "scenario": "p {mois}", "n": 3}
    attendu = {"debut": "2013-12-01", "fin": "2014-01-01", "scenario": "p 2013-12", "n": 3}
    assert etape.pour_le_mois(modele, "2013-12") == attendu
    with pytest.raises(ErreurUtilisateur, match="n’est pas un mois"):
        etape.pour_le_mois(modele, "juillet")


def test_une_etape_rend_son_json_sans_toucher_aux_autres(demo, tmp_path, capsys, monkeypatch):
    ailleurs = resultats.dossier() / "reglage.json"
    copie, page = tmp_path / "copie.ipynb", tmp_path / "page.html"
    rendu = etape.executer("etapes/reglage", REGLAGE, copie)
    assert rendu["reglages"]["max_iter"] == 5
    assert not ailleurs.exists(), "le résultat d’une étape est à part"
    etape.en_html(copie, page)
    assert "Log-loss en validation" in page.read_text(encoding="utf-8")
    # Les mêmes réglages, par la ligne de commande : les mêmes mesures, lisibles par Katib.
    options = [f"--parametre={n}={v}" for n, v in REGLAGE.items()]
    monkeypatch.setattr("sys.argv", ["mlops-demo", "executer", "etapes/reglage", *options])
    assert __main__.principal() == 0
    assert json.loads(capsys.readouterr().out)["log_loss"] == rendu["log_loss"]


def test_une_etape_en_echec_dit_laquelle_et_pourquoi(demo, capsys, monkeypatch):
    with pytest.raises(ErreurUtilisateur) as echec:
        etape.executer("etapes/partition", {"part": "0.0", "parts": "40"})  # comme Kubeflow
    assert "étape etapes/partition en échec, cellule" in str(echec.value)
    assert "entre 1 et 30" in str(echec.value)
    monkeypatch.setattr(
        "sys.argv", ["mlops-demo", "executer", "etapes/partition", "-p", "parts=40"]
    )
    assert __main__.principal() == 1
    message = capsys.readouterr().err
    assert message.startswith("Erreur : étape etapes/partition")
    assert "Traceback" not in message


def test_ctrl_c_pendant_une_etape_ne_montre_que_sa_phrase(demo):
    # Étant donné une étape dont le noyau tourne
    # Lancés en arrière-plan, ces tests ignorent SIGINT, et leurs enfants en héritent.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    commande = [sys.executable, "-m", "mlops_demo", "executer", "42_entrainement"]
    etape_lancee = subprocess.Popen(
        commande,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    limite = time.monotonic() + 60
    while not psutil.Process(etape_lancee.pid).children():
        assert time.monotonic() < limite, "aucun noyau au bout de 60 s"
        time.sleep(0.1)
    time.sleep(2)  # le noyau écrit ses avertissements en démarrant
    # Quand le terminal l’interrompt
    os.killpg(etape_lancee.pid, signal.SIGINT)
    sortie, erreurs = etape_lancee.communicate(timeout=60)
    # Alors elle le dit, sans pile d’appels ni message d’un autre
    assert etape_lancee.returncode == 130
    assert (sortie, erreurs.strip().count("\n")) == ("", 0), erreurs
    assert erreurs.strip().startswith("Interrompu : ")
