"""Promouvoir, refuser, revenir : l’alias et le journal changent ensemble."""

import os
import subprocess
import sys

import numpy as np
import pytest
import sqlalchemy as sa
from mlops_demo import base, confiance, entrainement, journal, registre, simulation
from mlops_demo.__main__ import principal
from mlops_demo.configuration import ErreurUtilisateur, dossier_travail
from mlops_demo.features import etiquetes


@pytest.fixture(scope="module")
def deux_versions(premier, annee):
    """Le premier champion et une version de plus, non promue."""
    hiver = annee[annee["flight_date"] < "2013-02-01"]
    modele = entrainement.apprendre(entrainement.lineaire(), hiver)
    run_id = registre.enregistrer_essai("test", modele, etiquetes(hiver), {"auc": 0.5})
    return premier, registre.inscrire_challenger(run_id)


@pytest.fixture(autouse=True)
def au_depart(premier):
    """Chaque test part du premier champion."""
    simulation.repartir("2013-04-01")


def en_service():
    """Champion d’après l’alias, puis d’après le journal."""
    return registre.version_de(registre.CHAMPION), journal.champion()


def test_promouvoir_puis_revenir(deux_versions):
    premier, autre = deux_versions
    registre.mettre_en_service("promotion", autre, "2013-05-01", "test", attendu=premier)
    assert en_service() == (autre, autre)
    quittee, remise, duree = registre.retour_arriere("test", "2013-05-02")
    assert (quittee, remise) == (autre, premier)
    assert en_service() == (premier, premier)
    assert duree < 30
    derniere = journal.tout().iloc[-1]
    assert (derniere["action"], derniere["version"]) == ("retour arrière", premier)


def test_on_ne_remplace_pas_un_champion_que_l_on_n_a_pas_compare(deux_versions):
    premier, autre = deux_versions
    with pytest.raises(ErreurUtilisateur, match="changé"):
        registre.mettre_en_service("promotion", autre, "2013-05-01", "test", attendu=autre)
    assert en_service() == (premier, premier)


def test_une_panne_de_mlflow_n_ecrit_rien_au_journal(deux_versions, monkeypatch):
    premier, autre = deux_versions
    avant = len(journal.tout())

    def panne(*_):
        raise ConnectionError("MLflow ne répond plus")

    monkeypatch.setattr(registre.client(), "set_registered_model_alias", panne, raising=False)
    with pytest.raises(ConnectionError):
        registre.mettre_en_service("promotion", autre, "2013-05-01", "test", attendu=premier)
    monkeypatch.undo()
    assert len(journal.tout()) == avant
    assert en_service() == (premier, premier)


def test_une_raison_vide_est_refusee_et_l_alias_ne_bouge_pas(deux_versions):
    premier, autre = deux_versions
    with pytest.raises(sa.exc.IntegrityError):
        registre.mettre_en_service("promotion", autre, "2013-05-01", "", attendu=premier)
    assert en_service() == (premier, premier)


COURIR = """
import sys
from mlops_demo import base, registre
from mlops_demo.configuration import ErreurUtilisateur
premier, autre = map(int, sys.argv[1:])
registre.version_de(registre.CHAMPION)  # connexions ouvertes avant le départ
print("prêt", flush=True)
for _ in sys.stdin:
    try:
        registre.mettre_en_service("promotion", autre, "2013-05-01", "course", attendu=premier)
        print("gagné", flush=True)
    except ErreurUtilisateur:
        print("refusé", flush=True)
"""


def test_deux_demonstrations_promeuvent_en_meme_temps_une_seule_gagne(deux_versions):
    premier, autre = deux_versions
    coureurs = [
        subprocess.Popen(
            [sys.executable, "-c", COURIR, str(premier), str(autre)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    try:
        assert [c.stdout.readline() for c in coureurs] == ["prêt\n"] * 2
        for tour in range(5):
            avant = len(journal.tout())
            for coureur in coureurs:
                coureur.stdin.write("\n")
            for coureur in coureurs:  # vidés ensemble : c’est le départ
                coureur.stdin.flush()
            assert sorted(c.stdout.readline() for c in coureurs) == ["gagné\n", "refusé\n"], tour
            assert en_service() == (autre, autre)
            assert len(journal.tout()) == avant + 1, "le refus a laissé une ligne au journal"
            registre.retour_arriere("course", "2013-05-02")
            assert en_service() == (premier, premier)
    finally:
        for coureur in coureurs:
            coureur.kill()
            coureur.communicate()


def test_un_alias_deplace_a_la_main_revient_au_journal(deux_versions):
    premier, autre = deux_versions
    registre.client().set_registered_model_alias(
        registre.nom_du_modele(), registre.CHAMPION, str(autre)
    )
    registre.accorder()
    assert en_service() == (premier, premier)


@pytest.mark.parametrize("ordre", ["DELETE FROM journal", "UPDATE journal SET raison = 'x'"])
def test_le_journal_ne_se_reecrit_pas(demo, ordre):
    with pytest.raises(sa.exc.DBAPIError, match="ne se modifie pas"), base.transaction() as c:
        c.exec_driver_sql(ordre)


def test_une_promotion_forcee_laissee_par_une_panne_est_annulee(deux_versions):
    premier, autre = deux_versions
    registre.mettre_en_service("promotion forcée", autre, "2013-12-01", "x", attendu=premier)
    simulation.assurer_champion()
    assert registre.version_de(registre.CHAMPION) == premier


def test_sans_serveur_mlflow_les_modeles_restent_dans_le_dossier_de_travail(premier):
    # MLflow pose lui-même MLFLOW_TRACKING_URI : ce n’est pas un serveur.
    assert "postgresql" in os.environ["MLFLOW_TRACKING_URI"]
    essai = registre.client().get_experiment(registre.experience())
    assert essai.artifact_location == (dossier_travail() / "artefacts").as_uri()


def test_le_lignage_part_de_la_derniere_prediction_du_scenario(premier, annee):
    # Étant donné un vol prédit deux fois dans un scénario, puis dans un autre
    vol = annee.head(1)
    un, autre = simulation.ouvrir_campagne("lignage"), simulation.ouvrir_campagne("autre lignage")
    for campagne, annonce in ((un, 0.1), (un, 0.2), (autre, 0.3)):
        simulation.enregistrer_predictions(campagne, vol, np.array([annonce]), premier)
    avant = registre.lignage(int(vol["flight_id"].iloc[0]), "lignage")
    assert avant["probabilite"] == 0.2
    # Alors une remise en service plus tardive ne l’explique pas
    registre.mettre_en_service("reprise", premier, "2013-04-02", "plus tard", attendu=premier)
    apres = registre.lignage(int(vol["flight_id"].iloc[0]), "lignage")
    assert apres["en_service_pour"] == avant["en_service_pour"]


def verifier(version, monkeypatch, capsys):
    """Ce que dit « mlops-demo verifier » : code, maillons, erreur."""
    monkeypatch.setattr("sys.argv", ["mlops-demo", "verifier", str(version)])
    code, dit = principal(), capsys.readouterr()
    return code, [ligne.split(" : ")[0] for ligne in dit.out.splitlines()], dit.err


def test_verifier_montre_la_chaine_ou_son_premier_maillon_rompu(deux_versions, monkeypatch, capsys):
    premier, autre = deux_versions
    chaine = ["Données", "Code", "Verrou", "Verdict", "Fichiers"]
    code, maillons, _ = verifier(premier, monkeypatch, capsys)
    assert (code, maillons[:-1]) == (0, chaine)
    # Jamais acceptée
    code, maillons, erreur = verifier(
        registre.inscrire_challenger(registre.essai_de(autre)["run_id"]), monkeypatch, capsys
    )
    assert (code, maillons) == (1, chaine[:3])
    assert "le journal n’a pas accepté la version" in erreur
    # Fichiers échangés après l’acceptation
    with monkeypatch.context() as echange:
        echange.setattr(confiance, "empreinte", lambda dossier: "0" * 64)
        code, maillons, erreur = verifier(premier, echange, capsys)
    assert (code, maillons) == (1, chaine[:4])
    assert "ne sont plus ceux que le journal a acceptés" in erreur
    # Données changées en base depuis
    monkeypatch.setattr(registre, "_relus", lambda essai: (1, "autre"))
    code, maillons, erreur = verifier(premier, monkeypatch, capsys)
    assert (code, maillons) == (1, [])
    assert "ils ont changé depuis l’entraînement" in erreur
