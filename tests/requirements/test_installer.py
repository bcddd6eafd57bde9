"""L’installation de .venv : ce qu’elle décide, et ce qu’elle dit quand elle ne peut pas."""

import ast
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import pytest
from packaging.specifiers import SpecifierSet

RACINE = Path(__file__).resolve().parents[2]
FICHIER = RACINE / "requirements" / "installer.py"


@pytest.fixture
def installer():
    """Charge le script sans le lancer : il n’est dans aucun paquet."""
    description = importlib.util.spec_from_file_location("installer", FICHIER)
    module = importlib.util.module_from_spec(description)
    description.loader.exec_module(module)
    return module


@pytest.fixture
def projet(tmp_path):
    """Un dépôt réduit à ce que lit l’installation, dans un chemin difficile."""
    racine = tmp_path / "é t é"
    (racine / "requirements").mkdir(parents=True)
    shutil.copy(RACINE / "requirements" / "lock.txt", racine / "requirements")
    shutil.copy(RACINE / "pyproject.toml", racine)
    return racine


@pytest.fixture
def constructions(installer, monkeypatch):
    """Remplace la construction, longue, par une qui note ce qu’on lui demande."""
    notees = []

    def construire(racine, venv, mise_a_jour):
        notees.append("mise à jour" if mise_a_jour else "de zéro")
        (venv / "bin").mkdir(exist_ok=True)
        if not mise_a_jour:
            (venv / "bin" / "python").symlink_to(shutil.which("true"))

    monkeypatch.setattr(installer, "construire", construire)
    monkeypatch.setattr(installer, "exiger_espace", lambda dossier: None)
    return notees


def test_un_vieux_python_sait_lire_le_script():
    ast.parse(FICHIER.read_text(encoding="utf-8"), feature_version=(3, 6))


def test_les_bornes_de_python_sont_celles_de_pyproject(installer):
    projet = tomllib.loads((RACINE / "pyproject.toml").read_text(encoding="utf-8"))
    bornes = SpecifierSet(projet["project"]["requires-python"])
    for mineure in range(6, 20):
        assert installer.python_convient((3, mineure, 1)) == (f"3.{mineure}.1" in bornes), (
            f"3.{mineure} : l’installation et requires-python ne sont pas d’accord"
        )


@pytest.mark.parametrize("version", [(3, 6, 0), (3, 10, 14), (3, 14, 0)])
def test_un_python_hors_des_bornes_est_refuse(installer, version):
    with pytest.raises(installer.Probleme, match=r"ne convient pas : il faut Python 3\.11"):
        installer.exiger_python(version)


@pytest.mark.parametrize("module", ["venv", "ensurepip"])
def test_un_python_sans_venv_dit_quel_paquet_installer(installer, monkeypatch, module):
    monkeypatch.setitem(installer.sys.modules, module, None)
    with pytest.raises(installer.Probleme, match=f"pas le module {module}.*python3-venv"):
        installer.exiger_venv()


def test_un_disque_trop_plein_est_refuse(installer, tmp_path):
    libre = shutil.disk_usage(tmp_path).free
    installer.exiger_espace(tmp_path, necessaire=libre // 2)
    with pytest.raises(installer.Probleme, match=r"disque est trop plein.*il en reste .* Go"):
        installer.exiger_espace(tmp_path, necessaire=libre * 2)


def test_un_dossier_protege_est_refuse(installer, tmp_path):
    installer.exiger_ecriture(tmp_path)
    # Même root n’écrit pas dans le système de fichiers des processus.
    with pytest.raises(installer.Probleme, match="Impossible d’écrire dans « /proc »"):
        installer.exiger_ecriture(Path("/proc"))


@pytest.mark.parametrize(
    ("geste", "manque"), [("symlink_to", "les liens"), ("chmod", "les droits")]
)
def test_un_disque_sans_liens_ni_droits_est_nomme(installer, monkeypatch, tmp_path, geste, manque):
    """Comme FAT, qui refuse les liens, ou /mnt/c, qui oublie les droits sans le dire."""

    def refuser(*arguments):
        if geste == "symlink_to":
            raise PermissionError(1, "Operation not permitted")

    installer.exiger_systeme_de_fichiers(tmp_path)
    monkeypatch.setattr(Path, geste, refuser)
    with pytest.raises(installer.Probleme, match=f"ne permet pas {manque}.*cd ~"):
        installer.exiger_systeme_de_fichiers(tmp_path)


def test_un_disque_d_ou_rien_ne_s_execute_est_nomme(installer, tmp_path):
    admin = ["sudo", "-n"] if os.geteuid() else []
    monter = [*admin, "mount", "-t", "tmpfs", "-o", "noexec,mode=1777", "essai", tmp_path]
    try:
        subprocess.run(monter, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        assert "CI" not in os.environ, "l’intégration continue sait monter un disque"
        pytest.skip("monter un disque demande root, ou sudo sans mot de passe")
    try:
        with pytest.raises(installer.Probleme, match="ne permet pas l’exécution de programmes"):
            installer.exiger_systeme_de_fichiers(tmp_path)
    finally:
        subprocess.check_call([*admin, "umount", tmp_path])


def test_windows_a_une_phrase():
    """Ce Python-ci, privé du module que Windows n’a pas."""
    code = f"import sys, runpy; sys.modules['fcntl'] = None; runpy.run_path({str(FICHIER)!r})"
    refus = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert refus.returncode == 1
    assert "installez WSL 2" in refus.stderr
    assert "Traceback" not in refus.stderr


def test_un_python_apporte_par_uv_est_trouve_hors_du_chemin(installer, monkeypatch, tmp_path):
    apporte = tmp_path / ".local" / "bin" / f"python3.{sys.version_info[1]}"
    apporte.parent.mkdir(parents=True)
    apporte.symlink_to(sys.executable)
    monkeypatch.setenv("PATH", "/nulle/part")
    monkeypatch.setenv("HOME", str(tmp_path / "vide"))
    assert installer.autre_python() is None
    monkeypatch.setenv("HOME", str(tmp_path))
    assert installer.autre_python() == str(apporte)


# Ce qu’un terminal peut contenir, et un réglage de pip comme en donnent les entreprises.
TERMINAL = {
    "HOME": "/maison",
    "PIP_USER": "1",
    "PIP_TARGET": "/ailleurs",
    "PIP_INDEX_URL": "https://index.exemple/simple",
    "PYTHONPATH": "/ailleurs",
    "PYTHONHOME": "/ailleurs",
    "UV_SYSTEM_PYTHON": "1",
    "UV_CACHE_DIR": "/cache",
    "VIRTUAL_ENV": "/ailleurs",
    "https_proxy": "http://mandataire:3128",
}
PIP_CONF = """\
[global]
extra-index-url =
    https://un.exemple/simple
    https://deux.exemple/simple
constraint = /ailleurs
timeout = 7
user = true
[install]
user = true
timeout = 8
trusted-host = un.exemple
"""


@pytest.fixture
def terminal(monkeypatch):
    """Donne à ce processus le terminal voulu, et rien d’autre que PATH."""

    def poser(**variables):
        for nom in set(os.environ) - {"PATH"}:
            monkeypatch.delenv(nom)
        for nom, valeur in variables.items():
            monkeypatch.setenv(nom, valeur)

    return poser


def test_du_terminal_ne_reste_que_le_reseau(installer, terminal, tmp_path):
    conf = tmp_path / "pip.conf"
    conf.write_text(PIP_CONF, encoding="utf-8")
    terminal(**TERMINAL, PIP_CONFIG_FILE=str(conf))
    pip = installer.reglages_de_pip(sys.executable)
    donne = installer.environnement(pip)
    retires = set(TERMINAL) - set(donne)
    assert retires == {
        *("PIP_USER", "PIP_TARGET", "PYTHONPATH", "PYTHONHOME", "UV_SYSTEM_PYTHON", "VIRTUAL_ENV")
    }
    deux = "https://un.exemple/simple https://deux.exemple/simple"
    attendus = {
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_INDEX_URL": TERMINAL["PIP_INDEX_URL"],
        "UV_DEFAULT_INDEX": TERMINAL["PIP_INDEX_URL"],
        "PIP_EXTRA_INDEX_URL": deux,
        "UV_INDEX": deux,
        "PIP_TIMEOUT": "8",
        "UV_INSECURE_HOST": "un.exemple",
    }
    assert {n: donne[n] for n in attendus} == attendus
    assert "PIP_CONSTRAINT" not in donne


def test_des_reglages_de_pip_illisibles_tiennent_en_une_phrase(installer, terminal, tmp_path):
    (tmp_path / "pip.conf").write_text("n’importe quoi", encoding="utf-8")
    terminal(PIP_CONFIG_FILE=str(tmp_path / "pip.conf"))
    with pytest.raises(installer.Probleme, match="pip ne lit pas ses réglages"):
        installer.reglages_de_pip(sys.executable)


@pytest.mark.parametrize(
    ("variables", "attendus"),
    [
        ({}, {"PIP_CERT": "MAGASIN", "UV_SYSTEM_CERTS": "true"}),
        ({"SSL_CERT_FILE": "AC"}, {"PIP_CERT": "AC", "SSL_CERT_FILE": "AC"}),
        ({"REQUESTS_CA_BUNDLE": "AC"}, {"PIP_CERT": "AC", "SSL_CERT_FILE": "AC"}),
        ({"PIP_CERT": "AC"}, {"PIP_CERT": "AC", "SSL_CERT_FILE": "AC"}),
    ],
)
def test_pip_et_uv_connaissent_les_memes_certificats(
    installer, terminal, monkeypatch, tmp_path, variables, attendus
):
    lieux = {"MAGASIN": str(tmp_path / "magasin.pem"), "AC": str(tmp_path / "ac.pem")}
    for lieu in lieux.values():
        Path(lieu).touch()
    monkeypatch.setattr(installer, "MAGASINS", ("/nulle/part", lieux["MAGASIN"]))
    terminal(
        HOME=str(tmp_path),
        PIP_CONFIG_FILE=os.devnull,
        **{n: lieux[v] for n, v in variables.items()},
    )
    donne = installer.environnement(installer.reglages_de_pip(sys.executable))
    certificats = {
        n: donne[n] for n in ("PIP_CERT", "SSL_CERT_FILE", "UV_SYSTEM_CERTS") if n in donne
    }
    assert certificats == {n: lieux.get(v, v) for n, v in attendus.items()}


def test_l_installation_ne_se_refait_que_si_le_verrou_change(installer, projet, constructions):
    installer.installer(projet)
    installer.installer(projet)
    assert constructions == ["de zéro"], "une seconde installation n’avait rien à faire"

    verrou = projet / "requirements" / "lock.txt"
    verrou.write_text(verrou.read_text(encoding="utf-8") + "# changé\n", encoding="utf-8")
    installer.installer(projet)
    assert constructions == ["de zéro", "mise à jour"]


def test_un_changement_de_style_ne_reinstalle_rien(installer, projet, constructions):
    installer.installer(projet)
    pyproject = projet / "pyproject.toml"
    pyproject.write_text(
        pyproject.read_text(encoding="utf-8").replace("line-length = 100", "line-length = 99"),
        encoding="utf-8",
    )
    installer.installer(projet)
    assert constructions == ["de zéro"]


def test_un_dossier_deplace_est_reinstalle_de_zero(installer, projet, constructions):
    installer.installer(projet)
    ailleurs = projet.rename(projet.with_name("ailleurs"))
    installer.installer(ailleurs)
    assert constructions == ["de zéro", "de zéro"]


def test_un_python_disparu_est_reinstalle_de_zero(installer, projet, constructions):
    installer.installer(projet)
    python = projet / ".venv" / "bin" / "python"
    python.unlink()
    python.symlink_to("/nulle/part")
    installer.installer(projet)
    assert constructions == ["de zéro", "de zéro"]


def test_une_installation_interrompue_repart_de_zero(installer, projet, monkeypatch, constructions):
    construire = installer.construire

    def interrompre(racine, venv, mise_a_jour):
        (venv / "lib").mkdir()
        (venv / "lib" / "à moitié").touch()
        raise KeyboardInterrupt

    monkeypatch.setattr(installer, "construire", interrompre)
    with pytest.raises(KeyboardInterrupt):
        installer.installer(projet)
    monkeypatch.setattr(installer, "construire", construire)
    installer.installer(projet)
    assert constructions == ["de zéro"]
    assert not (projet / ".venv" / "lib").exists(), "les restes de l’essai interrompu sont là"


def test_un_venv_d_ailleurs_n_est_pas_touche(installer, projet, constructions):
    precieux = projet / ".venv" / "précieux"
    precieux.parent.mkdir()
    precieux.touch()
    with pytest.raises(installer.Probleme, match="n’a pas été créé par ce projet"):
        installer.installer(projet)
    assert precieux.exists()
    assert constructions == []


def test_l_arret_d_une_commande_arrete_aussi_ses_enfants(installer, monkeypatch, tmp_path):
    """Ctrl-C pendant que pip ou uv ont eux-mêmes lancé des processus."""

    def ctrl_c(texte):
        raise KeyboardInterrupt

    monkeypatch.setattr(installer, "dire", ctrl_c)
    script = "(sleep 0.5; touch survivant) & echo 'Prepared 12 packages in 1s'; wait"
    with pytest.raises(KeyboardInterrupt):
        installer.lancer(["sh", "-c", script], tmp_path, dict(os.environ))
    # On ne peut constater une absence qu’en laissant passer le moment où elle cesserait.
    time.sleep(1)
    assert not (tmp_path / "survivant").exists(), "un enfant de la commande a continué d’écrire"


# Recopiés de vraies sorties d’uv 0.13.9 et de pip 23.0.1, noms d’hôtes retirés.
UV_EMPREINTE = """\
Resolved 252 packages in 69ms
error: Failed to download `tzdata==2026.6`
  cause: Hash mismatch for `tzdata==2026.6`

         Expected:
           sha256:00000000e13ef16b627fabed9a5f2ba61a62b1c67f327305f4e7e412a70b4aec
"""
PIP_EMPREINTE = """\
Collecting alembic==1.2.3 (from -r requirements/lock.txt (line 12))
Collecting tzdata==2026.6 (from -r requirements/lock.txt (line 4600))
ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE. If you have updated…
    tzdata==2026.6 from tzdata-2026.6-py2.py3-none-any.whl (from -r requirements/lock.txt):
        Expected sha256 0000000009f81f0bb29db27759fc83af4f1e620efb814f8c5bf8b4cc4feece6d
"""
UV_RESEAU = """\
error: Request failed after 3 retries in 9.2s
  cause: error sending request for url (index/simple/tzdata/)
  cause: dns error
"""
PIP_RESEAU = """\
WARNING: Retrying (Retry(total=0)) after connection broken by 'NewConnectionError(': Failed to …
ERROR: Could not find a version that satisfies the requirement tzdata==2026.6 (from versions: …)
"""
UV_CERTIFICAT = """\
error: Request failed after 3 retries in 9.2s
  cause: error sending request for url (index/simple/tzdata/)
  cause: invalid peer certificate: UnknownIssuer
"""
PIP_CERTIFICAT = """\
WARNING: Retrying (Retry(total=0)) after connection broken by 'SSLError(SSLCertVerificationError(1,
'[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: unable to get local issuer
"""
UV_DISQUE = """\
error: Failed to install: pyarrow-25.0.0-cp311-cp311-manylinux_2_28_x86_64.whl (pyarrow==25.0.0)
  cause: failed to copy file: No space left on device (os error 28)
"""
PIP_DISQUE = (
    "ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device"
)


@pytest.mark.parametrize(
    ("sortie", "phrase"),
    [
        (UV_EMPREINTE, r"\(tzdata 2026\.6\) n’a pas l’empreinte attendue"),
        (PIP_EMPREINTE, r"\(tzdata 2026\.6\) n’a pas l’empreinte attendue"),
        (UV_CERTIFICAT, "certificat que cette machine ne reconnaît pas"),
        (PIP_CERTIFICAT, "certificat que cette machine ne reconnaît pas"),
        (UV_RESEAU, "vérifiez la connexion au réseau"),
        (PIP_RESEAU, "vérifiez la connexion au réseau"),
        (UV_DISQUE, "Le disque s’est rempli"),
        (PIP_DISQUE, "Le disque s’est rempli"),
        ("error: la surprise", "a échoué ; voici la fin de la sortie :\n  error: la surprise"),
    ],
)
def test_un_echec_se_dit_en_une_phrase(installer, tmp_path, sortie, phrase):
    assert re.search(phrase, str(installer.expliquer(sortie, tmp_path)))


class Commandes:
    """Fait semblant d’être pip et uv : rend les issues voulues, note qui a été appelé."""

    def __init__(self, *issues):
        self.issues, self.appels = list(issues), []

    def __call__(self, commande, dossier, variables):
        self.appels.append("uv" if Path(commande[0]).name == "uv" else "pip")
        return self.issues.pop(0)


@pytest.mark.parametrize(
    ("issues", "appels", "phrase"),
    [
        ([(0, ""), (0, "")], ["pip", "uv"], None),
        # Un proxy dont pip seul a l’authentification : pip prend le relais.
        ([(0, ""), (2, UV_RESEAU), (0, "")], ["pip", "uv", "pip"], None),
        # Pas d’uv pour cette machine : pip installe tout.
        ([(1, "ERROR: no matching distribution"), (0, "")], ["pip", "pip"], None),
        # Une empreinte refusée ou un disque plein ne se contournent pas.
        ([(0, ""), (2, UV_EMPREINTE)], ["pip", "uv"], "empreinte"),
        ([(0, ""), (2, UV_DISQUE)], ["pip", "uv"], "disque"),
        # pip lit les mêmes certificats : il ne ferait pas mieux.
        ([(0, ""), (2, UV_CERTIFICAT)], ["pip", "uv"], "SSL_CERT_FILE"),
        ([(1, PIP_EMPREINTE)], ["pip"], "empreinte"),
        ([(1, PIP_RESEAU)], ["pip"], "réseau"),
        ([(0, ""), (2, UV_RESEAU), (1, PIP_RESEAU)], ["pip", "uv", "pip"], "réseau"),
    ],
)
def test_pip_ne_remplace_uv_que_quand_cela_peut_servir(
    installer, monkeypatch, capsysbinary, projet, issues, appels, phrase
):
    commandes = Commandes(*issues)
    monkeypatch.setattr(installer, "lancer", commandes)
    if phrase:
        with pytest.raises(installer.Probleme, match=phrase):
            installer.installer_paquets(projet, projet / ".venv", {})
    else:
        installer.installer_paquets(projet, projet / ".venv", {})
    assert commandes.appels == appels
    if appels == ["pip", "uv", "pip"]:
        dit = capsysbinary.readouterr().out.decode()
        assert "uv n’a pas abouti (cause: dns error)" in dit, "le repli doit dire pourquoi"


def test_uv_s_installe_par_ses_propres_lignes_du_verrou(installer):
    verrou = (RACINE / "requirements" / "lock.txt").read_text(encoding="utf-8")
    lignes = installer.lignes_de(verrou, "uv").splitlines()
    assert lignes[0].startswith("uv==")
    assert sum("--hash=sha256:" in ligne for ligne in lignes) > 1
    assert not any("uvicorn" in ligne or "uvloop" in ligne for ligne in lignes)
    with pytest.raises(installer.Probleme, match="Il manque absent dans requirements/lock.txt"):
        installer.lignes_de(verrou, "absent")
