"""Un notebook du chapitre 4, tué par SIGKILL en pleine cellule, puis relancé aussitôt."""

import json
import multiprocessing
import os

import pandas as pd
import psutil
import pytest
from mlops_demo import base, contrat, journal, registre

# La cellule pendant laquelle papermill est tué : celle qui écrit.
ICI = {
    "41_donnees": "donnees.recevoir(poison)",
    "42_entrainement": "registre.enregistrer_essai(",
}
PERSONNE = "tuee"
# Un processus neuf par exécution, sans attendre chaque fois les imports de papermill.
PAPERMILL = multiprocessing.get_context("forkserver")
PAPERMILL.set_forkserver_preload(["mlops_demo.etape"])
EXECUTER = """
import os
from mlops_demo import etape
os.environ.clear()
os.environ.update(env)
rendu.send(etape.executer(nom, {}, copie))
"""


@pytest.fixture(scope="module")
def seance(demo, peu_de_donnees, tmp_path_factory):
    """La base des tests, vue par une personne de plus, qui a un vol sur huit."""
    with pytest.MonkeyPatch.context() as reglages:
        reglages.setenv("MLOPS_UTILISATEUR", PERSONNE)
        reglages.setenv("MLOPS_TRAVAIL", str(tmp_path_factory.mktemp("tuée")))
        reglages.setenv("MLOPS_DONNEES", str(peu_de_donnees))
        base.oublier()
        yield
    base.oublier()


def lancer(nom, copie=None):
    """Lance un notebook dans un processus à part ; rend ce processus et où lire son résultat."""
    recu, rendu = PAPERMILL.Pipe(duplex=False)
    noms = {"env": dict(os.environ), "nom": nom, "copie": copie, "rendu": rendu}
    enfant = PAPERMILL.Process(target=exec, args=(EXECUTER, noms))
    enfant.start()
    rendu.close()
    return enfant, recu


def en_cours(copie, texte):
    """Vrai si papermill en est à la cellule qui contient ce texte."""
    try:
        cellules = json.loads(copie.read_text(encoding="utf-8"))["cells"]
    except (FileNotFoundError, json.JSONDecodeError):
        return False  # pas encore écrite, ou en train de l’être
    (cellule,) = [c for c in cellules if c["cell_type"] == "code" and texte in "".join(c["source"])]
    return cellule["metadata"]["papermill"]["status"] == "running"


def survivants():
    """Les noyaux et les services de cette personne qui tournent encore."""
    trouves = []
    for processus in psutil.process_iter(["environ", "cmdline"]):
        qui = (processus.info["environ"] or {}).get("MLOPS_UTILISATEUR")
        lance = " ".join(processus.info["cmdline"] or [])
        if qui == PERSONNE and ("ipykernel" in lance or "uvicorn" in lance):
            trouves.append(lance)
    return trouves


@pytest.mark.parametrize("nom", ICI)
def test_papermill_tue_puis_relance_ne_perd_rien(seance, attendre, tmp_path, nom):
    avant, copie = journal.tout(), tmp_path / "copie.ipynb"
    enfant, _ = lancer(nom, copie)
    attendre(lambda: en_cours(copie, ICI[nom]) or not enfant.is_alive(), f"{nom}, {ICI[nom]}", 300)
    enfant.kill()
    enfant.join()
    assert enfant.exitcode == -9, "il avait fini : ce test ne prouverait rien"
    # Relancé aussitôt : le noyau orphelin vit encore une seconde.
    enfant, recu = lancer(nom)
    resultat = recu.recv()
    enfant.join(30)
    assert resultat["notebook"] == nom
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
