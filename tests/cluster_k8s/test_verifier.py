"""make k8s-check : dit en une phrase ce qui empêche d’installer, et ne perd aucun mot de passe."""

import base64
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.k8s

RACINE = Path(__file__).resolve().parents[2]
SERVEUR = "v1.36.1"


def noeud(memoire="8388608Ki", processeurs="4", pret="True"):
    """Un nœud, tel que l’API le décrit."""
    return {
        "spec": {},
        "status": {
            "allocatable": {"cpu": processeurs, "memory": memoire},
            "conditions": [{"type": "Ready", "status": pret}],
        },
    }


CLASSE = {
    "metadata": {
        "name": "standard",
        "annotations": {"storageclass.kubernetes.io/is-default-class": "true"},
    },
    "provisioner": "rancher.io/local-path",
}
SAIN = {
    "version --client": {"clientVersion": {"gitVersion": "v1.36.3"}},
    "config current-context": "kind-kind",
    "version -o": {"serverVersion": {"gitVersion": SERVEUR}},
    "auth can-i": "yes",
    "get nodes": {"items": [noeud()]},
    "get storageclass": {"items": [CLASSE]},
    "get apiservice": "v1beta1.metrics.k8s.io",
    "get secret": "",
}
KUBECTL = """#!/bin/sh
shift # --request-timeout
for cle in "$1 $2 $3" "$1 $2"; do
  if [ -e "${0%/*}/$cle" ]; then exec /bin/cat "${0%/*}/$cle"; fi
done
echo "The connection to the server was refused" >&2
exit 1
"""


class Machine:
    """Une copie du script, et un kubectl de théâtre devant lui."""

    def __init__(self, dossier):
        self.dossier, self.bin = dossier / "cluster_k8s", dossier / "bin"
        (self.dossier / "secrets").mkdir(parents=True)
        self.bin.mkdir()
        shutil.copy(RACINE / "cluster_k8s" / "verifier.py", self.dossier)
        shutil.copy(
            RACINE / "cluster_k8s" / "secrets" / "kustomization.yaml", self.dossier / "secrets"
        )
        self.reponses = dict(SAIN)

    def lancer(self):
        """Lance la vérification."""
        for appel, reponse in self.reponses.items():
            texte = reponse if isinstance(reponse, str) else json.dumps(reponse)
            (self.bin / appel).write_text(texte, encoding="utf-8")
            if reponse is None:
                (self.bin / appel).unlink()
        kubectl = self.bin / "kubectl"
        kubectl.write_text(KUBECTL, encoding="utf-8")
        kubectl.chmod(0o755)
        return self.lancer_sans_kubectl()

    def lancer_sans_kubectl(self):
        """Lance la vérification avec ce qu’il y a dans le PATH."""
        fait = subprocess.run(
            [sys.executable, self.dossier / "verifier.py"],
            env={"PATH": str(self.bin), "PYTHONUTF8": "1"},
            capture_output=True,
            text=True,
            encoding="utf-8",
            check=False,
        )
        assert "Traceback" not in fait.stderr, fait.stderr
        return fait

    def secrets(self):
        """Les mots de passe écrits."""
        fichiers = (self.dossier / "secrets").iterdir()
        return {f.name: f.read_text() for f in fichiers if f.suffix != ".yaml"}


@pytest.fixture
def machine(tmp_path):
    """Un cluster sain, dans un dossier avec espace et accent."""
    return Machine(tmp_path / "é t é")


def test_un_cluster_sain_est_pret_et_ses_secrets_sont_tires(machine):
    fait = machine.lancer()
    assert fait.returncode == 0, fait.stderr
    assert "kubectl apply -k cluster_k8s/overlays/kind" in fait.stdout
    secrets = machine.secrets()
    assert len(secrets) == 11
    assert len(set(secrets.values())) == 11, "chacun le sien"
    assert all(len(valeur) >= 32 for valeur in secrets.values())
    for fichier in (machine.dossier / "secrets").glob("mot_de_passe_*"):
        assert fichier.stat().st_mode & 0o077 == 0, "lisible de son propriétaire seul"


def test_relancer_ne_change_aucun_secret(machine):
    machine.lancer()
    avant = machine.secrets()
    assert machine.lancer().returncode == 0
    assert machine.secrets() == avant


@pytest.mark.parametrize(
    ("appel", "reponse", "plainte"),
    [
        ("version --client", {"clientVersion": {"gitVersion": "v1.24.0"}}, "trop ancien"),
        ("config current-context", None, "Aucun cluster choisi"),
        ("version -o", None, "Le cluster ne répond pas"),
        ("version -o", {"serverVersion": {"gitVersion": "v1.33.9"}}, "1.34 au moins"),
        ("auth can-i", None, "demandez ce droit"),
        ("get nodes", {"items": [noeud(memoire="2097152Ki")]}, "il en faut 2 et 5"),
        ("get nodes", {"items": [noeud(pret="False")]}, "0 processeurs"),
        ("get storageclass", {"items": []}, "Aucune classe de stockage par défaut"),
    ],
)
def test_ce_qui_empeche_d_installer_se_dit(machine, appel, reponse, plainte):
    machine.reponses[appel] = reponse
    fait = machine.lancer()
    assert fait.returncode == 1
    assert fait.stderr.startswith("Erreur : ")
    assert plainte in fait.stderr
    assert machine.secrets() == {}, "rien n’est tiré pour un cluster que l’on ne connaît pas"


def test_sans_kubectl_une_phrase_le_dit(machine):
    fait = machine.lancer_sans_kubectl()
    assert fait.returncode == 1
    assert "kubectl est introuvable" in fait.stderr


def test_sans_metrics_server_on_installe_et_on_le_dit(machine):
    machine.reponses["get apiservice"] = None
    fait = machine.lancer()
    assert fait.returncode == 0
    assert "metrics-server manque" in fait.stdout


def test_une_version_plus_recente_est_admise_et_dite(machine):
    machine.reponses["version -o"] = {"serverVersion": {"gitVersion": "v1.40.0+k3s1"}}
    fait = machine.lancer()
    assert fait.returncode == 0
    assert "plus récente que celles que nous vérifions" in fait.stdout


def dans_le_cluster(valeur):
    """Un Secret, tel que l’API le rend."""
    return {"data": {"cle_evidently": base64.b64encode(valeur.encode()).decode()}}


def test_un_secret_perdu_ici_est_relu_du_cluster(machine):
    machine.reponses["get secret evidently"] = dans_le_cluster("déjà là")
    fait = machine.lancer()
    assert fait.returncode == 0, fait.stderr
    assert machine.secrets()["cle_evidently"] == "déjà là"
    assert "1 relus du cluster" in fait.stdout


def test_un_secret_qui_n_est_pas_celui_du_cluster_est_signale(machine):
    machine.lancer()
    avant = machine.secrets()
    machine.reponses["get secret evidently"] = dans_le_cluster("autre")
    fait = machine.lancer()
    assert fait.returncode == 1
    assert "n’est pas celui du cluster" in fait.stderr
    assert machine.secrets() == avant
