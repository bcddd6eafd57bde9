"""Le dépôt S3 : ce que MLflow garde y est, s’y relit, et n’est qu’à qui a la clé."""

import pytest

pytestmark = [pytest.mark.local, pytest.mark.lent]

ECRIRE = """
import mlflow, pathlib
from mlops_demo import registre
registre.client()
pathlib.Path("/tmp/poids.bin").write_bytes(bytes(range(256)) * 8192)
with mlflow.start_run(experiment_id=registre.experience()) as essai:
    mlflow.log_artifact("/tmp/poids.bin", "modele")
print("essai", essai.info.run_id)
"""

RELIRE = """
import mlflow, pathlib
from mlops_demo import registre
registre.client()
lu = mlflow.artifacts.download_artifacts(run_id={essai!r}, artifact_path="modele/poids.bin")
print("identique", pathlib.Path(lu).read_bytes() == bytes(range(256)) * 8192)
"""


def objets(pile):
    """Les objets du dépôt, lus par un client S3 qui a la clé."""
    client = "RCLONE_S3_ENV_AUTH=true RCLONE_S3_PROVIDER=Rclone RCLONE_S3_ENDPOINT={} {}".format(
        "http://127.0.0.1:9000", "rclone --config /dev/null lsf -R --files-only :s3:modeles"
    )
    return pile.compose("exec", "-T", "artefacts", "entree.sh", "sh", "-c", client).split()


@pytest.mark.parametrize(
    "reglages", [{"COMPOSE_PROFILES": "artefacts"}, {"ARTEFACTS": "s3://modeles"}], ids=str
)
def test_un_reglage_sans_l_autre_est_refuse(pile, reglages):
    essai = pile.make("check", env=reglages)
    assert essai.returncode != 0
    assert "vont ensemble" in essai.stderr


@pytest.fixture(scope="module")
def depot(pile):
    """MLflow mis sur le dépôt S3 le temps de ces tests, puis rendu à son volume."""
    profil = {"COMPOSE_PROFILES": "artefacts", "ARTEFACTS": "s3://modeles"}
    pile.reglages |= profil
    lancer = ("up", "--build", "--detach", "--wait")
    pile.compose(*lancer, "artefacts", "mlflow", limite_s=900)
    pile.relever()
    yield
    for nom in profil:
        del pile.reglages[nom]
    pile.compose("up", "--detach", "--wait", "mlflow", limite_s=300)


def test_un_artefact_va_dans_le_depot_et_en_revient(pile, depot, inviter):
    participant = inviter("invite01")
    sortie = participant.executer(ECRIRE)
    assert "essai" in sortie, sortie
    essai = sortie.split("essai")[1].split()[0]
    trouves = [
        objet for objet in objets(pile) if objet.endswith(f"{essai}/artifacts/modele/poids.bin")
    ]
    assert len(trouves) == 1, objets(pile)
    assert "identique True" in participant.executer(RELIRE.format(essai=essai))

    # Tué net, il revient avec ce qu’il avait accepté.
    pile.tuer("artefacts")
    assert "identique True" in participant.executer(RELIRE.format(essai=essai))


def test_sans_la_cle_le_depot_ne_dit_rien(pile, depot):
    demande = (
        "import urllib.request, urllib.error\n"
        "for adresse in ('', 'modeles?list-type=2'):\n"
        "    try:\n"
        "        print('LU', urllib.request.urlopen('http://artefacts:9000/' + adresse).read())\n"
        "    except urllib.error.HTTPError as refus:\n"
        "        print('refus', refus.code)\n"
    )
    sortie = pile.compose("exec", "-T", "mlflow", "python", "-c", demande)
    assert "LU" not in sortie, sortie
    assert sortie.count("refus") == 2, sortie


def test_un_participant_ne_joint_pas_le_depot(depot, inviter):
    code = (
        "import socket\n"
        "try:\n"
        "    socket.create_connection(('artefacts', 9000), 5)\n"
        "    print('JOINT')\n"
        "except OSError:\n"
        "    print('injoignable')\n"
    )
    assert inviter("invite01").executer(code).strip() == "injoignable"
