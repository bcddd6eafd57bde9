"""Les tableaux de Grafana : fermés à qui n’a pas le mot de passe, entiers, et chaque panneau servi.

Là où le registre ne donne pas l’image de Grafana, .ci/moteur en fabrique une de même interface, qui
n’est pas Grafana. Ce qui est alors prouvé : le secret, les droits, la santé, le réseau, les
fichiers que Compose ou Swarm y met, et chaque requête passée par la source jusqu’au vrai
Prometheus. Ce qui ne l’est pas : que Grafana dessine ces tableaux, ni qu’il tienne dans les bornes
de son service. Leurs fichiers sont du moins lus par les types qu’il en publie.
"""

import copy
import json
import re
import subprocess
import sys
import time
from pathlib import Path

import gestes
import pytest
import requests
import yaml
from mlops_demo.features import CATEGORIES, NOMBRES

RACINE = Path(__file__).resolve().parents[2]
LOCAL = RACINE / "local"
sys.path.insert(0, str(RACINE / ".ci" / "remplacement" / "grafana"))
import serveur  # noqa: E402 — la remplaçante n’est sur le chemin qu’ici

TABLEAUX = {
    f.stem: json.loads(f.read_text("utf-8"))
    for f in sorted((LOCAL / "grafana" / "tableaux").glob("*.json"))
}
PANNEAUX = [(nom, p) for nom, t in TABLEAUX.items() for p in t["panels"]]
REQUETES = {f"{n}, {p['title']}, {c['refId']}": c for n, p in PANNEAUX for c in p["targets"]}
(SOURCE,) = yaml.safe_load(
    (LOCAL / "grafana" / "provisioning" / "datasources" / "prometheus.yml").read_text("utf-8")
)["datasources"]
REGLES = yaml.safe_load((LOCAL / "prometheus" / "regles.yml").read_text("utf-8"))


def test_deux_tableaux_le_service_et_le_modele():
    assert {nom: t["uid"] for nom, t in TABLEAUX.items()} == {
        "modele": "modele",
        "service": "service",
    }
    declares = yaml.safe_load((LOCAL / "common.yaml").read_text("utf-8"))["configs"]
    fichiers = {c["file"] for c in declares.values()}
    assert {f"grafana/tableaux/{nom}.json" for nom in TABLEAUX} <= fichiers


@pytest.mark.parametrize(("nom", "panneau"), PANNEAUX, ids=lambda v: str(v)[:40])
def test_chaque_panneau_a_sa_source_une_explication_et_une_place(nom, panneau):
    assert {c["datasource"]["uid"] for c in [panneau, *panneau["targets"]]} == {SOURCE["uid"]}
    assert panneau["description"]
    place = panneau["gridPos"]
    assert place["x"] + place["w"] <= 24
    autres = [p["gridPos"] for n, p in PANNEAUX if n == nom and p is not panneau]
    for autre in autres:
        assert (
            autre["x"] + autre["w"] <= place["x"]
            or place["x"] + place["w"] <= autre["x"]
            or autre["y"] + autre["h"] <= place["y"]
            or place["y"] + place["h"] <= autre["y"]
        ), "deux panneaux se recouvrent"


# Lit un tableau par les types de Grafana, l’écrit, et rend le chemin de ce qui s’y est perdu.
LIRE = """
import json, sys
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard

def perdus(a, b, chemin=""):
    if isinstance(a, dict) and isinstance(b, dict):
        for cle in a:
            yield from perdus(a[cle], b.get(cle), f"{chemin}/{cle}")
    elif isinstance(a, list) and isinstance(b, list) and len(a) == len(b):
        for rang, (x, y) in enumerate(zip(a, b)):
            yield from perdus(x, y, f"{chemin}/{rang}")
    elif a != b:
        yield chemin

register_default_plugins()
ecrit = json.load(sys.stdin)
lu = json.loads(JSONEncoder().encode(Dashboard.from_json(ecrit)))
print(*perdus(ecrit, lu), sep="\\n")
"""


def ce_que_grafana_ne_lit_pas(outils, tableau):
    """Les champs d’un tableau que les types de Grafana ne connaissent pas."""
    fait = subprocess.run(
        [outils / "python", "-c", LIRE],
        input=json.dumps(tableau),
        capture_output=True,
        text=True,
        check=False,
    )
    assert fait.returncode == 0, fait.stderr
    return fait.stdout.split()


@pytest.mark.local
@pytest.mark.parametrize("nom", TABLEAUX)
def test_grafana_connait_chaque_champ(outils, nom):
    assert ce_que_grafana_ne_lit_pas(outils, TABLEAUX[nom]) == []
    fautif = copy.deepcopy(TABLEAUX[nom])
    fautif["panels"][0]["fieldConfig"]["defaults"]["unite"] = "s"
    fautif["panels"][0]["options"]["legende"] = {}
    assert set(ce_que_grafana_ne_lit_pas(outils, fautif)) == {
        "/panels/0/fieldConfig/defaults/unite",
        "/panels/0/options/legende",
    }


def test_une_mesure_precalculee_existe():
    connues = {r["record"] for g in REGLES["groups"] for r in g["rules"] if "record" in r}
    mesure = r"\b\w+:\w+:\w+\b|\b\w+:\w+\b"
    lues = {m for requete in REQUETES.values() for m in re.findall(mesure, requete["expr"])}
    assert lues
    assert lues <= connues


@pytest.fixture(scope="module")
def trafic(pile):
    """Une demi-minute de demandes au service, bonnes et mauvaises : les courbes ont de quoi."""
    colonnes = ["flight_id", *CATEGORIES, *NOMBRES]
    lignes = pile.lire(f"SELECT {', '.join(colonnes)} FROM demo_production.features LIMIT 50")
    vols = [dict(zip(colonnes, ligne, strict=True)) for ligne in lignes]
    adresse, fin = f"{pile.adresse('api')}/predict", time.monotonic() + 30
    while time.monotonic() < fin:
        for vol in vols:
            assert requests.post(adresse, json={"vols": [vol]}, timeout=30).ok
        mauvais = {"vols": [vols[0] | {"origin": "Paris"}]}
        assert requests.post(adresse, json=mauvais, timeout=30).status_code == 422


@pytest.fixture(scope="module")
def grafana(pile, attendre):
    """Grafana, ou sa remplaçante, lancé sur la pile ; rend une session de l’administrateur."""
    pile.compose("--profile", "grafana", "up", "--detach", "grafana")

    def sain():
        (vu,) = pile.inspecter(pile.conteneur("grafana"))
        return vu["State"]["Health"]["Status"] == "healthy"

    attendre(sain, "Grafana sain", 150, lambda: pile.compose("logs", "--tail", "30", "grafana"))
    yield gestes.entrer_dans_grafana(pile)
    pile.compose("--profile", "grafana", "stop", "grafana")


@pytest.mark.local
def test_on_n_entre_pas_sans_mot_de_passe(pile, grafana):
    adresse = pile.adresse("grafana")
    assert requests.get(f"{adresse}/api/health", timeout=30).json()["database"] == "ok"
    for chemin in ("search", "dashboards/uid/modele", "datasources/uid/prometheus"):
        assert requests.get(f"{adresse}/api/{chemin}", timeout=30).status_code == 401, chemin
        for mot_de_passe in ("", "admin", "grafana"):
            refus = requests.get(
                f"{adresse}/api/{chemin}", auth=("admin", mot_de_passe), timeout=30
            )
            assert refus.status_code == 401, (chemin, mot_de_passe)
    assert requests.post(f"{adresse}/api/ds/query", json={}, timeout=30).status_code == 401


@pytest.mark.local
def test_les_tableaux_servis_sont_ceux_des_fichiers(pile, grafana):
    gestes.exiger_les_tableaux(pile, grafana)


@pytest.mark.local
def test_la_source_est_celle_du_fichier_et_ne_se_modifie_pas(pile, grafana):
    lue = grafana.get(f"{pile.adresse('grafana')}/api/datasources/uid/{SOURCE['uid']}", timeout=30)
    assert lue.ok, lue.text
    attendus = {cle: valeur for cle, valeur in SOURCE.items() if cle != "editable"}
    assert {cle: lue.json().get(cle) for cle in attendus} == attendus
    assert lue.json()["readOnly"] is True


@pytest.mark.local
@pytest.mark.parametrize("ou", REQUETES)
def test_chaque_panneau_a_de_quoi_montrer(pile, grafana, trafic, ou):
    """La requête du panneau, passée par Grafana au vrai Prometheus, rend des valeurs."""
    requete, limite = REQUETES[ou], time.monotonic() + 60
    while not (valeurs := gestes.demander_a_grafana(pile, grafana, requete)):
        assert time.monotonic() < limite, f"{ou} : aucune valeur pour {requete['expr']}"
        time.sleep(1)
    assert all(isinstance(valeur, int | float) for valeur in valeurs)


@pytest.mark.local
def test_aucun_secret_ne_se_lit(pile, grafana, exiger_secrets, exiger_enferme):
    vus = pile.inspecter(pile.conteneur("grafana"))
    exiger_secrets(pile.secrets(), pile.dits(vus))
    exiger_enferme(vus[0])


# --- La remplaçante écarte ce que Grafana écarte ----------------------------------------------


@pytest.fixture
def approvisionnement(tmp_path):
    """Nos fichiers, rangés comme dans le conteneur, sous un dossier à soi."""
    for fichier in (LOCAL / "grafana").rglob("*.*"):
        copie = tmp_path / fichier.relative_to(LOCAL / "grafana")
        copie.parent.mkdir(parents=True, exist_ok=True)
        texte = fichier.read_text("utf-8").replace("/etc/grafana/tableaux", f"{tmp_path}/tableaux")
        copie.write_text(texte, "utf-8")
    return tmp_path


def lus(dossier):
    """Les tableaux que la remplaçante tire de ce dossier."""
    return set(serveur.lire_tableaux(dossier / "provisioning" / "dashboards"))


def test_un_tableau_illisible_manque_et_le_journal_le_dit(approvisionnement, capsys):
    assert lus(approvisionnement) == {"modele", "service"}
    assert capsys.readouterr().out == ""
    (approvisionnement / "tableaux" / "modele.json").write_text('{"title": ', "utf-8")
    assert lus(approvisionnement) == {"service"}
    assert "failed to load dashboard" in capsys.readouterr().out


def test_deux_tableaux_de_meme_uid_n_en_font_qu_un(approvisionnement, capsys):
    fautif = {**TABLEAUX["modele"], "uid": "service"}
    (approvisionnement / "tableaux" / "modele.json").write_text(json.dumps(fautif), "utf-8")
    assert lus(approvisionnement) == {"service"}
    assert "the same UID is used more than once" in capsys.readouterr().out


def test_sans_le_dossier_des_tableaux_il_n_y_en_a_aucun(approvisionnement, capsys):
    (approvisionnement / "tableaux").rename(approvisionnement / "ailleurs")
    assert lus(approvisionnement) == set()
    assert "Failed to provision config" in capsys.readouterr().out


@pytest.mark.parametrize("faute", ["datasources: [", "datasources: [{isDefault: true}]"])
def test_une_source_fautive_empeche_de_demarrer(approvisionnement, faute):
    dossier = approvisionnement / "provisioning" / "datasources"
    assert set(serveur.lire_sources(dossier)) == {SOURCE["uid"]}
    (dossier / "autre.yml").write_text(faute, "utf-8")
    with pytest.raises(serveur.Refus):
        serveur.lire_sources(dossier)


def test_un_secret_illisible_rend_le_mot_de_passe_par_defaut(tmp_path):
    """Comme le script de l’image officielle : c’est pourquoi « admin » est essayé plus haut."""
    secret = tmp_path / "secret"
    ou = {"GF_PATHS_DATA": str(tmp_path), "GF_PATHS_PLUGINS": str(tmp_path / "plugins")}
    reglages = serveur.lire_secrets({"GF_SECURITY_ADMIN_PASSWORD__FILE": str(secret), **ou})
    nom, sel, garde = serveur.compte(reglages)
    assert (nom, garde) == ("admin", serveur.empreinte("admin", sel))
    secret.write_text("un autre\n", "utf-8")
    reglages = serveur.lire_secrets({"GF_SECURITY_ADMIN_PASSWORD__FILE": str(secret), **ou})
    assert reglages["GF_SECURITY_ADMIN_PASSWORD"] == "un autre"
    assert serveur.compte(reglages) == (nom, sel, garde), "le premier mot de passe est gardé"
