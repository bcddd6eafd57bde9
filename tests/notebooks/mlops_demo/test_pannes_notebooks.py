"""Chaque notebook qui sert d’étape, tué par SIGKILL en pleine cellule, puis relancé aussitôt."""

import json
import multiprocessing
import os
from pathlib import Path

import pandas as pd
import psutil
import pytest
from mlops_demo import base, contrat, etape, journal, registre

# La cellule pendant laquelle papermill est tué : celle qui écrit, s’il y en a une.
ICI = {
    "41_donnees": "donnees.recevoir(poison)",
    "42_entrainement": "registre.enregistrer_essai(",
    "43_mise_en_production": "simulation.enregistrer_predictions(",
    "44_supervision": "simulation.rejouer(",
    "45_reentrainement": "simulation.rejouer(",
    "46_retour_arriere": "registre.mettre_en_service(",
    "47_bilan": "registre.lignage(",
    "etapes/partition": "partitions.deposer(",  # ses prédictions sont écrites, pas leur résumé
    "etapes/fusion": "registre.essai_de(",
    "etapes/reglage": "entrainement.boosting(",
}
PARAMETRES = {"etapes/partition": {"parts": 1}, "etapes/fusion": {"parts": 1}}
TUEE, TEMOIN = "tuee", "temoin"  # deux personnes : papermill n’est tué que chez la première
# Un processus neuf par exécution, sans attendre chaque fois les imports de papermill.
PAPERMILL = multiprocessing.get_context("forkserver")
PAPERMILL.set_forkserver_preload(["mlops_demo.etape"])
EXECUTER = """
import os
from mlops_demo import etape
os.environ.clear()
os.environ.update(env)
rendu.send(etape.executer(nom, parametres, copie))
"""


@pytest.fixture(scope="module")
def seance(demo, peu_de_donnees, tmp_path_factory):
    """La base des tests, vue par deux personnes de plus, qui ont un vol sur huit."""
    dossiers = {qui: str(tmp_path_factory.mktemp(qui)) for qui in (TUEE, TEMOIN)}
    with pytest.MonkeyPatch.context() as reglages:
        reglages.setenv("MLOPS_UTILISATEUR", TUEE)
        reglages.setenv("MLOPS_TRAVAIL", dossiers[TUEE])
        reglages.setenv("MLOPS_DONNEES", str(peu_de_donnees))
        base.oublier()
        yield dossiers
    base.oublier()


def lancer(nom, dossiers, qui=TUEE, copie=None):
    """Lance un notebook dans un processus à part ; rend ce processus et où lire son résultat."""
    recu, rendu = PAPERMILL.Pipe(duplex=False)
    env = os.environ | {"MLOPS_UTILISATEUR": qui, "MLOPS_TRAVAIL": dossiers[qui]}
    noms = {"env": env, "nom": nom, "copie": copie, "rendu": rendu}
    noms |= {"parametres": PARAMETRES.get(nom, {})}
    enfant = PAPERMILL.Process(target=exec, args=(EXECUTER, noms))
    enfant.start()
    rendu.close()
    return enfant, recu


def commencee(copie, texte):
    """Vrai si papermill a commencé la cellule qui contient ce texte."""
    try:
        cellules = json.loads(copie.read_text(encoding="utf-8"))["cells"]
    except (FileNotFoundError, json.JSONDecodeError):
        return False  # pas encore écrite, ou en train de l’être
    (cellule,) = [c for c in cellules if c["cell_type"] == "code" and texte in "".join(c["source"])]
    return cellule["metadata"]["papermill"]["status"] != "pending"


def survivants():
    """Les noyaux et les services de celle que l’on tue qui tournent encore."""
    trouves = []
    for processus in psutil.process_iter(["environ", "cmdline"]):
        qui = (processus.info["environ"] or {}).get("MLOPS_UTILISATEUR")
        lance = " ".join(processus.info["cmdline"] or [])
        if qui == TUEE and ("ipykernel" in lance or "uvicorn" in lance):
            trouves.append(lance)
    return trouves


def comparable(resultat, sans_volatil):
    """Ce qui ne doit pas dépendre d’une panne."""
    if resultat["notebook"] == "46_retour_arriere":
        # Les lignes de son tableau portent des numéros de version.
        resultat = resultat | {"decembre": list(resultat["decembre"].values())}
    return sans_volatil({k: v for k, v in resultat.items() if k not in ("duree_s", "run_id")})


def test_aucune_etape_n_est_oubliee():
    assert set(ICI) == set(etape.connus())


@pytest.mark.parametrize("nom", ICI)
def test_papermill_tue_puis_relance_ne_perd_rien(seance, attendre, tmp_path, sans_volatil, nom):
    avant, copie = journal.tout(), tmp_path / "copie.ipynb"
    enfant, _ = lancer(nom, seance, copie=copie)
    attendre(lambda: commencee(copie, ICI[nom]) or not enfant.is_alive(), f"{nom}, {ICI[nom]}", 300)
    enfant.kill()
    enfant.join()
    assert enfant.exitcode == -9, "il avait fini : ce test ne prouverait rien"
    # Relancé aussitôt : le noyau orphelin vit encore une seconde.
    enfant, recu = lancer(nom, seance)
    temoin, recu_du_temoin = lancer(nom, seance, TEMOIN)
    resultat, attendu = recu.recv(), recu_du_temoin.recv()
    enfant.join(30)
    temoin.join(30)
    assert resultat["notebook"] == Path(nom).name
    assert comparable(resultat, sans_volatil) == comparable(attendu, sans_volatil)
    apres = journal.tout()
    pd.testing.assert_frame_equal(apres.head(len(avant)), avant, check_dtype=False)
    assert registre.version_de(registre.CHAMPION) == journal.champion()
    comptes = {t: base.lire(f"SELECT count(*) AS n FROM {t}")["n"].iloc[0] for t in contrat.TABLES}
    ecartees = base.lire("SELECT count(*) AS n FROM quarantaine")["n"].iloc[0]
    recues = base.lire("SELECT sum(lignes_recues) AS n FROM chargements WHERE source LIKE 'dépôt%'")
    assert sum(comptes.values()) + ecartees == recues["n"].iloc[0], (
        "des lignes perdues ou en double"
    )
    doubles = base.lire(
        "SELECT campagne_id FROM predictions WHERE canal = 'lot'"
        " GROUP BY campagne_id, flight_id HAVING count(*) > 1"
    )
    assert doubles.empty, "une prédiction notée deux fois"
    attendre(lambda: not survivants(), f"la fin de ce que {nom} avait lancé")
