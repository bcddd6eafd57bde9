"""Les réglages : ce que le terminal de quelqu’un d’autre y change, et ce qu’il n’y change pas."""

import os
import pwd
import subprocess
import sys

import pytest
from mlops_demo import configuration
from mlops_demo.configuration import ErreurUtilisateur

# Un serveur lancé et interrogé comme le font « make lab » et le notebook 45, puis par MLflow.
PRET = """
import sys
from pathlib import Path
from mlops_demo import processus
port = processus.port_libre()
commande = [sys.executable, "-m", "http.server", "--bind", "127.0.0.1", str(port)]
serveur = processus.Serveur("x", commande, f"http://127.0.0.1:{port}/", Path("x.journal"))
serveur.pret(10)
import requests
requests.get(serveur.adresse, timeout=5).raise_for_status()
enfant = "import requests, sys; print(requests.get(sys.argv[1], timeout=5).status_code)"
import subprocess
subprocess.run([sys.executable, "-c", enfant, serveur.adresse], check=True)
serveur.arreter()
"""


def variables(**reglages):
    """L’environnement des tests, sans proxy, plus ces réglages."""
    propres = {n: v for n, v in os.environ.items() if not n.lower().endswith("_proxy")}
    return propres | reglages


@pytest.mark.parametrize(
    ("nom", "exclus"), [("http_proxy", ""), ("HTTP_PROXY", "*, a.fr"), ("all_proxy", "exemple.fr")]
)
def test_la_boucle_locale_ne_passe_pas_par_le_proxy(tmp_path, nom, exclus):
    # Le port 9 ne répond pas : qui passerait par ce proxy échouerait.
    reglages = variables(**{nom: "http://127.0.0.1:9", "no_proxy": exclus})
    fait = subprocess.run(
        [sys.executable, "-c", PRET],
        cwd=tmp_path,
        env=reglages,
        capture_output=True,
        text=True,
        check=False,
    )
    assert fait.returncode == 0, fait.stderr
    assert fait.stdout == "200\n"


def test_ce_que_l_utilisateur_exclut_du_proxy_le_reste(monkeypatch):
    monkeypatch.setenv("https_proxy", "http://mandataire:3128")
    monkeypatch.setenv("no_proxy", "exemple.fr, ::1")
    monkeypatch.setenv("NO_PROXY", "autre.fr")
    configuration.boucle_locale_sans_proxy()
    attendus = "exemple.fr,::1,autre.fr,localhost,127.0.0.1"
    assert [os.environ[n] for n in ("no_proxy", "NO_PROXY")] == [attendus] * 2


def test_sans_proxy_rien_n_est_pose(monkeypatch):
    for nom in [n for n in os.environ if n.lower().endswith("_proxy")]:
        monkeypatch.delenv(nom)
    configuration.boucle_locale_sans_proxy()
    assert "no_proxy" not in os.environ


def test_ce_qu_un_autre_projet_regle_de_mlflow_est_oublie(monkeypatch):
    monkeypatch.setenv("MLFLOW_RUN_ID", "0123")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:1")
    configuration.poser_reglages()
    assert "MLFLOW_RUN_ID" not in os.environ
    assert configuration.serveur_mlflow() == "http://127.0.0.1:1", "celui-là est à l’utilisateur"


def test_un_compte_sans_nom_dit_quelle_variable_donner(monkeypatch):
    def inconnu(numero):
        raise KeyError(f"getpwuid(): uid not found: {numero}")

    monkeypatch.setattr(pwd, "getpwuid", inconnu)
    for nom in ("MLOPS_UTILISATEUR", "JUPYTERHUB_USER", "LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.delenv(nom, raising=False)
    with pytest.raises(ErreurUtilisateur, match=r"n’a pas de nom.*MLOPS_UTILISATEUR"):
        configuration.utilisateur()
    monkeypatch.setenv("MLOPS_UTILISATEUR", "Élodie")
    assert configuration.utilisateur() == "lodie"


def test_sans_dossier_personnel_personne_ne_se_plaint_en_anglais(tmp_path):
    code = "import mlops_demo, IPython.paths, matplotlib; IPython.paths.get_ipython_dir()"
    for maison in ("/proc/absente", ""):
        fait = subprocess.run(
            [sys.executable, "-c", code + "; matplotlib.get_configdir()"],
            env=variables(HOME=maison, MLOPS_TRAVAIL=str(tmp_path / "à moi")),
            capture_output=True,
            text=True,
            check=False,
        )
        assert (fait.returncode, fait.stderr) == (0, "")
