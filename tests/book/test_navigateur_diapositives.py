"""Le jeu de diapositives, dans un vrai Chromium dont le réseau est coupé."""

import functools
import itertools
import json
import re
import threading
from http.server import ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

import pytest
from bs4 import BeautifulSoup
from publication.depot import RACINE
from publication.pdf import etaler
from publication.serveur import Demandes

pytestmark = pytest.mark.lent

TAILLES = {"1920": (1920, 1080), "1280": (1280, 720), "téléphone": (844, 390)}
SALLE = ["1280", "1920"]
# Ce qui se lit du fond de la salle, en pixels d’une diapositive de 1280 × 720.
TEXTE, SOURCES, TABLEAU, OUTIL_DE_LA_CARTE, BORD = 18, 14, 20, 16, 24
# La taille d’un texte dans un schéma, puis dans un graphique de matplotlib, dont les lettres sont
# des tracés.
TEXTE_DE_SCHEMA = re.compile(r'font-size[=:]\s?"?([\d.]+)')
TEXTE_DE_GRAPHIQUE = re.compile(r'<g [^>]*transform="[^"]*scale\(([\d.]+) -\1\)')
ANGLAIS = (
    *("slide", "Slide", "Next", "Previous", "Fullscreen", "Keyboard", "Jump", "Pause", "ACTION"),
    *("Speaker", "Upcoming", "Time", "Click", "Notes only", "Layout", "Loading", "Pacing"),
)

# Ce qu’on relève de la diapositive montrée, en pixels de 1280 × 720, tout dévoilé.
RELEVE = """() => {
  const section = Reveal.getCurrentSlide(), echelle = section.getBoundingClientRect().width / 1280;
  const vus = [...section.querySelectorAll("*")].filter((e) => !e.closest("aside"));
  const cadre = section.getBoundingClientRect(), corps = section.querySelector(".corps");
  const titre = section.querySelector("h1, h2");
  const ligne = parseFloat(getComputedStyle(titre).lineHeight);
  const plage = document.createRange();
  plage.selectNodeContents(titre);
  const mots = plage.getBoundingClientRect();
  const sort = (e, dans) => {
    const r = e.getBoundingClientRect();
    return r.width && (r.right > dans.right + 1 || r.bottom > dans.bottom + 1
      || r.left < dans.left - 1 || r.top < dans.top - 1);
  };
  const cache = (e) => (e.scrollHeight > e.clientHeight + 2 || e.scrollWidth > e.clientWidth + 2)
    && getComputedStyle(e).overflow !== "visible";
  const taille = (e) => parseFloat(getComputedStyle(e).fontSize);
  const dire = (e) => `${e.tagName} « ${e.textContent.trim().slice(0, 30)} » ${taille(e)} px`;
  const ecrits = vus.filter((e) => [...e.childNodes].some((n) => n.nodeType === 3
    && n.textContent.trim()));
  const petits = (dans, seuil) => ecrits
    .filter((e) => e.matches(dans) && taille(e) < seuil).map(dire);
  return {
    id: section.id,
    titre: titre.innerText,
    bord: Math.min(mots.top - cadre.top, mots.left - cadre.left, cadre.right - mots.right,
      cadre.bottom - mots.bottom) / echelle,
    lignes: Math.round(mots.height / echelle / ligne),
    deborde: [
      ...vus.filter((e) => sort(e, cadre)).map(dire),
      ...vus.filter((e) => corps.contains(e) && sort(e, corps.getBoundingClientRect())).map(dire),
      ...vus.filter(cache).map(dire),
    ],
    petits: [
      ...petits(":not(.sources, .sources *, table *)", SEUILS.texte),
      ...petits(".sources, .sources *", SEUILS.sources),
      ...petits("table *", SEUILS.tableau),
    ],
    images: [...section.querySelectorAll("img")].map((image) => ({
      fichier: image.getAttribute("src"),
      alt: image.alt,
      agrandi: Math.min(image.clientWidth / image.naturalWidth,
        image.clientHeight / image.naturalHeight),
    })),
    notes: section.querySelector("aside.notes")?.innerText ?? "",
  };
}""".replace("SEUILS", json.dumps({"texte": TEXTE, "sources": SOURCES, "tableau": TABLEAU}))

# Une figure ne se charge que quand sa diapositive approche.
PILES = """() => [...document.querySelectorAll(".pile")].map((pile) => [
  pile.closest("section").getBoundingClientRect().toJSON(),
  [...pile.children].map((e) => e.firstElementChild.getBoundingClientRect().toJSON()),
])"""
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
def test_rien_ne_deborde(releves, taille):
    fautives = {r["id"]: r["deborde"] for r in releves(taille) if r["deborde"]}
    assert fautives == {}, "Ces diapositives débordent de leur cadre ou de leur corps."


@pytest.mark.parametrize("taille", SALLE)
def test_les_textes_se_lisent_du_fond_de_la_salle(releves, taille):
    petits = {r["id"]: r["petits"] for r in releves(taille) if r["petits"]}
    assert petits == {}, f"Sous {TEXTE} pixels, {SOURCES} pour les sources, {TABLEAU} en tableau."


def test_le_titre_tient_en_deux_lignes_loin_des_bords(releves):
    fautifs = {
        r["id"]: (r["lignes"], round(r["bord"]))
        for r in releves("1280")
        if r["lignes"] > 2 or r["bord"] < BORD
    }
    assert fautifs == {}, f"Des titres de plus de deux lignes, ou à moins de {BORD} px d’un bord."


def test_les_textes_des_figures_se_lisent_aussi(releves, jeu):
    petites = {}
    for releve in releves("1280"):
        for image in releve["images"]:
            dessin = jeu.parent / image["fichier"]
            if dessin.suffix != ".svg":
                continue
            svg = dessin.read_text(encoding="utf-8")
            tailles = [float(taille) for taille in TEXTE_DE_SCHEMA.findall(svg)]
            # Un point de matplotlib fait 4/3 de pixel ; un texte de 12 points est dessiné à 0,12.
            tailles += [float(t) * 100 * 4 / 3 for t in TEXTE_DE_GRAPHIQUE.findall(svg)]
            carte = dessin.stem.startswith(("fig-carte", "fig-acteurs"))
            seuil = OUTIL_DE_LA_CARTE if carte else TEXTE
            if tailles and (petit := min(tailles) * image["agrandi"]) < seuil - 0.1:
                petites[releve["id"]] = f"{petit:.1f} px dans {dessin.name}"
    assert petites == {}


def test_chaque_diapositive_a_un_titre_des_notes_et_des_textes_de_remplacement(releves):
    for releve in releves("1280"):
        assert releve["titre"].strip(), f"{releve['id']} n’a pas de titre."
        assert releve["notes"].strip(), f"{releve['id']} n’a pas de notes."
        assert all(i["alt"].strip() for i in releve["images"]), f"{releve['id']} : image muette."


def test_imprimees_les_planches_d_une_pile_se_suivent(navigateur, jeu):
    # Étant donné le jeu étalé pour l’impression
    page = navigateur.new_page(viewport={"width": 1280, "height": 720})
    etale = jeu.with_name(".essai.html")
    etale.write_text(etaler(RACINE), encoding="utf-8")
    page.goto(etale.as_uri(), wait_until="networkidle")
    page.emulate_media(media="print")
    piles = page.evaluate(PILES)
    page.close()
    etale.unlink()
    # Alors aucune planche n’en couvre une autre, ni ne sort de sa page
    assert len(piles) >= 3
    for cadre, planches in piles:
        for a, b in itertools.combinations(planches, 2):
            assert a["right"] <= b["left"] or a["bottom"] <= b["top"], (a, b)
        assert all(p["right"] <= cadre["right"] for p in planches)


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


def test_au_clavier(ouvrir, adresses):
    # Étant donné le jeu, sur sa première diapositive
    page = ouvrir(adresses["fichier"])
    gestes = "Reveal.getTotalSlides() + document.querySelectorAll('.fragment').length - 1"
    # Quand on avance au clavier jusqu’au bout, tout dévoilé
    for _ in range(page.evaluate(gestes)):
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
    liens = 0
    while not liens and not page.evaluate("Reveal.isLastSlide()"):
        page.keyboard.press("ArrowRight")
        liens = page.locator("section.present section.present a").count()
    assert liens, "Aucune diapositive n’a de lien : le test ne vérifie rien."
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
    notes = page.locator("section.present aside.notes p").nth(1).text_content()
    assert notes.strip() in vue.locator(".speaker-controls-notes .value").inner_text()
    assert re.fullmatch(r"\d\d:\d\d", vue.locator(".clock-value").inner_text().strip())
    texte = vue.locator("#speaker-controls").inner_text()
    texte += vue.locator("#speaker-layout").inner_text()
    assert "remettre à zéro" in texte.lower()
    restes = [mot for mot in ANGLAIS if mot in texte]
    assert restes == [], "La vue de l’orateur parle encore anglais."


def test_liens_vers_le_livre(jeu, livre):
    # Étant donné le jeu le plus long, seul et dans le livre
    jeux = (jeu.with_name("atelier.html"), livre / "diapositives" / "atelier.html")
    perdus = [lien for page in jeux for lien in liens_perdus(page)]
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
