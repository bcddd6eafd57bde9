"""L’accessibilité : axe-core sur chaque page et chaque genre de diapositive, clair et sombre."""

import pytest
from publication.depot import RACINE, lire_sommaire
from publication.outils_web import charger_axe, defauts

# Ce que change le mode sombre : les couleurs, et rien d’autre.
SOMBRE = ["color-contrast", "link-in-text-block"]
CHAPITRES = [page.rsplit(".", 1)[0] + ".html" for page in lire_sommaire(RACINE)]
PAGES = [*CHAPITRES, "search.html?q=modele", "404.html"]
# Une diapositive par mise en page : le gabarit et la feuille de style sont les mêmes pour toutes.
PREMIERES = """() => Object.values(Object.fromEntries(
  [...document.querySelectorAll("section[id]")].reverse()
    .map((s) => [s.className.replace(/ ?(present|past|future|stack)/g, ""), s.id])))"""
# Assez haut pour que tout le sommaire se voie : axe ne juge pas le contraste de ce qui est caché.
HAUTE = {"width": 1280, "height": 2400}
TELEPHONE = {"width": 390, "height": 844}


@pytest.fixture
def ouvrir(navigateur, servi):
    """Ouvre une page du livre, axe-core chargé."""
    contextes = []

    def ouvrir(nom, taille, mode="light"):
        contextes.append(navigateur.new_context(locale="fr-FR", viewport=taille, color_scheme=mode))
        page = contextes[-1].new_page()
        # La recherche demande encore des pages après son chargement.
        page.goto(f"{servi}/{nom}", wait_until="networkidle" if "?" in nom else "load")
        charger_axe(page, RACINE)
        return page

    yield ouvrir
    for contexte in contextes:
        contexte.close()


@pytest.mark.parametrize("nom", PAGES)
def test_chaque_page(ouvrir, nom):
    # Étant donné une page en clair, son code déplié
    page = ouvrir(nom, HAUTE)
    page.evaluate("document.querySelectorAll('details').forEach((repli) => (repli.open = true))")
    assert defauts(page) == [], f"{nom} a des défauts d’accessibilité."
    # Quand elle passe en sombre
    page.emulate_media(color_scheme="dark")
    page.wait_for_function("[undefined, 'dark'].includes(document.documentElement.dataset.theme)")
    # Alors seules les couleurs ont changé, et elles contrastent autant
    assert defauts(page, SOMBRE) == [], f"{nom} manque de contraste en sombre."


@pytest.mark.parametrize(("mode", "regles"), [("light", None), ("dark", SOMBRE)])
def test_une_diapositive_de_chaque_genre(ouvrir, mode, regles):
    # Étant donné la première diapositive de chaque mise en page
    page = ouvrir("diapositives/atelier.html", {"width": 1280, "height": 720}, mode)
    premieres = page.evaluate(PREMIERES)
    assert len(premieres) > 5
    trouves = defauts(page, regles)
    for nom in premieres:
        page.evaluate("(nom) => { location.hash = `#/${nom}`; }", nom)
        page.wait_for_function("(nom) => Reveal.getCurrentSlide().id === nom", arg=nom)
        page.evaluate("() => { while (Reveal.availableFragments().next) Reveal.next(); }")
        trouves += [f"{nom} : {d}" for d in defauts(page, regles, f"[id='{nom}']")]
    assert trouves == [], "Des diapositives ont des défauts d’accessibilité."


@pytest.mark.parametrize("mode", ["light", "dark"])
def test_ce_qui_s_ouvre(ouvrir, mode):
    # Étant donné le livre sur un téléphone, où le sommaire et le plan s’ouvrent par-dessus la page
    page = ouvrir("book/accueil.html", TELEPHONE, mode)
    trouves = {}
    for bouton in (
        ".primary-toggle",
        ".secondary-toggle",
        ".article-header-buttons .search-button",
        ".dropdown-source-buttons > button",
        ".dropdown-download-buttons > button",
    ):
        # Quand on ouvre chaque panneau
        page.click(bouton)
        # Alors il est accessible ; axe ne sait rien de la page qu’il couvre en partie
        trouves[bouton] = defauts(page, douteux=False)
        page.keyboard.press("Escape")
    assert {bouton: t for bouton, t in trouves.items() if t} == {}


def test_aide_des_diapositives(ouvrir):
    page = ouvrir("diapositives/index.html", {"width": 1280, "height": 720})
    page.keyboard.press("?")
    page.wait_for_selector(".r-overlay-help")
    trouves = defauts(page, dans=".r-overlay-help", douteux=False)
    assert trouves == [], "L’aide du clavier n’est pas accessible."
