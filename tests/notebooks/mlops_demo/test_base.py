"""L’accès à la base : une séance rend ce qu’elle a pris."""

import os
import socket
import struct
import subprocess
import sys
import threading

import pytest
import sqlalchemy as sa
from mlops_demo import base, confiance, journal, session
from mlops_demo.configuration import ErreurUtilisateur


def test_une_seance_rend_son_verrou_meme_si_le_moteur_a_change(demo, monkeypatch):
    # Étant donné une séance pendant laquelle le moteur est oublié, comme quand les données changent
    monkeypatch.setenv("MLOPS_UTILISATEUR", "verrou")
    with session():
        moteur = base.moteur()
        base.oublier()
    # Alors une autre s’ouvre aussitôt, l’ancien moteur existant encore
    with session():
        assert base.moteur() is not moteur
    base.oublier()


@pytest.fixture
def sans_mot_de_passe(demo, monkeypatch):
    """La vraie base, adressée sans mot de passe ; rend celui-ci."""
    vraie = sa.make_url(base.url())
    nue = vraie._replace(password=None).render_as_string(hide_password=False)
    base.oublier()
    monkeypatch.setenv("DATABASE_URL", nue)
    monkeypatch.setenv("MLOPS_UTILISATEUR", "secret")
    yield vraie.password
    base.oublier()


def test_le_mot_de_passe_se_lit_dans_un_fichier_secret(sans_mot_de_passe, monkeypatch, tmp_path):
    fichier = tmp_path / "mot de passe"
    fichier.write_text(sans_mot_de_passe + "\n", encoding="utf-8")
    monkeypatch.setenv("DATABASE_PASSWORD_FILE", str(fichier))
    with base.transaction() as connexion:
        assert connexion.execute(sa.text("SELECT 1")).scalar_one() == 1
    assert base.lire("SELECT 1 AS un")["un"].tolist() == [1], "la voie en bloc aussi"


@pytest.fixture
def compte(demo, monkeypatch):
    """Un compte sans aucun droit ; rend de quoi en donner, et s’en servir."""
    vraie = sa.make_url(base.url())
    administrer = sa.create_engine(vraie, isolation_level="AUTOCOMMIT")

    def accorder(*ordres):
        with administrer.connect() as connexion:
            for ordre in ordres:
                connexion.exec_driver_sql(ordre)
        base.oublier()

    accorder("CREATE ROLE faible LOGIN PASSWORD 'essai'")
    adresse = vraie.set(username="faible", password="essai")
    monkeypatch.setenv("DATABASE_URL", adresse.render_as_string(hide_password=False))
    monkeypatch.setenv("MLOPS_UTILISATEUR", "faible")
    base.oublier()
    yield accorder
    accorder("DROP OWNED BY faible CASCADE", "DROP ROLE faible")
    administrer.dispose()


def test_un_compte_sans_les_droits_qu_il_faut_est_dit(compte):
    with pytest.raises(ErreurUtilisateur, match="GRANT CREATE ON DATABASE"):
        base.preparer()
    compte("GRANT CREATE ON DATABASE postgres TO faible")
    with pytest.raises(ErreurUtilisateur, match="n’a pas les droits .*schema mlflow"):
        base.preparer()  # son schéma se crée ; celui de MLflow est à un autre
    compte("ALTER TABLE demo_faible.journal OWNER TO postgres")
    with pytest.raises(ErreurUtilisateur, match="n’a pas les droits .*journal"):
        base.lire("SELECT * FROM journal")
    with pytest.raises(ErreurUtilisateur, match="n’a pas les droits"), base.transaction() as c:
        c.exec_driver_sql("SELECT * FROM journal")


def test_un_schema_sans_le_droit_de_s_en_servir_est_dit(compte):
    compte("CREATE SCHEMA demo_faible")
    try:
        with pytest.raises(ErreurUtilisateur, match="n’a pas les droits .*schema demo_faible"):
            base.preparer()
    finally:
        compte("DROP SCHEMA demo_faible")


def test_un_autre_role_n_ecrit_pas_au_journal_et_le_sien_ne_compte_pas(compte, monkeypatch):
    """Un participant a sa base et son schéma ; le journal d’un autre lui est fermé."""
    compte("GRANT CREATE ON DATABASE postgres TO faible")
    with base.transaction() as connexion:  # dans son schéma, il est chez lui
        journal.inscrire(connexion, "promotion", 9, None, "2013-04-01", "forgée", None, "f" * 64)
    assert confiance.en_service() == confiance.Acceptee(9, "f" * 64)
    ordre = (
        "INSERT INTO demo_tests.journal (date_simulee, auteur, action, version, raison, empreinte)"
        " VALUES ('2013-04-01', 'production', 'promotion', 9, 'forgée', repeat('f', 64))"
    )
    refus = pytest.raises(ErreurUtilisateur, match="permission denied for schema demo_tests")
    with refus, base.transaction() as connexion:
        connexion.exec_driver_sql(ordre)
    monkeypatch.delenv("DATABASE_URL")
    monkeypatch.setenv("MLOPS_UTILISATEUR", "tests")
    base.oublier()
    assert confiance.en_service() != confiance.Acceptee(9, "f" * 64)


def test_un_journal_d_avant_l_empreinte_la_recoit_et_n_accepte_rien_sans_elle(demo, monkeypatch):
    monkeypatch.setenv("MLOPS_UTILISATEUR", "migre")
    base.oublier()
    with base.transaction() as connexion:
        connexion.exec_driver_sql("ALTER TABLE journal DROP COLUMN empreinte")
        connexion.exec_driver_sql(
            "INSERT INTO journal (date_simulee, auteur, action, version, raison)"
            " VALUES ('2013-04-01', 'avant', 'promotion', 1, 'gate')"
        )
    base.oublier()
    assert confiance.en_service() == confiance.Acceptee(1, None)
    with pytest.raises(confiance.Refus, match="ne garde pas l’empreinte"):
        confiance.exiger(confiance.en_service(), 1, demo)
    base.oublier()


def test_une_base_en_lecture_seule_est_dite(compte):
    compte(
        "GRANT CREATE ON DATABASE postgres TO faible",
        "ALTER ROLE faible SET default_transaction_read_only = on",
    )
    with pytest.raises(ErreurUtilisateur, match="n’accepte que la lecture"):
        base.preparer()


def test_une_option_inconnue_dans_l_adresse_est_dite(demo, monkeypatch):
    monkeypatch.setenv("DATABASE_URL", "postgresql://nom@127.0.0.1/base?inconnue=1")
    base.oublier()
    with pytest.raises(ErreurUtilisateur, match="DATABASE_URL est juste.*inconnue"):
        base.preparer()
    base.oublier()


def test_une_seance_rend_l_adresse_telle_qu_on_l_a_donnee(demo, monkeypatch):
    donnee = sa.make_url(base.url()).set(drivername="postgres").render_as_string(False)
    monkeypatch.setenv("DATABASE_URL", donnee)
    monkeypatch.setenv("MLOPS_UTILISATEUR", "adresse")
    base.oublier()
    with session() as adresse:
        assert os.environ["DATABASE_URL"] == adresse != donnee
    assert os.environ["DATABASE_URL"] == donnee


@pytest.mark.parametrize("contenu", [None, "", b"\xff"])
def test_un_mot_de_passe_illisible_est_dit(sans_mot_de_passe, monkeypatch, tmp_path, contenu):
    fichier = tmp_path / "secret"
    if contenu is not None:
        fichier.write_bytes(contenu if isinstance(contenu, bytes) else contenu.encode())
    monkeypatch.setenv("DATABASE_PASSWORD_FILE", str(fichier))
    with pytest.raises(ErreurUtilisateur, match="DATABASE_PASSWORD_FILE"):
        base.url()


def test_des_options_encodees_arrivent_telles_quelles_par_les_deux_voies(demo, monkeypatch):
    """L’espace d’une option s’écrit %20 : libpq ne lit pas le « + » de SQLAlchemy."""
    options = "options=-c%20statement_timeout%3D12345%20-c%20lock_timeout%3D678"
    monkeypatch.setenv("DATABASE_URL", f"{base.url()}?{options}")
    monkeypatch.setenv("MLOPS_UTILISATEUR", "options")
    base.oublier()
    assert base.url().endswith(f"?{options}")
    lire = "SELECT current_setting('statement_timeout') AS a, current_setting('lock_timeout') AS b"
    attendu = ("12345ms", "678ms")
    with base.transaction() as connexion:
        assert tuple(connexion.execute(sa.text(lire)).one()) == attendu
    assert tuple(base.lire(lire).iloc[0]) == attendu
    base.oublier()


class Repartiteur(threading.Thread):
    """Refuse, comme PgBouncer, les options d’une connexion."""

    def __init__(self):
        super().__init__(daemon=True)
        self.prise = socket.create_server(("127.0.0.1", 0))
        self.port = self.prise.getsockname()[1]

    def run(self):
        """Répond à chaque connexion."""
        motif = b"unsupported startup parameter in options: search_path"
        champs = b"SFATAL\0C08P01\0M" + motif + b"\0\0"
        while True:
            connexion, _ = self.prise.accept()
            with connexion:
                # Une demande de chiffrement ne fait que huit octets : on la décline.
                while len(connexion.recv(4096)) == 8:
                    connexion.sendall(b"N")
                connexion.sendall(b"E" + struct.pack("!i", len(champs) + 4) + champs)


def test_un_repartiteur_qui_refuse_le_schema_dit_de_donner_l_adresse_directe(demo, monkeypatch):
    repartiteur = Repartiteur()
    repartiteur.start()
    monkeypatch.setenv("DATABASE_URL", f"postgresql://moi@127.0.0.1:{repartiteur.port}/base")
    base.oublier()
    with pytest.raises(ErreurUtilisateur, match=r"répartiteur.*adresse directe de Postgres"):
        base.preparer()
    base.oublier()


def test_un_repartiteur_qui_ignore_le_schema_n_est_pas_suivi(demo, monkeypatch):
    """Réglé par « ignore_startup_parameters = options », il ferait écrire dans « public »."""
    monkeypatch.setenv("MLOPS_UTILISATEUR", "ignore")
    monkeypatch.setattr(base, "url_avec_schema", lambda nom: sa.make_url(base.url()))
    base.oublier()
    with pytest.raises(ErreurUtilisateur, match="adresse directe de Postgres"):
        base.preparer()
    base.oublier()


@pytest.mark.parametrize(
    ("revision", "dit"),
    [
        (
            "451aebb31d03",
            r"plus ancienne que MLflow [\d.]+ .*pg_dump.*mlflow db upgrade 'postgresql",
        ),
        ("ffffffffffff", r"plus récente que MLflow .*version du projet qui les a faites"),
    ],
)
def test_des_tables_de_mlflow_d_une_autre_version_sont_dites(demo, revision, dit):
    """Jamais mises à jour sans qu’on le demande."""
    changer = sa.text("UPDATE mlflow.alembic_version SET version_num = :version RETURNING 1")
    lire = sa.text("SELECT version_num FROM mlflow.alembic_version")
    base.preparer()
    with base.transaction() as connexion:
        avant = connexion.execute(lire).scalar_one()
        connexion.execute(changer, {"version": revision})
    try:
        with pytest.raises(ErreurUtilisateur, match=dit):
            base.preparer()
        with base.transaction() as connexion:
            assert connexion.execute(lire).scalar_one() == revision
    finally:
        with base.transaction() as connexion:
            connexion.execute(changer, {"version": avant})
    base.preparer()


def test_un_dossier_avec_apostrophe_ne_gene_pas_mlflow(tmp_path):
    """Sa première expérience écrit le dossier courant dans du SQL, sans le protéger."""
    dossier = tmp_path / "l'été à moi"
    dossier.mkdir()
    code = "from mlops_demo import base; base.preparer(); base.preparer(); print('prête')"
    env = {n: v for n, v in os.environ.items() if n != "DATABASE_URL"}
    env |= {"MLOPS_UTILISATEUR": "moi", "MLOPS_TRAVAIL": str(dossier)}
    commande = [sys.executable, "-c", code]
    fait = subprocess.run(
        commande, cwd=dossier, env=env, capture_output=True, text=True, check=False
    )
    assert fait.stdout == "prête\n", fait.stderr[-500:]
    subprocess.run([sys.executable, "-m", "mlops_demo", "nettoyer"], env=env, check=True)
