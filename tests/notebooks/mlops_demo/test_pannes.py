"""Des pannes dans la boucle : ce qui a été perdu (rien), et ce que l’utilisateur a vu."""

import base64
import http.server
import re
import resource
import signal
import threading
import urllib.request

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import sqlalchemy as sa
from mlflow.exceptions import MlflowException
from mlops_demo import (
    base,
    canari,
    confiance,
    contrat,
    donnees,
    entrainement,
    journal,
    livraison,
    processus,
    registre,
    simulation,
)
from mlops_demo.configuration import ErreurUtilisateur, dossier_donnees
from mlops_demo.evaluation import mesurer
from mlops_demo.features import etiquetes
from mlops_demo.gate import juger
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler


def repond(adresse):
    """Vrai si un serveur répond à cette adresse."""
    try:
        urllib.request.urlopen(f"{adresse}/health", timeout=2).close()
    except OSError:
        return False
    return True


def en_service():
    """Champion d’après l’alias, puis d’après le journal."""
    return registre.version_de(registre.CHAMPION), journal.champion()


# --- Postgres s’arrête ---------------------------------------------------------------------


def test_postgres_tue_pendant_le_chargement_ne_laisse_rien_a_moitie(
    ailleurs, peu_de_donnees, monkeypatch
):
    monkeypatch.setenv("MLOPS_DONNEES", str(peu_de_donnees))
    vraie = base.inserer

    def tuer_puis_inserer(connexion, nom, table, **options):
        if nom == "flights":
            ailleurs.tuer()
        vraie(connexion, nom, table, **options)

    monkeypatch.setattr(base, "inserer", tuer_puis_inserer)
    with pytest.raises(ErreurUtilisateur, match="la base s’est arrêtée en cours de route"):
        donnees.charger()
    # Tant qu’elle ne répond pas, le relancer le dit aussi.
    with pytest.raises(ErreurUtilisateur, match="ne répond pas"):
        donnees.charger()
    monkeypatch.setattr(base, "inserer", vraie)
    ailleurs.lancer()
    assert base.lire("SELECT to_regclass('airlines') IS NULL AS oui")["oui"].all(), "une trace"
    recues = [pq.read_metadata(peu_de_donnees / f"{t}.parquet").num_rows for t in contrat.TABLES]
    assert [b.chargees + b.ecartees for b in donnees.charger()] == recues
    assert (base.lire("SELECT count(*) AS n FROM chargements")["n"] == len(contrat.TABLES)).all()


def beaucoup(n):
    """Des vols et leurs probabilités, plus gros en base que 17 Mio."""
    return pd.DataFrame({"flight_id": np.arange(1, n + 1)}), np.full(n, 0.25)


def test_postgres_tue_pendant_que_l_on_note_des_predictions_n_en_garde_aucune(
    ailleurs, monkeypatch
):
    campagne = simulation.ouvrir_campagne("panne")
    vols, probas = beaucoup(5000)
    vraie = base.inserer

    def inserer_puis_tuer(*arguments, **options):
        vraie(*arguments, **options)
        ailleurs.tuer()  # écrites, pas validées

    monkeypatch.setattr(base, "inserer", inserer_puis_tuer)
    with pytest.raises(ErreurUtilisateur, match="Relancez-la, puis la même étape"):
        simulation.enregistrer_predictions(campagne, vols, probas, 1)
    monkeypatch.undo()
    ailleurs.lancer()
    assert simulation.predictions_de(campagne).empty, "ni moitié, ni doublon à la reprise"
    simulation.enregistrer_predictions(campagne, vols, probas, 1)
    assert len(simulation.predictions_de(campagne)) == 5000


def test_postgres_tue_pendant_une_promotion_ne_perd_ni_journal_ni_champion(ailleurs, monkeypatch):
    avant = journal.tout()
    client = registre.client()
    vrai = client.set_registered_model_alias

    def deplacer_puis_mourir(*arguments):
        vrai(*arguments)
        ailleurs.tuer()  # l’alias est déplacé, le journal n’est pas validé

    monkeypatch.setattr(client, "set_registered_model_alias", deplacer_puis_mourir, raising=False)
    with pytest.raises(ErreurUtilisateur, match="la base s’est arrêtée pendant le changement"):
        registre.mettre_en_service("promotion", 2, "2013-05-01", "panne", attendu=1)
    monkeypatch.undo()
    ailleurs.lancer()
    base.oublier()
    pd.testing.assert_frame_equal(journal.tout(), avant, obj="le journal")
    registre.accorder()
    assert (registre.version_de(registre.CHAMPION), journal.champion()) == (1, 1)
    registre.mettre_en_service("promotion", 2, "2013-05-01", "reprise", attendu=1)
    assert (registre.version_de(registre.CHAMPION), journal.champion()) == (2, 2)


# --- Le disque est plein -------------------------------------------------------------------


@pytest.fixture
def disque_plein(ailleurs):
    """Le Postgres à part ne peut plus écrire de fichier de plus de 17 Mio ; rend de la place."""
    commande = ailleurs.commande

    def rendre_la_place():
        ailleurs.tuer()
        ailleurs.commande = commande
        ailleurs.lancer()
        base.oublier()

    ailleurs.tuer(signal.SIGINT)  # un arrêt ordinaire : rien à rejouer sans place
    ailleurs.commande = ["sh", "-c", 'ulimit -f 34816 && exec "$@"', "sh", *commande]
    ailleurs.lancer()
    base.oublier()
    yield rendre_la_place
    rendre_la_place()


def test_sans_place_un_chargement_ne_laisse_rien_puis_se_refait(disque_plein, monkeypatch):
    monkeypatch.setenv("MLOPS_UTILISATEUR", "plein")
    base.oublier()
    base.preparer()
    with pytest.raises(ErreurUtilisateur, match="plus de place sur son disque"):
        donnees.charger()
    assert base.lire("SELECT to_regclass('airlines') IS NULL AS oui")["oui"].all(), "une trace"
    disque_plein()
    recues = [pq.read_metadata(dossier_donnees() / f"{t}.parquet").num_rows for t in contrat.TABLES]
    assert [b.chargees + b.ecartees for b in donnees.charger()] == recues


def test_sans_place_la_base_refuse_un_lot_de_predictions_et_garde_le_reste(disque_plein):
    campagne = simulation.ouvrir_campagne("disque")
    simulation.enregistrer_predictions(campagne, *beaucoup(1000), 1)
    with pytest.raises(ErreurUtilisateur, match="plus de place sur son disque"):
        simulation.enregistrer_predictions(campagne, *beaucoup(400_000), 1)
    assert len(simulation.predictions_de(campagne)) == 1000, "celles d’avant, et elles seules"
    assert en_service() == (1, 1)


def test_sans_place_pour_ses_fichiers_un_modele_n_entre_pas_au_registre(ailleurs, annee):
    hiver, avant = annee[annee["flight_date"] < "2013-01-08"], en_service()
    versions = registre.version_de(registre.CHALLENGER)
    modele = entrainement.apprendre(entrainement.lineaire(), hiver)
    _, dure = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, dure))
    try:
        with pytest.raises(ErreurUtilisateur, match="ne s’écrivent pas"):
            registre.enregistrer_essai("sans place", modele, etiquetes(hiver), {})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (dure, dure))
    (essai,) = registre.client().search_runs(
        [registre.experience()], "tags.`mlflow.runName` = 'sans place'"
    )
    assert essai.info.status == "FAILED"
    assert (registre.version_de(registre.CHALLENGER), en_service()) == (versions, avant)


def test_sans_place_pour_le_journal_une_promotion_n_a_pas_lieu(disque_plein):
    avant = journal.tout()
    mesures = {"détail": np.random.default_rng(1).bytes(9_500_000).hex()}  # 19 Mo, incompressibles
    with pytest.raises(ErreurUtilisateur, match="plus de place sur son disque"):
        registre.mettre_en_service(
            "promotion", 2, "2013-05-01", "sans place", attendu=1, details=mesures
        )
    assert en_service() == (1, 1)
    pd.testing.assert_frame_equal(journal.tout(), avant, obj="le journal")


# --- MLflow et le registre -----------------------------------------------------------------


def test_un_serveur_mlflow_injoignable_est_dit_tout_de_suite(ailleurs, monkeypatch):
    avant = journal.tout()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{processus.port_libre()}")
    with pytest.raises(ErreurUtilisateur, match=r"ne répond pas .* MLFLOW_TRACKING_URI"):
        registre.mettre_en_service("promotion", 2, "2013-05-01", "panne", attendu=1)
    monkeypatch.undo()
    assert en_service() == (1, 1)
    pd.testing.assert_frame_equal(journal.tout(), avant, obj="le journal")


def test_un_compte_que_mlflow_refuse_est_dit_avec_ce_qu_il_faut_donner(monkeypatch):
    recus = []

    class Ferme(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            recus.append(self.headers["Authorization"])
            self.send_error(401)

        def log_message(self, *_):
            pass

    serveur = http.server.HTTPServer(("127.0.0.1", 0), Ferme)
    threading.Thread(target=serveur.serve_forever, daemon=True).start()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{serveur.server_port}")
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "invite01")
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "é-faux")
    with (
        serveur,
        pytest.raises(
            ErreurUtilisateur, match=r"refuse le compte « invite01 ».*MLFLOW_TRACKING_PASSWORD"
        ),
    ):
        registre.client()
    serveur.shutdown()
    assert recus == ["Basic " + base64.b64encode("invite01:é-faux".encode()).decode()]


def test_un_serveur_mlflow_tue_pendant_un_apprentissage_est_dit_et_rien_n_est_inscrit(
    ailleurs, serveur_mlflow, annee, attendre, monkeypatch
):
    hiver, avant = annee[annee["flight_date"] < "2013-01-08"], journal.tout()
    modele = entrainement.apprendre(entrainement.lineaire(), hiver)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", serveur_mlflow.adresse)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    attendre(lambda: repond(serveur_mlflow.adresse), "le serveur MLflow")
    versions = registre.version_de(registre.CHALLENGER)
    vrai = registre.mlflow.log_metrics

    def mesurer_puis_tuer(mesures):
        vrai(mesures)
        serveur_mlflow.tuer()

    monkeypatch.setattr(registre.mlflow, "log_metrics", mesurer_puis_tuer)
    with pytest.raises(ErreurUtilisateur, match=r"ne répond pas .* rien n’a changé au registre"):
        registre.enregistrer_essai("panne", modele, etiquetes(hiver), {"auc": 0.7})
    monkeypatch.undo()
    assert (registre.version_de(registre.CHALLENGER), en_service()) == (versions, (1, 1))
    pd.testing.assert_frame_equal(journal.tout(), avant, obj="le journal")


def test_une_panne_de_mlflow_pendant_une_promotion_se_repare_d_apres_le_journal(
    ailleurs, monkeypatch
):
    client, vrai = registre.client(), registre.client().set_registered_model_alias

    def deplacer_sans_repondre(*arguments):
        vrai(*arguments)
        raise MlflowException("la réponse s’est perdue")

    monkeypatch.setattr(client, "set_registered_model_alias", deplacer_sans_repondre, raising=False)
    with pytest.raises(ErreurUtilisateur, match="le journal ne l’a pas inscrit, et fait foi"):
        registre.mettre_en_service("promotion", 2, "2013-05-01", "panne", attendu=1)
    monkeypatch.undo()
    assert en_service() == (2, 1), "l’alias a bougé : il est à remettre"
    registre.accorder()
    assert en_service() == (1, 1)


@pytest.mark.parametrize("vole", [2, None])
def test_un_alias_vole_n_arrete_pas_une_promotion(ailleurs, vole):
    nom = registre.nom_du_modele()
    if vole:
        registre.client().set_registered_model_alias(nom, "champion", str(vole))
    else:
        registre.client().delete_registered_model_alias(nom, "champion")
    registre.mettre_en_service("promotion", 2, "2013-05-01", "le journal dit 1", attendu=1)
    assert en_service() == (2, 2)


def test_ce_que_dit_l_alias_ne_fait_pas_une_promotion(ailleurs):
    avant = journal.tout()
    registre.client().set_registered_model_alias(registre.nom_du_modele(), "champion", "2")
    with pytest.raises(ErreurUtilisateur, match="le champion est la version 1, et non 2"):
        registre.mettre_en_service("promotion", 1, "2013-05-01", "course", attendu=2)
    pd.testing.assert_frame_equal(journal.tout(), avant, obj="le journal")
    registre.accorder()
    assert en_service() == (1, 1)


def test_une_horloge_qui_recule_ne_change_ni_le_champion_ni_le_retour(ailleurs):
    registre.mettre_en_service("promotion", 2, "2013-05-01", "avant le recul", attendu=1)
    with base.transaction() as connexion:  # l’horloge a reculé d’un an
        connexion.execute(
            sa.text(
                "INSERT INTO journal (horodatage, date_simulee, auteur, action, version,"
                " version_precedente, raison) VALUES (now() - interval '1 year', '2013-06-01',"
                " 'essai', 'retour arrière', 1, 2, 'horloge reculée')"
            )
        )
    registre.accorder()
    assert en_service() == (1, 1), "le dernier écrit l’emporte, pas le plus tard daté"
    registre.mettre_en_service("promotion", 2, "2013-07-01", "après", attendu=1)
    assert registre.retour_arriere("horloge", "2013-07-02")[:2] == (2, 1)
    faits = journal.tout()
    assert faits["id"].is_monotonic_increasing
    assert not faits["horodatage"].is_monotonic_increasing, "sinon ce test ne prouve rien"
    delais = livraison.delais(faits, pd.Series(pd.to_datetime(["2000-01-01T00:00Z"])))
    assert (delais > 0).all(), "aucun délai négatif"


# --- Un mauvais modèle ---------------------------------------------------------------------


def inscrire(modele):
    """Inscrit un modèle à la main, sans passer par le gate ; rend sa version."""
    with registre.mlflow.start_run(experiment_id=registre.experience()) as essai:
        registre.mlflow.sklearn.log_model(
            modele,
            name="modele",
            pip_requirements=registre.DEPENDANCES,
            pyfunc_predict_fn="predict_proba",
            skops_trusted_types=confiance.TYPES_ADMIS,
        )
    return registre.inscrire_challenger(essai.info.run_id)


def test_un_modele_d_une_autre_signature_n_est_pas_mis_en_service(ailleurs, annee):
    """Inscrit à la main, il lit le retard au départ, que l’on ignore en prédisant."""
    vols = etiquetes(annee[annee["flight_date"] < "2013-01-15"])
    etranger = make_pipeline(StandardScaler(), LogisticRegression())
    etranger.fit(pd.DataFrame({"dep_delay": vols["late"] * 60}), vols["late"].astype(int))
    refus = canari.essayer(inscrire(etranger), ailleurs.pipelines[1], vols)
    assert not refus.accepte
    assert "les fichiers ne jugent pas" in refus.motif
    assert en_service() == (1, 1)


def test_un_modele_trop_gros_n_est_pas_mis_en_service(ailleurs, annee):
    """Des plus proches voisins gardent tous leurs exemples : ici 60 Mio, étiquettes comprises."""
    vols = etiquetes(annee[annee["flight_date"] < "2013-01-15"])
    exemples = np.random.default_rng(1).normal(size=(30 * 2**17, 1))
    voisins = KNeighborsClassifier(algorithm="brute").fit(exemples, exemples[:, 0] > 0)
    refus = canari.essayer(inscrire(voisins), ailleurs.pipelines[1], vols)
    assert not refus.accepte
    assert re.fullmatch(r"6\d Mio de fichiers, 50 au plus", refus.motif)
    assert en_service() == (1, 1)


def test_une_meilleure_auc_ne_rachete_pas_une_pire_calibration():
    aleas = np.random.default_rng(3)
    vraie = aleas.uniform(0.05, 0.6, 8000)
    vols = pd.DataFrame(
        {
            "late": (aleas.uniform(size=8000) < vraie).astype(float),
            "flight_date": pd.Timestamp("2013-06-03") + pd.to_timedelta(np.arange(8000) % 28, "D"),
            "origin": np.array(["EWR", "JFK", "LGA"])[np.arange(8000) % 3],
            "carrier": np.array(["UA", "B6"])[np.arange(8000) % 2],
        }
    )
    # Étant donné un champion qui classe mal et compte juste, et son contraire
    champion = np.full(8000, vols["late"].mean())
    challenger = vraie + 0.05
    mieux, moins = (mesurer(vols["late"], p)["auc"] for p in (challenger, champion))
    assert mieux > moins + 0.1, "il classe bien mieux les vols"
    # Alors tout le reste du gate l’accepte, et le journal dira ce qui l’arrête
    verdict = juger(vols, champion, challenger)
    manquees = verdict.conditions.loc[~verdict.conditions["tenue"], "condition"].tolist()
    assert manquees == ["calibration (biais absolu)"]
    assert not verdict.promu
    # Et le même, aussi juste que le champion, entre
    assert juger(vols, champion, vraie).promu
