"""Le livre construit, ouvert dans un vrai Chromium dont le réseau est coupé."""

import functools
import gzip
import re
import threading
import unicodedata
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import ThreadingHTTPServer
from pathlib import Path
from statistics import median
from typing import Any

import pytest
from bs4 import BeautifulSoup
from fontTools.ttLib import TTFont
from PIL import Image
from playwright.sync_api import Browser, Page
from publication.depot import RACINE, adresse_publiee, lire_sommaire, lire_yaml
from publication.outils_web import poser_les_boutons
from publication.serveur import Demandes

TAILLES = ((390, 844), (1280, 720), (1920, 1080))
# Ce qu’une page envoie au lecteur, en octets compressés : au milieu, puis la plus lourde.
POIDS_MEDIAN, POIDS_MAXIMAL = 400_000, 1_500_000
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
    poids: int = 0


# Ce qu’on lit d’une page ; « theme » réunit les textes hors de l’article et les noms des boutons.
CONTENU = """() => {
  const tous = (choix) => [...document.querySelectorAll(choix)];
  const noms = ["title", "aria-label", "placeholder", "data-bs-original-title", "data-tooltip"];
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
def adresses(livre, servi):
    """Les deux façons d’ouvrir le livre : servi en local, ou depuis le disque."""
    return {"http": servi, "fichier": livre.as_uri()}


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
        poser_les_boutons(page)
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
        visite.poids += int(recue.headers.get("content-length", 0))

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


@pytest.mark.parametrize("nom", PAGES)
def test_chaque_page_nomme_son_icone(livre, nom):
    """Sans quoi le navigateur en demande une à la racine du site, où il n’y en a pas."""
    page = BeautifulSoup((livre / nom).read_text(encoding="utf-8"), "html.parser")
    assert page.select_one('link[rel~="icon"]'), nom


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


@pytest.mark.parametrize("nom", [*PAGES[1:], "404.html"])
def test_rien_ne_deborde(navigateur, adresses, nom):
    page = navigateur.new_page()
    page.goto(f"{adresses['fichier']}/{nom}")
    trop_larges = {}
    for largeur, hauteur in TAILLES:
        page.set_viewport_size({"width": largeur, "height": hauteur})
        occupee = page.evaluate("document.documentElement.scrollWidth")
        if occupee > largeur:
            trop_larges[largeur] = occupee
    page.close()
    assert trop_larges == {}, "La page déborde en largeur."


@pytest.mark.parametrize("mode", ["light", "dark"])
def test_suit_le_mode_de_l_ordinateur(navigateur, adresses, mode):
    # Étant donné un ordinateur en clair ou en sombre, et des scripts qui n’ont pas encore tourné
    page = navigateur.new_page(color_scheme=mode)
    page.route("**/pydata-sphinx-theme.js*", lambda demande: demande.abort())
    page.goto(f"{adresses['http']}/book/accueil.html")
    # Alors la page est dans ce mode dès qu’elle paraît
    theme = page.evaluate("document.documentElement.dataset.theme")
    page.close()
    assert theme == mode


def test_poids_des_pages(visiter):
    # Quand on ouvre chaque page comme GitHub Pages la sert, compressée
    poids = {nom: visiter("http", nom).poids for nom in PAGES}
    # Alors elle est légère
    assert min(poids.values()) > 50_000, "Une page est trop légère : le poids est mal mesuré."
    assert median(poids.values()) <= POIDS_MEDIAN, poids
    assert max(poids.values()) <= POIDS_MAXIMAL, poids


def test_poids_des_rapports(livre):
    # Un rapport complet n’est pas chargé par les pages, mais qui le demande ne doit pas attendre.
    for rapport in (livre / "rapports").glob("*.html"):
        assert len(gzip.compress(rapport.read_bytes())) <= POIDS_MAXIMAL, rapport.name


def test_une_seule_feuille_de_style(livre):
    # Ce qui bloque l’affichage d’une page : sa feuille de style, et un script d’une ligne
    for nom in CHAPITRES:
        tete = BeautifulSoup((livre / nom).read_text(encoding="utf-8"), "html.parser").head
        assert len(tete.select('link[rel="stylesheet"]')) == 1, nom
        bloquants = [s["src"] for s in tete.select("script[src]:not([defer])")]
        assert [b.split("?")[0].rsplit("/", 1)[-1] for b in bloquants] == [
            "documentation_options.js"
        ], f"{nom} : des scripts retardent l’affichage."


def test_toutes_les_icones_sont_dans_les_polices(livre):
    # Étant donné les polices réduites aux icônes employées
    dessinees = set()
    for police in (livre / "_static" / "vendor").rglob("*.woff"):
        with TTFont(police) as fonte:
            dessinees |= set(fonte.getBestCmap())
    style = (livre / "_static" / "styles" / "livre.css").read_text(encoding="utf-8")
    # Alors chaque icône que le thème dessine, ou qu’une page nomme, y est
    du_theme = set(re.findall(r'--pst-icon-[\w-]+:\s*"([\ue000-\uf8ff])"', style))
    assert len(du_theme) > 10, "le thème ne nomme plus ses icônes"
    assert {ord(signe) for signe in du_theme} <= dessinees, "un encadré montrerait un carré barré"
    for nom in CHAPITRES:
        page = BeautifulSoup((livre / nom).read_text(encoding="utf-8"), "html.parser")
        for icone in page.select('[class*="fa-"]'):
            signes = [
                re.search(
                    rf'\.{re.escape(classe)}:before[^{{]*{{content:"([\ue000-\uf8ff])"', style
                )
                for classe in icone["class"]
            ]
            codes = [ord(signe[1]) for signe in signes if signe]
            assert codes, f"{icone['class']} n’a pas de signe."
            assert set(codes) <= dessinees, f"{icone['class']} n’est pas dans les polices."


def test_page_introuvable_sous_n_importe_quelle_adresse(navigateur, livre, tmp_path):
    # Étant donné le livre servi dans un dossier, comme par GitHub Pages
    (tmp_path / "_build").mkdir()
    dossier = tmp_path / "presentation"
    dossier.symlink_to(livre)
    (tmp_path / "404.html").symlink_to(livre / "404.html")
    demandes = functools.partial(Demandes, directory=str(tmp_path))
    with ThreadingHTTPServer(("127.0.0.1", 0), demandes) as serveur:
        threading.Thread(target=serveur.serve_forever, daemon=True).start()
        racine = f"http://127.0.0.1:{serveur.server_port}/presentation/"
        page = navigateur.new_page()
        # Quand on se trompe d’adresse
        reponse = page.goto(f"{racine}book/jadis/absente.html")
        # Alors la page le dit, et ses liens mènent aux pages de ce livre-là
        assert reponse.status == HTTPStatus.NOT_FOUND
        assert page.locator("h1").inner_text() == "Page introuvable"
        page.wait_for_function(
            "(r) => document.querySelector('form').action.startsWith(r)", arg=racine
        )
        liens = page.eval_on_selector_all("a", "(liens) => liens.map((lien) => lien.href)")
        assert {lien.removeprefix(racine) for lien in liens} == set(CHAPITRES)
        page.fill("input", "derives")
        page.keyboard.press("Enter")
        page.wait_for_selector("ul.search li a")
        page.close()
        serveur.shutdown()


def test_carte_de_partage(visiter, livre):
    # Étant donné ce que lisent les réseaux d’une page qu’on y partage
    for nom in ("index.html", *CHAPITRES):
        page = BeautifulSoup((livre / nom).read_text(encoding="utf-8"), "html.parser")
        carte = {balise["property"]: balise["content"] for balise in page.select("[property^=og]")}
        assert carte["og:title"]
        assert carte["og:description"]
        # Alors l’image existe, à la taille qu’ils demandent
        chemin = carte["og:image"].removeprefix(adresse_publiee(RACINE) + "/")
        with Image.open(livre / chemin) as image:
            assert image.size == (1200, 630), f"{nom} : la carte n’a pas la bonne taille."
    assert carte["og:title"] != "Le MLOps en 45 minutes", "Chaque page porte son titre."


# L’élément qui a le focus, et s’il est entouré ou ombré.
FOCUS = """() => {
  const e = document.activeElement, style = getComputedStyle(e), boite = e.getBoundingClientRect();
  return {
    nom: e === document.body ? "" : e.outerHTML.slice(0, 120),
    rang: e.tabIndex,
    vu: (style.outlineStyle !== "none" && parseFloat(style.outlineWidth) > 0)
      || style.boxShadow !== "none",
    place: boite.width > 0 && boite.height > 0,
  };
}"""


@pytest.mark.parametrize("nom", ["book/accueil.html", "notebooks/41_donnees.html", "404.html"])
def test_au_clavier_seul(navigateur, adresses, nom):
    # Quand on parcourt une page avec la touche de tabulation
    page, _ = ouvrir(navigateur, f"{adresses['http']}/{nom}")
    vus = []
    for _ in range(250):
        page.keyboard.press("Tab")
        vus.append(page.evaluate(FOCUS))
        if not vus[-1]["nom"]:
            break
    page.context.close()
    # Alors on va jusqu’au bout, dans l’ordre de la page, et le focus se voit toujours
    assert not vus.pop()["nom"], "Le focus ne sort pas de la page : il tourne en rond."
    assert len(vus) > 10
    assert [vu["nom"] for vu in vus if vu["rang"] > 0] == [], "Un tabindex change l’ordre."
    assert [vu["nom"] for vu in vus if not (vu["vu"] and vu["place"])] == [], "Focus invisible."


def test_navigation_au_clavier(navigateur, adresses):
    page, _ = ouvrir(navigateur, f"{adresses['http']}/book/accueil.html")
    # Quand on prend le premier lien, il mène au contenu sans passer par le sommaire
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.innerText") == "Passer au contenu principal"
    page.keyboard.press("Enter")
    assert page.url.endswith("#main-content")
    # Alors la recherche s’ouvre d’un raccourci et se referme
    page.keyboard.press("Control+k")
    assert page.locator("#pst-search-dialog").is_visible()
    page.keyboard.press("Escape")
    assert not page.locator("#pst-search-dialog").is_visible()
    # Et le mode se change
    page.focus(".theme-switch-button")
    avant = page.evaluate("document.documentElement.dataset.mode")
    page.keyboard.press("Enter")
    assert page.evaluate("document.documentElement.dataset.mode") != avant
    # Et l’on passe à la page suivante
    page.focus("a.right-next")
    page.keyboard.press("Enter")
    page.wait_for_url("**/1_definitions.html")
    page.context.close()


DEFILE = """() => [...document.querySelectorAll("pre, .cell_output > .output")].map(
  (e) => [e.scrollWidth > e.clientWidth || e.scrollHeight > e.clientHeight, e.tabIndex]
)"""


def test_ce_qui_defile_et_lui_seul_se_prend_au_clavier(navigateur, adresses):
    # Étant donné un téléphone, dont des tableaux dépassent
    adresse = f"{adresses['http']}/book/2_workflow.html"
    page, _ = ouvrir(navigateur, adresse, viewport={"width": 390, "height": 844})
    # Quand on déplie tout le code
    page.evaluate("document.querySelectorAll('details').forEach(d => (d.open = true))")
    # Alors la touche de tabulation s’arrête sur ce qui défile, et sur rien d’autre
    assert {tuple(vu) for vu in page.evaluate(DEFILE)} == {(True, 0), (False, -1)}
    page.context.close()


def test_un_reseau_qui_manque_ne_coute_pas_les_boutons(navigateur, adresses):
    # Étant donné une page dont le premier script des boutons n’arrive pas
    page = navigateur.new_context().new_page()
    page.route("**/clipboard.min.js*", lambda route: route.abort(), times=1)
    page.goto(f"{adresses['http']}/notebooks/41_donnees.html", wait_until="networkidle")
    with page.expect_event("requestfailed"):
        page.mouse.move(1, 1)
    assert page.locator("button.copybtn").count() == 0
    # Quand le lecteur continue, alors la page redemande ce qui manque
    poser_les_boutons(page)
    # Et chaque extrait a un bouton et un seul
    assert page.locator("button.copybtn").count() == page.locator("div.highlight pre").count() > 0
    page.context.close()


def test_boutons_d_une_page(navigateur, adresses):
    contexte = navigateur.new_context(
        locale="fr-FR", permissions=["clipboard-read", "clipboard-write"]
    )
    page = contexte.new_page()
    page.goto(f"{adresses['http']}/notebooks/41_donnees.html", wait_until="networkidle")
    # Alors les boutons « Copier » ne retardent pas la page : ils attendent un geste
    assert page.locator("button.copybtn").count() == 0
    # Quand on télécharge le notebook
    page.click(".dropdown-download-buttons > button")
    with page.expect_download() as attendu:
        page.click(".btn-download-source-button")
    # Alors c’est celui du dépôt, prêt à lancer
    recu = Path(attendu.value.path()).read_bytes()
    assert attendu.value.suggested_filename == "41_donnees.ipynb"
    assert recu == (RACINE / "notebooks" / "41_donnees.ipynb").read_bytes()
    # Quand on copie une cellule, alors son code est dans le presse-papiers
    cellule = page.locator(".cell_input").first
    cellule.hover()
    cellule.locator("button.copybtn").click()
    assert (
        page.evaluate("navigator.clipboard.readText()")
        == cellule.locator("pre").inner_text().strip()
    )
    # Et les liens mènent au dépôt et à la page à modifier
    depot = lire_yaml(RACINE / "_config.yml")["repository"]["url"]
    liens = page.eval_on_selector_all(".dropdown-source-buttons a", "(l) => l.map((e) => e.href)")
    assert depot in liens
    assert f"{depot}/edit/main/notebooks/41_donnees.ipynb" in liens
    # Et, faute d’adresse réglée, aucun bouton ne promet de JupyterHub
    assert page.locator(".btn-jupyterhub-button").count() == 0
    contexte.close()


def test_impression(navigateur, adresses):
    # Quand on imprime une page
    page, _ = ouvrir(navigateur, f"{adresses['http']}/book/1_definitions.html")
    assert page.locator(".copybtn").count()
    page.emulate_media(media="print")
    # Alors le papier n’a ni sommaire, ni boutons, ni fond sombre, et son texte est entier
    for absent in ("#pst-primary-sidebar", ".bd-header-article", ".prev-next-footer", ".copybtn"):
        assert not page.locator(absent).first.is_visible(), f"{absent} s’imprime."
    assert page.locator("article table").first.is_visible()
    largeur = page.evaluate("document.querySelector('article').scrollWidth")
    assert largeur <= page.evaluate("innerWidth"), "L’article est coupé à l’impression."
    page.context.close()


def sans_accent(texte):
    """Le texte sans ses accents."""
    decompose = unicodedata.normalize("NFD", texte)
    return "".join(lettre for lettre in decompose if not unicodedata.combining(lettre))


def test_un_extrait_ne_se_lit_que_pour_un_resultat_qui_se_voit(navigateur, adresses):
    # Étant donné un mot que presque toutes les pages emploient
    page = navigateur.new_page(viewport={"width": 412, "height": 823})
    lues = []
    page.on("request", lambda demande: lues.append(demande.url))
    # Quand on le cherche sur un téléphone
    page.goto(f"{adresses['http']}/search.html?q=modele")
    page.wait_for_selector("ul.search li p.context")
    page.wait_for_load_state("networkidle")
    resultats = page.locator("ul.search li").count()
    d_emblee = [url for url in lues if url.endswith(".html")]
    # Alors les pages des résultats du bas ne sont pas demandées
    assert 0 < len(d_emblee) < resultats, "Chaque extrait coûte une page entière."
    # Et leurs extraits viennent quand on y descend
    for _ in range(resultats):
        page.locator("ul.search li").last.scroll_into_view_if_needed()
        page.mouse.wheel(0, 10_000)
    page.wait_for_selector("ul.search li:last-child p.context")
    page.close()


@pytest.mark.parametrize(
    "mots", ["données", "donnees", "ENTRAÎNEMENT", "modele", "modèles", "derives", "dérive"]
)
def test_recherche_avec_ou_sans_accent(navigateur, adresses, protocole, mots):
    # Quand on cherche un mot
    page, visite = ouvrir(navigateur, f"{adresses[protocole]}/search.html?q={mots}")
    page.wait_for_selector("ul.search li a")
    # Alors des pages sont trouvées, sans erreur
    titres = page.locator("ul.search li a").all_inner_texts()
    if protocole == "http":  # depuis le disque, un navigateur refuse de lire les autres pages
        page.wait_for_selector("ul.search li p.context")
        extrait = sans_accent(page.locator("p.context").first.inner_text()).lower()
        racine = sans_accent(mots).lower()[:5]
        assert racine in extrait, "L’extrait ne montre pas ce qu’on cherche."
    page.context.close()
    assert titres, f"« {mots} » ne trouve aucune page."
    assert visite.erreurs == []
