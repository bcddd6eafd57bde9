"""De quoi exécuter pour de vrai les pipelines : kfp au verrou, une base, le lanceur local."""

import fcntl
import hashlib
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

RACINE = Path(__file__).resolve().parents[3]
PIPELINES = RACINE / "cluster_k8s" / "pipelines"


@pytest.fixture(scope="session")
def kfp():
    """Dossier de kfp et de ce qu’il demande en plus, installé aux empreintes du verrou."""
    verrou = PIPELINES / "requirements.txt"
    dossier = RACINE / "_build" / "kfp"
    marque = dossier / ".verrou"
    empreinte = hashlib.sha256(verrou.read_bytes()).hexdigest()
    dossier.mkdir(parents=True, exist_ok=True)
    # Les deux suites de tests s’en servent.
    with (dossier / ".tenu").open("w") as tenu:
        fcntl.flock(tenu, fcntl.LOCK_EX)
        if not marque.is_file() or marque.read_text() != empreinte:
            uv = Path(sys.executable).with_name("uv")
            options = ["--quiet", "--no-deps", "--require-hashes", "--target", dossier]
            subprocess.run([uv, "pip", "install", *options, "-r", verrou], check=True, cwd=RACINE)
            marque.write_text(empreinte)
    return dossier


def python(kfp, *arguments, **env):
    """Lance le Python du projet, kfp en plus."""
    return subprocess.run(
        [sys.executable, *map(str, arguments)],
        cwd=RACINE,
        env={**os.environ, "PYTHONPATH": str(kfp), **env},
        capture_output=True,
        text=True,
        check=False,
    )


@dataclass
class Essai:
    """Ce qu’a donné un pipeline : code de sortie, messages, et ce qu’a rendu chaque étape."""

    code: int
    sortie: str
    erreurs: str
    resultats: dict

    def etape(self, nom):
        """Ce qu’a rendu une étape, dans une boucle ou non."""
        (rendu,) = (r for n, r in self.resultats.items() if n.split("/")[-1] == nom)
        return rendu

    def faites(self):
        """Les noms des étapes qui ont rendu quelque chose."""
        return {nom.split("/")[-1] for nom in self.resultats}


@pytest.fixture(scope="session")
def seance(kfp, tmp_path_factory):
    """Un dossier de travail et sa base embarquée, effacés à la fin."""
    travail = tmp_path_factory.mktemp("pipelines")
    env = {"MLOPS_TRAVAIL": str(travail)}
    yield env
    python(kfp, "-m", "mlops_demo", "nettoyer", **env)


@pytest.fixture(scope="session")
def essayer(kfp, seance, tmp_path_factory):
    """Exécute un pipeline compilé, au nom d’un utilisateur."""

    def lancer(pipeline, qui, *options, **parametres):
        dossier = tmp_path_factory.mktemp(pipeline)
        fait = python(
            kfp,
            PIPELINES / "essayer.py",
            pipeline,
            *("--dossier", dossier, "--parametres", json.dumps(parametres)),
            *options,
            MLOPS_UTILISATEUR=qui,
            **seance,
        )
        rendus = json.loads((dossier / "resultats.json").read_text(encoding="utf-8"))
        return Essai(fait.returncode, fait.stdout, fait.stderr, rendus)

    return lancer


@pytest.fixture(scope="session")
def avril(essayer):
    """Tout le mois d’avril, d’une base vide, par le moteur local de kfp ; un modèle reste servi."""
    essai = essayer("mois_du_modele", "avril", mois=["2013-04"])
    assert essai.code == 0, essai.erreurs[-3000:] + essai.sortie[-3000:]
    return essai
