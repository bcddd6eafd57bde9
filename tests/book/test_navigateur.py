"""Le livre construit, ouvert dans un vrai Chromium dont le réseau est coupé."""

import functools
import threading
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

import pytest
from playwright.sync_api import Browser, Page
from publication.depot import RACINE, lire_sommaire
from publication.serveur import preparer

TELEPHONE = {"width": 390, "height": 844}
CHAPITRES = [page.rsplit(".", 1)[0] + ".html" for page in lire_sommaire(RACINE)]
PAGES = ["index.html", *CHAPITRES, "search.html"]

# Ce que le thème écrit quand une traduction manque.
ANGLAIS = (
    "Back to top",
    "Click to",
    "Close",
    "Contents",
    "Copied",
    "Copy",
    "Download",
    "Fullscreen",
    "Hide code",
    "Light",
    "Main",
    "Next",
    "On this page",
    "Open issue",
    "Previous",
    "Print to",
    "Repository",
    "Search",
    "Show code",
    "Skip to",
    "Source repositories",
    "Suggest edit",
    "System Settings",
    "Toggle",
)


@dataclass
class Visite:
    """Ce qui s’est passé en ouvrant une page."""

    demandes: list[str] = field(default_factory=list)
    echecs: list[str] = field(default_factory=list)
    erreurs: list[str] = field(default_factory=list)
    contenu: dict[str, Any] = field(default_factory=dict)


# Ce qu’on lit d’une page ; « theme » réunit les textes hors de l’article et les noms des boutons.
CONTENU = """() => {
  const tous = (choix) => [...document.querySelectorAll(choix)];
  const noms = ["title", "aria-label", "placeholder", "data-bs-original-title"];
  const contenu = {
    langue: document.documentElement.lang,
    titre: document.title,
    description: document.querySelector('meta[name="description"]')?.content ?? "",
    titres: tous("article h1").length,
    sorties: tous("article .cell_output").length,
    images_muettes: tous("article img:not([alt])").length,
    texte: document.querySelector("article")?.innerText ?? "",
    theme: tous("*").flatMap((e) => noms.map((nom) => e.getAttribute(nom)).filter(Boolean)),
  };
  contenu.theme.push(...tous("summary").map((e) => e.textContent));
  tous("article, nav, script, style").forEach((e) => e.remove());
  contenu.theme.push(document.body.textContent);
  return contenu;
}"""


@pytest.fixture(scope="session")
def adresses(livre):
    """Les deux façons d’ouvrir le livre : servi en local, ou depuis le disque."""
    serveur = preparer(RACINE, 0)
    threading.Thread(target=serveur.serve_forever, daemon=True).start()
    yield {"http": f"http://127.0.0.1:{serveur.server_port}", "fichier": livre.as_uri()}
    serveur.shutdown()
    serveur.server_close()


@pytest.fixture(scope="session")
def visiter(navigateur, adresses):
    """Visite une page d’une des deux façons, une seule fois pour tous les tests."""

    @functools.cache
    def visiter(protocole: str, nom: str) -> Visite:
        page, visite = ouvrir(navigateur, f"{adresses[protocole]}/{nom}")
        visite.contenu = page.evaluate(CONTENU)
        page.context.close()
        return visite

    return visiter


def ouvrir(navigateur: Browser, adresse: str, **options) -> tuple[Page, Visite]:
    """Ouvre une page dans un profil neuf et note tout ce qu’elle demande et signale."""
    for _ in range(2):
        page = navigateur.new_context(locale="fr-FR", **options).new_page()
        visite = observer(page)
        page.goto(adresse, wait_until="networkidle")
        # Un réseau de conteneurs qui s’allume à côté fait échouer une demande : on recommence.
        if not any("ERR_NETWORK_CHANGED" in echec for echec in visite.echecs):
            break
        page.context.close()
    return page, visite


def observer(page: Page) -> Visite:
    """Note les demandes d’une page, celles qui échouent, et ce que dit sa console."""
    visite = Visite()

    def reponse(recue) -> None:
        if recue.status >= HTTPStatus.BAD_REQUEST:
            visite.echecs.append(f"{recue.status} {recue.url}")

    def console(message) -> None:
        if message.type in ("error", "warning"):
            visite.erreurs.append(message.text)

    page.on("request", lambda demande: visite.demandes.append(demande.url))
    page.on("requestfailed", lambda d: visite.echecs.append(f"{d.failure} {d.url}"))
    page.on("response", reponse)
    page.on("console", console)
    page.on("pageerror", lambda erreur: visite.erreurs.append(str(erreur)))
    return visite


@pytest.fixture(params=["http", "fichier"])
def protocole(request):
    """Une des deux façons d’ouvrir le livre."""
    return request.param


@pytest.mark.parametrize("nom", PAGES)
def test_aucune_demande_ne_sort(visiter, adresses, protocole, nom):
    # Quand on ouvre une page
    visite = visiter(protocole, nom)
    # Alors tout vient de cette machine, rien ne manque, et rien ne se plaint
    ici = (adresses[protocole], "data:", "blob:")
    dehors = [url for url in visite.demandes if not url.startswith(ici)]
    assert dehors == [], "La page demande quelque chose hors de cette machine."
    assert visite.echecs == [], "Une ressource de la page manque."
    assert visite.erreurs == [], "La console du navigateur signale une erreur."


def test_rapports_hors_ligne(navigateur, livre):
    # Quand on ouvre chaque rapport complet
    for rapport in sorted((livre / "rapports").glob("*.html")):
        page, visite = ouvrir(navigateur, rapport.as_uri())
        page.context.close()
        # Alors lui non plus ne demande rien au réseau
        dehors = [url for url in visite.demandes if url.startswith("http")]
        assert dehors == [], f"{rapport.name} demande quelque chose hors de cette machine."


def test_la_premiere_page_est_l_accueil(visiter, protocole):
    assert visiter(protocole, "index.html").contenu["titre"] == "Le MLOps en 45 minutes"


@pytest.mark.parametrize("nom", CHAPITRES)
def test_contenu_de_la_page(visiter, nom):
    # Quand on lit une page
    contenu = visiter("fichier", nom).contenu
    # Alors elle est en français, avec un titre, une description et des sorties exécutées
    assert contenu["langue"] == "fr"
    assert contenu["titres"] == 1, "Une page a un titre et un seul."
    assert contenu["description"], "La description de la page est vide."
    assert contenu["sorties"] >= 1, "La page n’a aucune sortie exécutée."
    assert contenu["images_muettes"] == 0, "Une image n’a pas de texte de remplacement."
    assert "Traceback (most recent call last)" not in contenu["texte"]
    assert str(RACINE) not in contenu["texte"], "La page montre un chemin de cette machine."


@pytest.mark.parametrize("nom", PAGES[1:])
def test_aucun_reste_d_anglais(visiter, nom):
    # Quand on relève ce que dit le thème
    dits = visiter("fichier", nom).contenu["theme"]
    # Alors rien n’est en anglais
    restes = {mot for mot in ANGLAIS for dit in dits if mot in dit}
    assert restes == set(), "Le thème parle encore anglais."


@pytest.mark.parametrize("nom", PAGES[1:])
def test_telephone(navigateur, adresses, nom):
    # Quand on ouvre la page sur un téléphone, en clair puis en sombre
    page, _ = ouvrir(navigateur, f"{adresses['fichier']}/{nom}", viewport=TELEPHONE)
    for mode in ("light", "dark"):
        page.emulate_media(color_scheme=mode)
        # Alors elle suit le mode choisi et ne déborde pas en largeur
        page.wait_for_selector(f'html[data-theme="{mode}"]', timeout=5000)
        largeur = page.evaluate("document.documentElement.scrollWidth")
        assert largeur <= TELEPHONE["width"], f"La page fait {largeur} pixels de large."
    page.context.close()


@pytest.mark.parametrize("mots", ["données", "donnees", "entrainement", "ENTRAÎNEMENT"])
def test_recherche_avec_ou_sans_accent(navigateur, adresses, protocole, mots):
    # Quand on cherche un mot
    page, visite = ouvrir(navigateur, f"{adresses[protocole]}/search.html?q={mots}")
    page.wait_for_selector("ul.search li a")
    # Alors des pages sont trouvées, sans erreur
    titres = page.locator("ul.search li a").all_inner_texts()
    page.context.close()
    assert titres, f"« {mots} » ne trouve aucune page."
    assert visite.erreurs == []
