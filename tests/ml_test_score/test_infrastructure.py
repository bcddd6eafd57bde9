"""ML Test Score, section Infrastructure : reproduire, valider, essayer, revenir."""

import numpy as np
import pandas as pd
import pytest
from mlops_demo import (
    base,
    canari,
    confiance,
    entrainement,
    evaluation,
    journal,
    registre,
    service,
    service_champion,
    simulation,
    tracabilite,
)
from mlops_demo.configuration import GRAINE, ErreurUtilisateur
from mlops_demo.features import FEATURES, NOMBRES, etiquetes, libelle
from mlops_demo.textes import nombre

JOUR = "2013-12-31"


def _en_service() -> tuple[int, int]:
    """Le champion d’après l’alias, puis d’après le journal."""
    return registre.version_de(registre.CHAMPION), journal.champion()


@pytest.mark.ml_test_score("Infrastructure 1")
def test_deux_apprentissages_sont_identiques_au_bit_pres(hiver, mars, mesure):
    for nom, fabrique in entrainement.CANDIDATS.items():
        un, deux = (
            entrainement.probabilites(entrainement.apprendre(fabrique(), hiver.copy()), mars)
            for _ in range(2)
        )
        assert np.array_equal(un, deux), f"{nom} : même graine, mêmes données, autre modèle"
    empreinte = tracabilite.empreinte(hiver)
    assert tracabilite.empreinte(hiver.copy()) == empreinte
    change = hiver.assign(temp=hiver["temp"] + 1e-9)
    assert tracabilite.empreinte(change) != empreinte, "l’empreinte ne voit pas un changement"
    mesure(f"{len(entrainement.CANDIDATS)} modèles appris deux fois : aucun bit ne diffère")


@pytest.mark.filterwarnings("ignore:Skipping features")
@pytest.mark.ml_test_score("Infrastructure 2")
def test_la_specification_du_modele_a_ses_tests(hiver, mars, lineaire, mesure):
    # Il sait apprendre par cœur : sinon son code, ou ses variables, ne lui servent à rien.
    peu = etiquetes(hiver).sample(200, random_state=GRAINE)
    par_coeur = entrainement.lineaire()
    par_coeur[-1].set_params(C=1e4)
    entrainement.apprendre(par_coeur, peu)
    appris = evaluation.mesurer(peu["late"], entrainement.probabilites(par_coeur, peu))["log_loss"]
    nouveaux = evaluation.mesurer(mars["late"], entrainement.probabilites(par_coeur, mars))
    assert appris < 0.35 < nouveaux["log_loss"], "il n’apprend pas même par cœur"
    # La perte du boosting descend à chaque palier d’arbres.
    gros = entrainement.apprendre(entrainement.boosting(), etiquetes(hiver)[::4])
    appris_sur = etiquetes(hiver)[::4]
    etages = gros[-1].staged_predict_proba(gros[0].transform(appris_sur[FEATURES]))
    pertes = [evaluation.pertes(appris_sur["late"].to_numpy(), e[:, 1]).mean() for e in etages]
    assert all(b < a for a, b in zip(pertes[::10], pertes[10::10], strict=False))
    # Une destination inconnue, des valeurs absentes : il répond quand même, et sans rien changer.
    etranges = mars.head(3).assign(dest="ZZZ", carrier="ZZ", **dict.fromkeys(NOMBRES, np.nan))
    probas = entrainement.probabilites(lineaire, etranges)
    assert np.isfinite(probas).all()
    assert ((probas > 0) & (probas < 1)).all()
    # Une seule classe, une colonne de trop : refus en une phrase.
    with pytest.raises(ErreurUtilisateur, match="élargissez"):
        entrainement.apprendre(entrainement.lineaire(), hiver.assign(late=0.0))
    with pytest.raises(ErreurUtilisateur, match="arr_delay"):
        entrainement.verifier_colonnes([*FEATURES, "arr_delay"])
    # L’ordre des vols ne change la probabilité d’aucun.
    ordre = np.random.default_rng(GRAINE).permutation(len(mars))
    melanges = entrainement.probabilites(lineaire, mars.iloc[ordre])
    assert np.allclose(melanges, entrainement.probabilites(lineaire, mars)[ordre], atol=1e-12)
    mesure(
        f"par cœur sur 200 vols : log-loss {nombre(appris, 2)} contre "
        f"{nombre(nouveaux['log_loss'], 2)} ailleurs ; la perte descend à chaque palier"
    )


@pytest.mark.ml_test_score("Infrastructure 3")
def test_la_chaine_entiere_laisse_chaque_trace_attendue(servies, champions, mesure):
    """Du fichier à la décision : chargement, variables, prédictions, mesures, journal."""
    comptes = base.lire(
        "SELECT (SELECT count(*) FROM flights) AS vols, "
        " (SELECT count(*) FROM features) AS calcules,"
        " (SELECT count(*) FROM flights WHERE flight_date >= '2013-04-01') AS a_predire"
    ).iloc[0]
    assert comptes["vols"] == comptes["calcules"], "un vol sans variables"
    assert comptes["a_predire"] == len(servies) == servies["flight_id"].nunique()
    assert servies["probabilite"].between(0, 1).all()
    mesures = simulation.mesures_de(simulation.REENTRAINE)
    assert len(mesures) == 9, "un mois n’a pas été mesuré"
    connus = etiquetes(servies)
    for mois, groupe in connus.groupby(connus["flight_date"].dt.month):
        brier = ((groupe["probabilite"] - groupe["late"]) ** 2).mean()
        assert brier == pytest.approx(mesures["brier"].iloc[mois - 4], abs=1e-12)
    faits = journal.tout()
    promues = set(faits.loc[faits["action"] == "promotion", "version"])
    assert set(champions) <= promues, "une version a servi sans promotion au journal"
    assert (faits["raison"] != "").all()
    mesure(
        f"{nombre(len(servies), 0)} vols prédits une fois chacun, {len(mesures)} mois mesurés, "
        f"{len(champions)} versions servies, toutes au journal"
    )


@pytest.mark.ml_test_score("Infrastructure 4")
def test_un_mauvais_modele_n_entre_pas_en_service(annee, hiver, mars, servies, mesure):
    avant, champion = _en_service(), registre.charger_champion().pipeline
    melange = hiver.assign(late=hiver["late"].sample(frac=1, random_state=1).to_numpy())
    mauvais = entrainement.apprendre(entrainement.lineaire(), melange)
    decembre = annee[annee["flight_date"].dt.month == 12]
    verdict = simulation.juger_sur(decembre, champion, mauvais)
    version = simulation.inscrire_et_promouvoir(
        mauvais, melange, verdict, JOUR, "étiquettes mêlées"
    )
    derniere = journal.tout().iloc[-1]
    assert (derniere["action"], derniere["version"]) == ("refus", version)
    assert "condition non tenue" in derniere["raison"]
    assert _en_service() == avant, "le mauvais modèle est en service"
    naif = entrainement.apprendre(entrainement.naif(), hiver)
    bon = entrainement.apprendre(entrainement.lineaire(), hiver)
    assert simulation.juger_sur(mars, naif, bon).promu, "le gate refuse aussi les bons"
    perdu = nombre(verdict.gain, 3, signe=True)
    mesure(f"étiquettes mêlées : refusé, gain {perdu} ; bon modèle : admis")


@pytest.mark.ml_test_score("Infrastructure 5")
def test_une_prediction_se_suit_pas_a_pas(servies, champions, mesure):
    vol = servies[servies["version_modele"] == max(champions)].iloc[1234]
    modele = champions[int(vol["version_modele"])]
    recu = {c: None if pd.isna(vol[c]) else vol[c] for c in FEATURES}
    etapes = entrainement.expliquer(modele, recu)
    obtenue = etapes["probabilite"].iloc[-1]
    assert obtenue == pytest.approx(vol["probabilite"], abs=1e-12), "la décomposition diffère"
    assert len(etapes) == 1 + len(FEATURES), "chaque variable a son étape, et une seule"
    # Changer une variable ne change que son étape.
    autre = entrainement.expliquer(modele, recu | {"wind_speed": (recu["wind_speed"] or 0) + 20})
    change = etapes.loc[(etapes["contribution"] - autre["contribution"]).abs() > 1e-12, "etape"]
    assert change.tolist() == ["wind_speed"]
    forte = etapes.loc[etapes.iloc[1:]["contribution"].abs().idxmax()]
    mesure(
        f"un vol journalisé, {len(etapes)} étapes : {nombre(obtenue, 4)} retrouvé ; la plus forte "
        f"est {libelle(forte['etape'])}, {nombre(forte['contribution'], 2, signe=True)}"
    )


@pytest.fixture
def challenger(hiver):
    """Une version inscrite sous l’alias ``challenger``, et le pipeline dont elle vient."""
    pipeline = entrainement.apprendre(entrainement.lineaire(), hiver)
    run_id = registre.enregistrer_essai("canari", pipeline, etiquetes(hiver), {"auc": 0.5})
    return registre.inscrire_challenger(run_id), pipeline


@pytest.mark.ml_test_score("Infrastructure 6")
def test_un_canari_sert_une_part_du_trafic_avant_la_promotion(
    challenger, hiver, annee, servies, monkeypatch, tmp_path, mesure
):
    version, pipeline = challenger
    assert canari.essayer(version, pipeline, annee).accepte
    # Un autre modèle que celui jugé : le canari refuse, le champion reste, le refus est au journal.
    avant = _en_service()
    autre = entrainement.apprendre(entrainement.lineaire(), hiver[::2])
    assert not canari.essayer(version, autre, annee).accepte
    monkeypatch.setattr(confiance, "OCTETS_MAX", 100)
    naif = entrainement.apprendre(entrainement.naif(), hiver)
    verdict = simulation.juger_sur(annee[annee["flight_date"] < "2013-04-01"], naif, pipeline)
    assert verdict.promu
    simulation.inscrire_et_promouvoir(pipeline, hiver, verdict, JOUR, "trop gros")
    assert "canari" in journal.tout().iloc[-1]["raison"]
    assert _en_service() == avant
    monkeypatch.undo()
    # Et sur le trafic : un réplica suit l’alias challenger, cinq pour cent des vols lui vont.
    trafic = annee[annee["flight_date"].between("2013-12-01", "2013-12-03")]
    part = trafic[canari.choisis(trafic["flight_id"])]
    monkeypatch.setenv("MLOPS_ALIAS", "challenger")
    monkeypatch.setenv("MLOPS_TAMPON", str(tmp_path))
    servie = registre.version_de(registre.CHALLENGER)
    serveur = service.lancer(simulation.ouvrir_campagne("canari"))
    try:
        serveur.pret(300)
        service.attendre_version(serveur, servie, 60)
        reponse = service.appeler(serveur, "/predict", {"vols": service.en_json(part)})
    finally:
        serveur.arreter()
    annoncees = [p["probabilite"] for p in reponse["predictions"]]
    attendues = entrainement.probabilites(registre.charger(servie).pipeline, part)
    assert {p["version"] for p in reponse["predictions"]} == {servie}
    assert np.array_equal(annoncees, attendues)
    assert _en_service() == avant, "le canari ne touche pas au champion"
    reel = len(part) / len(trafic)
    assert 0.03 < reel < 0.07
    mesure(
        f"{len(part)} vols sur {nombre(len(trafic), 0)} servis par le canari, tous attendus ; "
        "fichiers étrangers ou trop gros : refusés, champion inchangé"
    )


def test_un_alias_inconnu_est_refuse_en_une_phrase(monkeypatch):
    monkeypatch.setenv("MLOPS_ALIAS", "préféré")
    with pytest.raises(ErreurUtilisateur, match="MLOPS_ALIAS"):
        service_champion.alias_suivi()


@pytest.mark.ml_test_score("Infrastructure 7")
def test_on_revient_a_la_version_precedente_et_a_ses_predictions(challenger, servies, mesure):
    version, _ = challenger
    avant = registre.version_de(registre.CHAMPION)
    temoins = servies.tail(200)
    annoncees = entrainement.probabilites(registre.charger_champion().pipeline, temoins)
    registre.mettre_en_service("promotion", version, JOUR, "essai", attendu=avant)
    assert _en_service() == (version, version)
    changees = entrainement.probabilites(registre.charger_champion().pipeline, temoins)
    assert not np.array_equal(changees, annoncees), "la nouvelle version ne change rien"
    quittee, remise, _ = registre.retour_arriere("essai de retour", JOUR)
    assert (quittee, remise) == (version, avant)
    assert _en_service() == (avant, avant)
    revenues = entrainement.probabilites(registre.charger_champion().pipeline, temoins)
    assert np.array_equal(revenues, annoncees), "le retour ne rend pas les mêmes prédictions"
    assert journal.tout().iloc[-1]["action"] == "retour arrière"
    mesure(f"une commande, {len(temoins)} prédictions retrouvées au bit près, retour au journal")
