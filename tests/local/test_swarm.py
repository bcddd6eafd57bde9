"""La même pile sous Docker Swarm, sur un nœud : mises à jour et retours sans appel perdu."""

import json
import re
import time

import gestes
import pytest

pytestmark = pytest.mark.local


@pytest.fixture(scope="module")
def essaim(sur_swarm, fabriquer_pile):
    """Le cœur, déployé par « make swarm » dans une copie neuve du dépôt."""
    with sur_swarm(fabriquer_pile("mlops-essaim")) as pile:
        yield pile


@pytest.fixture
def appels(essaim, appeler):
    """Un appelant qui ne s’arrête pas ; rend de quoi l’arrêter et lire ce qu’il a vu."""
    return appeler(essaim)


def mettre_a_jour(pile, *options):
    """Met le service à jour et attend l’issue, que « docker service update » ne dit pas."""
    nom = f"{pile.reglages['MLOPS_PROJET']}_api"
    pile.lancer("docker", "service", "update", "--detach", *options, nom, limite_s=60)
    fin = time.monotonic() + 300
    etat = ""
    while time.monotonic() < fin:
        vu = pile.lancer("docker", "service", "inspect", nom).stdout
        etat = (json.loads(vu)[0].get("UpdateStatus") or {}).get("State", "")
        if etat not in ("", "updating", "rollback_started"):
            return etat
        time.sleep(1)
    raise AssertionError(f"la mise à jour n’en finit pas ({etat})")


def test_le_service_a_deux_repliques_et_rien_n_est_ouvert_de_trop(essaim):
    projet = essaim.reglages["MLOPS_PROJET"]
    services = essaim.lancer(
        "docker", "stack", "services", "--format", "{{.Name}} {{.Replicas}}", projet
    ).stdout
    assert f"{projet}_api 2/2" in services
    for service in ("postgres", "mlflow"):
        vu = essaim.lancer("docker", "service", "inspect", f"{projet}_{service}").stdout
        assert not json.loads(vu)[0]["Endpoint"].get("Ports"), f"{service} est ouvert à tous"


def test_make_swarm_dit_ce_que_swarm_ouvre(essaim):
    assert "sur toutes les adresses" in essaim.sortie_de_swarm


def test_un_participant_a_son_serveur_sa_base_et_mlflow(essaim, inviter_sur):
    sortie = inviter_sur(essaim)("invite01").executer(
        "import mlflow\n"
        "from mlops_demo import base, registre\n"
        "base.preparer()\n"
        "print(base.lire('SELECT current_schema() AS s')['s'].tolist())\n"
        "registre.client()\n"
        "with mlflow.start_run(experiment_id=registre.experience()):\n"
        "    mlflow.log_metric('auc', 0.7)\n"
        "print('noté')\n"
    )
    assert "['demo_invite01']" in sortie, sortie
    assert "noté" in sortie, sortie


def en_marche(pile):
    """Ce qui tourne, participants compris, sans les tâches finies ou remplacées."""
    return [c for c in pile.conteneurs() if c["State"]["Running"]]


def test_chaque_conteneur_est_enferme(essaim, inviter_sur, exiger_enferme):
    inviter_sur(essaim)("invite01")
    vus = en_marche(essaim)
    assert len(vus) >= 7, [c["Name"] for c in vus]
    for conteneur in vus:
        exiger_enferme(conteneur)


def test_aucun_secret_ne_se_lit(essaim, inviter_sur, exiger_secrets):
    inviter_sur(essaim)("invite01")
    projet = essaim.reglages["MLOPS_PROJET"]
    textes = essaim.dits(en_marche(essaim))
    # « --pretty » : le contenu d’une configuration se lit, au lieu de son codage.
    for objet, *options in (("service",), ("secret",), ("config", "--pretty")):
        noms = essaim.lancer("docker", objet, "ls", "--quiet", "--filter", f"name={projet}")
        assert noms.stdout, objet
        textes[objet] = essaim.lancer(
            "docker", objet, "inspect", *options, *noms.stdout.split()
        ).stdout
    exiger_secrets(essaim.secrets(), textes)


@pytest.mark.lent
def test_un_participant_joue_la_demonstration(essaim, inviter_sur):
    joues = ("41_donnees", "42_entrainement", "43_mise_en_production")
    sortie = inviter_sur(essaim)("invite01").executer(gestes.demonstration(joues))
    assert tuple(re.findall(r"fait (4\d_\w+)", sortie)) == joues, sortie


@pytest.mark.lent
def test_un_serveur_inactif_s_arrete_et_garde_son_travail(essaim, inviter_sur, attendre):
    # Étant donné un participant qui a écrit un fichier, puis s’en va
    ecrire = "import pathlib; print(pathlib.Path('~/travail.txt').expanduser().write_text('fait'))"
    assert "4" in inviter_sur(essaim)("invite02").executer(ecrire)
    projet = essaim.reglages["MLOPS_PROJET"]
    etiquette = f"label=presentation-mlops.participant={projet}"
    trouver = ("docker", "ps", "--quiet", "--filter", etiquette)
    assert essaim.lancer(*trouver).stdout.split()
    # Quand l’inactivité permise se réduit à quelques secondes
    hub = f"{projet}_hub"
    fait = essaim.lancer("docker", "service", "update", "--env-add", "INACTIVITE_S=10", hub)
    assert fait.returncode == 0, fait.stderr
    # Alors son serveur s’arrête de lui-même
    attendre(lambda: not essaim.lancer(*trouver).stdout.split(), "l’arrêt des serveurs inactifs")
    # Et il retrouve son travail en revenant
    fait = essaim.lancer("docker", "service", "update", "--env-add", "INACTIVITE_S=3600", hub)
    assert fait.returncode == 0, fait.stderr
    relire = "import pathlib; print(pathlib.Path('~/travail.txt').expanduser().read_text())"
    assert "fait" in inviter_sur(essaim)("invite02").executer(relire)


def test_une_mise_a_jour_ne_perd_aucun_appel(essaim, appels):
    assert mettre_a_jour(essaim, "--env-add", "ESSAI=1") == "completed"
    bons, mauvais = appels()
    assert len(bons) > 50
    assert mauvais == []


def test_une_mauvaise_image_est_retiree_d_elle_meme_sans_perdre_d_appel(essaim, appels, tmp_path):
    mauvaise = "mlops-essai/demo:mauvaise"
    (tmp_path / "Dockerfile").write_text(
        f'FROM {essaim.reglages["DEMO_IMAGE"]}\nENTRYPOINT []\nCMD ["false"]\n', encoding="utf-8"
    )
    fait = essaim.lancer("docker", "build", "--quiet", "--tag", mauvaise, str(tmp_path))
    assert fait.returncode == 0, fait.stderr
    options = ("--no-resolve-image", "--image", mauvaise)
    assert mettre_a_jour(essaim, *options) == "rollback_completed"
    bons, mauvais = appels()
    assert len(bons) > 50
    assert mauvais == []
    essaim.lancer("docker", "rmi", mauvaise)
