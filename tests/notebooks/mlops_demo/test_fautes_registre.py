"""Ce qu’une main malheureuse fait au registre ou au journal : on le dit, et l’on s’en relève."""

import shutil
from contextlib import contextmanager
from pathlib import Path
from urllib.request import url2pathname

import pytest
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import ErrorCode
from mlops_demo import base, fiche, journal, registre, simulation
from mlops_demo.configuration import ErreurUtilisateur

DEPART = simulation.MISE_EN_SERVICE


@pytest.fixture
def champion(premier, monkeypatch):
    """Le premier champion d’une personne à part, que les autres tests ne voient pas."""
    monkeypatch.setenv("MLOPS_UTILISATEUR", "fautes")
    base.oublier()
    base.preparer()
    yield simulation.repartir(DEPART)
    base.oublier()


def en_service():
    """Champion d’après l’alias, puis d’après le journal."""
    return registre.version_de(registre.CHAMPION), journal.champion()


def fichiers(version):
    """Le dossier des fichiers d’une version."""
    adresse = registre.client().get_model_version_download_uri(
        registre.nom_du_modele(), str(version)
    )
    return Path(url2pathname(adresse.removeprefix("file://")))


@pytest.mark.parametrize("nom", ["model.skops", "MLmodel"])
def test_des_fichiers_abimes_sont_dits_et_le_champion_se_refait(champion, nom):
    fichier = fichiers(champion) / nom
    fichier.write_bytes(fichier.read_bytes()[:40])
    with pytest.raises(ErreurUtilisateur, match=f"la version {champion} .* ne se charge pas"):
        registre.charger_champion()
    refait = simulation.repartir(DEPART)
    assert refait > champion
    assert en_service() == (refait, refait)
    assert registre.charger_champion().version == refait


def effacer_la_version(champion):
    shutil.rmtree(fichiers(champion))
    registre.client().delete_model_version(registre.nom_du_modele(), str(champion))


def effacer_le_modele(champion):
    registre.client().delete_registered_model(registre.nom_du_modele())


def ajouter_une_ligne_au_journal(champion):
    with base.transaction() as connexion:
        journal.inscrire(connexion, "promotion", 999, champion, DEPART, "à la main")


@pytest.mark.parametrize(
    "geste", [effacer_la_version, effacer_le_modele, ajouter_une_ligne_au_journal]
)
def test_une_version_que_le_registre_n_a_plus_se_refait(champion, geste):
    geste(champion)
    registre.accorder()  # ne trouve pas celle que dit le journal, et n’y touche pas
    with pytest.raises(ErreurUtilisateur, match="n’est plus au registre"):
        registre.essai_de(journal.champion())
    refait = simulation.repartir(DEPART)
    assert en_service() == (refait, refait)
    assert registre.charger_champion().version == refait
    assert f"version {refait}" in fiche.rediger(refait)


def test_un_journal_vide_ne_retire_pas_l_alias(champion, monkeypatch):
    """Des données changées mettent l’ancien journal de côté ; le service, lui, continue."""
    monkeypatch.setattr(journal, "champion", lambda: None)
    registre.accorder()
    assert registre.version_de(registre.CHAMPION) == champion


def test_un_changement_interrompu_avant_le_journal_rend_l_alias(champion, monkeypatch):
    vraie = base.transaction

    @contextmanager
    def interrompue():
        with vraie() as connexion:
            yield connexion
            raise KeyboardInterrupt

    autre = registre.inscrire_challenger(registre.essai_de(champion)["run_id"])
    monkeypatch.setattr(base, "transaction", interrompue)
    with pytest.raises(KeyboardInterrupt):
        registre.mettre_en_service("promotion", autre, DEPART, "Ctrl-C", attendu=champion)
    monkeypatch.undo()
    monkeypatch.setenv("MLOPS_UTILISATEUR", "fautes")
    assert en_service() == (champion, champion)


def test_un_retour_calcule_pour_un_autre_champion_est_refuse(champion, monkeypatch):
    autre = registre.inscrire_challenger(registre.essai_de(champion)["run_id"])
    registre.mettre_en_service("promotion", autre, DEPART, "essai", attendu=champion)
    vraie = journal.precedente

    def pendant_ce_temps(version):
        cible = vraie(version)
        registre.mettre_en_service("reprise", champion, DEPART, "un autre", attendu=autre)
        return cible

    monkeypatch.setattr(journal, "precedente", pendant_ce_temps)
    with pytest.raises(ErreurUtilisateur, match="quelqu’un l’a changé entre-temps"):
        registre.retour_arriere("trop tard", DEPART)
    assert journal.tout()["action"].iloc[-1] == "reprise"


def test_on_ne_revient_pas_a_une_version_abimee(champion):
    autre = registre.inscrire_challenger(registre.essai_de(champion)["run_id"])
    registre.mettre_en_service("promotion", autre, DEPART, "essai", attendu=champion)
    (fichiers(champion) / "MLmodel").write_text("abîmé", encoding="utf-8")
    with pytest.raises(ErreurUtilisateur, match=f"la version {champion} .* ne se charge pas"):
        registre.retour_arriere("panne", DEPART)
    assert en_service() == (autre, autre)


def test_deux_dossiers_de_travail_ne_melangent_pas_leurs_fichiers(champion, monkeypatch, tmp_path):
    ici = registre.experience()
    monkeypatch.setenv("MLOPS_TRAVAIL", str(tmp_path))
    ailleurs = registre.experience()
    assert ailleurs == registre.experience() != ici
    dossier = registre.client().get_experiment(ailleurs).artifact_location
    assert dossier == (tmp_path / "artefacts").as_uri()


@pytest.mark.parametrize("adresse", ["http://[::1", "http://127.0.0.1:abc"])
def test_une_adresse_de_mlflow_mal_ecrite_est_dite(demo, monkeypatch, adresse):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", adresse)
    with pytest.raises(ErreurUtilisateur, match="MLFLOW_TRACKING_URI"):
        registre.client()


@pytest.mark.parametrize(
    ("code", "erreur", "dite"),
    [
        ("PERMISSION_DENIED", ErreurUtilisateur, "déjà, dans MLflow, à un autre compte"),
        ("INTERNAL_ERROR", MlflowException, "panne"),
    ],
)
def test_un_nom_pris_par_un_autre_compte_est_dit_et_lui_seul(demo, monkeypatch, code, erreur, dite):
    def refuser(nom):
        raise MlflowException("panne", error_code=ErrorCode.Value(code))

    monkeypatch.setattr(registre.client(), "get_experiment_by_name", refuser, raising=False)
    with pytest.raises(erreur, match=dite):
        registre.experience()
