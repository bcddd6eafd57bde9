"""Chaque notebook du chapitre 4 tourne seul, deux fois, sur une base vide puis déjà servie."""

import json
import os
import subprocess
import sys
from pathlib import Path

import papermill
import pytest
from mlops_demo import base, contrat, donnees

NOTEBOOKS = Path(__file__).resolve().parents[2] / "notebooks"
NOMS = sorted(f.stem for f in NOTEBOOKS.glob("4*.ipynb"))


def executer(nom, dossier):
    """Exécute un notebook par papermill et rend son résultat JSON."""
    papermill.execute_notebook(
        NOTEBOOKS / f"{nom}.ipynb",
        dossier / f"{nom}.ipynb",
        cwd=NOTEBOOKS,
        kernel_name="python3",
        progress_bar=False,
    )
    travail = Path(os.environ["MLOPS_TRAVAIL"])
    return json.loads((travail / "resultats" / f"{nom}.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("nom", NOMS)
def test_seul_deux_fois_de_suite(demo, peu_de_donnees, tmp_path, monkeypatch, sans_volatil, nom):
    monkeypatch.setenv("MLOPS_UTILISATEUR", f"seul_{nom[:2]}")
    # Un vol sur huit : le livre exécute les mêmes notebooks sur tous.
    monkeypatch.setenv("MLOPS_DONNEES", str(peu_de_donnees))
    un, deux = executer(nom, tmp_path), executer(nom, tmp_path)
    assert un["notebook"] == nom
    assert un["resume"], "un résumé d’une phrase"
    if nom == "46_retour_arriere":
        # Les lignes de son tableau portent des numéros de version.
        assert un.pop("decembre").keys() != deux.pop("decembre").keys()
    assert sans_volatil(un) == sans_volatil(deux)


def test_un_lot_en_retard_change_l_empreinte_et_le_bilan_le_dit(
    demo, peu_de_donnees, tmp_path, monkeypatch
):
    # Étant donné une année jouée, à qui il manquait des vols du 15 janvier
    colonnes = ", ".join(contrat.schema_arrow("flights").names)
    retard = base.lire(f"SELECT {colonnes} FROM flights WHERE flight_date = '2013-01-15'")
    monkeypatch.setenv("MLOPS_UTILISATEUR", "en_retard")
    monkeypatch.setenv("MLOPS_DONNEES", str(peu_de_donnees))
    base.oublier()
    assert executer("47_bilan", tmp_path)["lignage_verifie"]
    # Quand ils arrivent, alors que des modèles ont déjà appris janvier
    bilan = donnees.recevoir(retard)
    base.oublier()
    assert bilan.chargees > 100, bilan.motifs
    # Alors le bilan se fait, et dit que ces données ont changé
    suivant = executer("47_bilan", tmp_path)
    assert suivant["lignage_verifie"] is False
    assert "données d’apprentissage changées depuis" in suivant["resume"]


def test_papermill_seul_sur_une_base_vierge(peu_de_donnees, tmp_path):
    """Sans séance ouverte : le notebook 42 est alors le premier à se servir de MLflow."""
    env = {nom: valeur for nom, valeur in os.environ.items() if nom != "DATABASE_URL"}
    env |= {
        "MLOPS_TRAVAIL": str(tmp_path / "travail"),
        "MLOPS_UTILISATEUR": "seule",
        "MLOPS_DONNEES": str(peu_de_donnees),
    }

    def lancer(*commande):
        return subprocess.run(
            [sys.executable, "-m", *commande],
            cwd=NOTEBOOKS,
            env=env,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )

    fait = lancer("papermill", "--no-progress-bar", "42_entrainement.ipynb", os.devnull)
    lancer("mlops_demo", "nettoyer")
    assert fait.returncode == 0, fait.stderr[-3000:]


def test_deux_personnes_en_meme_temps_sur_la_meme_base(demo, tmp_path):
    """Mêmes notebooks, deux schémas, deux processus : les mêmes chiffres, sans se gêner."""
    code = (
        "import mlops_demo, papermill\n"
        "with mlops_demo.session():\n"
        "    for nom in ('42_entrainement', '43_mise_en_production'):\n"
        f"        papermill.execute_notebook(r'{NOTEBOOKS}/' + nom + '.ipynb', None,"
        f" cwd=r'{NOTEBOOKS}', kernel_name='python3', progress_bar=False)\n"
    )
    enfants = {}
    for qui in ("ada", "grace"):
        env = {**os.environ, "MLOPS_UTILISATEUR": qui, "MLOPS_TRAVAIL": str(tmp_path / qui)}
        enfants[qui] = subprocess.Popen(
            [sys.executable, "-c", code], env=env, stderr=subprocess.PIPE, text=True
        )
    for qui, enfant in enfants.items():
        _, erreurs = enfant.communicate(timeout=600)
        assert enfant.returncode == 0, f"{qui} : {erreurs[-3000:]}"
    chiffres = [
        json.loads((tmp_path / qui / "resultats" / "42_entrainement.json").read_text())["mesures"]
        for qui in enfants
    ]
    assert chiffres[0] == chiffres[1]


def test_une_seconde_seance_de_la_meme_personne_est_refusee_en_une_phrase(demo):
    code = (
        "import mlops_demo\n"
        "try:\n"
        "    with mlops_demo.session(): print('entré')\n"
        "except mlops_demo.ErreurUtilisateur as e: print(e)\n"
    )
    resultat = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert "tourne déjà" in resultat.stdout
    assert "MLOPS_UTILISATEUR" in resultat.stdout
