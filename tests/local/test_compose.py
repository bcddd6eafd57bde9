"""Le cœur sous Docker Compose : une salle s’en sert, quelqu’un y fouille, des pannes viennent."""

import os
import re
import subprocess
import threading
import time

import psycopg
import pytest
import requests

pytestmark = pytest.mark.local

NOTEBOOKS = """
import os, papermill
from mlops_demo.session import session
with session():
    for nom in ("41_donnees", "42_entrainement"):
        papermill.execute_notebook(
            os.path.expanduser(f"~/demonstration/{nom}.ipynb"),
            f"{os.environ['MLOPS_TRAVAIL']}/{nom}.ipynb", progress_bar=False)
        print("fait", nom)
"""


@pytest.fixture(scope="module")
def demonstration(inviter):
    """Un participant qui joue les deux premiers notebooks ; rend ce qu’il a vu."""
    return inviter("invite01").executer(NOTEBOOKS)


def test_make_up_dit_ou_aller(pile):
    for service in ("hub", "api", "mlflow"):
        assert pile.adresse(service) in pile.sortie_de_up
    assert "local/secrets/cartes.html" in pile.sortie_de_up


def test_les_cartes_s_impriment_toutes_differentes(pile):
    page = (pile.local / "secrets" / "cartes.html").read_text(encoding="utf-8")
    cartes = re.findall(r"<b>(\w+)</b><code>([a-z2-7]{4}(?:-[a-z2-7]{4}){2})</code>", page)
    assert [nom for nom, _ in cartes] == ["orateur", *(f"invite{i:02d}" for i in range(1, 31))]
    des_comptes = re.findall(r"<small>MLflow : ([a-z2-7-]{14})</small>", page)
    assert len({*des_comptes, *(secret for _, secret in cartes)}) == 2 * len(cartes)


@pytest.mark.parametrize("nom", ["invite02", "inconnu", "postgres"])
def test_la_carte_d_un_autre_n_ouvre_rien(pile, nouveau_venu, nom):
    carte_de_invite01 = nouveau_venu.carte("invite01")
    reponse = nouveau_venu(nom).se_connecter(carte_de_invite01)
    assert reponse.status_code == 403
    assert "relisez votre carte" in reponse.text


def test_l_orateur_administre_et_lui_seul(pile, nouveau_venu):
    for nom, attendu in (("orateur", 200), ("invite05", 403)):
        personne = nouveau_venu(nom)
        assert personne.se_connecter(nouveau_venu.carte(nom)).status_code == 302
        page = personne.http.get(f"{pile.adresse('hub')}/hub/admin", timeout=30)
        assert page.status_code == attendu, f"{nom} : {page.status_code}"
    adresse = f"{pile.adresse('hub')}/hub/static/js/admin-react.js"
    script = requests.get(adresse, timeout=30).content.decode("utf-8")
    assert "Tout arrêter" in script
    assert "Stop All" not in script


def test_un_participant_ecrit_dans_sa_base_et_dans_mlflow(pile, demonstration):
    assert "fait 42_entrainement" in demonstration, demonstration
    ((vols,),) = pile.lire("SELECT count(*) FROM demo_invite01.flights")
    assert vols > 300_000, "les vols ne sont pas dans le schéma du participant"
    experience = pile.mlflow("experiments/get-by-name", experiment_name="retard-vol/invite01")
    assert experience.ok, experience.text
    assert experience.json()["experiment"]["artifact_location"].startswith("mlflow-artifacts:")
    modele = pile.mlflow("registered-models/get", name="retard-vol-invite01")
    assert modele.json()["registered_model"]["aliases"][0]["alias"] in ("champion", "challenger")


def test_personne_ne_lit_ni_ne_casse_les_tables_d_un_autre(pile, inviter, demonstration):
    tentatives = [
        "SELECT count(*) FROM demo_invite01.flights",
        "DROP TABLE demo_invite01.flights",
        "DROP SCHEMA demo_invite01 CASCADE",
        "INSERT INTO demo_invite01.journal DEFAULT VALUES",
        "TRUNCATE demo_production.predictions",
        "SELECT count(*) FROM demo_production.predictions",
        "CREATE SCHEMA demo_invite03",
        "CREATE TABLE public.piege (a int)",
        "CREATE ROLE complice LOGIN",
        "ALTER ROLE invite01 PASSWORD 'vole'",
        "SET ROLE invite01",
        "GRANT invite01 TO invite02",
        "SELECT pg_read_file('/run/secrets/mot_de_passe_postgres')",
        "COPY (SELECT 1) TO PROGRAM 'id'",
        "SELECT rolpassword FROM pg_authid",
    ]
    code = f"""
import sqlalchemy as sa
from mlops_demo import base
moteur = sa.create_engine(base.url(), isolation_level="AUTOCOMMIT")
for tentative in {tentatives!r}:
    with moteur.connect() as connexion:
        try:
            connexion.exec_driver_sql(tentative)
            print("PASSÉ", tentative)
        except sa.exc.DBAPIError as refus:
            print("refusé", type(refus.orig).__name__)
for nom in ("mlflow", "superset", "airflow", "postgres"):
    try:
        sa.create_engine(sa.make_url(base.url()).set(database=nom)).connect()
        print("PASSÉ", nom)
    except sa.exc.OperationalError:
        print("refusé", nom)
"""
    avant = pile.lire("SELECT count(*) FROM demo_invite01.flights")
    sortie = inviter("invite02").executer(code)
    passees = [ligne for ligne in sortie.splitlines() if ligne.startswith("PASSÉ")]
    assert passees == [], sortie
    assert sortie.count("refusé") == len(tentatives) + 4, sortie
    assert pile.lire("SELECT count(*) FROM demo_invite01.flights") == avant


def test_un_participant_n_atteint_ni_docker_ni_le_disque_de_l_image(inviter):
    code = """
import os, socket, subprocess
print("socket", os.path.exists("/var/run/docker.sock"))
for port in (2375, 2376):
    print("tcp", socket.socket().connect_ex(("hub", port)) == 0)
for chemin in ("/opt/demo/notebooks/x", "/etc/x", "/usr/local/bin/x"):
    try:
        open(chemin, "w"); print("écrit", chemin)
    except OSError:
        print("refusé")
print("uid", os.getuid(), subprocess.run(["cat", "/proc/self/status"], capture_output=True,
      text=True).stdout.split("CapEff:")[1].split()[0])
"""
    sortie = inviter("invite02").executer(code)
    assert "True" not in sortie, sortie
    assert "écrit" not in sortie, sortie
    assert "uid 10001 0000000000000000" in sortie, sortie


def test_un_participant_qui_epuise_sa_memoire_ne_gene_que_lui(pile, inviter):
    sortie = inviter("invite02").executer(
        "import subprocess, sys\n"
        "code = 'tas = []\\nwhile True: tas.append(bytearray(64 << 20))'\n"
        "print('code', subprocess.run([sys.executable, '-c', code]).returncode)"
    )
    assert "code -9" in sortie, "la limite de mémoire n’a rien arrêté"
    assert "4" in inviter("invite01").executer("print(2 + 2)")
    assert requests.get(f"{pile.adresse('mlflow')}/health", timeout=10).ok


def test_chaque_conteneur_est_enferme(pile, inviter, exiger_enferme):
    inviter("invite01")
    vus = pile.conteneurs()
    assert len(vus) >= 6, [c["Name"] for c in vus]
    for conteneur in vus:
        exiger_enferme(conteneur)
        nom, hote = conteneur["Name"], conteneur["HostConfig"]
        assert "no-new-privileges:true" in hote["SecurityOpt"], nom
        socket = any("docker.sock" in m["Source"] for m in conteneur["Mounts"])
        assert socket == ("-hub-" in nom), f"{nom} voit la socket de Docker"
        for ports in (hote["PortBindings"] or {}).values():
            assert [p["HostIp"] for p in ports] == ["127.0.0.1"], nom


def lire_les_couches(pile, images):
    """La commande qui donne toutes les couches ; par leurs dossiers s’ils se lisent, plus vite."""
    dossiers = set()
    for image in pile.inspecter(*images):
        donnees = image["GraphDriver"]["Data"] or {}
        for cle in ("UpperDir", "LowerDir"):
            dossiers.update(filter(None, donnees.get(cle, "").split(":")))
    if dossiers and all(os.access(dossier, os.R_OK) for dossier in dossiers):
        return ["tar", "--create", "--absolute-names", *dossiers]
    return ["docker", "save", *images]


def test_aucun_secret_ne_fuit(pile, inviter, exiger_secrets):
    code = "import os; print(open(os.environ['DATABASE_PASSWORD_FILE']).read(), "
    code += "os.environ['JUPYTERHUB_API_TOKEN'], sep='|')"
    base, jeton = inviter("invite01").executer(code).strip().split("|")
    secrets = {**pile.secrets(), "base du participant": base, "jeton du participant": jeton}
    vus = pile.conteneurs()
    exiger_secrets(secrets, pile.dits(vus))
    # Les couches, lues en flux ; ensemble : celles que des images partagent n’y sont qu’une fois.
    images = {conteneur["Image"] for conteneur in vus}
    sauvegarde = subprocess.Popen(lire_les_couches(pile, images), stdout=subprocess.PIPE)
    trouve = subprocess.run(
        ["grep", "-c", "-a", "-F", "-e", "\n".join(secrets.values())],
        stdin=sauvegarde.stdout,
        capture_output=True,
        text=True,
        check=False,
    )
    assert sauvegarde.wait() == 0
    assert trouve.stdout.strip() == "0", "un secret est dans une couche d’une image"


def test_un_mauvais_mot_de_passe_est_refuse(pile):
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        pile.base("production", "mauvais")


def test_un_secret_perdu_est_refuse_et_celui_d_un_outil_jamais_lance_est_ecrit(pile):
    def preparer():
        return pile.lancer("python3", "-c", "import lancer; lancer.preparer()", cwd=pile.local)

    grafana = pile.local / "secrets" / "mot_de_passe_grafana"
    grafana.unlink()
    assert preparer().returncode == 0, "un outil ajouté à une pile qui tourne demande son secret"
    assert len(grafana.read_text(encoding="utf-8")) >= 20

    hub = pile.local / "secrets" / "mot_de_passe_hub"
    valeur = hub.read_text(encoding="utf-8")
    hub.unlink()
    try:
        refus = preparer()
        assert refus.returncode != 0
        assert "mot_de_passe_hub" in refus.stderr
        assert not hub.exists(), "un mot de passe neuf n’ouvrirait pas la base"
    finally:
        hub.write_text(valeur, encoding="utf-8")
        hub.chmod(0o644)


def test_make_check_nomme_qui_tient_un_port(pile):
    libre = pile.make("check")
    assert libre.returncode == 0, libre.stdout + libre.stderr
    tenant = subprocess.Popen(
        [
            "python3",
            "-c",
            "import socket,time; s=socket.create_server(('127.0.0.1', 0));"
            "print(s.getsockname()[1], flush=True); time.sleep(60)",
        ],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        port = tenant.stdout.readline().strip()
        pris = pile.make("check", env={"PORT_MLFLOW": port})
        assert pris.returncode != 0
        assert f"Le port {port} est pris par python3" in pris.stderr, pris.stderr
        assert f"(processus {tenant.pid})" in pris.stderr
        assert "PORT_MLFLOW" in pris.stderr
    finally:
        tenant.kill()
        tenant.wait()


def test_postgres_tue_net_ne_perd_rien_de_ce_qu_il_a_confirme(pile, attendre):
    mot_de_passe = pile.secret("mot_de_passe_production")
    with pile.base("production", mot_de_passe) as connexion:
        connexion.execute("CREATE TABLE IF NOT EXISTS demo_production.essai (n int PRIMARY KEY)")
    confirmes, arret = [], threading.Event()

    def ecrire():
        while not arret.is_set():
            try:
                with pile.base("production", mot_de_passe) as connexion:
                    while not arret.is_set():
                        suivant = len(confirmes)
                        connexion.execute(
                            "INSERT INTO demo_production.essai VALUES (%s) ON CONFLICT DO NOTHING",
                            [suivant],
                        )
                        confirmes.append(suivant)
            except psycopg.Error:
                time.sleep(0.1)

    fil = threading.Thread(target=ecrire)
    fil.start()
    try:
        attendre(lambda: len(confirmes) > 200, "des écritures")
        pile.tuer("postgres", "postgres")
        avant = len(confirmes)
        attendre(lambda: len(confirmes) > avant + 200, "la reprise des écritures")
    finally:
        arret.set()
        fil.join(30)
    ((relus,),) = pile.lire("SELECT count(*) FROM demo_production.essai")
    assert relus >= len(confirmes), f"{len(confirmes) - relus} lignes confirmées sont perdues"


def test_mlflow_tue_net_revient_avec_tout(pile, demonstration, attendre):
    avant = pile.mlflow("registered-models/get", name="retard-vol-invite01").json()
    pile.tuer("mlflow")
    attendre(lambda: pile.mlflow("experiments/get", experiment_id="0").ok, "le retour de MLflow")
    assert pile.mlflow("registered-models/get", name="retard-vol-invite01").json() == avant


def test_le_hub_tue_net_n_interrompt_personne(pile, inviter, attendre):
    participant = inviter("invite01")
    pile.tuer("hub")
    attendre(
        lambda: participant.http.get(f"{pile.adresse('hub')}/hub/home", timeout=5).ok,
        "le retour du hub",
    )
    attendre(lambda: "4" in participant.executer("print(2 + 2)"), "le serveur du participant")
