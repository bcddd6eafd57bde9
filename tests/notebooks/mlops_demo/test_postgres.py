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


def test_un_compte_sans_nom_a_sa_base(ailleurs):
    """Un numéro que /etc/passwd ne connaît pas, comme dans bien des conteneurs."""
    lire = "from mlops_demo import base; print(base.lire('SELECT 1 AS un')['un'].iloc[0])"
    commande = ["unshare", "--user", "--map-user=23456", "--map-group=23456", sys.executable, "-c"]
    env = {n: v for n, v in os.environ.items() if n not in ("USER", "LOGNAME")}
    env |= {"MLOPS_UTILISATEUR": "moi", "MLOPS_TRAVAIL": str(ailleurs / "l'été à moi")}
    fait = subprocess.run(
        [*commande, lire], env=env, capture_output=True, text=True, check=False, timeout=60
    )
    assert fait.stdout == "1\n", fait.stderr


def test_un_compte_sans_nom_a_qui_tout_est_refuse_sait_quoi_donner(ailleurs, monkeypatch):
    def refuser():
        raise OSError("espace d’utilisateurs refusé")

    monkeypatch.setattr(postgres, "_verrou_utilisateur", None)  # la base des autres tests reste
    monkeypatch.setattr(postgres, "_a_un_nom", lambda numero: False)
    monkeypatch.setattr(postgres, "_sous_un_nom", refuser)
    with pytest.raises(ErreurUtilisateur, match=r"n’a pas de nom.*DATABASE_URL"):
        postgres.ouvrir()
    postgres.fermer()


def test_un_disque_qui_ne_garde_pas_les_droits_est_nomme(ailleurs, monkeypatch):
    """Comme /mnt/c : le dossier reste ouvert à tous, et initdb le refuse."""
    mkdir = postgres.Path.mkdir

    def ouvert(dossier, mode=0o777, **options):
        mkdir(dossier, mode=mode, **options)
        dossier.chmod(0o777)

    def refuser(*arguments, **options):
        return subprocess.CompletedProcess(arguments, 1, "", "initdb: error: permissions")

    monkeypatch.setattr(postgres, "_verrou_utilisateur", None)  # la base des autres tests reste
    monkeypatch.setattr(postgres.Path, "mkdir", ouvert)
    monkeypatch.setattr(postgres.subprocess, "run", refuser)
    with pytest.raises(ErreurUtilisateur, match=r"ne garde pas les droits.*MLOPS_TRAVAIL"):
        postgres.ouvrir()
    postgres.fermer()
    monkeypatch.undo()
    monkeypatch.setenv("MLOPS_TRAVAIL", str(ailleurs / "à côté"))


def test_le_terminal_d_un_autre_serveur_ne_change_rien(ailleurs):
    reglages = {"PGSSLMODE": "require", "PGHOSTADDR": "203.0.113.1", "PGSERVICE": "absent"}
    lire = "from mlops_demo import base; print(base.lire('SELECT 1 AS un')['un'].iloc[0])"
    fait = subprocess.run(
        [sys.executable, "-c", lire],
        env=os.environ | reglages | {"PGCONNECT_TIMEOUT": "5", "MLOPS_UTILISATEUR": "moi"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert fait.stdout == "1\n", fait.stderr


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
