import re

import pytest
from bs4 import BeautifulSoup
from mistune import create_markdown
from publication.depot import RACINE, ErreurPublication
from publication.planches import (
    MIME,
    Planche,
    cote_a_cote,
    courbe,
    extrait,
    figure,
    figures,
    html,
    markdown,
    mots,
    nombres,
    principe,
    qr,
    table,
    texte,
)
from publication.schemas import schema

DESSIN = {"genre": "figure", "nom": "fig-x", "svg": "<svg/>", "alt": "Un [carré] & rien."}
ECRAN = {
    "genre": "ecran",
    "fichier": "book/captures/x.webp",
    "alt": "L’écran.",
    "legende": "X 1.2 : ici",
}
DEBUT = r"^SOURCES = "


def lire(planche):
    """La planche en HTML, telle qu’un navigateur la lit."""
    return BeautifulSoup(html(planche), "html.parser")


def test_un_schema():
    dessin = schema("venn")
    donnees = figure(dessin).donnees
    assert (donnees["nom"], donnees["svg"]) == ("fig-venn", dessin.svg)
    assert "\n" not in donnees["alt"]
    assert mots(donnees) == "", "Un dessin ne compte pas de mots."


def test_une_figure():
    image = lire(DESSIN).select_one("figure img")
    assert (image["src"], image["alt"]) == ("figures/fig-x.svg", DESSIN["alt"])
    assert markdown(DESSIN) == "![Un (carré) & rien.](book/figures/fig-x.svg)"


def test_dans_un_notebook_l_image_est_dans_la_page():
    paquet = Planche(DESSIN)._repr_mimebundle_()
    assert paquet[MIME] == DESSIN
    assert 'src="data:image/svg+xml;base64,' in paquet["text/html"]


def test_un_ecran():
    page = lire(ECRAN)
    assert page.img["src"] == "captures/x.webp"
    assert page.figcaption.text == "X 1.2\u00a0: ici"
    assert markdown(ECRAN) == "![L’écran.](book/captures/x.webp)\n\n*X 1.2\u00a0: ici*"


@pytest.mark.parametrize(("combien", "bon"), [(0, False), (1, True), (4, True), (5, False)])
def test_de_un_a_quatre_nombres(combien, bon):
    paires = [("32 %", "observés <ici>")] * combien
    if not bon:
        with pytest.raises(ErreurPublication, match="d’un à quatre"):
            nombres(*paires)
        return
    donnees = nombres(*paires).donnees
    assert [d.text for d in lire(donnees).select("dl.nombres dd")] == ["32\u00a0%"] * combien
    assert lire(donnees).dt.text == "observés <ici>"
    assert markdown(donnees).splitlines() == ["- **32\u00a0%** observés <ici>"] * combien


def test_un_tableau():
    donnees = table(["Quoi", "Qui"], [["Le **code**", "[Git](https://git-scm.com) | moi"]]).donnees
    page = lire(donnees)
    assert [th["scope"] for th in page.select("th")] == ["col", "col", "row"]
    assert (page.strong.text, page.a["href"]) == ("code", "https://git-scm.com")
    rendu = create_markdown(plugins=["table"])(markdown(donnees))
    assert [c.text for c in BeautifulSoup(rendu, "html.parser").select("td")] == [
        "Le code",
        "Git | moi",
    ]
    with pytest.raises(ErreurPublication, match="ce tableau a 2 colonnes, pas 1"):
        table(["Quoi", "Qui"], [["seul"]])


def test_de_vraies_lignes_d_un_fichier():
    fichier = "book/publication/expose.py"
    lignes = (RACINE / fichier).read_text(encoding="utf-8").splitlines()
    rang = next(i for i, ligne in enumerate(lignes) if re.search(DEBUT, ligne))
    donnees = extrait(fichier, DEBUT, lignes=2).donnees
    assert donnees["code"].splitlines() == lignes[rang : rang + 2]
    assert extrait(fichier, DEBUT, fin="^DEBUTS").donnees["code"] == donnees["code"]
    assert lire(donnees).pre.text == donnees["code"]
    assert markdown(donnees) == f"[`{fichier}`]({fichier}) :\n\n```python\n{donnees['code']}\n```"
    assert mots(donnees) == ""
    dedans = extrait(fichier, "planche for planche", lignes=1).donnees["code"]
    assert dedans.startswith("return"), "La marge du fichier est retirée."


@pytest.mark.parametrize(
    ("arguments", "phrase"),
    [
        (("absent.py", "x"), "« absent.py », qui n’existe pas"),
        (("Makefile", "^introuvable"), "pas de ligne qui satisfasse « ^introuvable »"),
        (("Makefile", "^test:", 0, "^introuvable"), "pas de ligne qui satisfasse « ^introuvable »"),
        (("Makefile", "^test:"), "dites combien de lignes, ou laquelle est la dernière"),
    ],
)
def test_un_extrait_introuvable_est_dit_en_une_phrase(arguments, phrase):
    with pytest.raises(ErreurPublication) as erreur:
        extrait(*arguments)
    assert phrase in str(erreur.value)


def test_un_texte_ne_va_qu_a_l_ecran():
    donnees = texte("Le **gate** : {{ vols }} vols.").donnees
    assert lire(donnees).select_one("div.texte strong").text == "gate"
    assert "336\u202f7" in mots(donnees)
    assert markdown(donnees) == ""


def test_deux_planches_cote_a_cote():
    donnees = cote_a_cote(Planche(DESSIN), texte("Un mot."), (3, 2)).donnees
    page = lire(donnees)
    assert "3fr 2fr" in page.select_one("div.deux")["style"]
    assert len(page.select("div.deux > div")) == 2
    assert mots(donnees).split() == ["Un", "mot."]
    assert figures(donnees) == [DESSIN], "Une figure se trouve où qu’elle soit."
    assert markdown(donnees) == markdown(DESSIN)


def test_un_principe():
    donnees = principe(1).donnees
    assert [f["nom"] for f in figures(donnees)] == ["fig-principe_1"]
    assert [b.text for b in lire(donnees).select(".principe strong")] == [
        "Chez nous.",
        "Outils libres.",
        "Nuages.",
    ]


def test_un_code_qr():
    donnees = qr("https://exemple.org/a?b=1&c=2").donnees
    assert "viewBox" in donnees["svg"]
    page = lire(donnees)
    assert (page.a["href"], page.a.text) == (
        "https://exemple.org/a?b=1&c=2",
        "exemple.org/a?b=1&c=2",
    )
    assert markdown(donnees).endswith("<https://exemple.org/a?b=1&c=2>")


def test_ce_qui_n_existe_pas_est_dit_en_une_phrase():
    with pytest.raises(ErreurPublication, match="la courbe « x » n’existe pas"):
        courbe("x")

    class Muet:
        nom, description, svg = "muet", " ", "<svg/>"

    with pytest.raises(ErreurPublication, match="« muet » n’a pas de texte de remplacement"):
        figure(Muet)
