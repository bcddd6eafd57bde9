"""Les règles de Prometheus : chaque alerte sonne quand il faut, et ses cibles sont les nôtres."""

from pathlib import Path

import pytest
import requests
import yaml

DOSSIER = Path(__file__).resolve().parents[2] / "local" / "prometheus"
REGLES = yaml.safe_load((DOSSIER / "regles.yml").read_text("utf-8"))
ALERTES = [r for g in REGLES["groups"] for r in g["rules"] if "alert" in r]


@pytest.mark.parametrize("alerte", ALERTES, ids=lambda a: a["alert"])
def test_chaque_alerte_dit_ce_qui_se_passe_et_que_faire(alerte):
    assert alerte["labels"]["gravite"] in ("haute", "moyenne", "basse")
    assert {"resume", "que_faire"} == alerte["annotations"].keys()


def test_chaque_alerte_a_un_essai_qui_la_fait_sonner():
    essais = yaml.safe_load((DOSSIER / "essais.yml").read_text("utf-8"))["tests"]
    sonnent = {
        a["alertname"] for e in essais for a in e.get("alert_rule_test", []) if a.get("exp_alerts")
    }
    assert sonnent == {a["alert"] for a in ALERTES}


@pytest.mark.local
@pytest.mark.parametrize(
    "commande",
    [
        ("check", "config", "--syntax-only", "/p/prometheus.yml"),
        ("check", "rules", "/p/regles.yml"),
        ("test", "rules", "/p/essais.yml"),
    ],
    ids=" ".join,
)
def test_promtool_accepte(pile, commande):
    (image,) = pile.compose("config", "--images", "prometheus").split()
    fait = pile.lancer(
        "docker", "run", "--rm", "--entrypoint", "promtool",
        "--volume", f"{pile.local / 'prometheus'}:/p:ro", image, *commande,
    )  # fmt: skip
    assert fait.returncode == 0, fait.stdout + fait.stderr


@pytest.mark.local
def test_le_vrai_prometheus_a_nos_regles_et_nos_cibles(pile):
    api = f"{pile.adresse('prometheus')}/api/v1"
    groupes = requests.get(f"{api}/rules", timeout=30).json()["data"]["groups"]
    noms = {r["name"] for g in groupes for r in g["rules"]}
    assert noms == {r.get("alert") or r["record"] for g in REGLES["groups"] for r in g["rules"]}
    assert all(r["health"] in ("ok", "unknown") for g in groupes for r in g["rules"])
    cibles = requests.get(f"{api}/targets", timeout=30).json()["data"]["activeTargets"]
    assert {c["labels"]["job"] for c in cibles} == {"service", "prometheus"}
