"""Le service dans les pannes : rien de perdu, rien de compté deux fois, rien de faux."""

import http.client
import json
import resource
import shutil
import signal
import threading
from urllib.parse import unquote, urlparse

import pytest
import sqlalchemy as sa
from mlops_demo import (
    base,
    entrainement,
    fiche,
    registre,
    service_journal,
    service_tampon,
    simulation,
)
from mlops_demo.configuration import ErreurUtilisateur
from mlops_demo.service import SANS_CHAMPION

# --- Suivre le champion --------------------------------------------------------------------


def test_une_promotion_et_un_retour_sous_charge_ne_perdent_aucune_requete(
    ailleurs, lancer_service, vols, annee
):
    service = lancer_service()
    with service.charge(vols) as charge:
        charge.avancer(200)
        for action, version, avant in (
            ("promotion", 2, 1),
            ("retour arrière", 1, 2),
            ("promotion", 2, 1),
        ):
            registre.mettre_en_service(action, version, "2013-05-01", "test", attendu=avant)
            service.attendre(
                lambda v=version: service.lire("/version")[1]["version"] == v,
                f"la version {version}",
                limite_s=10,
            )
            charge.avancer(100)
    assert charge.coupures == 0, "aucune connexion coupée"
    assert charge.refus == []
    assert {r["version"] for r in charge.reponses} == {1, 2}
    # Chaque réponse est celle du modèle qu’elle nomme.
    par_id = annee.set_index("flight_id", drop=False)
    for reponse in charge.reponses[::10]:
        juges = par_id.loc[[p["flight_id"] for p in reponse["predictions"]]]
        attendues = entrainement.probabilites(ailleurs.pipelines[reponse["version"]], juges)
        assert [p["probabilite"] for p in reponse["predictions"]] == attendues.tolist()
    service.attendre_la_livraison()
    ailleurs.verifier(charge.reponses)


def test_une_version_qui_ne_se_charge_pas_laisse_servir_la_precedente(
    ailleurs, lancer_service, exemple, annee, monkeypatch
):
    service = lancer_service()
    run_id = registre.enregistrer_essai("perdu", ailleurs.pipelines[1], annee.head(500), {})
    perdue = registre.inscrire_challenger(run_id)
    fiche = registre.client().get_model_version(registre.nom_du_modele(), str(perdue))
    shutil.rmtree(unquote(urlparse(fiche.source).path))
    promue = ("promotion", perdue, "2013-05-01", "test")
    with pytest.raises(ErreurUtilisateur, match="ne se lisent pas"):
        registre.mettre_en_service(*promue, attendu=1)
    # Ils ont pu disparaître juste après
    monkeypatch.setattr(registre, "_empreinte_admise", lambda *_: "0" * 64)
    registre.mettre_en_service(*promue, attendu=1)
    service.attendre(
        lambda: f"la version {perdue}" in service.lire("/ready")[1]["registre"], "le motif"
    )
    code, reponse = service.predire([exemple])
    assert (code, reponse["version"]) == (200, 1)


# --- Tuer ----------------------------------------------------------------------------------


def test_tuer_le_service_et_postgres_sous_charge_ne_perd_ni_ne_double_rien(
    ailleurs, lancer_service, vols
):
    service = lancer_service()
    with service.charge(vols) as charge:
        for _ in range(3):
            charge.avancer(200)
            service.tuer()
            service.lancer()
            charge.avancer(200)
            ailleurs.tuer()
            charge.avancer(200)  # sans base, le service répond
            service.tuer()  # avec un tampon plein de demandes
            ailleurs.lancer()
            service.lancer()
            charge.avancer(50)
            ailleurs.tuer()  # pendant la livraison
            charge.avancer(50)
            ailleurs.lancer()
    assert charge.coupures, "le service a bien été tué"
    refus = {(code, *refus["motifs"]) for code, refus in charge.refus}
    assert refus <= {(503, SANS_CHAMPION)}, "le temps de redémarrer, rien d’autre"
    service.attendre_la_livraison()
    verifiees = ailleurs.verifier(charge.reponses)
    en_base = ailleurs.lignes()
    # En plus, au plus : les demandes en cours quand le service a été tué (4 clients, 6 morts).
    assert verifiees <= en_base <= verifiees + 6 * 4 * 20


def test_un_postgres_fige_est_dit_et_ce_qui_l_attend_est_a_l_abri(ailleurs, lancer_service, vols):
    service = lancer_service()
    service.predire(vols[:3])
    service.attendre_la_livraison()
    tampon = service_tampon.Tampon(service.tampon)
    with ailleurs.fige():
        reponses = [service.predire(vols[n : n + 3])[1] for n in range(20)]
        service.attendre(
            lambda: "muet depuis plus de 2 s" in service.lire("/ready")[1]["journal"],
            "l’attente, dite",
            limite_s=10,
        )
        etat = service.lire("/ready")[1]
        assert (etat["pret"], etat["demandes_en_attente"]) == (True, 20)
        assert service.mesures()["mlops_journal_a_jour"] == 0
        assert sum(map(len, (s.read_bytes().split(b"\n")[:-1] for s in tampon.segments()))) == 20
        service.attendre(
            lambda: service.lire("/ready")[1]["registre"] != "suit le registre",
            "le suivi, qui le dit aussi",
            limite_s=20,
        )
    service.attendre_la_livraison()
    service.attendre(lambda: service.lire("/ready")[1]["journal"] == "à jour", "le réveil")
    assert ailleurs.verifier(reponses) == 60


def test_pendant_qu_une_base_figee_se_fait_attendre_le_tampon_va_sur_le_disque(
    tmp_path, monkeypatch, attendre
):
    reveil, mis = threading.Event(), []

    def figee():
        reveil.wait()
        raise ErreurUtilisateur("réveillée")

    monkeypatch.setattr(base, "transaction", figee)
    monkeypatch.setattr(service_journal, "PATIENCE_S", 0)
    monkeypatch.setattr(service_journal, "PERIODE_EN_PANNE_S", 0.01)
    monkeypatch.setattr(service_tampon, "_synchroniser", mis.append)
    livreur = service_journal.Livreur(service_tampon.Tampon(tmp_path), None)
    livreur.start()
    try:
        livreur.noter(1, [1], [0.5])
        attendre(lambda: livreur.tampon.segments()[0] in mis, "le segment sur le disque", 10)
        assert "muet depuis" in livreur.etat
    finally:
        reveil.set()
        livreur.finir()


def test_sans_registre_ni_base_le_service_redemarre_et_garde_tout(ailleurs, lancer_service, vols):
    registre.mettre_en_service("promotion", 2, "2013-05-01", "test", attendu=1)
    service = lancer_service()
    service.tuer()
    ailleurs.tuer()
    service.lancer()
    code, etat = service.lire("/ready")
    assert (code, etat["version"]) == (200, 2), "la dernière version connue, relue sur disque"
    assert "ne répond pas" in etat["registre"]
    reponses = [service.predire(vols[n : n + 3])[1] for n in range(50)]
    assert {r["version"] for r in reponses} == {2}
    assert service.en_attente() == 50
    assert service.mesures()["mlops_journal_a_jour"] == 0
    service.attendre(
        lambda: "Postgres" in service.lire("/ready")[1]["journal"], "le journal dit l’attente"
    )
    service.tuer()
    service.lancer()
    assert service.en_attente() == 50
    ailleurs.lancer()
    service.attendre_la_livraison()
    service.attendre(
        lambda: service.lire("/ready")[1]["registre"] == "suit le registre", "le registre"
    )
    assert ailleurs.verifier(reponses) == 150


def test_tuer_le_serveur_mlflow_n_arrete_pas_le_service(
    ailleurs, serveur_mlflow, lancer_service, vols
):
    service = lancer_service(MLFLOW_TRACKING_URI=serveur_mlflow.adresse)
    with service.charge(vols, clients=2) as charge:
        charge.avancer(50)
        serveur_mlflow.tuer()
        service.attendre(
            lambda: "injoignable" in service.lire("/ready")[1]["registre"], "le registre se tait"
        )
        charge.avancer(100)
        registre.mettre_en_service("promotion", 2, "2013-05-01", "test", attendu=1)
        serveur_mlflow.lancer()
        service.attendre(lambda: service.lire("/version")[1]["version"] == 2, "la promotion")
        charge.avancer(50)
    assert charge.coupures == 0
    assert charge.refus == []
    service.attendre_la_livraison()
    ailleurs.verifier(charge.reponses)


# --- Arrêter -------------------------------------------------------------------------------


def lire(connexion):
    """Lit une réponse : code et contenu."""
    reponse = connexion.getresponse()
    return reponse.status, json.load(reponse)


def test_un_arret_laisse_finir_les_demandes_et_livre_le_tampon(ailleurs, lancer_service, vols):
    service, reponses = lancer_service(), []
    corps = json.dumps({"vols": (vols * 5)[:10_000]})
    clients = []
    for _ in range(3):
        connexion = http.client.HTTPConnection("127.0.0.1", service.port, timeout=60)
        connexion.request("POST", "/predict", corps, {"Content-Type": "application/json"})
        clients.append(threading.Thread(target=lambda c=connexion: reponses.append(lire(c))))
        clients[-1].start()
    service.attendre(lambda: service.lire("/health")[0] == 200, "le service")
    service.tuer(signal.SIGTERM)
    for client in clients:
        client.join()
    assert [code for code, _ in reponses] == [200] * 3, "les demandes en cours ont fini"
    assert list(service.tampon.glob("*.lignes")) == []
    assert ailleurs.verifier([r for _, r in reponses]) == 30_000


def test_un_arret_sans_base_garde_le_tampon(ailleurs, lancer_service, vols):
    service = lancer_service()
    ailleurs.tuer()
    reponses = [service.predire([vol])[1] for vol in vols[:20]]
    service.tuer(signal.SIGTERM)
    assert list(service.tampon.glob("*.lignes"))
    ailleurs.lancer()
    service.lancer()
    service.attendre_la_livraison()
    assert ailleurs.verifier(reponses) == 20


# --- Le tampon dans tous ses états ---------------------------------------------------------


def test_un_replica_livre_ce_qu_un_autre_a_laisse(ailleurs, lancer_service, vols):
    un, deux = lancer_service(), lancer_service()
    ailleurs.tuer()
    with un.charge(vols, 2) as charge, deux.charge(vols, 2) as autre:
        charge.avancer(50)
        autre.avancer(50)
    un.tuer()
    ailleurs.lancer()
    deux.attendre_la_livraison()
    ailleurs.verifier(charge.reponses + autre.reponses)


def test_sans_place_pour_le_tampon_le_service_refuse_puis_reprend(ailleurs, lancer_service, vols):
    # Étant donné un disque qui n’écrit pas plus de 20 000 octets par fichier, et pas de base
    service, sans_limite = lancer_service(), resource.RLIM_INFINITY
    resource.prlimit(service.processus.pid, resource.RLIMIT_FSIZE, (20_000, sans_limite))
    ailleurs.tuer()
    with service.charge(vols, clients=2) as charge:
        service.attendre(lambda: len(charge.refus) > 20, "des refus")
    assert {code for code, _ in charge.refus} == {503}
    assert "MLOPS_TAMPON" in charge.refus[0][1]["motifs"][0]
    assert service.lire("/health")[0] == 200
    assert "volume plein" in service.lire("/ready")[1]["tampon"]
    assert service.mesures()["mlops_tampon_ecrit"] == 0
    # Alors, dès que la base revient, le tampon se vide et le service reprend
    resource.prlimit(service.processus.pid, resource.RLIMIT_FSIZE, (sans_limite,) * 2)
    ailleurs.lancer()
    service.attendre_la_livraison()
    assert service.predire(vols[:1])[0] == 200
    assert service.lire("/ready")[1]["tampon"] == "écrit"
    ailleurs.verifier(charge.reponses)
    n = int(base.lire("SELECT count(DISTINCT demande) AS n FROM predictions")["n"].iloc[0])
    assert n - len(charge.reponses) in (0, 1), "aucune demande refusée n’est au journal"


def test_une_ligne_abimee_ne_retient_pas_les_autres(ailleurs, lancer_service, vols):
    service = lancer_service()
    ailleurs.tuer()
    reponses = [service.predire([vol])[1] for vol in vols[:3]]
    service.tuer()
    (segment,) = service.tampon.glob("*.lignes")
    lignes = segment.read_bytes().splitlines()
    impossible = json.loads(lignes[0]) | {"probabilites": [2.0], "demande": "0" * 32}
    segment.write_bytes(
        b"\n".join([lignes[0], b"\xff{", json.dumps(impossible).encode(), *lignes[1:], b"coup"])
    )
    ailleurs.lancer()
    service.lancer()
    service.attendre_la_livraison()
    assert ailleurs.verifier(reponses) == 3
    (ecarte,) = service.tampon.glob("*.ecarte")
    assert "2 demandes illisibles ou refusées" in service.journal.read_text(), ecarte


def test_une_demande_relivree_n_est_ecrite_qu_une_fois(ailleurs, lancer_service, vols):
    service = lancer_service()
    ailleurs.tuer()
    reponses = [service.predire(vols[:5])[1]]
    (segment,) = service.tampon.glob("*.lignes")
    copie = segment.read_bytes()
    ailleurs.lancer()
    service.attendre_la_livraison()
    (service.tampon / "relivree.lignes").write_bytes(copie)
    service.attendre_la_livraison()
    assert ailleurs.verifier(reponses) == 5
    assert list(service.tampon.glob("*.ecarte")) == [], "ce qui est déjà livré n’est pas refusé"


HORLOGE = """
import time
vraie = time.time
time.time = lambda: vraie() + {ecart_s}
"""


@pytest.mark.parametrize("annees", [-2, 2])
def test_une_horloge_fausse_ne_fait_perdre_aucune_prediction(
    ailleurs, lancer_service, vols, tmp_path, annees
):
    # Étant donné un service dont l’horloge a reculé, ou avancé, de deux ans
    (tmp_path / "sitecustomize.py").write_text(HORLOGE.format(ecart_s=annees * 365 * 86_400))
    service = lancer_service(PYTHONPATH=str(tmp_path))
    # Quand il prédit, puis que la rétention d’un an passe
    reponses = [service.predire(vols[:5])[1]]
    service.attendre_la_livraison()
    effacees = fiche.oublier_les_predictions()
    # Alors rien n’est effacé, et l’heure gardée est celle de la base
    assert effacees == 0
    assert ailleurs.verifier(reponses) == 5
    ecarts = base.lire("SELECT abs(date_part('epoch', now() - predit_le)) AS s FROM predictions")
    assert (ecarts["s"] < 600).all()
    # Et l’âge du modèle n’est jamais négatif
    age = service.mesures()["mlops_modele_age_secondes"]
    assert age == 0 if annees < 0 else age > 365 * 86_400


def test_les_predictions_d_une_campagne_effacee_ne_retiennent_pas_le_tampon(
    ailleurs, lancer_service, vols
):
    campagne = simulation.ouvrir_campagne("effacée")
    service = lancer_service(MLOPS_CAMPAGNE=str(campagne))
    reponse = service.predire(vols[:2])[1]
    service.attendre_la_livraison()
    assert ailleurs.verifier([reponse]) == 2
    with base.transaction() as connexion:
        connexion.execute(sa.text("DELETE FROM campagnes WHERE id = :id"), {"id": campagne})
    service.predire(vols[:2])
    service.attendre_la_livraison()
    assert ailleurs.lignes() == 0


def test_une_campagne_jamais_creee_se_dit_et_ne_fait_rien_perdre(ailleurs, lancer_service, vols):
    # Étant donné un service à qui l’on donne le numéro d’une campagne qui n’existe pas
    service = lancer_service(MLOPS_CAMPAGNE="123456")
    service.attendre(lambda: "MLOPS_CAMPAGNE" in service.lire("/ready")[1]["journal"], "le motif")
    reponses = [service.predire(vols[:2])[1]]
    service.tuer()
    assert "la campagne 123456 n’y est pas" in service.journal.read_text()
    # Quand on corrige la variable
    campagne = simulation.ouvrir_campagne("corrigée")
    service.env["MLOPS_CAMPAGNE"] = str(campagne)
    service.lancer()
    reponses.append(service.predire(vols[2:3])[1])
    service.attendre_la_livraison()
    # Alors tout est livré, dans la bonne campagne
    assert ailleurs.verifier(reponses) == 3
    assert set(base.lire("SELECT campagne_id FROM predictions")["campagne_id"]) == {campagne}


def test_ce_qu_une_campagne_a_laisse_lui_revient(ailleurs, lancer_service, vols):
    # Étant donné un service tué sans base, qui laisse une demande de sa campagne
    avant, apres = (simulation.ouvrir_campagne(nom) for nom in ("avant", "après"))
    service = lancer_service(MLOPS_CAMPAGNE=str(avant))
    reponses = [service.predire(vols[:1])[1]]
    service.attendre_la_livraison()
    ailleurs.tuer()
    reponses.append(service.predire(vols[1:2])[1])
    service.tuer()
    # Quand le suivant sert une autre campagne
    service.env["MLOPS_CAMPAGNE"] = str(apres)
    ailleurs.lancer()
    service.lancer()
    service.attendre_la_livraison()
    # Alors la demande va à la campagne qui l’a vue
    assert ailleurs.verifier(reponses) == 2
    assert set(base.lire("SELECT campagne_id FROM predictions")["campagne_id"]) == {avant}


def test_hors_de_la_demonstration_les_predictions_ont_leur_campagne(ailleurs, lancer_service, vols):
    for service in (lancer_service(), lancer_service()):
        service.predire(vols[:2])
        service.attendre_la_livraison()
    campagnes = base.lire(
        "SELECT DISTINCT c.id, scenario FROM campagnes AS c JOIN predictions ON campagne_id = c.id"
    )
    assert campagnes["scenario"].tolist() == [service_journal.SCENARIO]


@pytest.mark.parametrize("etat", ["vide", "abimee", "d’un autre"])
def test_une_copie_inutilisable_n_est_pas_servie(ailleurs, lancer_service, etat):
    service = lancer_service()
    service.tuer()
    ailleurs.tuer()
    copie = service.tampon / "champion"
    if etat == "vide":
        shutil.rmtree(copie)
    elif etat == "abimee":
        for fichier in copie.rglob("*.skops"):
            fichier.write_bytes(fichier.read_bytes()[:1000])
    else:
        fiche = json.loads((copie / "champion.json").read_text())
        (copie / "champion.json").write_text(json.dumps(fiche | {"modele": "autre"}))
    service.partir()
    service.attendre(
        lambda: etat_de(service).get("registre", "").startswith("registre injoignable"), "le motif"
    )
    assert service.lire("/ready")[0] == 503
    assert service.lire("/health")[0] == 200
    ailleurs.lancer()
    service.attendre(service.pret, "le registre est revenu")


def etat_de(service):
    """Ce que dit /ready, ou rien tant que le service démarre."""
    try:
        return service.lire("/ready")[1]
    except OSError:
        return {}
