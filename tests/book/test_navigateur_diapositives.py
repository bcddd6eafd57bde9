"""Le jeu de diapositives, dans un vrai Chromium dont le réseau est coupé."""

import functools
import re
import threading
from http.server import ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

import pytest
from bs4 import BeautifulSoup
from publication.depot import RACINE
from publication.serveur import Demandes

pytestmark = pytest.mark.lent

TAILLES = {"1920": (1920, 1080), "1280": (1280, 720), "téléphone": (844, 390)}
# En pixels, sur un écran de 1920 × 1080.
PLUS_PETIT_TEXTE = 24
# La taille d’un texte dans un schéma, puis dans un graphique de matplotlib, dont les lettres sont
# des tracés.
TEXTE_DE_SCHEMA = re.compile(r'font-size="([\d.]+)"')
TEXTE_DE_GRAPHIQUE = re.compile(r'<g [^>]*transform="[^"]*scale\(([\d.]+) -\1\)')
ANGLAIS = (
    *("slide", "Slide", "Next", "Previous", "Fullscreen", "Keyboard", "Jump", "Pause", "ACTION"),
    *("Speaker", "Upcoming", "Time", "Click", "Notes only", "Layout", "Loading", "Pacing"),
)

# Ce qu’on relève de la diapositive montrée : ce qui dépasse, et le plus petit texte, à 1920 × 1080.
RELEVE = """() => {
  const section = Reveal.getCurrentSlide(), echelle = Reveal.getScale();
  const vus = [...section.querySelectorAll("*")].filter((e) => !e.closest("aside"));
  const corps = section.querySelector(".corps");
  const depasse = vus.filter((e) => {
    const r = e.getBoundingClientRect();
    return r.right > innerWidth + 1 || r.bottom > innerHeight + 1 || r.left < -1 || r.top < -1;
  });
  const textes = vus.filter((e) => [...e.childNodes].some((n) => n.nodeType === 3
    && n.textContent.trim()));
  const image = section.querySelector("figure img");
  const agrandi = image && Math.min(image.clientWidth / image.naturalWidth,
    image.clientHeight / image.naturalHeight);
  return {
    id: section.id,
    titre: section.querySelector("h1, h2").innerText,
    depasse: depasse.map((e) => e.tagName),
    coupe: corps.scrollHeight > corps.clientHeight + 1,
    texte: Math.min(...textes.map((e) => parseFloat(getComputedStyle(e).fontSize))),
    image: image && {fichier: image.getAttribute("src"), agrandi, alt: image.alt},
    notes: section.querySelector("aside.notes")?.innerText ?? "",
  };
}"""

# Une figure ne se charge que quand sa diapositive approche.
FIGURES_LUES = """() => [...Reveal.getCurrentSlide().querySelectorAll("img")]
  .every((image) => image.naturalWidth > 0)"""


# L’élément qui a le focus : est-il sur la diapositive montrée, caché, entouré d’un trait ?
FOCUS = """() => {
  const e = document.activeElement, section = e.closest("section"), style = getComputedStyle(e);
  const ici = section !== null && section === Reveal.getCurrentSlide();
  return {
    nom: e.outerHTML.slice(0, 80),
    ici,
    cache: section !== null && !ici,
    visible: e === document.body
      || (style.outlineStyle !== "none" && parseFloat(style.outlineWidth) > 0),
  };
}"""


@pytest.fixture(scope="session")
def adresses(jeu):
    """Les deux façons d’ouvrir le jeu : servi en local, ou depuis le disque."""
    demandes = functools.partial(Demandes, directory=str(RACINE / "_build"))
    with ThreadingHTTPServer(("127.0.0.1", 0), demandes) as serveur:
        threading.Thread(target=serveur.serve_forever, daemon=True).start()
        http = f"http://127.0.0.1:{serveur.server_port}/diapositives/index.html"
        yield {"http": http, "fichier": jeu.as_uri()}
        serveur.shutdown()


@pytest.fixture
def ouvrir(navigateur):
    """Ouvre le jeu et note ce qu’il demande et signale."""
    contextes = []

    def ouvrir(adresse, taille="1920"):
        largeur, hauteur = TAILLES[taille]
        contexte = navigateur.new_context(
            locale="fr-FR", viewport={"width": largeur, "height": hauteur}
        )
        contextes.append(contexte)
        page = contexte.new_page()
        page.signale = []
        page.on("console", lambda m: page.signale.append(m.text))
        page.on("pageerror", lambda erreur: page.signale.append(str(erreur)))
        page.on("requestfailed", lambda d: page.signale.append(f"{d.failure} {d.url}"))
        page.demandes = []
        page.on("request", lambda d: page.demandes.append(d.url))
        page.goto(adresse)
        page.wait_for_function("window.Reveal?.isReady()")
        return page

    yield ouvrir
    for contexte in contextes:
        contexte.close()


@pytest.fixture(scope="session")
def releves(navigateur, jeu):
    """Parcourt le jeu de l’atelier, qui contient les autres, et relève chaque diapositive."""

    @functools.cache
    def parcourir(taille):
        largeur, hauteur = TAILLES[taille]
        page = navigateur.new_page(viewport={"width": largeur, "height": hauteur})
        page.goto(jeu.with_name("atelier.html").as_uri(), wait_until="networkidle")
        page.wait_for_function("window.Reveal?.isReady()")
        releves = []
        for _ in range(page.evaluate("Reveal.getTotalSlides()")):
            page.evaluate("() => { while (Reveal.availableFragments().next) Reveal.next(); }")
            page.wait_for_function(FIGURES_LUES)
            releves.append(page.evaluate(RELEVE))
            page.evaluate("Reveal.next()")
        page.close()
        return releves

    return parcourir


@pytest.mark.parametrize("protocole", ["http", "fichier"])
def test_aucune_demande_ne_sort(ouvrir, adresses, protocole):
    page = ouvrir(adresses[protocole])
    page.keyboard.press("End")
    page.wait_for_load_state("networkidle")
    base = adresses[protocole].rsplit("/", 1)[0]
    dehors = [url for url in page.demandes if not url.startswith((base, "data:"))]
    assert dehors == [], "Le jeu demande quelque chose hors de son dossier."
    assert page.signale == [], "Le navigateur signale une erreur, ou une ressource manque."


@pytest.mark.parametrize("taille", TAILLES)
def test_rien_n_est_coupe(releves, taille):
    fautives = [(r["id"], r["depasse"]) for r in releves(taille) if r["depasse"] or r["coupe"]]
    assert fautives == [], "Ces diapositives débordent de l’écran."


def test_telephone_tenu_droit(navigateur, adresses):
    # Étant donné un téléphone tenu droit, où reveal.js fait défiler les diapositives
    page = navigateur.new_page(viewport={"width": 390, "height": 844})
    page.goto(adresses["fichier"], wait_until="networkidle")
    page.wait_for_selector(".reveal-scroll")
    # Alors elles ne débordent pas en largeur, et se voient toutes
    largeur = page.evaluate("document.documentElement.scrollWidth")
    cachees = page.evaluate(
        "[...document.querySelectorAll('section[id]')].filter((s) => !s.checkVisibility("
        "{visibilityProperty: true})).length"
    )
    page.close()
    assert largeur <= 390
    assert cachees == 0


def test_les_textes_se_lisent_du_fond_de_la_salle(releves, jeu):
    for releve in releves("1920"):
        assert releve["texte"] >= PLUS_PETIT_TEXTE, f"{releve['id']} : {releve['texte']} pixels."
        if releve["image"]:
            dessin = (jeu.parent / releve["image"]["fichier"]).read_text(encoding="utf-8")
            tailles = [float(taille) for taille in TEXTE_DE_SCHEMA.findall(dessin)]
            # Un point de matplotlib fait 4/3 de pixel, et un texte de 12 points est dessiné à 0,12.
            tailles += [float(t) * 100 * 4 / 3 for t in TEXTE_DE_GRAPHIQUE.findall(dessin)]
            assert tailles, f"{releve['id']} : aucun texte reconnu dans la figure."
            petit = min(tailles) * releve["image"]["agrandi"]
            assert petit >= PLUS_PETIT_TEXTE, f"{releve['id']} : {petit:.1f} pixels."


def test_chaque_diapositive_a_un_titre_des_notes_et_des_textes_de_remplacement(releves):
    for releve in releves("1920"):
        assert releve["titre"].strip(), f"{releve['id']} n’a pas de titre."
        assert not releve["image"] or releve["image"]["alt"], f"{releve['id']} : image muette."
    titres = [releve["titre"] for releve in releves("1920")]
    assert len(titres) == len(set(titres)), "Deux diapositives ont le même titre."


def test_au_clavier(ouvrir, adresses):
    # Étant donné le jeu, sur sa première diapositive
    page = ouvrir(adresses["fichier"])
    total = page.evaluate("Reveal.getTotalSlides()")
    # Quand on avance au clavier jusqu’au bout
    for _ in range(total - 1):
        page.keyboard.press("ArrowRight")
    # Alors on a vu toutes les diapositives, et la progression est pleine
    assert page.evaluate("Reveal.isLastSlide()")
    assert page.evaluate("Reveal.getProgress()") == 1
    # Et la vue d’ensemble s’ouvre et se ferme
    page.keyboard.press("Escape")
    assert page.evaluate("Reveal.isOverview()")
    page.keyboard.press("Escape")
    assert not page.evaluate("Reveal.isOverview()")


def test_seule_la_diapositive_montree_prend_le_focus(ouvrir, adresses):
    # Étant donné une diapositive qui a des liens
    page = ouvrir(adresses["fichier"])
    page.keyboard.press("ArrowRight")
    liens = page.locator("section.present section.present a, section.present > a").count()
    assert liens, "Cette diapositive n’a pas de lien : le test ne vérifie rien."
    # Quand on la parcourt avec la touche de tabulation
    vus = []
    for _ in range(liens + 6):
        page.keyboard.press("Tab")
        vus.append(page.evaluate(FOCUS))
    # Alors le focus passe par ses liens, se voit, et ne va pas sur une diapositive cachée
    assert sum(vu["ici"] for vu in vus) >= liens
    assert [vu for vu in vus if vu["cache"] or not vu["visible"]] == []


def test_aide_en_francais(ouvrir, adresses):
    page = ouvrir(adresses["fichier"])
    page.keyboard.press("?")
    aide = page.locator(".r-overlay-help").inner_text()
    assert "Raccourcis clavier" in aide
    assert "Vue de l’orateur" in aide
    noms = "[...document.querySelectorAll('[aria-label]')].map((e) => e.ariaLabel).join(' ')"
    restes = [mot for mot in ANGLAIS if mot in aide + page.evaluate(noms)]
    assert restes == [], "Le jeu parle encore anglais."


def test_vue_de_l_orateur(ouvrir, adresses):
    # Quand l’orateur ouvre sa vue, puis avance
    page = ouvrir(adresses["http"])
    with page.expect_popup() as ouverte:
        page.keyboard.press("s")
    vue = ouverte.value
    vue.wait_for_selector(".speaker-controls-notes:not(.hidden)")
    # Alors il y lit ses notes, l’heure et le temps écoulé, en français
    assert "Bonjour" in vue.locator(".speaker-controls-notes .value").inner_text()
    assert re.fullmatch(r"\d\d:\d\d", vue.locator(".clock-value").inner_text().strip())
    texte = vue.locator("#speaker-controls").inner_text()
    texte += vue.locator("#speaker-layout").inner_text()
    assert "remettre à zéro" in texte.lower()
    restes = [mot for mot in ANGLAIS if mot in texte]
    assert restes == [], "La vue de l’orateur parle encore anglais."


def test_liens_vers_le_livre(jeu, livre):
    # Étant donné le jeu, seul et dans le livre
    perdus = [*liens_perdus(jeu), *liens_perdus(livre / "diapositives" / "index.html")]
    assert perdus == [], "Des liens des diapositives ne mènent nulle part."


def liens_perdus(jeu):
    """Les liens d’un jeu de diapositives dont la page ou l’ancre n’existe pas."""
    document = BeautifulSoup(jeu.read_text(encoding="utf-8"), "html.parser")
    perdus = []
    for lien in document.select("section a[href]"):
        partie = urlsplit(lien["href"])
        if not partie.scheme or partie.scheme == "livre":
            cible = (jeu.parent / unquote(partie.path)).resolve()
            ancre = f'id="{unquote(partie.fragment)}"' if partie.fragment else ""
            if not cible.is_file() or ancre not in cible.read_text(encoding="utf-8"):
                perdus.append(lien["href"])
    return perdus
