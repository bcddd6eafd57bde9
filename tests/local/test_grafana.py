"""Les tableaux de Grafana : sa source existe, et chaque requête est comprise de Prometheus.

L’image de Grafana n’est dans aucun registre joignable d’ici : ces tableaux n’ont pas été vus dans
un Grafana. Leurs fichiers sont lus par les types qu’en publie Grafana, et leurs requêtes exécutées
par un vrai Prometheus.
"""

import copy
import json
import re
import subprocess
import time
from pathlib import Path

import pytest
import requests
import yaml
from mlops_demo.features import CATEGORIES, NOMBRES

LOCAL = Path(__file__).resolve().parents[2] / "local"
TABLEAUX = {
    f.stem: json.loads(f.read_text("utf-8"))
    for f in sorted((LOCAL / "grafana" / "tableaux").glob("*.json"))
}
PANNEAUX = [(nom, p) for nom, t in TABLEAUX.items() for p in t["panels"]]
REQUETES = [(f"{nom}, {p['title']}", c["expr"]) for nom, p in PANNEAUX for c in p["targets"]]
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
    source = yaml.safe_load(
        (LOCAL / "grafana/provisioning/datasources/prometheus.yml").read_text("utf-8")
    )["datasources"][0]
    assert {c["datasource"]["uid"] for c in [panneau, *panneau["targets"]]} == {source["uid"]}
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
    lues = {m for _, expr in REQUETES for m in re.findall(r"\b\w+:\w+:\w+\b|\b\w+:\w+\b", expr)}
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


@pytest.mark.local
@pytest.mark.parametrize(("ou", "expression"), REQUETES, ids=lambda v: str(v)[:60])
def test_chaque_panneau_a_de_quoi_montrer(pile, trafic, ou, expression):
    """Chaque requête, exécutée par le vrai Prometheus, rend des valeurs."""
    api = f"{pile.adresse('prometheus')}/api/v1/query"
    limite = time.monotonic() + 60
    while True:
        reponse = requests.post(api, {"query": expression}, timeout=30).json()
        assert reponse["status"] == "success", reponse
        if reponse["data"]["result"] or time.monotonic() > limite:
            break
        time.sleep(1)
    assert reponse["data"]["result"], f"{ou} : aucune valeur pour {expression}"
