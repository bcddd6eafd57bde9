"""« make check » : ce qui manque est dit en une phrase, et chaque seuil a ses deux côtés."""

import json
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


FAUX_DOCKER = """#!/bin/sh
case "$*" in
  info*) echo '{"ServerVersion": "29.0.1", "MemTotal": 16e9, "DockerRootDir": "/"}' ;;
  "compose version"*) echo 2.40.0 ;;
  *) echo "non" >&2; exit 1 ;;
esac
"""


def test_un_terminal_en_latin_1_ne_fait_rien_echouer(tmp_path):
    (tmp_path / "docker").write_text(FAUX_DOCKER, encoding="utf-8")
    (tmp_path / "docker").chmod(0o755)
    refus = subprocess.run(
        [sys.executable, LOCAL / "lancer.py", "verifier"],
        env={"PATH": str(tmp_path), "PYTHONIOENCODING": "latin-1"},
        capture_output=True,
        encoding="latin-1",
        check=False,
    )
    assert "? Docker 29.0.1, Compose 2.40.0" in refus.stdout
    assert "Erreur : L?image python:3.11-slim-bookworm ne vient pas" in refus.stderr
    assert "Traceback" not in refus.stderr


def reponses(monkeypatch, *sorties):
    """Fait rendre à « docker », dans l’ordre, ces sorties ; rend les commandes reçues."""
    recues, restent = [], list(sorties)

    def lancer_(*commande, **options):
        recues.append(commande)
        sortie = restent.pop(0)
        return subprocess.CompletedProcess(commande, 0 if sortie else 1, sortie, "refusé\n")

    monkeypatch.setattr(lancer, "lancer", lancer_)
    return recues


ETATS = [
    {"Service": "mlflow", "State": "running", "Health": "healthy", "ExitCode": 0},
    {"Service": "preparation", "State": "exited", "Health": "", "ExitCode": 0},
]


@pytest.mark.parametrize("sortie", [json.dumps(ETATS), "\n".join(map(json.dumps, ETATS)) + "\n"])
def test_l_etat_se_lit_en_tableau_comme_en_lignes(monkeypatch, sortie):
    """Compose écrit un tableau avant la version 2.21, une ligne par service ensuite."""
    reponses(monkeypatch, sortie)
    assert lancer.etat() == {"mlflow": "prêt", "preparation": "fini"}


@pytest.mark.parametrize(
    ("systeme", "moteur", "hote", "socket"),
    [
        ("linux", "Debian", "unix:///var/run/docker.sock", "/var/run/docker.sock"),
        ("linux", "Debian", "unix:///run/user/1000/docker.sock", "/run/user/1000/docker.sock"),
        ("linux", "Docker Desktop", "unix:///home/moi/.docker/d.sock", "/var/run/docker.sock"),
        ("darwin", "Alpine", "unix:///Users/moi/.colima/docker.sock", "/var/run/docker.sock"),
    ],
)
def test_la_socket_est_celle_que_voit_le_moteur(monkeypatch, systeme, moteur, hote, socket):
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    monkeypatch.setattr(lancer.sys, "platform", systeme)
    reponses(monkeypatch, hote + "\n")
    assert lancer.chemin_socket({"OperatingSystem": moteur}) == socket


def test_un_moteur_d_une_autre_machine_est_refuse(monkeypatch):
    monkeypatch.setenv("DOCKER_HOST", "ssh://moi@ailleurs")
    with pytest.raises(lancer.Probleme, match=r"ssh://moi@ailleurs.*sur la machine du moteur"):
        lancer.chemin_socket({})


HUB = {"PYTHON_IMAGE": "python:3", "DOCKER_SOCKET": "/run/d.sock", "DOCKER_GID": "998"}


def test_un_groupe_perime_est_refuse_avec_le_bon(monkeypatch):
    """Le conteneur d’essai n’a pas répondu, et la socket y est au groupe 0, comme sur un Mac."""
    recues = reponses(monkeypatch, "présente", "", "0\n")
    with pytest.raises(lancer.Probleme, match=r"DOCKER_GID=998 n’est pas.*mettez 0 dans local"):
        lancer.verifier_socket(HUB, {})
    assert "10001:998" in recues[1], "l’essai doit se faire avec le compte du hub"


def test_une_socket_qui_ne_repond_pas_est_refusee(monkeypatch):
    reponses(monkeypatch, "présente", "", "998\n")
    with pytest.raises(lancer.Probleme, match=r"sans root ou podman.*Réponse : refusé"):
        lancer.verifier_socket(HUB, {})


@pytest.mark.local
def test_le_hub_parlera_au_moteur_et_un_autre_groupe_non():
    _, infos = lancer.verifier_docker()
    valeurs = {**lancer.reglages(), "DOCKER_SOCKET": "", "DOCKER_GID": ""}
    assert "Docker répond par" in lancer.verifier_socket(valeurs, infos)
    with pytest.raises(lancer.Probleme, match="DOCKER_GID=54321 n’est pas son groupe"):
        lancer.verifier_socket({**valeurs, "DOCKER_GID": "54321"}, infos)
    with pytest.raises(lancer.Probleme, match=r"/absente ne se monte pas .*DOCKER_SOCKET"):
        lancer.verifier_socket({**valeurs, "DOCKER_SOCKET": "/absente"}, infos)


@pytest.mark.parametrize(
    ("demo", "tirees", "construits"),
    [
        ("mlops/demo:local", ["postgres:18"], []),
        ("registre.exemple/demo:1", ["postgres:18", "registre.exemple/demo:1"], ["hub"]),
    ],
)
def test_une_image_d_un_registre_est_tiree_et_non_reconstruite(
    monkeypatch, demo, tirees, construits
):
    services = {
        "api": {"image": demo},
        "hub": {"image": "mlops/hub:local", "build": {}},
        "postgres": {"image": "postgres:18"},
        "preparation": {"image": demo, "build": {}},
    }
    reponses(monkeypatch, json.dumps({"services": services}))
    vues, faits = [], []
    monkeypatch.setattr(lancer, "tirer", vues.append)
    monkeypatch.setattr(lancer, "docker", lambda *mots: faits.append(mots))
    lancer.fournir_les_images()
    assert vues == tirees
    assert faits == [("compose", "build", *construits)]


@pytest.mark.parametrize(
    ("adresse", "donnes", "ouverts", "fermes"),
    [
        ("127.0.0.1", "", ["localhost", "127.0.0.1"], ["0.0.0.0", "intrus"]),
        ("0.0.0.0", "", ["localhost", "0.0.0.0", lancer.socket.gethostname()], ["intrus"]),
        ("0.0.0.0", "salle.exemple", ["localhost", "salle.exemple"], ["0.0.0.0", "intrus"]),
    ],
)
def test_mlflow_repond_aux_noms_que_l_adresse_ouvre(monkeypatch, adresse, donnes, ouverts, fermes):
    """Jugé par MLflow lui-même : le nom demandé, et l’origine de la page qui écrit."""
    from mlflow.server import security_utils

    for nom in ("MLFLOW_HOTES_ADMIS", "MLFLOW_ORIGINES"):
        monkeypatch.setenv(nom, "à remplacer")
    lancer._ouvrir_mlflow({"ADRESSE": adresse, "MLFLOW_HOTES": donnes, "PORT_MLFLOW": "5050"})
    lignes = (LOCAL / "common.yaml").read_text(encoding="utf-8").splitlines()
    for variable in ("ALLOWED_HOSTS", "CORS_ALLOWED_ORIGINS"):
        (ligne,) = [n.split(": ", 1)[1] for n in lignes if f"MLFLOW_SERVER_{variable}:" in n]
        for nom in ("MLFLOW_HOTES_ADMIS", "MLFLOW_ORIGINES"):
            ligne = ligne.replace(f"${{{nom}:-}}", os.environ[nom])
        monkeypatch.setenv(f"MLFLOW_SERVER_{variable}", ligne)
    admis = security_utils.get_allowed_hosts_from_env()
    origines = security_utils.get_allowed_origins_from_env()
    for noms, attendu in ((ouverts, True), (fermes, False)):
        for nom in noms:
            assert security_utils.is_allowed_host_header(admis, f"{nom}:5050") is attendu, nom
            bloque = security_utils.should_block_cors_request(
                f"http://{nom}:5050", "POST", origines
            )
            assert bloque is not attendu, nom


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


def test_des_comptes_ajoutes_a_une_installation_prennent_des_secrets_neufs(monkeypatch, tmp_path):
    """MLflow les reprend en démarrant ; un mot de passe de Postgres, lui, est perdu pour de bon."""
    monkeypatch.setattr(lancer, "LOCAL", tmp_path)
    existe = subprocess.CompletedProcess((), 0, "[{}]", "")
    monkeypatch.setattr(lancer, "lancer", lambda *_, **__: existe)
    noms = ["cle_mlflow", "cle_mlflow_pages"]
    noms += ["mot_de_passe_mlflow_admin", "mot_de_passe_mlflow_production"]
    monkeypatch.setattr(lancer, "noms_des_secrets", lambda: noms)
    lancer._ecrire_secrets("mlops")
    assert sorted(f.name for f in (tmp_path / "secrets").iterdir()) == noms
    monkeypatch.setattr(lancer, "noms_des_secrets", lambda: [*noms, "mot_de_passe_mlflow"])
    with pytest.raises(lancer.Probleme, match="mot_de_passe_mlflow, alors que"):
        lancer._ecrire_secrets("mlops")
