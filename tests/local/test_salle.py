"""Une salle : trente personnes entrent ensemble, huit jouent la démonstration en même temps."""

import json
import re
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import gestes
import pytest
import requests

pytestmark = [pytest.mark.local, pytest.mark.lent]

SALLE = [f"invite{i:02d}" for i in range(1, 31)]
# Ni invite01 ni invite02, dont d’autres tests se servent.
HUIT = SALLE[10:18]
ENTREE_S, DEMONSTRATION_S = 600, 900
# Charger, apprendre, mettre en production : à huit sur deux cœurs, 168 s.
JOUES = ("41_donnees", "42_entrainement", "43_mise_en_production")
# La suite, qu’un seul des huit joue : à lui seul, tout l’exposé.
SUITE = ("44_supervision", "45_reentrainement", "46_retour_arriere", "47_bilan")
TABLES = ("flights", "predictions", "journal")


MEMOIRE = """
from pathlib import Path
groupe = Path("/sys/fs/cgroup")
v1, v2 = groupe / "memory/memory.max_usage_in_bytes", groupe / "memory.peak"
print("pointe", int((v1 if v1.exists() else v2).read_text()))
v1, v2 = groupe / "memory/memory.oom_control", groupe / "memory.events"
print((v1 if v1.exists() else v2).read_text())
"""


def entrer(nouveau_venu, nom):
    """Entre avec sa carte, demande son serveur, et recommence plus tard si le hub le demande."""
    personne, fin = nouveau_venu(nom), time.monotonic() + ENTREE_S
    reponse = personne.se_connecter(nouveau_venu.carte(nom))
    assert reponse.status_code == 302, f"{nom} : la carte est refusée"
    reportees = 0
    while time.monotonic() < fin:
        reponse = personne.demander_le_serveur()
        # 400 : le serveur tourne déjà, ou démarre déjà.
        if reponse.ok or reponse.status_code == 400:
            break
        assert reponse.status_code == 429, f"{nom} : {reponse.status_code} {reponse.text}"
        reportees += 1
        time.sleep(int(reponse.headers["Retry-After"]))
    while time.monotonic() < fin:
        if personne.serveur_pret():
            return personne, reportees
        time.sleep(5)
    raise AssertionError(f"{nom} : pas de serveur au bout de {ENTREE_S} s")


@pytest.fixture(scope="module")
def salle(nouveau_venu):
    """Les trente participants, entrés en même temps ; et le temps qu’il a fallu."""
    debut = time.monotonic()
    with ThreadPoolExecutor(len(SALLE)) as fils:
        venus = dict(zip(SALLE, fils.map(lambda n: entrer(nouveau_venu, n), SALLE), strict=True))
    print(
        f"\n{len(SALLE)} serveurs prêts en {time.monotonic() - debut:.0f} s, "
        f"{sum(r for _, r in venus.values())} demandes reportées par le hub"
    )
    return {nom: personne for nom, (personne, _) in venus.items()}


def conteneurs_des_participants(pile):
    """Les conteneurs de participants en marche, par leur nom."""
    etiquette = f"label=presentation-mlops.participant={pile.reglages['MLOPS_PROJET']}"
    trouves = pile.lancer("docker", "ps", "--quiet", "--filter", etiquette).stdout.split()
    vus = json.loads(pile.lancer("docker", "inspect", *trouves).stdout) if trouves else []
    return {conteneur["Name"][1:]: conteneur for conteneur in vus}


def test_trente_participants_entrent_ensemble_chacun_chez_soi(pile, salle):
    projet = pile.reglages["MLOPS_PROJET"]
    attendus = {f"{projet}-participant-{nom}" for nom in SALLE}
    manquent = attendus - conteneurs_des_participants(pile).keys()
    assert manquent == set(), "des serveurs ne tournent pas"
    for nom, personne in salle.items():
        contenu = personne.api("contents").json()["content"]
        notebooks = [f["name"] for f in contenu if f["name"].endswith(".ipynb")]
        assert len(notebooks) == 7, f"{nom} : {notebooks}"
    schemas = pile.lire(
        "SELECT nspname, pg_get_userbyid(nspowner) FROM pg_namespace WHERE nspname LIKE %s",
        "demo_invite%",
    )
    manquent = {(f"demo_{nom}", nom) for nom in SALLE} - set(schemas)
    assert manquent == set(), "des participants n’ont pas leur schéma"


def test_chacun_des_trente_a_ses_limites(pile, salle):
    for nom, conteneur in conteneurs_des_participants(pile).items():
        hote = conteneur["HostConfig"]
        assert hote["Memory"] == hote["MemorySwap"] == 2 * 2**30, f"{nom} : mémoire sans borne"
        processeurs = hote["NanoCpus"] / 1e9 or hote["CpuQuota"] / (hote["CpuPeriod"] or 100_000)
        assert processeurs == 1, f"{nom} : {processeurs} processeurs"
        assert hote["PidsLimit"] == 400, f"{nom} : processus sans borne"


def test_l_orateur_arrete_les_serveurs_d_un_clic(pile, salle, nouveau_venu, attendre):
    """Ce que fait le bouton « Arrêter » de la page d’administration, pour qui ne joue pas."""
    orateur = nouveau_venu("orateur")
    assert orateur.se_connecter(nouveau_venu.carte("orateur")).status_code == 302
    partis = [nom for nom in SALLE if nom not in HUIT and nom not in ("invite01", "invite02")]
    for nom in partis:
        assert orateur.arreter_le_serveur(nom).status_code in (202, 204), nom
    noms = {f"{pile.reglages['MLOPS_PROJET']}-participant-{nom}" for nom in partis}
    attendre(
        lambda: not noms & conteneurs_des_participants(pile).keys(), "l’arrêt des serveurs", 300
    )


@pytest.fixture(scope="module")
def jouees(pile, salle):
    """Huit démonstrations en même temps, pendant que le service répond."""
    vus, arret = {"bons": 0, "mauvais": []}, threading.Event()

    def surveiller():
        while not arret.wait(1):
            try:
                reponse = requests.get(f"{pile.adresse('api')}/ready", timeout=20)
                vus["bons"] += reponse.ok
                vus["mauvais"] += [] if reponse.ok else [reponse.status_code]
            except requests.RequestException as erreur:
                vus["mauvais"].append(repr(erreur))

    veilleur = threading.Thread(target=surveiller)
    veilleur.start()
    debut = time.monotonic()
    try:
        with ThreadPoolExecutor(len(HUIT)) as fils:
            sorties = fils.map(
                lambda nom: salle[nom].executer(gestes.demonstration(JOUES), DEMONSTRATION_S), HUIT
            )
            sorties = dict(zip(HUIT, sorties, strict=True))
    finally:
        arret.set()
        veilleur.join(30)
    print(f"\n{len(HUIT)} démonstrations ensemble en {time.monotonic() - debut:.0f} s")
    print({nom: re.findall(r"fait (4\d)\w+ (\d+) s", sortie) for nom, sortie in sorties.items()})
    return sorties, vus


def test_huit_participants_jouent_la_demonstration_ensemble(jouees):
    sorties, service = jouees
    for nom, sortie in sorties.items():
        faits = tuple(re.findall(r"fait (4\d_\w+)", sortie))
        assert faits == JOUES, f"{nom} :\n{sortie}"
    assert service["mauvais"] == [], "le service a manqué des appels"
    assert service["bons"] > 10, "le service n’a presque pas été appelé"


def test_chacun_trouve_chez_soi_les_memes_lignes(pile, jouees):
    """Rien de perdu ni de mêlé : huit schémas, les mêmes comptes dans chacun."""
    comptes = {
        nom: [pile.lire(f"SELECT count(*) FROM demo_{nom}.{table}")[0][0] for table in TABLES]
        for nom in HUIT
    }
    assert all(compte > 0 for compte in comptes[HUIT[0]]), comptes
    assert len({tuple(compte) for compte in comptes.values()}) == 1, comptes
    auteurs = {
        nom: {a for (a,) in pile.lire(f"SELECT DISTINCT auteur FROM demo_{nom}.journal")}
        for nom in HUIT
    }
    assert auteurs == {nom: {nom} for nom in HUIT}, "le journal de l’un est signé d’un autre"
    versions = {}
    for nom in HUIT:
        modele = pile.mlflow("registered-models/alias", name=f"retard-vol-{nom}", alias="champion")
        assert modele.ok, f"{nom} : {modele.text}"
        versions[nom] = modele.json()["model_version"]["version"]
    assert len(set(versions.values())) == 1, versions


def test_un_participant_joue_la_demonstration_jusqu_au_bout(pile, jouees, salle):
    nom = HUIT[0]
    sortie = salle[nom].executer(gestes.demonstration(SUITE), DEMONSTRATION_S)
    assert tuple(re.findall(r"fait (4\d_\w+)", sortie)) == SUITE, sortie
    print("\nla suite, seul :", re.findall(r"fait (4\d)\w+ (\d+) s", sortie))
    actions = {a for (a,) in pile.lire(f"SELECT DISTINCT action FROM demo_{nom}.journal")}
    assert {"promotion", "retour arrière"} <= actions, actions


def test_la_memoire_d_un_participant_suffit(jouees, salle):
    """Les sept notebooks compris, pour celui qui les a joués."""
    pointes = {}
    for nom in HUIT:
        sortie = salle[nom].executer(MEMOIRE)
        pointes[nom] = int(re.search(r"pointe (\d+)", sortie).group(1)) / 2**30
        assert re.search(r"oom_kill 0", sortie), f"{nom} : le noyau a tué un de ses processus"
    print("\nmémoire au plus, en Gio :", {nom: round(p, 2) for nom, p in pointes.items()})
