"""Le service HTTP : mêmes probabilités que le lot, refus expliqués, suivi du champion."""

import asyncio
import http.client
import itertools
import json
import os
import threading
import time
import urllib.error
import urllib.request
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from mlops_demo import (
    base,
    contrat,
    entrainement,
    journal,
    registre,
    service,
    service_champion,
    service_tampon,
    simulation,
)
from mlops_demo.__main__ import principal
from mlops_demo.configuration import AVANT_IMPORT, ErreurUtilisateur
from mlops_demo.features import etiquetes
from mlops_demo.service_demande import EXEMPLE, REGLES, Demande
from prometheus_client.parser import text_string_to_metric_families


@pytest.fixture(scope="module")
def serveur(premier):
    """Un vrai service, dans son processus, avec sa campagne de journalisation."""
    simulation.repartir("2013-04-01")
    lance = service.lancer(simulation.ouvrir_campagne("test http"))
    lance.pret()
    yield lance
    lance.arreter()


@pytest.fixture(scope="module")
def vols(annee):
    """Quarante vols d’avril, dont certains aux valeurs inconnues."""
    avril = annee[annee["flight_date"].dt.month == 4]
    return pd.concat([avril[avril["plane_age"].isna()].head(20), avril.tail(20)])


def test_le_service_dit_la_meme_chose_que_le_lot(serveur, vols):
    reponse = service.appeler(serveur, "/predict", {"vols": service.en_json(vols)})
    par_http = [p["probabilite"] for p in reponse["predictions"]]
    par_lot = entrainement.probabilites(registre.charger_champion().pipeline, vols)
    assert np.array_equal(par_http, par_lot)


def test_un_vol_seul_recoit_la_meme_reponse_qu_en_lot(serveur, vols):
    en_json = service.en_json(vols)
    seuls = [service.appeler(serveur, "/predict", {"vols": [vol]}) for vol in en_json]
    ensemble = service.appeler(serveur, "/predict", {"vols": en_json})
    assert [r["predictions"][0] for r in seuls] == ensemble["predictions"]


def refus(serveur, corps, genre="application/json"):
    """Envoie un corps brut que le service refuse : code et motifs."""
    demande = urllib.request.Request(
        serveur.adresse.removesuffix("/ready") + "/predict", corps, {"Content-Type": genre}
    )
    with pytest.raises(urllib.error.HTTPError) as leve:
        urllib.request.urlopen(demande, timeout=60)
    return leve.value.code, " ; ".join(json.load(leve.value)["motifs"])


@pytest.mark.parametrize(
    ("changement", "motif"),
    [
        ({"dest": None}, "vols → 0 → dest : texte attendu"),
        ({"dest": "Paris"}, "dest : mal formé"),
        ({"origin": "CDG"}, "origin : hors de EWR, JFK, LGA"),
        ({"temp": "chaud"}, "temp : nombre attendu"),
        ({"temp": "12"}, "temp : nombre attendu"),
        ({"temp": 200}, "temp : hors de [-20 ; 115] °F"),
        ({"temp": float("nan")}, "temp : doit être un nombre fini"),
        ({"temp": float("inf")}, "temp : doit être un nombre fini"),
        ({"temp": 10**400}, "temp : nombre attendu"),
        ({"dow": 8}, "dow : hors de [1 ; 7]"),
        ({"dow": True}, "dow : nombre attendu"),
        ({"distance": None}, "distance : nombre attendu"),
        ({"inconnu": 1}, "inconnu : inconnu"),
        ({"\ud800" * 100: 1}, "texte attendu"),
        ({"flight_id": -1}, "flight_id : hors de"),
        ({"flight_id": 2**63}, "flight_id : hors de"),
        ({"flight_id": 1.5}, "flight_id : nombre entier attendu"),
        ({"temp": 50, "dewp": 60}, "règle enfreinte, rosée au plus égale à la température"),
        ({"dest": "JFK", "origin": "JFK"}, "règle enfreinte, origine différente"),
    ],
)
def test_un_vol_contraire_au_contrat_est_refuse_en_francais(serveur, changement, motif):
    code, motifs = refus(serveur, json.dumps({"vols": [EXEMPLE | changement]}).encode())
    assert code == 422
    assert motif in motifs


@pytest.mark.parametrize(
    ("corps", "code", "motif"),
    [
        (b'{"vols": []}', 422, "vols : aucun vol"),
        (b'{"vols": {}}', 422, "vols : liste attendue"),
        (b'{"vols": [1]}', 422, "vols → 0 : objet JSON attendu"),
        (b'{"vols": [{}]}', 422, "vols → 0 → carrier : manquant"),
        (b"{}", 422, "vols : manquant"),
        (b"null", 422, "corps : objet JSON attendu"),
        (b'{"vols"', 422, "corps, caractère 7 : JSON illisible"),
        (b"", 422, "corps : manquant"),
        (b"[" * 30_000, 400, "ne se lit pas"),
        (b"[" * 100_000, 422, "JSON illisible"),
        (json.dumps({"vols": [EXEMPLE] * 10_001}).encode(), 422, "plus de 10000 vols"),
    ],
)
def test_un_corps_mal_forme_est_refuse_en_francais(serveur, corps, code, motif):
    assert refus(serveur, corps)[0] == code
    assert motif in refus(serveur, corps)[1]


@pytest.mark.parametrize("genre", ["text/plain", "application/x-www-form-urlencoded"])
def test_un_corps_qui_ne_s_annonce_pas_json_est_refuse_en_nommant_l_en_tete(serveur, genre):
    corps = json.dumps({"vols": [EXEMPLE]}).encode()
    attendu = f"Content-Type : « {genre} », envoyez « application/json »"
    assert refus(serveur, corps, genre) == (422, attendu)


ABUS = {
    "dix mille vols vides": b'{"vols":[' + b",".join([b"{}"] * 10_000) + b"]}",
    "500 000 clés inconnues": json.dumps(
        {"vols": [EXEMPLE | {f"k{n}": 1 for n in range(500_000)}]}
    ).encode(),
    "dix mille vols": json.dumps({"vols": [EXEMPLE] * 10_000}).encode(),
}


@pytest.mark.parametrize("nom", ABUS)
def test_la_sonde_de_vie_repond_quoi_qu_on_envoie(serveur, nom):
    """Moins de 50 ms sur une machine au repos ; dix fois plus ici, où d’autres tests tournent."""
    port = int(serveur.adresse.split(":")[2].split("/")[0])
    codes = []

    def abuser():
        for _ in range(4):
            connexion = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
            entetes = {"Content-Type": "application/json"}
            connexion.request("POST", "/predict", ABUS[nom], entetes)
            codes.append(connexion.getresponse().status)
            connexion.close()

    fil, attentes = threading.Thread(target=abuser), []
    fil.start()
    while fil.is_alive() or len(attentes) < 10:
        debut = time.perf_counter()
        service.appeler(serveur, "/health")
        attentes.append(time.perf_counter() - debut)
        time.sleep(0.002)
    fil.join()
    print(f"{nom} : {max(attentes) * 1000:.0f} ms au plus sur {len(attentes)}")
    assert set(codes) == {200 if nom == "dix mille vols" else 422}
    assert max(attentes) < 0.5


def test_un_corps_trop_gros_est_refuse_sans_etre_lu(serveur):
    port = int(serveur.adresse.split(":")[2].split("/")[0])
    connexion = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connexion.putrequest("POST", "/predict")
    connexion.putheader("Content-Type", "application/json")
    connexion.putheader("Content-Length", str(9 * 1024**2))
    connexion.endheaders(b"{")
    reponse = connexion.getresponse()
    assert reponse.status == 413
    assert "dépasse 8 Mio" in json.load(reponse)["motifs"][0]
    connexion.close()


def test_dix_mille_vols_passent(serveur, annee):
    vols = service.en_json(annee.head(10_000))
    assert len(service.appeler(serveur, "/predict", {"vols": vols})["predictions"]) == 10_000


def test_les_vols_reels_respectent_le_contrat_de_la_demande(annee):
    Demande.model_validate({"vols": service.en_json(annee.sample(10_000, random_state=1))})


def test_les_regles_du_service_sont_celles_de_la_base(demo):
    predicats = contrat.regles("weather") | contrat.regles("flights")
    valeurs = {"origin": ["EWR", "JFK"], "dest": ["EWR", "IAH"]}
    for intitule, (a, b, respectee) in REGLES.items():
        for x, y in itertools.product(valeurs.get(a, [0.0, 10.0, 10.05, 10.2]), repeat=2):
            en_base = base.lire(
                f"SELECT {predicats[intitule]} AS oui FROM (VALUES ($1, $2)) AS t({a}, {b})", x, y
            )
            assert en_base["oui"].iloc[0] == respectee(x, y), f"{intitule} : {x}, {y}"


def test_l_etat_du_service_se_lit(serveur, premier):
    assert service.appeler(serveur, "/health") == {"etat": "en service"}
    pret = service.appeler(serveur, "/ready")
    assert pret["pret"]
    assert (pret["version"], pret["registre"]) == (premier, "suit le registre")
    version = service.appeler(serveur, "/version")
    assert version["run_id"] == registre.essai_de(premier)["run_id"]


def test_les_mesures_comptent_ce_qui_s_est_passe(premier, vols):
    lance = service.lancer(simulation.ouvrir_campagne("test mesures"))
    lance.pret()
    service.appeler(lance, "/predict", {"vols": service.en_json(vols)})
    for _ in range(2):
        refus(lance, json.dumps({"vols": [EXEMPLE | {"temp": 200}]}).encode())
    with urllib.request.urlopen(lance.adresse.replace("/ready", "/metrics")) as reponse:
        page = reponse.read().decode()
    lance.arreter()
    lues = {m.name: m for m in text_string_to_metric_families(page)}
    echantillons = {(e.name, *e.labels.values()): e.value for m in lues.values() for e in m.samples}
    assert echantillons["mlops_predictions_total", str(premier)] == len(vols)
    assert echantillons["mlops_probabilite_count", str(premier)] == len(vols)
    assert echantillons["mlops_refus_total", "temp"] == 2
    assert echantillons["mlops_version_servie",] == premier
    assert echantillons["mlops_registre_suivi",] == 1
    assert 0 < echantillons["mlops_modele_age_secondes",] < 24 * 3600
    codes = {
        e.labels["code"]: e.value
        for e in lues["mlops_requete_secondes"].samples
        if e.name.endswith("_count") and e.labels["route"] == "/predict"
    }
    assert codes == {"200": 1, "422": 2}


def test_chaque_prediction_est_journalisee(premier, vols):
    campagne = simulation.ouvrir_campagne("test journal")
    lance = service.lancer(campagne)
    lance.pret()
    for _ in range(3):
        service.appeler(lance, "/predict", {"vols": service.en_json(vols)})
    lance.arreter()
    lignes = base.lire("SELECT * FROM predictions WHERE campagne_id = $1", campagne)
    assert len(lignes) == 3 * len(vols), "l’arrêt vide la file : aucune prédiction perdue"
    assert set(lignes["canal"]) == {"http"}
    assert lignes["version_modele"].unique().tolist() == [registre.version_de("champion")]


def test_le_lignage_d_une_prediction_servie_est_celui_du_lot(premier, annee, capsys, monkeypatch):
    simulation.repartir("2013-04-01")
    campagne = simulation.ouvrir_campagne("test lignage")
    connu, autre = annee.tail(1), annee.head(1)
    pas_encore_recu = service.en_json(connu)[0] | {"flight_id": 999_999_999}
    # Étant donné un vol noté en lot, et servi par HTTP, au deuxième rang puis au premier
    pipeline = registre.charger(premier).pipeline
    simulation.enregistrer_predictions(
        campagne, connu, entrainement.probabilites(pipeline, connu), premier
    )
    lot = registre.lignage(int(connu["flight_id"].iloc[0]), "test lignage")
    lance = service.lancer(campagne)
    lance.pret()
    premiere, seconde = (
        service.appeler(lance, "/predict", {"vols": demandes})
        for demandes in (
            [*service.en_json(autre), *service.en_json(connu)],
            [*service.en_json(connu), pas_encore_recu],
        )
    )
    lance.arreter()
    # Quand on remonte de chaque réponse à ses sources
    servi = registre.lignage_de_la_demande(premiere["demande"], 2)
    futur = registre.lignage_de_la_demande(seconde["demande"], 2)
    # Alors c’est bien cette prédiction, et les mêmes sources que celles du lot
    assert (servi["demande"], servi["rang"], servi["canal"]) == (premiere["demande"], 2, "http")
    assert servi["probabilite"] == premiere["predictions"][1]["probabilite"]
    assert registre.lignage_de_la_demande(seconde["demande"])["flight_id"] == lot["flight_id"]
    propres = {"id", "canal", "predit_le", "demande", "rang"}
    sources = {nom: valeur for nom, valeur in lot.items() if nom not in propres}
    assert {nom: servi[nom] for nom in sources} == sources
    assert servi["empreinte_retrouvee"]
    assert servi["variables"] == ", ".join(entrainement.FEATURES)
    mises = journal.tout().query("version == @premier and action != 'refus'")
    assert (servi["en_service_depuis"], servi["en_service_par"]) == (
        mises["horodatage"].iloc[-1],
        "tests",
    )
    # Un vol que la base n’a pas reçu n’a pas d’horaire, mais son modèle est connu
    assert (futur["flight_id"], futur["run_id"]) == (999_999_999, servi["run_id"])
    assert "carrier" not in futur
    # Et la ligne de commande le dit
    monkeypatch.setattr(
        "sys.argv", ["mlops-demo", "lignage", "--demande", premiere["demande"], "--rang", "2"]
    )
    assert principal() == 0
    dit = capsys.readouterr().out.splitlines()
    assert {f"{nom} : {valeur}" for nom, valeur in servi.items()} == set(dit)


def test_qui_a_mis_en_service_se_lit_au_moment_de_la_prediction(premier):
    """Une remise en service plus tardive n’explique pas une prédiction déjà faite."""
    simulation.repartir("2013-04-01")
    avant = journal.tout()["horodatage"].iloc[-1]
    registre.mettre_en_service("reprise", premier, "2013-04-02", "plus tard", attendu=premier)
    plus_tard = journal.tout()["horodatage"].iloc[-1]
    assert journal.mise_en_service(premier, plus_tard)["en_service_pour"] == "reprise : plus tard"
    assert journal.mise_en_service(premier, avant)["en_service_depuis"] <= avant
    assert journal.mise_en_service(premier, avant - pd.Timedelta(days=3650)) == {}


@pytest.mark.parametrize(
    ("demande", "motif"),
    [
        ("42", "n’est pas l’identifiant d’une demande"),
        ("00000000-0000-4000-8000-000000000000", "pas de prédiction de rang 1"),
    ],
)
def test_une_demande_que_la_base_n_a_pas_est_dite(demo, demande, motif, capsys, monkeypatch):
    monkeypatch.setattr("sys.argv", ["mlops-demo", "lignage", "--demande", demande])
    assert principal() == 1
    assert motif in capsys.readouterr().err


@pytest.mark.parametrize(
    ("variable", "valeur"),
    [
        ("MLOPS_CAMPAGNE", "avril"),
        ("MLOPS_CAMPAGNE", "0"),
        ("MLOPS_ALIAS", "préféré"),
        ("MLOPS_TAMPON", "/proc/tampon"),
    ],
)
def test_un_reglage_faux_arrete_le_service_en_une_phrase(demo, monkeypatch, variable, valeur):
    monkeypatch.setenv(variable, valeur)
    with pytest.raises(SystemExit, match=f"^Erreur : .*{variable}"):
        service.application()


def test_le_service_suit_le_champion_sans_redemarrer(serveur, premier, annee, attendre):
    hiver = annee[annee["flight_date"] < "2013-02-01"]
    modele = entrainement.apprendre(entrainement.lineaire(), hiver)
    run_id = registre.enregistrer_essai("suivi", modele, etiquetes(hiver), {})
    version = registre.inscrire_challenger(run_id)
    registre.mettre_en_service("promotion", version, "2013-05-01", "suivi", attendu=premier)
    assert service.attendre_version(serveur, version) == version
    registre.retour_arriere("suivi", "2013-05-02")
    assert service.attendre_version(serveur, premier) == premier
    # Quand on rend l’alias, à la main, à la version retirée
    registre.client().set_registered_model_alias(
        registre.nom_du_modele(), registre.CHAMPION, str(version)
    )
    # Alors le service garde la sienne et le dit, jusqu’à ce que l’alias revienne
    dit = service.attendre_contestation(serveur)
    assert f"désigne la version {version}, le journal la version {premier}" in dit
    assert service.appeler(serveur, "/version")["version"] == premier
    registre.accorder()
    attendre(lambda: service.appeler(serveur, "/ready")["alias_conforme"], "l’accord de l’alias")
    with pytest.raises(ErreurUtilisateur, match="ne conteste pas l’alias"):
        service.attendre_contestation(serveur, limite_s=0.1)


# --- Sans base ni registre -------------------------------------------------------------------


def traverser(app, chemin, corps=None, **entetes):
    """Passe une requête à une application ASGI : code et réponse."""
    recus = []

    async def receive():
        return {"type": "http.request", "body": corps or b""}

    async def send(message):
        recus.append(message)

    methode = "GET" if corps is None else "POST"
    entetes = [(n.replace("_", "-").encode(), v.encode()) for n, v in entetes.items()]
    scope = {"type": "http", "method": methode, "path": chemin, "query_string": b""}
    asyncio.run(app(scope | {"headers": entetes}, receive, send))
    return recus[0]["status"], b"".join(m.get("body", b"") for m in recus[1:]).decode()


@pytest.fixture
def sans_base(monkeypatch, tmp_path):
    """Un service dont le modèle annonce toujours 0,25, sans registre ni base."""
    fiche = registre.Fiche("retard", 7, "essai", 0.0)
    champion = service_champion.Champion(fiche, None, lambda vol: 0.25)
    monkeypatch.setenv("MLOPS_TAMPON", str(tmp_path))
    monkeypatch.setenv("MLOPS_UTILISATEUR", "sans_base")
    for nom in service.DELAIS:
        monkeypatch.setenv(nom, "")
    suivi = service_champion.Suivi(tmp_path)
    suivi.servi = champion
    monkeypatch.setattr(service, "Suivi", lambda dossier: suivi)
    return service.fabriquer()


def test_une_prediction_non_journalisee_n_est_ni_rendue_ni_comptee(sans_base, monkeypatch):
    def demander():
        corps = json.dumps({"vols": [EXEMPLE]}).encode()
        code, reponse = traverser(sans_base, "/predict", corps, content_type="application/json")
        return code, json.loads(reponse)

    def panne(*_):
        raise OSError("le volume ne répond plus")

    with monkeypatch.context() as en_panne:
        en_panne.setattr(service_tampon.Tampon, "ajouter", panne)
        code, reponse = demander()
    assert (code, reponse["motifs"]) == (503, [service.TAMPON_PLEIN])
    assert "mlops_predictions_total{" not in traverser(sans_base, "/metrics")[1]
    code, reponse = demander()
    assert (code, reponse["predictions"][0]["probabilite"]) == (200, 0.25)
    assert 'mlops_predictions_total{version="7"} 1.0' in traverser(sans_base, "/metrics")[1]


@pytest.mark.parametrize(
    ("annonce", "code"),
    [(service.OCTETS_MAX, 200), (service.OCTETS_MAX + 1, 413), ("beaucoup", 200), (None, 200)],
)
def test_seul_un_corps_qui_s_annonce_trop_gros_est_refuse_d_avance(annonce, code):
    async def suite(scope, receive, send):
        await send({"type": "http.response.start", "status": 200})

    entetes = {} if annonce is None else {"content_length": str(annonce)}
    assert traverser(service.CorpsBorne(suite), "/predict", b"", **entetes)[0] == code


@pytest.mark.parametrize(
    ("valeur", "campagne"), [("", None), ("1", 1), (str(2**63 - 1), 2**63 - 1)]
)
def test_une_campagne_est_un_numero_que_la_base_sait_garder(monkeypatch, valeur, campagne):
    monkeypatch.setenv("MLOPS_CAMPAGNE", valeur)
    assert service.campagne_choisie() == campagne


@pytest.mark.parametrize("valeur", ["-1", "1.5", "²", str(2**63)])
def test_une_campagne_impossible_est_refusee(monkeypatch, valeur):
    monkeypatch.setenv("MLOPS_CAMPAGNE", valeur)
    with pytest.raises(ErreurUtilisateur, match="donnez le numéro d’une campagne"):
        service.campagne_choisie()


def test_le_service_n_attend_que_quelques_secondes_sauf_si_on_le_lui_demande(monkeypatch, tmp_path):
    monkeypatch.setenv("MLOPS_TAMPON", str(tmp_path))
    # Étant donné un délai absent, un autre posé par la démonstration, le troisième par la personne
    absent, pose, choisi = service.DELAIS
    monkeypatch.setenv(absent, "")  # pour qu’il soit rendu absent à la fin du test
    monkeypatch.delenv(absent)
    monkeypatch.setenv(pose, AVANT_IMPORT[pose])
    monkeypatch.setenv(choisi, "42")
    service.fabriquer()
    assert [os.environ[nom] for nom in (absent, pose, choisi)] == ["5", "1", "42"]


def test_une_version_qui_n_est_pas_servie_a_temps_est_dite(monkeypatch):
    serveur = SimpleNamespace(journal="service.journal")
    monkeypatch.setattr(service, "appeler", lambda *_: {"version": 1})
    assert service.attendre_version(serveur, 1) == 1
    with pytest.raises(ErreurUtilisateur, match="ne sert pas la version 2 .*service.journal"):
        service.attendre_version(serveur, 2, limite_s=0.05)
