"""Les comptes de MLflow, sans Docker : le serveur de l’image, de ses paquets, contre ses attaques.

test_attaques.py rejoue les mêmes du notebook d’un participant.
"""

import os
import subprocess
import sys
import time
from pathlib import Path

import attaques
import cartes
import pytest
import requests

pytestmark = pytest.mark.local

RACINE = Path(__file__).resolve().parents[2]
IMAGE = RACINE / "local" / "images" / "mlflow"
COMPTES = ("orateur", "invite01", "invite02", "production")
PREPARER = """
import comptes, os, pathlib
comptes.ecrire_reglages(pathlib.Path(os.environ["MLFLOW_AUTH_CONFIG_PATH"]), os.environ["BASE"])
voulus = comptes.mots_de_passe(int(os.environ["CARTES"]), pathlib.Path(os.environ["SECRETS"]))
comptes.preparer(os.environ["BASE"], voulus)
"""


def port_libre():
    """Un port libre de 127.0.0.1."""
    import socket

    with socket.socket() as prise:
        prise.bind(("127.0.0.1", 0))
        return prise.getsockname()[1]


def reglages_de_l_image():
    """Les variables que le Dockerfile donne au serveur."""
    textes = (IMAGE / "Dockerfile").read_text("utf-8").replace("\\\n", " ").splitlines()
    (ligne,) = [n for n in textes if n.startswith("ENV ")]
    paires = [mot.partition("=")[::2] for mot in ligne.split()[1:]]
    return {nom: valeur.strip('"') for nom, valeur in paires if nom.startswith(("MLFLOW_", "DO_"))}


class Serveur:
    """Un serveur MLflow dans un dossier, ses secrets, et ses comptes."""

    def __init__(self, dossier, python):
        self.dossier, self.python, self.processus = dossier, python, None
        self.adresse = f"http://127.0.0.1:{port_libre()}"
        self.secrets = dossier / "secrets"
        self.secrets.mkdir()
        for nom in ("cle_mlflow", "mot_de_passe_mlflow_admin", "mot_de_passe_mlflow_production"):
            (self.secrets / nom).write_text(f"{nom}-pour-essayer\n", encoding="utf-8")
        self.env = os.environ | reglages_de_l_image()
        self.env |= {
            "BASE": f"sqlite:///{dossier}/base.db",
            "MLFLOW_AUTH_CONFIG_PATH": str(dossier / "comptes.ini"),
            "MLFLOW_BACKEND_STORE_URI": f"sqlite:///{dossier}/base.db",
            "MLFLOW_FLASK_SERVER_SECRET_KEY": "essai",
            "PATH": f"{python.parent}:{os.environ['PATH']}",
            "PYTHONPATH": f"{IMAGE}:{RACINE / 'local' / 'hub'}",
            "SECRETS": str(self.secrets),
        }

    def mot_de_passe(self, nom):
        """Le mot de passe d’un compte, tel qu’il est aujourd’hui."""
        if nom in ("admin", "production"):
            return (self.secrets / f"mot_de_passe_mlflow_{nom}").read_text("utf-8").strip()
        cle = (self.secrets / "cle_mlflow").read_text("utf-8").strip()
        return cartes.mot_de_passe_mlflow(cle, nom)

    def demarrer(self, participants=2):
        """Prépare les comptes, lance le serveur, et attend sa première réponse."""
        env = self.env | {"CARTES": str(participants)}
        prepare = [self.python, "-c", PREPARER]
        fait = subprocess.run(prepare, env=env, capture_output=True, text=True, check=False)
        assert fait.returncode == 0, fait.stderr
        port = self.adresse.rsplit(":", 1)[1]
        commande = ["server", "--host", "127.0.0.1", "--port", port, "--workers", "1"]
        commande += ["--serve-artifacts", "--artifacts-destination", self.dossier / "artefacts"]
        with (self.dossier / "journal").open("a") as journal:
            self.processus = subprocess.Popen(
                [self.python.with_name("mlflow"), *commande, "--app-name", "basic-auth"],
                env=self.env,
                stdout=journal,
                stderr=subprocess.STDOUT,
            )
        fin = time.monotonic() + 300
        while time.monotonic() < fin:
            assert self.processus.poll() is None, (self.dossier / "journal").read_text()
            try:
                if requests.get(f"{self.adresse}/health", timeout=5).ok:
                    return
            except requests.RequestException:
                time.sleep(0.5)
        raise AssertionError((self.dossier / "journal").read_text())

    def arreter(self):
        """Arrête le serveur."""
        self.processus.terminate()
        self.processus.wait(60)

    def demander(self, nom, methode, chemin, corps=None):
        """Une requête sous un compte."""
        compte = (nom, self.mot_de_passe(nom))
        return attaques.envoyer(self.adresse, compte, methode, chemin, corps)


@pytest.fixture(scope="module")
def paquets(tmp_path_factory):
    """Les paquets de l’image, aux empreintes de son verrou."""
    dossier = tmp_path_factory.mktemp("paquets")
    uv, python = Path(sys.executable).with_name("uv"), dossier / "bin" / "python"
    for commande in (
        [uv, "venv", "--quiet", "--python", sys.executable, "--clear", dossier],
        [
            *(uv, "pip", "sync", "--quiet", "--python", python, "--require-hashes"),
            IMAGE / "requirements.txt",
        ],
    ):
        fait = subprocess.run(commande, capture_output=True, text=True, check=False)
        assert fait.returncode == 0, fait.stderr
    return python


@pytest.fixture(scope="module")
def serveur(tmp_path_factory, paquets):
    """Le serveur, où « production » et deux participants ont laissé quelque chose."""
    serveur = Serveur(tmp_path_factory.mktemp("mlflow"), paquets)
    serveur.demarrer()
    serveur.deposes = {
        nom: attaques.deposer(serveur.adresse, nom, serveur.mot_de_passe(nom), f"marque-{nom}")
        for nom in ("production", "invite01", "invite02")
    }
    yield serveur
    serveur.arreter()


def vu_par_son_compte(serveur, nom):
    """Tout ce qu’un compte lit de ce qu’il a laissé."""
    cible = serveur.deposes[nom]
    gestes = (*attaques.lectures(cible), *attaques.recherches(cible))
    return [serveur.demander(nom, *geste) for geste in gestes]


@pytest.mark.parametrize("cible", ["production", "invite02"])
def test_un_participant_n_obtient_rien_d_un_autre(serveur, cible):
    avant = vu_par_son_compte(serveur, cible)
    muets = [r.request.url for r in avant if not r.ok or not r.content]
    assert muets == [], "l’attaque demande ce que son propriétaire même ne lit pas"
    passees, tentees = attaques.attaquer(
        serveur.adresse,
        serveur.deposes["invite01"],
        serveur.mot_de_passe("invite01"),
        serveur.deposes[cible],
    )
    assert tentees > 140
    assert passees == []
    apres = vu_par_son_compte(serveur, cible)
    assert [r.text for r in apres] == [r.text for r in avant], "quelque chose a changé"


def test_les_memes_ecritures_reussissent_a_leur_proprietaire(serveur):
    """Sans quoi les attaques échoueraient d’être mal écrites."""
    cible = attaques.deposer(
        serveur.adresse, "orateur", serveur.mot_de_passe("orateur"), "marque-orateur"
    )
    for geste in attaques.ecritures(cible):
        reponse = serveur.demander("orateur", *geste)
        assert reponse.ok, f"{geste} : {reponse.status_code} {reponse.text}"


def test_chacun_n_a_devant_lui_que_ce_qui_est_a_lui(serveur):
    for nom in COMPTES:
        experiences = serveur.demander(
            nom, "POST", f"{attaques.AJAX}/experiments/search", {"max_results": 100}
        ).json()
        vues = [e["name"] for e in experiences.get("experiments", [])]
        assert vues == [] if nom == "orateur" else vues == [f"retard-vol/{nom}"], nom
    administrees = serveur.demander(
        "admin", "POST", f"{attaques.API}/experiments/search", {"max_results": 100}
    ).json()["experiments"]
    assert {f"retard-vol/{n}" for n in COMPTES if n != "orateur"} <= {
        e["name"] for e in administrees
    }


def test_l_interface_s_ouvre_et_ne_mesure_rien(serveur):
    page = serveur.demander("invite01", "GET", "")
    assert page.ok
    assert "<html" in page.text
    mesures = serveur.demander("invite01", "GET", "ajax-api/3.0/mlflow/ui-telemetry").json()
    assert mesures["disable_ui_telemetry"] is True


def test_sans_compte_tout_est_refuse_sauf_la_sante(serveur):
    codes = attaques.sans_compte(serveur.adresse, "invite01")
    assert {quoi: code for quoi, code in codes.items() if code != 401} == {}
    assert requests.get(f"{serveur.adresse}/health", timeout=30).ok


def test_un_autre_demarrage_garde_tout_et_suit_les_secrets(serveur):
    geste = ("GET", f"{attaques.API}/runs/get", {"run_id": serveur.deposes["invite01"]["essai"]})
    ancien = serveur.mot_de_passe("invite01")
    serveur.arreter()
    (serveur.secrets / "cle_mlflow").write_text("une-autre-cle", encoding="utf-8")
    serveur.demarrer(participants=1)
    assert serveur.demander("invite01", *geste).ok
    assert attaques.envoyer(serveur.adresse, ("invite01", ancien), *geste).status_code == 401
    # La carte d’invite02 n’existe plus : son mot de passe, même tiré de la clé, n’ouvre rien.
    assert serveur.demander("invite02", *geste).status_code == 401
