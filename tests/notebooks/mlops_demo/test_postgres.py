"""Le Postgres embarqué : il démarre, se partage, et ne survit à personne."""

import fcntl
import os
import signal
import subprocess
import sys
import threading
import time

import pytest
from mlops_demo import postgres
from mlops_demo.configuration import ErreurUtilisateur

OUVRIR = "from mlops_demo import postgres; print(postgres.ouvrir(), flush=True); input()"


@pytest.fixture
def ailleurs(tmp_path, monkeypatch):
    """Un dossier de travail neuf, dont le nom porte une espace et un accent."""
    monkeypatch.setenv("MLOPS_TRAVAIL", str(tmp_path / "à côté"))
    monkeypatch.delenv("DATABASE_URL", raising=False)
    yield tmp_path
    effacer = "from mlops_demo import postgres; postgres.effacer()"
    subprocess.run([sys.executable, "-c", effacer], check=True)


def ouvrir():
    """Lance un processus qui ouvre la base et rend son adresse."""
    enfant = subprocess.Popen(
        [sys.executable, "-c", OUVRIR], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    adresse = enfant.stdout.readline().strip()
    assert adresse.startswith("postgresql+psycopg://postgres:"), adresse
    return enfant, adresse


def repond(adresse):
    """Vrai si un serveur répond à cette adresse."""
    import psycopg

    try:
        psycopg.connect(adresse.replace("+psycopg", ""), connect_timeout=2).close()
    except psycopg.OperationalError:
        return False
    return True


def attendre_l_arret(adresse, limite_s=20):
    """Attend que le serveur ne réponde plus."""
    limite = time.monotonic() + limite_s
    while repond(adresse):
        assert time.monotonic() < limite, "le serveur survit à ceux qui s’en servaient"
        time.sleep(0.1)


@pytest.mark.parametrize("fin", [signal.SIGKILL, signal.SIGTERM, None])
def test_le_serveur_s_arrete_avec_son_dernier_utilisateur(ailleurs, fin):
    enfant, adresse = ouvrir()
    assert repond(adresse)
    if fin is None:
        enfant.communicate("\n")
    else:
        enfant.send_signal(fin)
        enfant.wait()
    attendre_l_arret(adresse)


def test_deux_processus_se_partagent_un_serveur(ailleurs):
    premier, adresse = ouvrir()
    second, autre = ouvrir()
    assert adresse == autre
    premier.kill()
    premier.wait()
    time.sleep(1.5)
    assert repond(adresse), "le serveur sert encore au second"
    second.kill()
    second.wait()
    attendre_l_arret(adresse)


def test_les_donnees_survivent_a_un_arret_brutal(ailleurs):
    import psycopg

    enfant, adresse = ouvrir()
    with psycopg.connect(adresse.replace("+psycopg", "")) as connexion:
        connexion.execute("CREATE TABLE temoin AS SELECT 42 AS valeur")
    enfant.kill()
    enfant.wait()
    enfant, adresse = ouvrir()
    with psycopg.connect(adresse.replace("+psycopg", "")) as connexion:
        assert connexion.execute("SELECT valeur FROM temoin").fetchone() == (42,)
    enfant.kill()
    enfant.wait()


def tenir(dossier, mode):
    """Tient le verrou des utilisateurs, comme l’un d’eux ou comme le superviseur."""
    verrou = (dossier / "utilisateurs").open("a")
    fcntl.flock(verrou, mode)
    return verrou


def test_on_n_efface_pas_une_base_qui_sert(ailleurs):
    dossier = postgres._dossier()
    with tenir(dossier, fcntl.LOCK_SH), pytest.raises(ErreurUtilisateur, match="sert encore"):
        postgres.effacer()
    assert dossier.is_dir()


def test_effacer_attend_le_serveur_qui_finit_de_s_arreter(ailleurs):
    # Étant donné le superviseur, qui prend deux secondes pour arrêter le serveur
    dossier = postgres._dossier()
    verrou = tenir(dossier, fcntl.LOCK_EX)
    fin = threading.Timer(2, verrou.close)
    fin.start()
    # Quand on efface la base, alors on l’attend au lieu de dire qu’elle sert encore
    postgres.effacer()
    assert not fin.is_alive()
    assert not dossier.exists()


def test_le_mot_de_passe_est_exige(ailleurs):
    import psycopg

    enfant, adresse = ouvrir()
    sans = adresse.replace("+psycopg", "").replace(adresse.split(":")[2].split("@")[0], "faux")
    with pytest.raises(psycopg.OperationalError, match="password"):
        psycopg.connect(sans)
    enfant.kill()
    enfant.wait()


@pytest.mark.parametrize(
    ("reglage", "valeur", "attendu"),
    [
        ("DATABASE_URL", "pas une adresse", "DATABASE_URL doit être"),
        ("DATABASE_URL", "mysql://a@b/c", "DATABASE_URL doit être"),
        ("DATABASE_URL", "postgresql://a:secret@127.0.0.1:1/c", "ne répond pas"),
        ("MLOPS_POSTGRES_BIN", "nulle-part", "corrigez MLOPS_POSTGRES_BIN"),
        ("MLOPS_UTILISATEUR", "éàü", "MLOPS_UTILISATEUR"),
        ("MLOPS_TRAVAIL", "/proc/interdit", "MLOPS_TRAVAIL"),
        ("MLOPS_DONNEES", "nulle-part", "MLOPS_DONNEES"),
    ],
)
def test_un_mauvais_reglage_tient_en_une_phrase(ailleurs, reglage, valeur, attendu):
    resultat = subprocess.run(
        [sys.executable, "-m", "mlops_demo", "recevoir", "lot.csv"],
        env={**os.environ, reglage: valeur},
        capture_output=True,
        text=True,
        check=False,
    )
    assert resultat.returncode == 1
    assert attendu in resultat.stderr
    assert "Traceback" not in resultat.stderr
    assert "secret" not in resultat.stderr, "un mot de passe ne s’affiche pas"
