"""Une figure ouverte en grand, dans un vrai navigateur, depuis le disque et réseau coupé."""

import pytest

SVG = "%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 1000 500'%3E%3C/svg%3E"
IMAGE = f"data:image/svg+xml,{SVG}"
FIGURE = f"""<figure><a class="image-reference" href="{IMAGE}"><img src="{IMAGE}" alt="Un schéma."
width="300"></a><figcaption><span class="caption-number">Figure 7. </span></figcaption></figure>"""


@pytest.fixture
def ouvrir(page_avec):
    """Ouvre une page qui contient une figure et le script."""
    return page_avec(FIGURE, "agrandir.js")


def test_un_clic_ouvre_la_figure_en_grand_et_echap_la_ferme(ouvrir):
    # Étant donné un téléphone
    page = ouvrir(viewport={"width": 390, "height": 844})
    dans_la_page = page.locator("figure img").bounding_box()["width"]
    # Quand on touche la figure
    page.locator("figure a").click()
    # Alors elle est là, nommée, plus large que dans la page, et son cadre défile
    cadre = page.get_by_role("dialog", name="Figure 7. en grand")
    image = cadre.get_by_role("img", name="Un schéma.")
    assert image.bounding_box()["width"] > 2 * dans_la_page
    assert cadre.locator("div").evaluate("(e) => e.scrollWidth > e.clientWidth")
    # Et le clavier la ferme
    page.keyboard.press("Escape")
    assert not cadre.is_visible()


def test_le_clavier_seul_ouvre_et_ferme(ouvrir):
    page = ouvrir()
    page.locator("figure a").focus()
    page.keyboard.press("Enter")
    assert page.get_by_role("dialog").is_visible()
    page.get_by_role("button", name="Fermer").press("Enter")
    assert not page.get_by_role("dialog").is_visible()


def test_sans_javascript_le_lien_mene_a_l_image(ouvrir):
    page = ouvrir(java_script_enabled=False)
    assert page.locator("figure a").get_attribute("href") == IMAGE
    assert page.locator("dialog").count() == 0


LARGE = "".join(f"<td>une case assez longue, numéro {n}</td>" for n in range(9))
TABLEAUX = f"""<article><div style="overflow-x: auto"><table id="t"><caption>Les outils</caption>
<tr style="white-space: nowrap">{LARGE}</tr></table></div>
<div><table><tr><td>court</td></tr></table></div></article>"""


def test_un_tableau_que_la_page_coupe_s_ouvre_en_grand(page_avec):
    # Étant donné un téléphone, un tableau trop large et un qui tient
    page = page_avec(TABLEAUX, "agrandir.js")(viewport={"width": 390, "height": 844})
    # Alors le premier, et lui seul, a un bouton, qui en ouvre une copie sans le même identifiant
    bouton = page.get_by_role("button", name="Voir le tableau en grand")
    assert bouton.count() == 1
    bouton.click()
    cadre = page.get_by_role("dialog", name="Les outils en grand")
    assert "numéro 8" in cadre.inner_text()
    assert page.locator("#t").count() == 1
    page.keyboard.press("Escape")
    assert not cadre.is_visible()
