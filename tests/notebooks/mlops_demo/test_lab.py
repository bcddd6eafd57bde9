"""« make lab » : JupyterLab, MLflow et Postgres ensemble, puis plus rien."""

import os
import re
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request

import pytest
from mlops_demo import processus


def lancer(dossier, *ports):
    """Lance la commande dans un dossier de travail à elle."""
    # Lancés en arrière-plan, ces tests ignorent SIGINT, et leurs enfants en héritent.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    return subprocess.Popen(
        [sys.executable, "-m", "mlops_demo", "lab", "--sans-navigateur", *map(str, ports)],
        # Comme dans Codespaces, qui montre chaque port sous un nom à lui.
        env={
            **os.environ,
            "CODESPACE_NAME": "essai",
            "MLOPS_UTILISATEUR": "lab",
            "MLOPS_TRAVAIL": str(dossier),
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def statut(adresse, espace):
    """Ce que répond une adresse à une page de Codespaces qui veut écrire."""
    public = f"{espace}.app.github.dev"
    demande = urllib.request.Request(
        adresse, headers={"Host": public, "Origin": f"https://{public}"}
    )
    try:
        with urllib.request.urlopen(demande, timeout=30) as reponse:
            return reponse.status
    except urllib.error.HTTPError as erreur:
        return erreur.code


def test_les_adresses_imprimees_repondent_et_ctrl_c_arrete_tout(demo, tmp_path):
    ports = [processus.port_libre() for _ in range(2)]
    lab = lancer(tmp_path, "--port", ports[0], "--port-mlflow", ports[1])
    lignes = []
    for ligne in lab.stdout:
        lignes.append(ligne)
        if "Ctrl-C" in ligne:
            break
    sortie = "".join(lignes)
    adresses = re.findall(r"http://\S+", sortie)
    assert [int(re.search(r":(\d+)", a[5:])[1]) for a in adresses] == ports, sortie
    for adresse in adresses:
        with urllib.request.urlopen(adresse, timeout=30) as reponse:
            assert reponse.status == 200, adresse
    for adresse, port in zip(adresses, ports, strict=True):
        assert statut(adresse, f"essai-{port}") == 200, adresse
    assert statut(adresses[1], f"intrus-{ports[1]}") == 403, "MLflow n’a que sa page pour se garder"
    lab.send_signal(signal.SIGINT)
    assert lab.wait(60) == 0
    for adresse in adresses:
        with pytest.raises(urllib.error.URLError):
            urllib.request.urlopen(adresse, timeout=5)


def test_un_port_pris_tient_en_une_phrase_qui_dit_quoi_regler(demo, tmp_path):
    with socket.socket() as prise:
        prise.bind(("127.0.0.1", 0))
        prise.listen()
        ports = ("--port", processus.port_libre(), "--port-mlflow", prise.getsockname()[1])
        lab = lancer(tmp_path, *ports)
        sortie, _ = lab.communicate(timeout=60)
    assert lab.returncode == 1
    assert re.search(r"n’est pas disponible.*\(PORT_MLFLOW=…\)", sortie), sortie
    assert "Traceback" not in sortie
