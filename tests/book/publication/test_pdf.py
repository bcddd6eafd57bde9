import base64
import re

import pytest
from publication.depot import ErreurPublication, adresse_publiee, ecrire
from publication.pdf import (
    etaler,
    inserer_les_figures,
    publier_les_liens,
    reunir,
    trouver_chromium,
)

HACHURE = (
    '<svg><pattern id="p"><path fill="#ffffff"/><path stroke="#123456"/></pattern>'
    '<rect fill="url(#p)"/></svg>'
)
ARTICLE = (
    '<head><link rel="stylesheet" href="../_static/a.css"></head><article class="bd-article">'
    '<h1 id="t">{nom}</h1><img src="a.svg" loading="lazy"><button>Copier</button>'
    '<a href="accueil.html#t">là</a>'
    '<a href="#t">ici</a></article>'
)


def test_chromium_absent(monkeypatch):
    monkeypatch.delenv("CHROMIUM", raising=False)
    monkeypatch.setenv("PATH", "")
    with pytest.raises(ErreurPublication, match="sudo apt install chromium"):
        trouver_chromium()


def test_liens_vers_le_livre_publie(depot):
    adresse = adresse_publiee(depot)
    page = '<a class="x" href="../html/book/annexes.html#ref-K23">K</a><a href="#ici">i</a>'
    rendue = publier_les_liens(page, adresse)
    assert re.match(r"https://\w+\.github\.io/\w+$", adresse)
    assert f'<a class="x" href="{adresse}/book/annexes.html#ref-K23">' in rendue
    assert '<a href="#ici">' in rendue, "Un lien interne reste dans le document."


def test_figures_sans_hachures(tmp_path):
    ecrire(tmp_path / "a.svg", HACHURE)
    page = inserer_les_figures('<img src="a.svg" alt="x">', tmp_path)
    dessin = base64.b64decode(re.search(r"base64,([^\"]+)", page)[1]).decode()
    assert 'rect fill="#123456"' in dessin, "Un motif deviendrait une image de toute la page."


def test_livre_d_un_seul_tenant(depot):
    for nom in ("accueil", "1_chapitre"):
        ecrire(depot / "_build" / "html" / "book" / f"{nom}.html", ARTICLE.format(nom=nom))
    for nom in ("41_premier", "42_second"):
        ecrire(depot / "_build" / "html" / "notebooks" / f"{nom}.html", ARTICLE.format(nom=nom))
    page = reunir(depot)
    assert page.count("<article") == 4
    assert 'href="#accueil--t"' in page, "D’une page à l’autre, le lien reste dans le document."
    assert 'id="1_chapitre--t"' in page, "Deux pages ont la même ancre."
    assert "Copier" not in page
    assert "lazy" not in page, "À l’impression, aucune figure n’approche."
    assert 'href="_static/a.css"' in page


def test_chaque_figure_s_imprime(tmp_path):
    # Étant donné un jeu dont les figures attendent que leur diapositive approche
    jeu = tmp_path / "_build" / "diapositives" / "index.html"
    jeu.parent.mkdir(parents=True)
    jeu.write_text(
        '<head><link rel="preload" as="script" href="reveal/reveal.js"></head>'
        '<img src="a.svg" alt="Un schéma" loading="lazy"><script src="reveal/reveal.js"></script>'
    )
    # Quand on l’étale pour l’imprimer
    page = etaler(tmp_path)
    # Alors elles n’attendent plus, et rien n’est demandé qui ne serve pas
    assert "lazy" not in page
    assert "reveal.js" not in page
    assert 'src="a.svg"' in page
