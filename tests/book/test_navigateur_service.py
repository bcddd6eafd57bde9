"""La page de l’API : elle se lit sans réseau, en français, et appelle vraiment le service."""

import sys

import pytest
from mlops_demo import processus


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    """Le service, sans base ni modèle : sa page se lit quand même."""
    dossier, port = tmp_path_factory.mktemp("service"), processus.port_libre()
    commande = [sys.executable, "-m", "uvicorn", "--factory", "mlops_demo.service:application"]
    commande += ["--port", str(port)]
    with pytest.MonkeyPatch.context() as reglages:
        reglages.setenv("MLOPS_TAMPON", str(dossier))
        reglages.setenv(
            "DATABASE_URL", f"postgresql://personne@127.0.0.1:{processus.port_libre()}/x"
        )
        sante = f"http://127.0.0.1:{port}/health"
        serveur = processus.Serveur("le service", commande, sante, dossier / "journal")
    serveur.pret()
    yield f"http://127.0.0.1:{port}/"
    serveur.arreter()


@pytest.fixture
def page(navigateur, service):
    """La page ouverte, avec ses requêtes et ses erreurs."""
    ouverte = navigateur.new_page()
    ouverte.requetes, ouverte.erreurs = [], []
    ouverte.on("request", lambda r: ouverte.requetes.append(r.url))
    ouverte.on("console", lambda m: ouverte.erreurs.append(m.text) if m.type == "error" else None)
    ouverte.on("pageerror", lambda e: ouverte.erreurs.append(str(e)))
    ouverte.goto(service)
    ouverte.locator("#variables tr").last.wait_for()
    yield ouverte
    ouverte.close()


def test_aucune_requete_ne_sort(page, service):
    assert page.url == f"{service}docs"
    assert set(page.requetes) == {service, f"{service}docs", f"{service}openapi.json"}
    assert page.erreurs == []


def test_la_page_dit_les_adresses_et_les_domaines_en_francais(page):
    texte = page.inner_text("main")
    for attendu in ("POST /predict", "Juger des vols", "GET /ready", "température (°F)"):
        assert attendu in texte
    assert "de -20 à 115 ou null" in texte
    for anglais in ("Successful Response", "Validation Error", "Internal Server Error"):
        assert anglais not in texte + page.evaluate(
            "fetch('openapi.json').then((r) => r.text())"
        ), anglais


def test_la_page_appelle_le_service(page):
    page.click("#envoyer")
    page.locator("#reponse", has_text="503, en").wait_for()
    assert "aucun modèle" in page.inner_text("#reponse")
    page.fill("#demande", '{"vols": [{"temp": 200}]}')
    page.click("#envoyer")
    page.locator("#reponse", has_text="422, en").wait_for()
    assert "hors de [-20 ; 115] °F" in page.inner_text("#reponse")
