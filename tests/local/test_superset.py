"""Le tableau de bord de Superset : cohérent en fichiers, et aussi juste que la base."""

import calendar
from datetime import date
from pathlib import Path

import gestes
import pytest
import requests
import yaml

TABLEAU = Path(__file__).resolve().parents[2] / "local" / "superset" / "tableau"


def lire(dossier):
    """Les fichiers YAML d’un dossier du tableau."""
    return [
        yaml.safe_load(f.read_text("utf-8")) for f in sorted((TABLEAU / dossier).rglob("*.yaml"))
    ]


(BASE,) = lire("databases")
JEUX = {jeu["uuid"]: jeu for jeu in lire("datasets")}
GRAPHIQUES = {g["uuid"]: g for g in lire("charts")}
(BORD,) = lire("dashboards")


def test_chaque_graphique_est_sur_le_tableau_et_lit_un_jeu_connu():
    places = {
        bloc["meta"]["uuid"]: bloc["meta"]["sliceName"]
        for bloc in BORD["position"].values()
        if isinstance(bloc, dict) and bloc["type"] == "CHART"
    }
    assert places == {u: g["slice_name"] for u, g in GRAPHIQUES.items()}
    assert all(g["dataset_uuid"] in JEUX for g in GRAPHIQUES.values())
    assert all(jeu["database_uuid"] == BASE["uuid"] for jeu in JEUX.values())


@pytest.mark.parametrize("graphique", GRAPHIQUES.values(), ids=lambda g: g["slice_name"])
def test_un_graphique_ne_demande_que_ce_que_son_jeu_a(graphique):
    jeu, reglages = JEUX[graphique["dataset_uuid"]], graphique["params"]
    colonnes = {c["column_name"] for c in jeu["columns"]}
    mesures = {m["metric_name"] for m in jeu["metrics"]}
    demandees = {*reglages.get("groupby", []), *reglages.get("all_columns", [])}
    demandees |= {f["subject"] for f in reglages["adhoc_filters"]} | {
        x for x in [reglages.get("x_axis")] if x
    }
    assert demandees <= colonnes
    assert {*reglages.get("metrics", []), *filter(None, [reglages.get("metric")])} <= mesures


def test_aucun_mot_de_passe_dans_les_fichiers():
    assert ":XXXXXXXXXX@" in BASE["sqlalchemy_uri"], "la place du mot de passe, donné à l’import"


@pytest.fixture(scope="module")
def superset(pile):
    """Superset lancé sur la pile ; rend une session connectée à son API."""
    pile.compose(
        "--profile", "superset", "up", "--build", "--detach", "--wait", "superset", limite_s=1500
    )
    session = gestes.entrer_dans_superset(pile)
    pile.relever()
    yield session
    pile.compose("--profile", "superset", "stop", "superset")


@pytest.mark.local
def test_on_n_entre_pas_sans_mot_de_passe(pile, superset):
    adresse = pile.adresse("superset")
    assert requests.get(f"{adresse}/api/v1/dashboard/", timeout=30).status_code in (401, 403)
    for mot_de_passe in ("admin", "superset"):
        compte = {"username": "admin", "password": mot_de_passe, "provider": "db"}
        refus = requests.post(f"{adresse}/api/v1/security/login", json=compte, timeout=30)
        assert refus.status_code == 401


@pytest.mark.local
@pytest.mark.parametrize("graphique", GRAPHIQUES.values(), ids=lambda g: g["slice_name"])
def test_chaque_graphique_dit_ce_que_dit_la_base(pile, superset, graphique):
    """Les données du graphique, par l’API de Superset, contre le même calcul en SQL direct."""
    jeu, reglages = JEUX[graphique["dataset_uuid"]], graphique["params"]
    trouves = superset.get(f"{pile.adresse('superset')}/api/v1/dataset/", timeout=60).json()
    (numero,) = (d["id"] for d in trouves["result"] if d["uuid"] == jeu["uuid"])
    noms = [*reglages.get("metrics", []), *filter(None, [reglages.get("metric")])]
    brutes = reglages.get("all_columns", [])
    groupes = [*filter(None, [reglages.get("x_axis")]), *reglages.get("groupby", [])]
    filtres = [
        {"col": f["subject"], "op": f["operator"], "val": f["comparator"]}
        for f in reglages["adhoc_filters"]
    ]
    demande = {"metrics": noms, "columns": brutes or groupes, "filters": filtres, "row_limit": 5000}
    reponse = superset.post(
        f"{pile.adresse('superset')}/api/v1/chart/data",
        json={
            "datasource": {"id": numero, "type": "table"},
            "queries": [demande],
            "result_format": "json",
            "result_type": "full",
        },
        timeout=120,
    )
    assert reponse.ok, reponse.text
    recues = reponse.json()["result"][0]["data"]

    calculs = {m["metric_name"]: m["expression"] for m in jeu["metrics"]}
    colonnes = [*(brutes or groupes), *(f"{calculs[n]} AS {n}" for n in noms)]
    sql = f"SELECT {', '.join(colonnes)} FROM ({jeu['sql']}) AS jeu"
    for filtre in filtres:
        sql += f" WHERE {filtre['col']} = '{filtre['val']}'"
    if groupes and noms:
        sql += f" GROUP BY {', '.join(groupes)}"
    attendues = pile.lire(sql.replace("%", "%%"))  # psycopg lit « % » comme un paramètre
    assert len(recues) == len(attendues)
    assert attendues, "un graphique vide ne prouverait rien"
    cles = [*(brutes or groupes), *noms]
    obtenues = sorted(tuple(_simple(ligne[c]) for c in cles) for ligne in recues)
    assert obtenues == sorted(tuple(map(_simple, ligne)) for ligne in attendues)


def _simple(valeur):
    """Une valeur comparable, qu’elle vienne de JSON (dates en millisecondes) ou de Postgres."""
    if isinstance(valeur, date):
        valeur = calendar.timegm(valeur.timetuple()) * 1000
    return f"{valeur:.12g}" if isinstance(valeur, int | float) else str(valeur)


@pytest.mark.local
def test_aucun_secret_ne_se_lit(pile, superset, exiger_secrets):
    exiger_secrets(pile.secrets(), pile.dits(pile.inspecter(pile.conteneur("superset"))))
