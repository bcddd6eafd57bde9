"""« make check » : ce qui manque est dit en une phrase, et chaque seuil a ses deux côtés."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

LOCAL = Path(__file__).resolve().parents[2] / "local"
sys.path.insert(0, str(LOCAL))
import lancer  # noqa: E402 — les commandes de local/ n’ont pas de paquet


def verifier(**reglages):
    """Lance « make check » tel que le fait le Makefile."""
    return subprocess.run(
        [sys.executable, LOCAL / "lancer.py", "verifier"],
        env={**os.environ, **reglages},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    ("gio", "participants", "dit"),
    [
        (3.0, 0, "mémoire : 3,0 Gio, il en faut 3,0 pour 0 participants"),
        (12.0, 30, "mémoire : 12,0 Gio, il en faut 12,0 pour 30 participants"),
        (11.9, 30, "assez pour 29 participants ensemble et non 30"),
    ],
)
def test_la_memoire_dit_combien_de_participants_tiennent(gio, participants, dit):
    assert dit in lancer.verifier_memoire({"MemTotal": gio * 2**30}, participants)


def test_moins_de_memoire_que_le_coeur_est_refuse():
    with pytest.raises(lancer.Probleme, match=r"n’a que 2,9 Gio de mémoire : il en faut 3,0"):
        lancer.verifier_memoire({"MemTotal": 2.9 * 2**30}, 0)


def test_le_disque_des_deux_cotes(monkeypatch, tmp_path):
    libre = shutil.disk_usage(tmp_path).free
    monkeypatch.setattr(lancer, "DISQUE_NECESSAIRE", libre - 1e9)
    assert "Go libres" in lancer.verifier_disque({"DockerRootDir": str(tmp_path)})
    monkeypatch.setattr(lancer, "DISQUE_NECESSAIRE", libre + 1e9)
    with pytest.raises(lancer.Probleme, match="trop plein.*docker system prune"):
        lancer.verifier_disque({"DockerRootDir": str(tmp_path)})


def test_sans_docker_on_dit_quoi_installer(tmp_path):
    refus = verifier(PATH=str(tmp_path))
    assert refus.returncode == 1
    assert "Docker est introuvable : installez Docker Engine" in refus.stderr
    assert "Traceback" not in refus.stderr


@pytest.mark.local
def test_un_moteur_arrete_dit_comment_le_demarrer(tmp_path):
    refus = verifier(DOCKER_HOST=f"unix://{tmp_path}/absent.sock")
    assert refus.returncode == 1
    assert "Le moteur Docker ne répond pas : démarrez-le" in refus.stderr
    assert "Traceback" not in refus.stderr


@pytest.mark.local
@pytest.mark.parametrize(
    ("seuil", "dit"),
    [("MOTEUR_MINIMUM", r"Docker \S+ est trop ancien"), ("COMPOSE_MINIMUM", r"Compose \S+ est")],
)
def test_une_version_trop_ancienne_est_refusee(monkeypatch, seuil, dit):
    assert lancer.verifier_docker()[0].startswith("Docker ")
    monkeypatch.setattr(lancer, seuil, (999, 0))
    with pytest.raises(lancer.Probleme, match=dit):
        lancer.verifier_docker()


def test_un_outil_inconnu_est_refuse_avec_la_liste():
    valeurs = {"COMPOSE_PROFILES": "airflow, grafna", "ARTEFACTS": "/var/lib/mlflow/artefacts"}
    with pytest.raises(lancer.Probleme, match=r"inconnu \(grafna\).*airflow, superset, grafana"):
        lancer.profils(valeurs)


def test_un_clone_ferme_s_ouvre_en_lecture_sauf_ses_secrets(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(lancer, "LOCAL", tmp_path)
    secret, cache = tmp_path / "secrets" / "cle", tmp_path / ".env"
    programme, tableau = tmp_path / "a" / "b.sh", tmp_path / "a" / "c.json"
    for fichier, droits in ((secret, 0o600), (cache, 0o600), (programme, 0o700), (tableau, 0o640)):
        fichier.parent.mkdir(mode=0o700, exist_ok=True)
        fichier.touch()
        fichier.chmod(droits)
    lancer._rendre_lisible()
    vus = (programme, tableau, programme.parent, secret, secret.parent, cache)
    assert [f"{v.stat().st_mode & 0o777:o}" for v in vus] == "755 644 755 600 700 600".split()
    assert "Droit de lecture donné à" in capsys.readouterr().out
    lancer._rendre_lisible()
    assert capsys.readouterr().out == ""
