"""Rien ne part ailleurs : réseau coupé, chaque adresse demandée au noyau est regardée.

strace voit aussi ce qu’ouvrent les bibliothèques en C et les processus enfants, une demande de nom
(DNS) comprise. MLflow se tait de lui-même dans une intégration continue ou sous pytest : la séance
est lancée comme chez un participant, sans ces variables.
"""

import ipaddress
import os
import re
import subprocess
import sys

import pytest

ADRESSE = re.compile(r'_port=htons\((\d+)\).*?(?:inet_addr\(|inet_pton\(AF_INET6, )"([^"]+)"')
DNS = 53
GARDEES = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR")

# Dans un réseau neuf, 127.0.0.1 même est éteint.
ALLUMER = """
import fcntl, socket, struct, sys, time
if "coupé" in sys.argv:
    fcntl.ioctl(socket.socket(), 0x8914, struct.pack("16sh", b"lo", 1))
"""
# MLflow, Evidently et un noyau de Jupyter, avec les réglages que pose mlops_demo. L’attente laisse
# à un envoi en arrière-plan le temps de se montrer.
SEANCE = """
import os
import nbformat, papermill, mlops_demo, mlflow
import pandas as pd
from evidently import Report
from evidently.presets import DataDriftPreset

table = pd.DataFrame({"a": range(50), "b": [0.5] * 50})
Report([DataDriftPreset()]).run(table, table).save_html("rapport.html")
mlflow.set_tracking_uri("sqlite:///essais.db")
mlflow.create_experiment("ici")
cellule = nbformat.v4.new_code_cell("import mlops_demo, mlflow; mlflow.create_experiment('noyau')")
noyau = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
nbformat.write(nbformat.v4.new_notebook(cells=[cellule], metadata=noyau), "essai.ipynb")
os.environ["MLFLOW_TRACKING_URI"] = "sqlite:///essais.db"
papermill.execute_notebook("essai.ipynb", None, progress_bar=False)
time.sleep(3)
print("séance finie")
"""
# Les deux serveurs de « make lab », comme il les lance, sans sa base. Ce qui est demandé est ce que
# demande la page d’un participant : MLflow y règle aussi les mesures d’usage de son interface.
SERVEURS = """
import json, os, urllib.request
import sqlalchemy as sa
from mlops_demo import lab, processus

os.mkdir("travail")
lab.base.url_avec_schema = lambda schema: sa.make_url("sqlite:///serveur.db")
mlflow = lab._mlflow(processus.port_libre())
jupyterlab = lab._jupyterlab(processus.port_libre(), False)

def demander(serveur, chemin):
    adresse = serveur.adresse.removesuffix("/health").removesuffix("/api") + chemin
    jeton = {"Authorization": f"token {os.environ['JUPYTER_TOKEN']}"}
    with urllib.request.urlopen(urllib.request.Request(adresse, headers=jeton)) as reponse:
        return reponse.read()

try:
    mlflow.pret()
    jupyterlab.pret()
    for chemin in ("/lab", "/lab/api/settings", "/lab/api/news", "/lab/api/update"):
        demander(jupyterlab, chemin)
    demander(mlflow, "/")
    interface = json.loads(demander(mlflow, "/ajax-api/3.0/mlflow/ui-telemetry"))
    assert interface["disable_ui_telemetry"], interface
    time.sleep(3)
finally:
    jupyterlab.arreter()
    mlflow.arreter()
print("séance finie")
"""
# L’interface d’Evidently, que lancent local/ et cluster_k8s/ : elle seule sait envoyer des mesures
# d’usage, une par page demandée ; ses rapports n’envoient rien.
INTERFACE = """
import os, urllib.request
from pathlib import Path
from mlops_demo import processus

port = processus.port_libre()
commande = [str(Path(sys.executable).with_name("evidently")), "ui", "--port", str(port)]
adresse = f"http://127.0.0.1:{port}"
evidently = processus.Serveur("Evidently", commande, adresse, Path("evidently.journal"))
try:
    evidently.pret()
    urllib.request.urlopen(adresse + "/api/projects").read()
    time.sleep(3)
finally:
    evidently.arreter()
print("séance finie")
"""
INTERFACE_SANS_REGLAGE = INTERFACE.replace("port =", "del os.environ['DO_NOT_TRACK']\nport =", 1)
# JupyterLab tel quel, et sa page de nouvelles.
LAB_SANS_REGLAGE = SERVEURS.replace(
    "from mlops_demo import lab, processus",
    """from mlops_demo import lab, processus
lancer = processus.Serveur
processus.Serveur = lambda nom, commande, *suite: lancer(
    nom, [a for a in commande if "news_url" not in a], *suite)""",
)
# Ce que fait MLflow sans nos réglages.
SANS_REGLAGE = """
import mlflow
mlflow.set_tracking_uri("sqlite:///essais.db")
mlflow.create_experiment("ici")
time.sleep(3)
print("séance finie")
"""


def adresses(journal):
    """Les adresses hors de cette machine que strace a vues ; un nom demandé en est une."""
    vues = {(ipaddress.ip_address(ip), int(port)) for port, ip in ADRESSE.findall(journal)}
    return {f"{ip} port {port}" for ip, port in vues if port == DNS or not ip.is_loopback}


def observer(code, dossier):
    """Exécute du code sous strace, réseau coupé si l’on en a le droit ; rend les adresses."""
    journal = dossier / "appels"
    commande = ["strace", "-f", "--seccomp-bpf", "-qq", "-e", "trace=connect", "-o", journal]
    commande += [sys.executable, "-c", ALLUMER + code]
    if os.geteuid() == 0:
        commande = ["unshare", "--net", *commande, "coupé"]
    env = {nom: os.environ[nom] for nom in GARDEES if nom in os.environ}
    env |= {"MLOPS_UTILISATEUR": "muet", "MLOPS_TRAVAIL": str(dossier / "travail")}
    fait = subprocess.run(
        commande, cwd=dossier, env=env, capture_output=True, text=True, timeout=600, check=False
    )
    assert "séance finie" in fait.stdout, fait.stderr[-3000:]
    return adresses(journal.read_text(encoding="utf-8", errors="replace"))


def test_une_seance_ne_s_adresse_qu_a_cette_machine(tmp_path):
    assert observer(SEANCE, tmp_path) == set()


def test_jupyterlab_et_mlflow_ne_s_adressent_qu_a_cette_machine(tmp_path):
    assert observer(SERVEURS, tmp_path) == set()


def test_l_interface_d_evidently_ne_s_adresse_qu_a_cette_machine(tmp_path):
    assert observer(INTERFACE, tmp_path) == set()


def test_sans_nos_reglages_l_interface_d_evidently_chercherait_a_sortir(tmp_path):
    assert observer(INTERFACE_SANS_REGLAGE, tmp_path) != set()


def test_sans_nos_reglages_jupyterlab_chercherait_a_sortir(tmp_path):
    assert observer(LAB_SANS_REGLAGE, tmp_path) != set()


def test_sans_nos_reglages_mlflow_chercherait_a_sortir(tmp_path):
    """Le guet n’est pas aveugle : sans mlops_demo, donc sans DO_NOT_TRACK, il voit MLflow."""
    assert observer(SANS_REGLAGE, tmp_path) != set()


@pytest.mark.parametrize(
    ("ligne", "attendu"),
    [
        ('{sin_port=htons(5432), sin_addr=inet_addr("127.0.0.1")}, 16) = 0', set()),
        ('connect(3, {sa_family=AF_UNIX, sun_path="/run/x"}, 110) = 0', set()),
        ('{sin6_port=htons(80), inet_pton(AF_INET6, "::1", &sin6_addr)}, 28) = 0', set()),
        ('{sin_port=htons(443), sin_addr=inet_addr("10.1.2.3")}, 16) = -1', {"10.1.2.3 port 443"}),
        ('{sin6_port=htons(80), inet_pton(AF_INET6, "2001:db8::1"', {"2001:db8::1 port 80"}),
        # Le résolveur de systemd écoute ici, mais demande ailleurs.
        ('{sin_port=htons(53), sin_addr=inet_addr("127.0.0.53")}', {"127.0.0.53 port 53"}),
    ],
)
def test_une_adresse_d_ailleurs_se_lit_dans_le_journal(ligne, attendu):
    assert adresses(ligne) == attendu
