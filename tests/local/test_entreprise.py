"""Construire derrière un proxy d’entreprise : son autorité, son index, et rien qui en reste."""

import re
import ssl
import subprocess
import threading
import zipfile
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import yaml

RACINE = Path(__file__).resolve().parents[2]
DOCKERFILES = sorted(RACINE.glob("*/images/*/Dockerfile"))
# Les premières lignes de chaque Dockerfile, et un paquet d’un index qui n’existe qu’ici.
CONSTRUCTION = """
FROM python:3.11-slim-bookworm AS environnement
ARG INDEX_PYPI=
COPY reseau.sh /verrous/
RUN --mount=type=secret,id=certificats . /verrous/reseau.sh && python -m venv /opt/uv \\
    && /opt/uv/bin/pip install --retries=0 --no-cache-dir --no-deps --target /opt/colis colis
FROM python:3.11-slim-bookworm
COPY --from=environnement /opt/colis /opt/colis
"""


@pytest.mark.parametrize("fichier", DOCKERFILES, ids=lambda f: f.parent.name)
def test_chaque_telechargement_lit_le_reseau_de_l_entreprise(fichier):
    texte = fichier.read_text(encoding="utf-8").replace("\\\n", " ")
    telechargements = re.findall(
        r"^RUN .*(?:pip install|uv pip sync|npm-cli).*", texte, re.MULTILINE
    )
    assert len(telechargements) >= 2
    for ligne in telechargements:
        assert "--mount=type=secret,id=certificats" in ligne
        assert ". /verrous/reseau.sh && " in ligne
    assert "ARG INDEX_PYPI=\n" in texte
    assert "INDEX_" not in texte.rsplit("\nFROM ", 1)[1], "l’image finale garderait l’index"
    assert ("npm-cli" in texte) == ("ARG INDEX_NPM=\n" in texte)


def test_compose_donne_l_autorite_et_les_index_a_chaque_construction():
    compose = yaml.safe_load((RACINE / "local" / "compose.yaml").read_text(encoding="utf-8"))
    constructions = [s["build"] for s in compose["services"].values() if "build" in s]
    assert len(constructions) >= 6
    for construction in constructions:
        assert construction["secrets"] == ["certificats"]
        assert {"INDEX_PYPI", "INDEX_NPM"} <= construction["args"].keys()


@pytest.fixture
def entreprise(tmp_path):
    """Un index HTTPS dont l’autorité n’est connue de personne ; rend son adresse et celle-ci."""
    colis = tmp_path / "index" / "simple" / "colis"
    colis.mkdir(parents=True)
    fiches = {"METADATA": "Metadata-Version: 2.1\nName: colis\nVersion: 1\n", "RECORD": ""}
    fiches["WHEEL"] = "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    with zipfile.ZipFile(colis / "colis-1-py3-none-any.whl", "w") as roue:
        roue.writestr("colis.py", "")
        for nom, texte in fiches.items():
            roue.writestr(f"colis-1.dist-info/{nom}", texte)
    (colis / "index.html").write_text('<a href="colis-1-py3-none-any.whl">colis</a>')
    ac, cle = tmp_path / "ac.pem", tmp_path / "cle.pem"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"),
            *("-subj", "/CN=entreprise", "-addext", "subjectAltName=IP:127.0.0.1"),
            *("-keyout", cle, "-out", ac),
        ],
        capture_output=True,
        check=True,
    )
    fichiers = partial(SimpleHTTPRequestHandler, directory=str(tmp_path / "index"))
    with ThreadingHTTPServer(("127.0.0.1", 0), fichiers) as serveur:
        contexte = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        contexte.load_cert_chain(ac, cle)
        serveur.socket = contexte.wrap_socket(serveur.socket, server_side=True)
        threading.Thread(target=serveur.serve_forever, daemon=True).start()
        yield f"https://127.0.0.1:{serveur.server_port}/simple/", ac
        serveur.shutdown()


@pytest.mark.local
def test_une_image_se_construit_de_l_index_de_l_entreprise(entreprise, tmp_path):
    index, ac = entreprise
    contexte = tmp_path / "contexte"
    contexte.mkdir()
    (contexte / "Dockerfile").write_text(CONSTRUCTION, encoding="utf-8")
    reseau = RACINE / "local" / "images" / "reseau.sh"
    (contexte / "reseau.sh").write_text(reseau.read_text(encoding="utf-8"), encoding="utf-8")

    def construire(certificats):
        options = ["--no-cache", "--network", "host", "--build-arg", f"INDEX_PYPI={index}"]
        secret = ["--secret", f"id=certificats,src={certificats}", "--progress=plain"]
        secret += ["--iidfile", tmp_path / "image"]
        return subprocess.run(
            ["docker", "build", *options, *secret, contexte],
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )

    refus = construire("/dev/null")
    assert refus.returncode != 0
    assert "CERTIFICATE_VERIFY_FAILED" in refus.stderr
    fait = construire(ac)
    assert fait.returncode == 0, fait.stderr
    image = (tmp_path / "image").read_text(encoding="utf-8")
    histoire = subprocess.run(
        ["docker", "history", "--no-trunc", image], capture_output=True, text=True, check=True
    ).stdout
    assert "127.0.0.1" not in histoire, "l’image garde l’adresse de l’index"
    subprocess.run(["docker", "image", "rm", image], capture_output=True, check=False)
