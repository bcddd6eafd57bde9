"""La fiche se rédige d’après l’exécution, et la rétention n’efface que le passé."""

import pytest
import sqlalchemy as sa
from mlops_demo import base, fiche, journal, registre, simulation
from mlops_demo.__main__ import principal
from mlops_demo.configuration import ErreurUtilisateur


@pytest.fixture(scope="module")
def servi(premier, annee):
    """La version du premier champion, qui a noté avril."""
    for _ in simulation.rejouer("fiche", annee=annee, dernier="2013-04"):
        pass
    return premier


def test_la_fiche_dit_donnees_mesures_limites_et_qui_a_promu(servi):
    texte = fiche.rediger(servi)
    essai = registre.essai_de(servi)
    promotion = journal.tout().query("version == @servi and action == 'promotion'").iloc[0]
    for attendu in (
        essai["donnees.empreinte"],
        essai["code.version"],
        essai["run_id"],
        "du 2013-01-01 au 2013-03-31",
        f"{promotion['auteur']} : promotion ({promotion['raison']})",
        "| aéroport EWR |",
        "| mois 2013-04 |",
        *fiche.LIMITES,
    ):
        assert attendu in texte, f"la fiche ne dit pas « {attendu} »"


def test_les_mesures_de_la_fiche_sont_celles_du_mois(servi, annee):
    (bilan,) = simulation.rejouer("fiche", annee=annee, dernier="2013-04")
    table = fiche.segments(servi).set_index("segment")
    assert table.loc["mois 2013-04", "biais"] == pytest.approx(bilan.mesures["biais"], abs=1e-12)


def test_une_version_inconnue_est_refusee_en_une_phrase(servi):
    with pytest.raises(ErreurUtilisateur, match="la version 999999"):
        fiche.rediger(999_999)


def test_la_retention_efface_le_passe_et_rien_d_autre(servi):
    avant = base.lire("SELECT count(*) AS n FROM predictions")["n"].iloc[0]
    lignes_du_journal = len(journal.tout())
    with base.transaction() as connexion:
        vieilles = connexion.execute(
            sa.text(
                "UPDATE predictions SET predit_le = now() - interval '10 days 1 second'"
                " WHERE id IN (SELECT id FROM predictions ORDER BY id DESC LIMIT 7)"
            )
        ).rowcount
    assert fiche.oublier_les_predictions(11) == 0
    assert fiche.oublier_les_predictions(10) == vieilles == 7
    apres = base.lire("SELECT count(*) AS n FROM predictions")["n"].iloc[0]
    assert apres == avant - 7
    assert len(journal.tout()) == lignes_du_journal, "le journal, lui, n’oublie rien"


@pytest.mark.parametrize(
    ("jours", "plainte"),
    [(0, "un jour au moins"), (-5, "un jour au moins"), (10**12, "36500 jours au plus")],
)
def test_une_retention_impossible_est_refusee(servi, jours, plainte):
    with pytest.raises(ErreurUtilisateur, match=plainte):
        fiche.oublier_les_predictions(jours)
    assert fiche.oublier_les_predictions(fiche.RETENTION_MAX_JOURS) == 0


def test_la_version_zero_n_est_pas_celle_en_service(servi, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["mlops-demo", "fiche", "--version", "0"])
    assert principal() == 1
    assert "ne connaît pas la version 0" in capsys.readouterr().err
