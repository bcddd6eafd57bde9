"""Des mois entiers reçus dans le désordre : la même histoire, et aucun mois sauté en silence."""

import pandas as pd
import pyarrow.compute as pc
import pytest
from mlops_demo import base, contrat, donnees, journal, registre, simulation, supervision
from mlops_demo.configuration import ErreurUtilisateur
from mlops_demo.features import exemples
from mlops_demo.simulation import Politique

AVRIL, MAI, JUIN = "2013-04", "2013-05", "2013-06"


@pytest.fixture(scope="module")
def mois(demo):
    """Les vols d’avril, de mai et de juin, chacun en un lot, tels qu’on les reçoit."""
    colonnes = ", ".join(contrat.schema_arrow("flights").names)
    lire = f"SELECT {colonnes} FROM flights WHERE to_char(flight_date, 'YYYY-MM') = $1"
    return {nom: base.lire(lire, nom) for nom in (AVRIL, MAI, JUIN)}


@pytest.fixture(scope="module")
def partir_de_mars(demo, reduire_les_donnees, tmp_path_factory):
    """De quoi changer de personne : la nouvelle n’a que l’hiver, et son premier champion."""
    minuit = pd.Timestamp("2013-04-01", tz="America/New_York")
    hiver = reduire_les_donnees(lambda vols: vols.filter(pc.field("time_hour") < minuit))
    with pytest.MonkeyPatch.context() as reglages:
        reglages.setenv("MLOPS_DONNEES", str(hiver))

        def partir(nom):
            reglages.setenv("MLOPS_UTILISATEUR", nom)
            reglages.setenv("MLOPS_TRAVAIL", str(tmp_path_factory.mktemp(nom)))
            base.oublier()
            simulation.premier_champion()

        yield partir
    base.oublier()


def recevoir(lot):
    """Reçoit un mois, qui doit entrer en entier."""
    bilan = donnees.recevoir(lot)
    assert (bilan.decision, bilan.chargees) == ("accepté", len(lot)), bilan.motifs


def histoire():
    """Ce que l’on a quand les trois mois sont là : tables, mesures, dérive, décisions."""
    vols = exemples(simulation.DEBUT, simulation.FIN)
    dates = vols["flight_date"]
    bilans = {
        (scenario, f"{bilan.mois:%Y-%m}"): bilan
        for scenario, politique in (("figé", None), ("réentraîné", Politique()))
        for bilan in simulation.rejouer(
            scenario, politique, annee=vols, premier=AVRIL, dernier=JUIN
        )
    }
    return {
        "vols": base.lire("SELECT * FROM flights ORDER BY time_hour, carrier, flight"),
        "variables": base.lire(
            "SELECT v.time_hour, v.flight, x.* FROM features AS x JOIN flights AS v"
            " USING (flight_id) ORDER BY v.time_hour, v.carrier, v.flight"
        ),
        "dérive": supervision.part_derive(vols[dates < "2013-04-01"], vols[dates >= "2013-06-01"]),
        "mesures": {
            quand: bilan.mesures | {"gain": bilan.verdict and bilan.verdict.gain}
            for quand, bilan in bilans.items()
        },
        "décisions": {quand: (bilan.alertes, bilan.decision) for quand, bilan in bilans.items()},
    }


def ecrit():
    """Tout ce que rejouer ajoute : campagnes, prédictions, décisions."""
    campagnes = base.lire("SELECT id FROM campagnes ORDER BY id")["id"].tolist()
    predictions = base.lire("SELECT count(*) AS n FROM predictions")["n"].iloc[0]
    return campagnes, predictions, journal.tout()["id"].tolist()


def rejouer_un(nom):
    (bilan,) = simulation.rejouer(f"mois {nom}", Politique(), premier=nom, dernier=nom)
    return bilan


@pytest.fixture(scope="module")
def en_ordre(partir_de_mars, mois):
    partir_de_mars("en_ordre")
    for nom in (AVRIL, MAI, JUIN):
        recevoir(mois[nom])
    return histoire()


@pytest.fixture(scope="module")
def en_desordre(partir_de_mars, mois):
    """Juin, puis avril : on juge juin. Puis mai, en retard : on le juge aussi, et l’histoire."""
    partir_de_mars("en_desordre")
    recevoir(mois[JUIN])
    avant = ecrit()
    with pytest.raises(ErreurUtilisateur) as refus:
        list(simulation.rejouer("trop tôt", Politique(), premier=AVRIL, dernier=JUIN))
    vu = {"refus": str(refus.value), "écrit": (avant, ecrit())}
    recevoir(mois[AVRIL])
    vu["juin"] = rejouer_un(JUIN)
    recevoir(mois[MAI])
    vu |= {"mai": rejouer_un(MAI), "champion": registre.version_de(registre.CHAMPION)}
    tous = exemples(simulation.DEBUT, simulation.FIN)
    vu["juin rejugé"] = simulation.controler(f"mois {JUIN}", Politique(), tous)
    return vu | histoire()


def test_recus_dans_le_desordre_les_mois_laissent_les_memes_tables(en_ordre, en_desordre):
    for table in ("vols", "variables"):
        attendue, trouvee = (r[table].drop(columns="flight_id") for r in (en_ordre, en_desordre))
        pd.testing.assert_frame_equal(trouvee, attendue)
    arrivees = [recit["vols"]["flight_id"].tolist() for recit in (en_ordre, en_desordre)]
    assert arrivees[0] != arrivees[1], "les mois sont arrivés dans le même ordre"


def test_recus_dans_le_desordre_ils_donnent_les_memes_mesures(en_ordre, en_desordre):
    assert en_desordre["dérive"] == pytest.approx(en_ordre["dérive"], abs=1e-12)
    assert en_desordre["mesures"].keys() == en_ordre["mesures"].keys()
    for quand, mesures in en_ordre["mesures"].items():
        # Réappris sur des vols rangés autrement, un modèle ne diffère que par ses arrondis.
        assert en_desordre["mesures"][quand] == pytest.approx(mesures, abs=1e-12), quand


def test_recus_dans_le_desordre_ils_donnent_les_memes_decisions(en_ordre, en_desordre):
    assert en_desordre["décisions"] == en_ordre["décisions"]
    assert "promu" in {decision for _, decision in en_ordre["décisions"].values()}


def test_un_mois_qui_manque_est_nomme_et_rien_n_est_ecrit(en_desordre):
    assert "aucun vol n’est chargé pour 2013-04, 2013-05 :" in en_desordre["refus"]
    avant, apres = en_desordre["écrit"]
    assert apres == avant


def test_un_mois_en_retard_est_juge_sans_toucher_au_suivant(en_desordre):
    juin, mai, rejuge = (en_desordre[nom] for nom in ("juin", "mai", "juin rejugé"))
    assert (juin.version, juin.decision) == (1, "promu")
    # Celui de juin, plus récent, juge mai : il n’a rien appris de ce mois-là, et reste en service.
    assert mai.version == juin.promue == en_desordre["champion"]
    assert mai.mesures["etiquetes"] == en_desordre["mesures"]["figé", MAI]["etiquetes"]
    # Juin garde ses prédictions, donc ses mesures, bien que mai ait changé ce qu’on sait du 1er.
    for mesure in ("etiquetes", "biais", "auc", "brier"):
        assert rejuge.mesures[mesure] == pytest.approx(juin.mesures[mesure], abs=1e-12), mesure


def test_noter_un_mois_sans_vols_dit_quoi_faire(premier):
    with pytest.raises(ErreurUtilisateur, match="recevez d’abord ceux de cette période"):
        simulation.entrainement.probabilites(
            registre.charger(premier).pipeline, exemples("2014-01-01", "2014-02-01")
        )
