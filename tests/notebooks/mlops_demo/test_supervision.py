"""Les alarmes, des deux côtés de chaque seuil ; la dérive, par Evidently."""

import json
import subprocess
import sys
import urllib.request
from pathlib import Path

import numpy as np
import psutil
import pytest
from mlops_demo import processus, supervision
from mlops_demo.features import CATEGORIES, NOMBRES
from mlops_demo.supervision import Alarmes, alertes

SAIN = {"biais": 0.0, "brier_skill": 0.1, "auc": 0.70, "psi_score": 0.0, "part_derive": 0.0}
REFERENCE = 0.71


@pytest.mark.parametrize(
    ("mesure", "sous", "sur", "alarme"),
    [
        ("biais", 0.05, 0.0501, supervision.CALIBRATION),
        ("biais", -0.05, -0.0501, supervision.CALIBRATION),
        ("brier_skill", 0.0, -0.0001, supervision.PERFORMANCE),
        ("auc", 0.6601, 0.6599, supervision.DISCRIMINATION),
        ("psi_score", 0.2, 0.2001, supervision.SORTIES),
        ("part_derive", 0.5, 0.5001, supervision.ENTREES),
        ("age_jours", 182, 183, supervision.AGE),
    ],
)
def test_chaque_alarme_des_deux_cotes_de_son_seuil(mesure, sous, sur, alarme):
    assert alertes(SAIN | {mesure: sous}, REFERENCE) == []
    assert alertes(SAIN | {mesure: sur}, REFERENCE) == [alarme]


def test_perdre_juste_l_auc_toleree_n_alarme_pas():
    """Des fractions que le binaire écrit exactement."""
    seuils = Alarmes(auc_perdue_max=0.125)
    assert alertes(SAIN | {"auc": 0.625}, 0.75, seuils) == []
    assert alertes(SAIN | {"auc": 0.624}, 0.75, seuils) == [supervision.DISCRIMINATION]


def test_une_derive_non_calculee_n_alarme_pas():
    sans = {k: v for k, v in SAIN.items() if k != "part_derive"}
    assert alertes(sans, REFERENCE) == []


def test_chaque_alarme_est_expliquee():
    noms = {e["alarme"] for e in supervision.explications(Alarmes())}
    pire = {"biais": 1, "brier_skill": -1, "auc": 0, "psi_score": 9, "part_derive": 1}
    toutes = alertes(pire | {"age_jours": 999}, REFERENCE)
    assert noms == {supervision.MUETTE, *toutes}


def test_la_meteo_de_juillet_manque_et_c_est_la_premiere_alarme(annee):
    """Ni exception d’Evidently, ni NaN lu comme « pas de dérive »."""
    mois = annee["flight_date"].dt.month
    reference, juillet = annee[mois <= 3], annee[mois == 7]
    assert supervision.muettes(reference, juillet) == [], "juillet a sa météo"
    meteo = ["temp", "dewp", "humid", "wind_dir", "wind_speed", "wind_gust", "precip"]
    meteo += ["pressure", "visib"]
    sans = juillet.assign(**dict.fromkeys(meteo, np.nan))
    (alarme,) = supervision.muettes(reference, sans)
    assert alarme.startswith("source muette : température, point de rosée, humidité, ")
    assert supervision.part_derive(reference, sans) > Alarmes().part_derive_max
    table = supervision.derive(reference, sans).set_index("variable")
    assert set(table.index[np.isinf(table["psi"])]) == set(meteo)
    assert table.loc[meteo, "derive"].all()
    assert not table["psi"].isna().any()


@pytest.mark.parametrize(("perdue", "dite"), [(0.45, False), (0.55, True)])
def test_une_source_qui_s_arrete_en_route_est_muette_passe_la_moitie(annee, perdue, dite):
    mois = annee["flight_date"].dt.month
    mai = annee[mois == 5].copy()
    mai.loc[mai.index[: int(perdue * len(mai))], "temp"] = np.nan
    attendu = ["source muette : température"] if dite else []
    assert supervision.muettes(annee[mois <= 3], mai) == attendu


def test_aucun_mois_de_2013_n_a_de_source_muette(annee):
    """Les rafales ne sont relevées que quand il y en a : en avoir peu n’est pas une panne."""
    mois = annee["flight_date"].dt.month
    for numero in range(4, 13):
        assert supervision.muettes(annee[mois <= 3], annee[mois == numero]) == [], numero


def test_la_derive_trouve_la_variable_deplacee_et_elle_seule(annee, tmp_path):
    reference = annee[annee["flight_date"].dt.month == 1]
    moitie = len(reference) // 2
    a = reference.sample(moitie, random_state=1)
    b = reference.drop(a.index)
    rapport = tmp_path / "rapport.html"
    table = supervision.derive(a, b.assign(distance=b["distance"] * 2), rapport=rapport)
    assert table.loc[table["derive"], "variable"].tolist() == ["distance"]
    avant, apres = (vols["origin"].value_counts(normalize=True) for vols in (a, b))
    psi = ((avant - apres) * np.log(avant / apres)).sum()
    assert table.set_index("variable")["psi"]["origin"] == pytest.approx(psi)
    assert rapport.stat().st_size > 1_000_000, "le rapport complet est bien écrit"
    assert supervision.part_derive(a, b) == 0
    au_seuil = supervision.derive(a, b, seuil=table["psi"].min())
    assert au_seuil.loc[au_seuil["psi"].idxmin(), "derive"], "le seuil lui-même est une dérive"


def test_la_part_en_derive_est_celle_que_publie_evidently(annee):
    from evidently import DataDefinition, Dataset, Report
    from evidently.metrics import DriftedColumnsCount

    # Étant donné l’hiver et juillet, et la mesure publique d’Evidently
    mois = annee["flight_date"].dt.month
    hiver, juillet = annee[mois <= 3], annee[mois == 7]
    definition = DataDefinition(numerical_columns=NOMBRES, categorical_columns=CATEGORIES)
    jeux = [Dataset.from_pandas(j[CATEGORIES + NOMBRES], definition) for j in (juillet, hiver)]
    metrique = DriftedColumnsCount(columns=CATEGORIES + NOMBRES, method="psi", threshold=0.2)
    (publiee,) = Report([metrique]).run(*jeux).dict()["metrics"]
    # Alors la nôtre, sans les graphiques, donne le même nombre
    assert supervision.part_derive(hiver, juillet) == pytest.approx(publiee["value"]["share"])
    assert 0 < publiee["value"]["share"] < 1, "la comparaison ne dirait rien"


def test_l_atelier_ne_survit_pas_au_notebook():
    # Étant donné un notebook qui a ouvert un atelier, et le numéro du processus de celui-ci
    programme = (
        "import os, time\nfrom mlops_demo import supervision\n"
        "if __name__ == '__main__':\n    atelier = supervision.atelier()\n"
        "    print(atelier.submit(os.getpid).result(), flush=True)\n    time.sleep(60)"
    )
    notebook = subprocess.Popen([sys.executable, "-c", programme], stdout=subprocess.PIPE)
    atelier = psutil.Process(int(notebook.stdout.readline()))
    assert atelier.ppid() == notebook.pid, "l’atelier a bien son propre processus"
    # Quand le notebook est tué net
    notebook.kill()
    notebook.wait()
    # Alors l’atelier s’arrête aussi
    try:
        atelier.wait(10)
    except psutil.TimeoutExpired:
        atelier.kill()
        pytest.fail("l’atelier a survécu au notebook")
    finally:
        notebook.stdout.close()


def _lire(adresse):
    with urllib.request.urlopen(adresse, timeout=30) as reponse:
        return json.load(reponse)


@pytest.fixture
def interface(demo, tmp_path, monkeypatch):
    """Une vraie interface d’Evidently, sur un espace de travail vide ; donne son adresse."""
    port = processus.port_libre()
    commande = [str(Path(sys.executable).with_name("evidently")), "ui", "--port", str(port)]
    commande += ["--workspace", str(tmp_path / "espace")]
    adresse = f"http://127.0.0.1:{port}"
    monkeypatch.setenv("EVIDENTLY_SECRET", "secret-essai")
    serveur = processus.Serveur("Evidently", commande, adresse, tmp_path / "evidently.journal")
    serveur.pret()
    monkeypatch.setenv("EVIDENTLY_URL", adresse)
    yield adresse
    serveur.arreter()


def test_le_rapport_est_publie_dans_l_interface_d_evidently(
    annee, interface, tmp_path, monkeypatch, capsys
):
    hiver = annee[annee["flight_date"].dt.month == 1].sample(2000, random_state=1)
    for qui, mois in (("voisin", "2013-01"), ("tests", "2013-01"), ("tests", "2013-02")):
        monkeypatch.setenv("MLOPS_UTILISATEUR", qui)
        supervision.derive(hiver, hiver, rapport=tmp_path / f"derive_{mois}.html")
    projets = {
        projet["name"]: [
            rapport["name"] for rapport in _lire(f"{interface}/api/projects/{projet['id']}/reports")
        ]
        for projet in _lire(f"{interface}/api/projects")
    }
    assert projets.keys() == {"retard-vol-voisin", "retard-vol-tests"}, "un projet par personne"
    assert projets["retard-vol-voisin"] == ["derive_2013-01"]
    assert sorted(projets["retard-vol-tests"]) == ["derive_2013-01", "derive_2013-02"]
    assert capsys.readouterr().err == ""


def test_sans_interface_ou_sans_secret_la_supervision_continue(
    annee, interface, tmp_path, monkeypatch, capsys
):
    hiver = annee[annee["flight_date"].dt.month == 1].sample(2000, random_state=1)
    for variable, valeur in (
        ("EVIDENTLY_SECRET", "un-autre"),
        ("EVIDENTLY_URL", f"http://127.0.0.1:{processus.port_libre()}"),
    ):
        monkeypatch.setenv(variable, valeur)
        rapport = tmp_path / f"{variable}.html"
        assert len(supervision.derive(hiver, hiver, rapport=rapport)) > 0
        assert rapport.exists()
        assert "non publié" in capsys.readouterr().err
