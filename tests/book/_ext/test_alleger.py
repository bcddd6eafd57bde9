"""L’allègement des pages, sur un livre de deux pages et d’une police."""

import pytest
from alleger import alleger, attendre_les_figures, elaguer, simplifier
from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen
from fontTools.ttLib import TTFont
from sphinx.errors import ExtensionError

THEME = (
    '@font-face{font-family:Icones;src:url(../vendor/icones.woff2) format("woff2"),'
    'url(../vendor/icones.ttf) format("truetype")}'
    '.fa-lune:before,.fa-nuit:before{content:"\\f186"}.fa-soleil:before{content:"\\f185"}'
    ':root{--pst-icon-cloche:"\uf0f3"}'
)
PAGE = """<head>
<link href="{r}_static/styles/theme.css?digest=1" rel="stylesheet" />
<link rel="preload" as="script" href="{r}_static/scripts/theme.js" />
<link rel="stylesheet" type="text/css" href="{r}_static/mlops.css?v=2" />
<script src="{r}_static/documentation_options.js"></script>
<script>DOCUMENTATION_OPTIONS.page = 1;</script>
<script src="{r}_static/theme.js"></script>
<script defer src="{r}_static/tard.js"></script>
<script src="{r}_static/clipboard.min.js"></script>
<script src="{r}_static/copybutton.js?v=1"></script>
<script defer src="{r}_static/copier.js"></script>
<script src="{r}_static/searchtools.js"></script><script src="{r}searchindex.js"></script>
</head><i class="fa-solid fa-lune"></i>"""


def dessiner_police(fichier):
    """Une police de trois signes : le soleil, la lune, la cloche."""
    noms = [".notdef", "soleil", "lune", "cloche"]
    police = FontBuilder(1000)
    police.setupGlyphOrder(noms)
    police.setupCharacterMap({0xF185: "soleil", 0xF186: "lune", 0xF0F3: "cloche"})
    police.setupGlyf({nom: TTGlyphPen(None).glyph() for nom in noms})
    police.setupHorizontalMetrics(dict.fromkeys(noms, (500, 0)))
    police.setupHorizontalHeader()
    police.setupPost()
    police.setupNameTable({"familyName": "Icones", "styleName": "Regular"})
    police.setupOS2()
    fichier.parent.mkdir(parents=True)
    police.save(fichier)


@pytest.fixture
def livre(tmp_path):
    """Deux pages, à deux profondeurs, deux feuilles de style et une police d’icônes."""
    statiques = tmp_path / "_static"
    (statiques / "styles").mkdir(parents=True)
    (statiques / "styles" / "theme.css").write_text(
        f'@import "../basic.css";{THEME}', encoding="utf-8"
    )
    (statiques / "basic.css").write_text("li{background:url(file.png)}")
    (statiques / "mlops.css").write_text("h1{color:red}")
    dessiner_police(statiques / "vendor" / "icones.ttf")
    (statiques / "vendor" / "icones.woff2").write_bytes(b"")
    (tmp_path / "book").mkdir()
    (tmp_path / "book" / "page.html").write_text(PAGE.format(r="../"))
    (tmp_path / "search.html").write_text(PAGE.format(r=""))
    return tmp_path


def test_alleger(livre):
    # Quand on allège le livre
    page, recherche = livre / "book" / "page.html", livre / "search.html"
    alleger(livre, [page, recherche])
    # Alors les feuilles n’en font qu’une, dans l’ordre, aux adresses justes
    style = (livre / "_static" / "styles" / "livre.css").read_text()
    assert style.index("li{") < style.index("@font-face") < style.index("h1{")
    assert "url(../file.png)" in style
    assert page.read_text().count("stylesheet") == 1
    assert 'href="../_static/styles/livre.css?v=' in page.read_text()
    assert not (livre / "_static" / "mlops.css").exists(), "Une feuille fondue ne sert plus."
    # Et la police n’a plus que l’icône montrée et celle que le thème dessine
    with TTFont(livre / "_static" / "vendor" / "icones.woff") as police:
        assert set(police.getBestCmap()) == {0xF186, 0xF0F3}
    assert "url(../vendor/icones.woff) " in style
    # Et la recherche ne se charge que sur sa page
    assert "searchindex" not in page.read_text()
    assert '<script defer src="searchindex.js">' in recherche.read_text()


@pytest.mark.parametrize(
    ("style", "garde"),
    [
        ("h1{color:red}", "h1{color:red}"),
        (".ici{color:red}", ".ici{color:red}"),
        ("#ici .ailleurs{color:red}", ""),
        (".ici,.ailleurs,h1{color:red}", ".ici,h1{color:red}"),
        (
            ".ici:not(.ailleurs,.nulle-part){color:red}",
            ".ici:not(.ailleurs,.nulle-part){color:red}",
        ),
        ('.ici[href="a.b"]{color:red}', '.ici[href="a.b"]{color:red}'),
        (r".mt\:2{color:red}", ""),
        ("@media print{.ailleurs{color:red}.ici{color:red}}", "@media print{.ici{color:red}}"),
        ("@media print{.ailleurs{color:red}}", ""),
        ("/* note */@keyframes tour{from{top:0}}", "@keyframes tour{from{top:0}}"),
    ],
)
def test_elaguer(style, garde):
    # Étant donné un livre qui n’écrit que « ici », quand on élague sa feuille de style
    # Alors il n’y reste que les règles qui peuvent servir
    assert elaguer(style, {"ici", "h1"}) == garde


def test_une_classe_ecrite_par_un_script_se_garde(livre):
    # Étant donné une classe que seul un script pose
    (livre / "_static" / "mlops.css").write_text(".ouverte{color:red}.jamais{color:red}")
    (livre / "_static" / "clic.js").write_text('element.classList.add("ouverte")')
    # Quand on allège le livre
    alleger(livre, [livre / "book" / "page.html", livre / "search.html"])
    # Alors sa règle reste, et pas celle que rien n’écrit
    style = (livre / "_static" / "styles" / "livre.css").read_text()
    assert ".ouverte{color:red}" in style
    assert "jamais" not in style


def test_une_page_deja_allegee_garde_ses_styles(livre):
    # Étant donné un livre allégé dont une page n’est pas réécrite
    page, recherche = livre / "book" / "page.html", livre / "search.html"
    page.write_text(page.read_text().replace("fa-lune", "fa-lune propre"))
    (livre / "_static" / "mlops.css").write_text(".propre{color:red}")
    alleger(livre, [page, recherche])
    # Quand Sphinx récrit l’autre, et les feuilles du thème avec elle
    statiques = livre / "_static"
    (statiques / "styles" / "theme.css").write_text(THEME)
    (statiques / "mlops.css").write_text(".propre{color:red}")
    (statiques / "vendor").mkdir(exist_ok=True)
    for police in (statiques / "vendor").iterdir():
        police.unlink()
    (statiques / "vendor").rmdir()
    dessiner_police(statiques / "vendor" / "icones.ttf")
    (statiques / "vendor" / "icones.woff2").write_bytes(b"")
    recherche.write_text(PAGE.format(r=""))
    alleger(livre, [page, recherche])
    # Alors la première a toujours ses règles
    assert ".propre{color:red}" in (statiques / "styles" / "livre.css").read_text()


def test_une_figure_attend_d_approcher_et_garde_sa_place(tmp_path):
    (tmp_path / "a.svg").write_text('<svg width="960pt" viewBox="0 0 1280 812.4"><g/></svg>')
    figure = '<img alt="Un schéma." src="a.svg" style="width: 100%;" />'
    logo = '<img src="a.svg" class="logo__image"/>'
    page = attendre_les_figures(logo + figure, tmp_path)
    assert page == logo + figure.replace("<img", '<img loading="lazy" width="1280" height="812"')
    (tmp_path / "a.svg").write_text("<svg><g/></svg>")
    with pytest.raises(ExtensionError, match="viewBox"):
        attendre_les_figures(figure, tmp_path)


def test_scripts_differes():
    page = simplifier(PAGE.format(r=""), "", False)
    assert '<script defer src="_static/theme.js">' in page
    assert '<script src="_static/documentation_options.js">' in page, "La page s’en sert aussitôt."
    assert '<script defer src="_static/tard.js">' in page
    assert "preload" not in page


def test_les_scripts_de_copie_attendent_un_geste():
    page = simplifier(PAGE.format(r=""), "", False)
    assert "clipboard" not in page
    assert "copybutton" not in page
    assert '<script defer src="_static/copier.js">' in page, "C’est lui qui les demandera."


def test_une_page_deja_allegee_reste_telle_quelle(livre):
    pages = [livre / "book" / "page.html", livre / "search.html"]
    alleger(livre, pages)
    avant = pages[0].read_text()
    alleger(livre, pages)
    assert pages[0].read_text() == avant


@pytest.mark.parametrize(
    ("fichier", "avant", "apres", "message"),
    [
        ("search.html", "mlops.css", "autre.css", "mêmes styles"),
        ("_static/styles/theme.css", "content:", "--icone:", "ne déclare plus d’icônes"),
        ("_static/styles/theme.css", "@font-face", "@police", "ne déclare plus de police"),
        ("_static/styles/theme.css", "basic.css", "absente.css", "absente.css est introuvable"),
    ],
)
def test_theme_qui_change(livre, fichier, avant, apres, message):
    chemin = livre / fichier
    chemin.write_text(chemin.read_text().replace(avant, apres))
    with pytest.raises(ExtensionError, match=message):
        alleger(livre, [livre / "book" / "page.html", livre / "search.html"])
