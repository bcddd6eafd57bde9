"""Le suivi du champion : quand le service change de modèle, et ce qu’il garde sur disque."""

import logging
import time
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from mlops_demo import confiance, registre, service_champion
from mlops_demo.configuration import ErreurUtilisateur
from mlops_demo.service_champion import SANS_ALIAS, SUIVI, Suivi, ouvrir
from mlops_demo.service_demande import EXEMPLE

FICHE = registre.Fiche("retard", 1, "essai", 0.0)


class Annonce(list):
    """Un pipeline vide, qui annonce ce que rend une fonction du nombre de vols."""

    def predict_proba(self, vols):
        return np.full((len(vols), 2), self[-1](len(vols)))


@pytest.fixture
def faux_registre(monkeypatch):
    """Un registre sans MLflow, et un journal sans base : ce que chacun dit, et s’ils répondent."""
    etat = SimpleNamespace(alias=1, journal=(1, "1a"), essai="a", joignable=True, lus=[])

    def joindre():
        if not etat.joignable:
            raise ErreurUtilisateur("il ne répond pas")

    def telecharger(version, dossier):
        etat.lus.append(version)
        (dossier / "version").write_text(f"{version}{etat.essai}")
        return registre.Fiche("retard", version, etat.essai, 0.0)

    def ouvrir(dossier):
        version = int((dossier / "version").read_text()[:-1])
        return Annonce([lambda n: version / 10])

    def promouvoir(version):
        etat.alias, etat.journal = version, (version, f"{version}{etat.essai}")

    etat.promouvoir = promouvoir
    monkeypatch.setattr(registre, "nom_du_modele", lambda: "retard")
    monkeypatch.setattr(registre, "verifier_joignable", joindre)
    monkeypatch.setattr(registre, "version_de", lambda alias: etat.alias)
    monkeypatch.setattr(registre, "telecharger", telecharger)
    monkeypatch.setattr(
        confiance, "en_service", lambda: etat.journal and confiance.Acceptee(*etat.journal)
    )
    monkeypatch.setattr(confiance, "controler", lambda dossier: None)
    monkeypatch.setattr(confiance, "empreinte", lambda d: (d / "version").read_text())
    monkeypatch.setattr(confiance, "ouvrir", ouvrir)
    return etat


@pytest.fixture
def suivre(faux_registre, tmp_path):
    """De quoi lancer un service neuf sur le même disque : son suivi, après un premier essai."""

    def suivre():
        suivi = Suivi(tmp_path / "champion")
        suivi._essayer()
        return suivi

    return suivre


@pytest.mark.parametrize(
    "annonce",
    [lambda n: 1 / n, lambda n: 1.01, lambda n: -0.01, lambda n: np.nan],
    ids=["change avec le nombre de vols", "plus de 1", "négative", "indéfinie"],
)
def test_un_modele_qui_ne_rend_pas_une_probabilite_n_est_pas_servi(monkeypatch, tmp_path, annonce):
    monkeypatch.setattr(confiance, "ouvrir", lambda dossier: Annonce([annonce]))
    with pytest.raises(ErreurUtilisateur, match="la version 1 ne rend pas une probabilité"):
        ouvrir(tmp_path, FICHE)


@pytest.mark.parametrize("certaine", [0.0, 1.0])
def test_un_modele_certain_de_lui_est_servi(monkeypatch, tmp_path, certaine):
    monkeypatch.setattr(confiance, "ouvrir", lambda dossier: Annonce([lambda n: certaine]))
    assert ouvrir(tmp_path, FICHE).juger([EXEMPLE]) == [certaine]


def test_une_version_ne_se_charge_qu_une_fois(faux_registre, suivre, caplog):
    suivi = suivre()
    suivi._essayer()
    assert (suivi.etat, suivi.servi.fiche.version) == (SUIVI, 1)
    faux_registre.promouvoir(2)
    suivi._essayer()
    suivi._essayer()
    assert (suivi.servi.juger([EXEMPLE, EXEMPLE]), faux_registre.lus) == ([0.2, 0.2], [1, 2])
    assert caplog.records == [], "rien d’anormal, rien au journal"


def test_des_fichiers_echanges_sous_le_champion_sont_dits_et_lui_reste(
    faux_registre, suivre, monkeypatch
):
    # Étant donné un champion servi, dont quelqu’un échange les fichiers
    suivi = suivre()
    faux_registre.essai = "b"
    suivi._essayer()
    assert (suivi.etat, suivi.contredit, faux_registre.lus) == (SUIVI, None, [1])
    # Quand vient l’heure de les relire
    monkeypatch.setattr(service_champion, "RELECTURE_S", 0)
    suivi._essayer()
    # Alors il sert toujours, et le dit
    assert suivi.servi.juger([EXEMPLE]) == [0.1]
    assert suivi.contredit == suivi.etat
    assert "fichiers de la version 1 ont changé" in suivi.etat
    # Et plus rien n’est à dire quand les siens reviennent
    faux_registre.essai = "a"
    monkeypatch.setattr(service_champion, "PERIODE_S", 0)
    suivi._echec = replace(suivi._echec, reprise=0)
    suivi._essayer()
    assert (suivi.etat, suivi.contredit) == (SUIVI, None)


def test_un_tour_qui_n_en_finit_pas_est_dit(suivre, monkeypatch):
    suivi = suivre()
    suivi._debut = time.monotonic()
    assert suivi.etat == SUIVI
    monkeypatch.setattr(service_champion, "MUET_S", 0)
    assert "muets depuis plus de 0 s" in suivi.etat


def test_seule_la_copie_du_dernier_champion_reste_sur_le_disque(faux_registre, suivre, tmp_path):
    suivi = suivre()
    for version in (2, 1, 3):
        faux_registre.promouvoir(version)
        suivi._essayer()
    noms = sorted(fichier.name for fichier in (tmp_path / "champion").iterdir())
    assert noms == ["champion.json", "version-3-a"]


def test_la_copie_sert_tant_que_le_registre_se_tait_puis_lui_cede(faux_registre, suivre):
    suivre()
    faux_registre.joignable = False
    suivi = suivre()
    assert suivi.etat == "registre injoignable : ErreurUtilisateur il ne répond pas"
    assert suivi.servi.fiche.run_id == "a"
    # Quand il revient, refait de zéro : la même version y est un autre essai
    faux_registre.joignable, faux_registre.essai = True, "b"
    faux_registre.promouvoir(1)
    suivi._essayer()
    assert (suivi.etat, suivi.servi.fiche.run_id) == (SUIVI, "b")


def test_un_redemarrage_sur_la_meme_version_ne_refait_pas_la_copie(suivre, tmp_path, caplog):
    suivre()
    (copie,) = (tmp_path / "champion").glob("version-*")
    avant = copie.stat().st_ino
    assert suivre().etat == SUIVI
    assert copie.stat().st_ino == avant
    assert caplog.records == []


def test_sans_alias_la_copie_d_un_champion_retire_n_est_pas_servie(faux_registre, suivre):
    suivre()
    faux_registre.alias = faux_registre.journal = None
    suivi = suivre()
    assert (suivi.etat, suivi.servi) == (SANS_ALIAS, None)


def test_un_alias_retire_laisse_servir_le_dernier_champion(faux_registre, suivre):
    suivi = suivre()
    faux_registre.alias = None
    suivi._essayer()
    suivi._essayer()
    assert (suivi.etat, suivi.servi.fiche.version) == (suivi.contredit, 1)
    assert suivi.contredit.startswith("l’alias « champion » désigne rien, le journal la version 1")


def test_sans_place_pour_la_copie_le_champion_est_servi_quand_meme(suivre, tmp_path, caplog):
    (tmp_path / "champion").touch()
    with caplog.at_level(logging.WARNING):
        assert suivre().servi.fiche.version == 1
    assert "pas de copie sur disque" in caplog.text


@pytest.mark.parametrize("journal", [(1, "1a"), None], ids=["une autre version", "aucune"])
def test_un_alias_vole_ne_change_rien_et_se_dit(faux_registre, suivre, caplog, journal):
    suivi = suivre()
    faux_registre.alias, faux_registre.journal = 9, journal
    suivi._essayer()
    assert suivi.contredit is None, "peut-être une promotion en cours"
    suivi._essayer()
    suivi._essayer()
    assert (suivi.servi.fiche.version, faux_registre.lus) == (1, [1]), "rien de la 9 n’est lu"
    assert "désigne la version 9" in suivi.contredit
    assert len(caplog.records) == 1, "dit une fois"
    faux_registre.alias, faux_registre.journal = 1, (1, "1a")
    suivi._essayer()
    assert (suivi.contredit, suivi.etat) == (None, SUIVI)


def test_un_alias_vole_avant_le_demarrage_laisse_servir_le_champion_du_journal(
    faux_registre, suivre
):
    faux_registre.alias = 9
    assert suivre().servi.fiche.version == 1


def test_des_fichiers_echanges_ne_sont_pas_servis_et_s_essaient_de_moins_en_moins(
    faux_registre, suivre, monkeypatch
):
    suivi = suivre()
    faux_registre.promouvoir(2)
    faux_registre.essai = "z"  # échangés après la promotion
    essais = []
    for instant in (0.0, 0.4, 0.6, 1.4, 1.7):
        monkeypatch.setattr(time, "monotonic", lambda maintenant=instant: maintenant)
        suivi._essayer()
        essais.append(faux_registre.lus.count(2))
    assert essais == [1, 1, 2, 2, 3]
    assert suivi.servi.fiche.version == 1
    assert "ne sont plus ceux que le journal a acceptés" in suivi.contredit


def test_une_copie_que_le_journal_ne_dit_plus_en_service_n_est_pas_reprise(faux_registre, suivre):
    suivre()
    faux_registre.promouvoir(2)
    faux_registre.essai = "z"
    assert suivre().servi is None, "ni la 2, échangée, ni la copie de la 1, remplacée"


def test_une_copie_modifiee_sur_le_disque_n_est_pas_reprise(faux_registre, suivre, tmp_path):
    suivre()
    (copie,) = (tmp_path / "champion").glob("version-*")
    (copie / "version").write_text("9x")
    faux_registre.joignable = False
    assert suivre().servi is None
