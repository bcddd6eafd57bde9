"""Un participant attaque MLflow et ses voisins, de son notebook : il n’obtient rien."""

import json
from pathlib import Path

import attaques
import pytest
import requests

pytestmark = pytest.mark.local

PROGRAMME = Path(attaques.__file__).read_text(encoding="utf-8")
ICI = "os.environ['MLFLOW_TRACKING_URI']"
CLE = "os.environ['MLFLOW_TRACKING_PASSWORD']"


def du_notebook(participant, appel):
    """Exécute attaques.py et un appel dans un notebook ; rend ce que l’appel a rendu."""
    sortie = participant.executer(f"import os\n{PROGRAMME}\ndire({appel})\n")
    lignes = [n for n in sortie.splitlines() if n.startswith("RÉSULTAT ")]
    assert lignes, sortie[-3000:]
    return json.loads(lignes[-1].removeprefix("RÉSULTAT "))


def demander(pile, nom, *geste):
    """Une requête à MLflow sous un compte, de cette machine."""
    return attaques.envoyer(pile.adresse("mlflow"), pile.compte_mlflow(nom), *geste)


def vu(pile, cible):
    """Tout ce que lit d’une cible celui à qui elle est."""
    gestes = (*attaques.lectures(cible), *attaques.recherches(cible))
    reponses = [demander(pile, cible["nom"], *geste) for geste in gestes]
    assert [r.request.url for r in reponses if not r.ok] == []
    return [r.text for r in reponses]


def pret(pile):
    """Ce que le service dit de ce qu’il sert."""
    reponse = requests.get(f"{pile.adresse('api')}/ready", timeout=30)
    assert reponse.ok, reponse.text
    return reponse.json()


@pytest.fixture(scope="module")
def deposes(pile, inviter):
    """Ce que production et deux participants ont laissé dans MLflow ; effacé ensuite."""
    adresse, laisses = pile.adresse("mlflow"), {}
    for nom in ("production", "invite01", "invite02"):
        laisses[nom] = attaques.deposer(adresse, *pile.compte_mlflow(nom), f"marque-{nom}")
    yield laisses
    for nom, cible in laisses.items():
        version = {"name": cible["modele"], "version": cible["version"]}
        for geste in (
            ("DELETE", f"{attaques.API}/registered-models/alias", {**version, "alias": "victime"}),
            ("DELETE", f"{attaques.API}/model-versions/delete", version),
            ("DELETE", f"{attaques.API}/logged-models/{cible['appris']}", None),
            ("POST", f"{attaques.API}/runs/delete", {"run_id": cible["essai"]}),
        ):
            demander(pile, nom, *geste)


@pytest.mark.parametrize("nom", ["production", "invite02"])
def test_un_participant_n_obtient_rien_d_un_autre(pile, inviter, deposes, nom):
    cible, service = deposes[nom], pret(pile)
    champion = pile.mlflow(
        "registered-models/alias", name="retard-vol-production", alias="champion"
    )
    assert champion.ok, champion.text
    avant = vu(pile, cible)
    passees, tentees = du_notebook(
        inviter("invite01"), f"attaquer({ICI}, {deposes['invite01']!r}, {CLE}, {cible!r})"
    )
    assert tentees > 140
    assert passees == []
    assert vu(pile, cible) == avant, "quelque chose a changé"
    apres = pile.mlflow("registered-models/alias", name="retard-vol-production", alias="champion")
    assert apres.json() == champion.json()
    assert pret(pile) == service, "le service ne sert plus la même chose"


def test_sans_compte_ou_d_un_faux_mot_de_passe_tout_est_refuse(pile, inviter):
    codes = du_notebook(inviter("invite01"), f"sans_compte({ICI}, 'invite01')")
    assert len(codes) >= 15
    assert {quoi: code for quoi, code in codes.items() if code != 401} == {}


def test_un_participant_lit_et_ecrit_ses_essais(pile, inviter):
    code = """
import mlflow
from mlops_demo import registre
client = registre.client()
with mlflow.start_run(experiment_id=registre.experience()) as essai:
    mlflow.log_metric("auc", 0.7)
    mlflow.log_text("à moi", "note.txt")
print("lu", client.get_run(essai.info.run_id).data.metrics, mlflow.artifacts.load_text(
    f"{essai.info.artifact_uri}/note.txt"))
print("vues", [e.name for e in client.search_experiments()])
print("modeles", [m.name for m in client.search_registered_models()])
client.delete_run(essai.info.run_id)
"""
    sortie = inviter("invite02").executer(code)
    assert "lu {'auc': 0.7} à moi" in sortie, sortie
    assert "vues ['retard-vol/invite02']" in sortie, sortie
    assert "modeles ['retard-vol-invite02']" in sortie, sortie


def test_un_mot_de_passe_faux_est_dit_en_une_phrase(inviter):
    code = "import os\nos.environ['MLFLOW_TRACKING_PASSWORD'] = 'faux'\n"
    code += "from mlops_demo import registre\nregistre.client()"
    sortie = inviter("invite02").executer(code)
    assert "refuse le compte « invite02 »" in sortie, sortie
    assert "MLFLOW_TRACKING_PASSWORD" in sortie, sortie


def test_le_mot_de_passe_d_un_compte_n_est_que_chez_lui(pile, inviter):
    for nom in ("invite01", "invite02"):
        inviter(nom)
        _, secret = pile.compte_mlflow(nom)
        fuites = [ou for ou, texte in pile.dits(pile.conteneurs()).items() if secret in texte]
        assert fuites == [], nom


VOISIN = """
import os, socket, urllib.error, urllib.request
print("vus", [c for c in ("/var/lib/mlflow", "/var/run/docker.sock", "/run/docker.sock",
    "/run/secrets") if os.path.exists(c)])
print("montés", [n.split()[1] for n in open("/proc/mounts") if "mlflow" in n])
nom = "{projet}-participant-invite02"
adresse, ouverts = socket.gethostbyname(nom), []
for port in range(1, 65536):
    with socket.socket() as prise:
        prise.settimeout(1)
        if prise.connect_ex((adresse, port)) == 0:
            ouverts.append(port)
print("ouverts", ouverts)
for chemin in ("api/contents", "api/kernels", "api/terminals", "files/demonstration"):
    try:
        la = f"http://{{nom}}:8888/user/invite02/{{chemin}}"
        reponse = urllib.request.urlopen(la, timeout=30)
        print("réponse", reponse.status, "login" in reponse.url)
    except urllib.error.HTTPError as refus:
        print("réponse", refus.code)
    except OSError as refus:
        print("réponse", "injoignable", refus)
"""


def test_un_participant_n_atteint_ni_les_volumes_ni_le_serveur_d_un_autre(pile, inviter):
    inviter("invite02")
    code = VOISIN.format(projet=pile.reglages["MLOPS_PROJET"])
    sortie = inviter("invite01").executer(code)
    assert "vus []" in sortie, sortie
    assert "montés []" in sortie, sortie
    # Le serveur de l’autre écoute, puisque le hub l’y joint ; sans le jeton de l’autre, il se tait.
    assert "ouverts [8888]" in sortie, sortie
    reponses = [n.split(" ", 1)[1] for n in sortie.splitlines() if n.startswith("réponse")]
    assert len(reponses) == 4, sortie
    assert not [r for r in reponses if r.startswith("200") and r != "200 True"], sortie
