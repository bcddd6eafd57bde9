"""L’accès à la base : une séance rend ce qu’elle a pris."""

import os

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
