"""L’exécution mensuelle que propose le README, par le vrai client de kfp.

Aucun Kubeflow ne tourne ici : un faux serveur, qui ne fait que noter ce qu’on lui demande, tient
lieu de son API.
"""

import json
import os
import re
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import yaml

pytestmark = pytest.mark.k8s

RACINE = Path(__file__).resolve().parents[3]
PIPELINES = RACINE / "cluster_k8s" / "pipelines"


@pytest.fixture
def faux_kubeflow():
    """L’adresse d’un faux serveur, et ce qu’il a reçu : des chemins et des corps."""
    recus = []

    class Noter(BaseHTTPRequestHandler):
        def do_GET(self):
            self._repondre({"experiments": []} if "experiments" in self.path else {})

        def do_POST(self):
            corps = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            recus.append((self.path, corps))
            self._repondre({**corps, "experiment_id": "e1", "recurring_run_id": "r1"})

        def _repondre(self, objet):
            texte = json.dumps(objet).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(texte)))
            self.end_headers()
            self.wfile.write(texte)

        def log_message(self, *_):
            pass

    serveur = ThreadingHTTPServer(("127.0.0.1", 0), Noter)
    threading.Thread(target=serveur.serve_forever, daemon=True).start()
    yield f"http://localhost:{serveur.server_port}", recus
    serveur.shutdown()
    serveur.server_close()


def test_le_programme_du_readme_planifie_le_pipeline_du_depot(kfp, faux_kubeflow, tmp_path):
    adresse, recus = faux_kubeflow
    texte = (PIPELINES / "README.md").read_text(encoding="utf-8")
    (programme,) = re.findall(r"<<'FIN'\n(.*?)\nFIN\n", texte, re.DOTALL)
    assert "http://localhost:8888" in programme
    fait = subprocess.run(
        [sys.executable, "-c", programme.replace("http://localhost:8888", adresse)],
        cwd=RACINE,
        env={**os.environ, "PYTHONPATH": str(kfp), "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert fait.returncode == 0, fait.stderr[-3000:]
    (_, experience), (chemin, demande) = recus
    assert experience["display_name"] == "retard-vol"
    assert chemin.endswith("/recurringruns")
    assert demande["experiment_id"] == "e1"
    assert demande["trigger"]["cron_schedule"]["cron"] == "0 0 6 2 * *"
    assert (demande["max_concurrency"], demande["no_catchup"]) == (1, True)
    pipeline, plateforme = yaml.safe_load_all(
        (PIPELINES / "mois_du_modele.yaml").read_text("utf-8")
    )
    envoye = demande["pipeline_spec"]
    assert envoye == {"pipeline_spec": pipeline, "platform_spec": plateforme}
    connus = pipeline["root"]["inputDefinitions"]["parameters"]
    assert demande["runtime_config"]["parameters"].keys() <= connus.keys()
