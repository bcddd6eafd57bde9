"""Ce que partagent les tests qui ouvrent des pages : un vrai navigateur, réseau coupé."""

import subprocess
import sys
import threading

import pytest
from playwright.sync_api import sync_playwright
from publication import expose
from publication.depot import RACINE, ErreurPublication
from publication.expose import ORDINAIRE
from publication.livre import executer_l_expose, une_seule_fabrication
from publication.pdf import trouver_chromium
from publication.serveur import preparer

RESEAU_COUPE = "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1"


@pytest.fixture(scope="session")
def navigateur():
    """Un Chromium sans réseau ; son absence est un échec, pas un test passé sous silence."""
    try:
        chemin = trouver_chromium()
    except ErreurPublication as erreur:
        pytest.fail(str(erreur), pytrace=False)
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=chemin, args=[RESEAU_COUPE])
        yield chromium
        chromium.close()


@pytest.fixture(scope="session")
def servi(livre):
    """L’adresse du livre, servi comme le fait « make serve »."""
    serveur = preparer(RACINE, 0)
    threading.Thread(target=serveur.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{serveur.server_port}"
    serveur.shutdown()
    serveur.server_close()


@pytest.fixture(scope="session")
def diapositives():
    """Toutes les diapositives du vrai exposé, qui s’exécute en quelques secondes s’il a changé."""
    with une_seule_fabrication(RACINE):
        executer_l_expose(RACINE)
    return expose.lire(RACINE)


@pytest.fixture(scope="session")
def ordinaires(diapositives):
    """Celles de l’exposé de 45 minutes."""
    return [d for d in diapositives if expose.parait(d.version, ORDINAIRE)]


@pytest.fixture(scope="session")
def jeu():
    """Construit le jeu comme le ferait « make slides » et donne sa page ; il se passe du livre."""
    resultat = subprocess.run(
        [sys.executable, "-m", "publication", "diapositives"],
        cwd=RACINE,
        capture_output=True,
        text=True,
        check=False,
    )
    assert resultat.returncode == 0, f"Le jeu ne se construit pas.\n{resultat.stderr}"
    return RACINE / "_build" / "diapositives" / "index.html"
