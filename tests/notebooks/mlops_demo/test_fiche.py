"""La fiche se rédige d’après l’exécution, et la rétention n’efface que le passé."""

import numpy as np
import pandas as pd
import pytest
import sqlalchemy as sa
from mlops_demo import base, fiche, journal, registre, simulation
from mlops_demo.__main__ import principal
from mlops_demo.configuration import ErreurUtilisateur
from mlops_demo.features import FEATURES, etiquetes
from mlops_demo.textes import nombre


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
        f"({len(FEATURES)} sur {len(FEATURES)}) : compagnie, départ de, destination",
        "| aéroport EWR |",
        *fiche.LIMITES,
    ):
        assert attendu in texte, f"la fiche ne dit pas « {attendu} »"
    (avril,) = (ligne for ligne in texte.splitlines() if ligne.startswith("| mois 2013-04 |"))
    mesures = fiche.segments(servi).set_index("segment").loc["mois 2013-04"]
    vols, auc, biais, skill = avril.strip("| ").split(" | ")[1:]
    assert vols == nombre(mesures["vols"], 0)
    assert (auc, skill) == (nombre(mesures["auc"]), nombre(mesures["brier_skill"]))
    assert biais == nombre(mesures["biais"], signe=True)


def test_la_fiche_ne_dit_rien_des_autres_versions_ni_de_mesures_qu_elle_n_a_pas(
    premier, monkeypatch
):
    # Étant donné un journal où une autre version suit, et une version qui n’a rien servi
    faits = journal.tout()
    autre = faits.tail(1).assign(version=premier + 1, raison="autre version")
    monkeypatch.setattr(journal, "tout", lambda: pd.concat([faits, autre]))
    monkeypatch.setattr(fiche, "segments", lambda version: pd.DataFrame())
    texte = fiche.rediger(premier)
    assert "autre version" not in texte
    assert "n’a pas encore servi assez de vols" in texte
    assert "| Segment |" not in texte


def test_les_mesures_de_la_fiche_sont_celles_du_mois(servi, annee):
    (bilan,) = simulation.rejouer("fiche", annee=annee, dernier="2013-04")
    table = fiche.segments(servi).set_index("segment")
    assert table.loc["mois 2013-04", "biais"] == pytest.approx(bilan.mesures["biais"], abs=1e-12)


def test_un_segment_se_mesure_des_mille_vols_ou_l_on_voit_les_deux_issues(monkeypatch):
    # Étant donné 1 000 vols d’EWR, 999 de JFK, et mille vols de mai tous à l’heure
    servis = pd.DataFrame(
        {
            "aéroport": ["EWR"] * 1000 + ["JFK"] * 999,
            "compagnie": ["AA"] * 1999,
            "mois": ["2013-04"] * 999 + ["2013-05"] * 1000,
            "probabilite": 0.5,
            "late": [1] + [0] * 1998,
        }
    )
    monkeypatch.setattr(base, "lire", lambda *_: servis)
    table = fiche.segments(1)
    assert table["segment"].tolist() == ["aéroport EWR", "compagnie AA"]
    assert table["vols"].tolist() == [1000, 1999]


@pytest.fixture
def campagne(demo):
    """Une campagne vide, effacée après le test avec ses prédictions."""
    numero = simulation.ouvrir_campagne("test fiche")
    yield numero
    with base.transaction() as connexion:
        connexion.execute(sa.text("DELETE FROM campagnes WHERE id = :id"), {"id": numero})


def test_un_vol_compte_une_fois_par_la_derniere_prediction_de_la_version(campagne, annee):
    mai = annee[annee["flight_date"].dt.month == 5]
    for version, annonce in ((424_242, 0.9), (424_242, 0.1), (424_243, 0.5)):
        annonces = np.full(len(mai), annonce)
        simulation.enregistrer_predictions(campagne, mai, annonces, version)
    mesures = fiche.segments(424_242).set_index("segment").loc["mois 2013-05"]
    connus = etiquetes(mai)
    assert mesures["vols"] == len(connus)
    assert mesures["biais"] == pytest.approx(0.1 - connus["late"].mean())


def test_la_retention_est_d_un_an_a_defaut_d_une_autre(campagne, annee):
    simulation.enregistrer_predictions(campagne, annee.head(3), np.zeros(3), 424_242)
    for jours, effacees in ((364, 0), (366, 3)):
        with base.transaction() as connexion:
            connexion.execute(
                sa.text(
                    "UPDATE predictions SET predit_le = now() - make_interval(days => :jours)"
                    " WHERE campagne_id = :id"
                ),
                {"id": campagne, "jours": jours},
            )
        assert fiche.oublier_les_predictions() == effacees


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
    assert fiche.oublier_les_predictions(1) == 0
    assert fiche.oublier_les_predictions(fiche.RETENTION_MAX_JOURS) == 0


def test_la_version_zero_n_est_pas_celle_en_service(servi, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["mlops-demo", "fiche", "--version", "0"])
    assert principal() == 1
    assert "ne connaît pas la version 0" in capsys.readouterr().err
