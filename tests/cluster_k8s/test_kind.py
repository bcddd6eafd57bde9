"""Charger une image dans kind quand « kind load » n’y arrive pas : la commande du README."""

import gzip
import hashlib
import io
import json
import os
import re
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.local

RACINE = Path(__file__).resolve().parents[2]
NOM = "docker.io/mlops-essai/kind:local"
# La socket de containerd n’est ouverte qu’à root.
CTR = [*([] if os.geteuid() == 0 else ["sudo", "-n"]), "ctr", "--address"]


@pytest.fixture
def containerd():
    """Le containerd du moteur Docker, le même que dans un nœud de kind."""
    lieux = ("/run/containerd/containerd.sock", "/var/run/docker/containerd/containerd.sock")
    socket = next(filter(os.path.exists, lieux), None)
    assert socket, "il faut le containerd d’un moteur Docker"
    assert shutil.which("ctr"), "il faut « ctr », du paquet containerd"
    yield socket
    effacer = [*CTR, socket, "--namespace=k8s.io", "images", "remove", NOM]
    subprocess.run(effacer, capture_output=True, check=False)


@pytest.fixture
def archive():
    """Ce qu’écrit « docker save » de Docker 29 : un index de deux plateformes, l’une absente."""
    fichiers = {"oci-layout": b'{"imageLayoutVersion": "1.0.0"}'}
    genre = "application/vnd.oci.image.{}+json".format

    def ranger(type_, contenu):
        somme = hashlib.sha256(contenu).hexdigest()
        fichiers[f"blobs/sha256/{somme}"] = contenu
        return {"mediaType": type_, "digest": f"sha256:{somme}", "size": len(contenu)}

    couche = io.BytesIO()
    tarfile.open(fileobj=couche, mode="w").close()
    diff = f"sha256:{hashlib.sha256(couche.getvalue()).hexdigest()}"
    # L’architecture d’ici, telle que Docker la nomme.
    ici = {"x86_64": "amd64", "aarch64": "arm64"}[os.uname().machine]
    plateforme = {"architecture": ici, "os": "linux"}
    disques = {"rootfs": {"type": "layers", "diff_ids": [diff]}, **plateforme}
    manifeste = {
        "schemaVersion": 2,
        "config": ranger(genre("config.v1"), json.dumps(disques).encode()),
        "layers": [
            ranger("application/vnd.oci.image.layer.v1.tar+gzip", gzip.compress(couche.getvalue()))
        ],
    }
    present = ranger(genre("manifest.v1"), json.dumps(manifeste).encode())
    absent = {**present, "digest": "sha256:" + "0" * 64}
    index = {
        "schemaVersion": 2,
        "manifests": [
            {**present, "platform": plateforme},
            {**absent, "platform": {"architecture": "s390x", "os": "linux"}},
        ],
    }
    nomme = ranger(genre("index.v1"), json.dumps(index).encode())
    nomme["annotations"] = {"io.containerd.image.name": NOM}
    fichiers["index.json"] = json.dumps({"schemaVersion": 2, "manifests": [nomme]}).encode()
    sortie = io.BytesIO()
    with tarfile.open(fileobj=sortie, mode="w") as tar:
        for nom, contenu in fichiers.items():
            fiche = tarfile.TarInfo(nom)
            fiche.size = len(contenu)
            tar.addfile(fiche, io.BytesIO(contenu))
    return sortie.getvalue()


def importer(containerd, options, archive):
    """Donne l’archive à containerd, comme le fait un nœud."""
    commande = [*CTR, containerd, *options]
    return subprocess.run(commande, input=archive, capture_output=True, check=False)


def test_la_commande_du_readme_charge_ce_que_kind_load_refuse(containerd, archive):
    # Ce que lance « kind load » (kind 0.30) demande toutes les plateformes.
    de_kind = ["--namespace=k8s.io", "images", "import", "--all-platforms", "--digests", "-"]
    refus = importer(containerd, de_kind, archive)
    assert refus.returncode != 0
    assert b"not found" in refus.stderr

    texte = (RACINE / "cluster_k8s" / "README.md").read_text(encoding="utf-8")
    (options,) = re.findall(r"kind-control-plane ctr (.*)", texte)
    fait = importer(containerd, options.split(), archive)
    assert fait.returncode == 0, fait.stderr
    listees = importer(containerd, ["--namespace=k8s.io", "images", "list", "--quiet"], b"")
    assert NOM.encode() in listees.stdout
