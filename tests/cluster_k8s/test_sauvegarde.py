"""La sauvegarde et la restauration, par leurs vrais scripts, sur un vrai Postgres."""

import os
import shutil
import signal
import subprocess
import threading
import time
from pathlib import Path

import psycopg
import pytest
from mlops_demo import postgres, processus

pytestmark = pytest.mark.k8s

RACINE = Path(__file__).resolve().parents[2]
SCRIPTS = RACINE / "cluster_k8s" / "base" / "scripts"
ROLES = ("mlflow", "airflow", "superset", "production", "hub")


class Grappe:
    """Un Postgres préparé par 10_bases.sh, comme l’est celui du cluster."""

    def __init__(self, dossier):
        self.dossier, self.secrets = dossier, dossier / "secrets"
        binaires = postgres._binaires(postgres._dossier())
        postgres._initialiser(dossier, binaires)
        self.port, self.binaires = processus.port_libre(), binaires
        self.secrets.mkdir(exist_ok=True)
        for nom in ROLES:
            (self.secrets / f"mot_de_passe_{nom}").write_text(f"secret-{nom}")
        shutil.copy(dossier / "mot_de_passe", self.secrets / "mot_de_passe_postgres")
        (dossier / "sauvegardes").mkdir(exist_ok=True)
        (dossier / "mlflow").mkdir(exist_ok=True)
        self.demarrer()

    def demarrer(self):
        """Lance le serveur, toujours à la même adresse."""
        reglages = [f"-c{nom}={valeur}" for nom, valeur in postgres.REGLAGES.items()]
        self.serveur = subprocess.Popen(
            [
                self.binaires / "postgres",
                "-D",
                self.dossier / "grappe",
                f"-p{self.port}",
                *reglages,
            ],
            stdout=(self.dossier / "journal").open("w"),
            stderr=subprocess.STDOUT,
            **postgres._identite(),
        )

    def env(self, **autres):
        """Les variables que les manifestes donnent aux scripts."""
        return {
            "PATH": f"{self.binaires}:{os.environ['PATH']}",
            "PGHOST": "127.0.0.1",
            "PGPORT": str(self.port),
            "PGUSER": "postgres",
            "PGPASSWORD_FICHIER": str(self.secrets / "mot_de_passe_postgres"),
            "BASES": "demo mlflow",
            "ARTEFACTS": str(self.dossier / "mlflow" / "artefacts"),
            "SAUVEGARDES": str(self.dossier / "sauvegardes"),
            "GARDER": "14",
            "ATTENTE_S": "30",
            **autres,
        }

    def script(self, nom, **autres):
        """Lance un script comme le ferait le pod."""
        return subprocess.run(
            ["sh", SCRIPTS / nom],
            env=self.env(**autres),
            capture_output=True,
            text=True,
            encoding="utf-8",
            check=False,
            timeout=300,
        )

    def sql(self, texte, base="demo", role="postgres"):
        """Exécute du SQL et rend les lignes."""
        mot_de_passe = (self.secrets / f"mot_de_passe_{role}").read_text()
        adresse = f"host=127.0.0.1 port={self.port} user={role} dbname={base}"
        with psycopg.connect(adresse, password=mot_de_passe, autocommit=True) as connexion:
            curseur = connexion.execute(texte)
            return curseur.fetchall() if curseur.description else []

    def attendre(self, limite_s=120):
        """Attend que Postgres réponde ; montre son journal s’il renonce."""
        fin = time.monotonic() + limite_s
        while time.monotonic() < fin:
            try:
                return self.sql("SELECT 1", base="postgres")
            except psycopg.OperationalError:
                time.sleep(0.1)
        return pytest.fail((self.dossier / "journal").read_text()[-2000:])

    def preparer(self):
        """Crée les rôles et les bases par le script de local/."""
        script = (RACINE / "local" / "postgres" / "10_bases.sh").read_text(encoding="utf-8")
        script = script.replace("/run/secrets/", f"{self.secrets}/")
        mot_de_passe = (self.secrets / "mot_de_passe_postgres").read_text()
        fait = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", script],
            env=self.env(PGPASSWORD=mot_de_passe),
            capture_output=True,
            text=True,
            check=False,
        )
        assert fait.returncode == 0, fait.stderr

    def sauvegardes(self):
        """Les sauvegardes, de la plus vieille à la dernière."""
        return sorted(d.name for d in (self.dossier / "sauvegardes").glob("20*Z"))

    def remplir(self):
        """Y met des prédictions, une version et ses fichiers, puis sauvegarde."""
        self.sql(
            "CREATE TABLE demo_production.predictions AS"
            " SELECT n AS id, n / 1000.0 AS probabilite FROM generate_series(1, 1000) AS n",
            role="production",
        )
        self.sql("CREATE TABLE versions AS SELECT 7 AS version", base="mlflow", role="mlflow")
        artefacts = self.dossier / "mlflow" / "artefacts" / "1" / "modele"
        artefacts.mkdir(parents=True)
        (artefacts / "model.skops").write_bytes(b"\0modele\xff" * 1000)
        fait = self.script("sauvegarder.sh")
        assert fait.returncode == 0, fait.stderr

    def arreter(self):
        """Arrête le serveur, connexions comprises."""
        self.serveur.send_signal(signal.SIGINT)
        self.serveur.wait(60)


def dossier_neuf():
    """Un dossier que « nobody » peut traverser quand les tests sont root."""
    dossier = postgres._dossier().parent / f"k8s_{os.getpid()}_{time.monotonic_ns()}"
    dossier.mkdir(mode=0o711)
    return dossier


@pytest.fixture(scope="module")
def modeles():
    """Deux dossiers à copier : une grappe préparée, et la même, remplie et sauvegardée."""
    vide, pleine = dossier_neuf(), dossier_neuf()
    try:
        grappe = Grappe(vide)
        grappe.attendre()
        grappe.preparer()
        grappe.arreter()
        subprocess.run(["cp", "-a", f"{vide}/.", pleine], check=True)
        grappe = Grappe(pleine)
        grappe.attendre()
        grappe.remplir()
        grappe.arreter()
        yield {"vide": vide, "pleine": pleine}
    finally:
        shutil.rmtree(vide)
        shutil.rmtree(pleine)


@pytest.fixture
def fabriquer(modeles):
    """Fabrique des grappes, effacées à la fin."""
    faites = []

    def une(modele):
        dossier = dossier_neuf()
        subprocess.run(["cp", "-a", f"{modeles[modele]}/.", dossier], check=True)
        faites.append(Grappe(dossier))
        faites[-1].attendre()
        return faites[-1]

    yield une
    for grappe in faites:
        grappe.arreter()
        shutil.rmtree(grappe.dossier)


@pytest.fixture
def pleine(fabriquer):
    """Une grappe avec des prédictions, un modèle et ses fichiers, déjà sauvegardée."""
    return fabriquer("pleine")


def etat(grappe):
    """Ce qui doit survivre, droits compris."""
    fichiers = sorted((grappe.dossier / "mlflow" / "artefacts").rglob("*.skops"))
    return {
        "predictions": grappe.sql("SELECT count(*), sum(id) FROM demo_production.predictions"),
        "proprietaire": grappe.sql(
            "SELECT tableowner FROM pg_tables WHERE tablename = 'predictions'"
        ),
        "droits": grappe.sql(
            "SELECT datname, datacl::text FROM pg_database"
            " WHERE datname IN ('demo', 'mlflow') ORDER BY 1"
        ),
        "versions": grappe.sql("SELECT * FROM versions", base="mlflow", role="mlflow"),
        "lecture de superset": grappe.sql(
            "SELECT count(*) FROM demo_production.predictions", role="superset"
        ),
        "fichiers": [f.read_bytes() for f in fichiers],
    }


def test_une_base_abimee_revient_a_sa_sauvegarde(pleine):
    avant = etat(pleine)
    pleine.sql("DELETE FROM demo_production.predictions WHERE id > 10", role="production")
    pleine.sql("DROP TABLE versions", base="mlflow", role="mlflow")
    shutil.rmtree(pleine.dossier / "mlflow" / "artefacts")

    fait = pleine.script("restaurer.sh", SAUVEGARDE="")

    assert fait.returncode == 0, fait.stderr
    assert etat(pleine) == avant
    (gardee,) = pleine.sql("SELECT datname FROM pg_database WHERE datname LIKE 'demo_avant_%'")
    pleine.sql(f'ALTER DATABASE "{gardee[0]}" ALLOW_CONNECTIONS true')
    restes = pleine.sql("SELECT count(*) FROM demo_production.predictions", base=gardee[0])
    assert restes == [(10,)], "ce que la restauration remplace est gardé"


def test_un_volume_perdu_se_refait_sur_un_postgres_neuf(pleine, fabriquer):
    neuve = fabriquer("vide")
    shutil.copytree(
        pleine.dossier / "sauvegardes", neuve.dossier / "sauvegardes", dirs_exist_ok=True
    )
    fait = neuve.script("restaurer.sh", SAUVEGARDE=pleine.sauvegardes()[-1])
    assert fait.returncode == 0, fait.stderr
    assert etat(neuve) == etat(pleine)


def test_une_sauvegarde_abimee_est_refusee_et_rien_ne_change(pleine):
    (nom,) = pleine.sauvegardes()
    fichier = pleine.dossier / "sauvegardes" / nom / "demo.dump"
    fichier.write_bytes(fichier.read_bytes()[:-100])
    avant = etat(pleine)
    fait = pleine.script("restaurer.sh", SAUVEGARDE="")
    assert fait.returncode != 0
    assert "est abîmée" in fait.stderr
    assert etat(pleine) == avant


def test_une_restauration_qui_echoue_remet_les_bases_en_place(pleine):
    (nom,) = pleine.sauvegardes()
    dossier = pleine.dossier / "sauvegardes" / nom
    contenu = (dossier / "mlflow.dump").read_bytes()
    (dossier / "mlflow.dump").write_bytes(contenu[: len(contenu) // 2])
    sommes = "sha256sum -- *.dump *.sql *.tar > SHA256SUMS"
    subprocess.run(["sh", "-c", sommes], cwd=dossier, check=True)
    avant = etat(pleine)
    fait = pleine.script("restaurer.sh", SAUVEGARDE="")
    assert fait.returncode != 0
    assert "« mlflow » ne se restaure pas ; les bases sont comme avant" in fait.stderr
    assert etat(pleine) == avant
    assert pleine.sql("SELECT datname FROM pg_database WHERE datname LIKE '%_avant_%'") == []


@pytest.mark.parametrize(
    ("choix", "plainte"), [("2020-01-01T00-00-00Z", "pas de sauvegarde"), ("", "aucune sauvegarde")]
)
def test_une_sauvegarde_absente_se_dit(pleine, choix, plainte):
    if not choix:
        shutil.rmtree(pleine.dossier / "sauvegardes")
        (pleine.dossier / "sauvegardes").mkdir()
    fait = pleine.script("restaurer.sh", SAUVEGARDE=choix)
    assert fait.returncode != 0
    assert plainte in fait.stderr


def test_seules_les_dernieres_sauvegardes_sont_gardees(pleine):
    for annee in (2020, 2021, 2022):
        (pleine.dossier / "sauvegardes" / f"{annee}-01-01T00-00-00Z").mkdir()
    (faite,) = pleine.sauvegardes()[-1:]
    time.sleep(1.1)  # le nom d’une sauvegarde est à la seconde
    fait = pleine.script("sauvegarder.sh", GARDER="2")
    assert fait.returncode == 0, fait.stderr
    assert len(pleine.sauvegardes()) == 2
    assert faite in pleine.sauvegardes()


def test_une_sauvegarde_qui_echoue_ne_touche_pas_aux_precedentes(pleine):
    avant = pleine.sauvegardes()
    fait = pleine.script("sauvegarder.sh", BASES="demo absente", GARDER="1")
    assert fait.returncode != 0
    assert "« absente » ne se lit pas. Les précédentes sont intactes" in fait.stderr
    assert pleine.sauvegardes() == avant


@pytest.mark.parametrize("nom", ["sauvegarder.sh", "restaurer.sh"])
def test_un_script_attend_que_la_base_reponde(pleine, nom):
    """Un réseau qui pose ses règles après le départ du pod lui refuse d’abord la base."""
    avant = etat(pleine)
    pleine.arreter()
    minuteur = threading.Timer(3, pleine.demarrer)
    minuteur.start()
    fait = pleine.script(nom, SAUVEGARDE="")
    minuteur.join()
    pleine.attendre()
    assert fait.returncode == 0, fait.stderr
    assert etat(pleine) == avant


@pytest.mark.parametrize("nom", ["sauvegarder.sh", "restaurer.sh"])
def test_une_base_qui_ne_repond_jamais_se_dit_et_rien_ne_change(pleine, nom):
    avant, faites = etat(pleine), pleine.sauvegardes()
    pleine.arreter()
    fait = pleine.script(nom, SAUVEGARDE="", ATTENTE_S="2")
    pleine.demarrer()
    pleine.attendre()
    assert fait.returncode == 1
    assert "abandonnée : Postgres ne répond pas" in fait.stderr
    assert (etat(pleine), pleine.sauvegardes()) == (avant, faites)
