"""Ce que partagent les tests qui ouvrent des pages : un vrai navigateur, réseau coupé."""

import os
import shutil

import pytest
from playwright.sync_api import sync_playwright

RESEAU_COUPE = "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1"


@pytest.fixture(scope="session")
def navigateur():
    """Un Chromium sans réseau ; son absence est un échec, pas un test passé sous silence."""
    noms = ("chromium", "chromium-browser", "google-chrome")
    chemin = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, noms)), None)
    if chemin is None:
        pytest.fail(
            "Chromium est introuvable : installez-le (« apt-get install chromium » sur Debian) "
            "ou donnez son chemin dans la variable CHROMIUM.",
            pytrace=False,
        )
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=chemin, args=[RESEAU_COUPE])
        yield chromium
        chromium.close()
