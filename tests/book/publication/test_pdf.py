import base64
import re

import pytest
from publication.depot import ErreurPublication, adresse_publiee, ecrire
from publication.pdf import (
    _imprimer_une,
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


def programme(chemin, texte):
    """Pose un programme qui n’est que ce texte."""
    chemin.parent.mkdir(parents=True, exist_ok=True)
    chemin.write_text(f"#!/bin/sh\n{texte}\n", encoding="utf-8")
    chemin.chmod(0o755)
    return chemin


def test_le_navigateur_d_un_mac_est_trouve(monkeypatch, tmp_path):
    monkeypatch.delenv("CHROMIUM", raising=False)
    monkeypatch.setenv("PATH", "")
    monkeypatch.setenv("HOME", str(tmp_path))
    chrome = "Applications/Google Chrome.app/Contents/MacOS/Google Chrome"
    pose = programme(tmp_path / chrome, "exit 0")
    assert trouver_chromium() == str(pose)


def test_un_chromium_choisi_qui_n_existe_pas_est_dit(monkeypatch):
    monkeypatch.setenv("CHROMIUM", "/nulle/part")
    with pytest.raises(ErreurPublication, match="/nulle/part.*corrigez CHROMIUM"):
        trouver_chromium()


@pytest.mark.parametrize(
    ("commande", "dit"),
    [
        ("exit 1  # exec /snap/bin/chromium", "vient de snap.*dossier personnel.*CHROMIUM"),
        ("echo cassé >&2", "n’a pas imprimé x.pdf : cassé"),
    ],
)
def test_le_chromium_de_snap_est_nomme(tmp_path, commande, dit):
    with pytest.raises(ErreurPublication, match=dit):
        _imprimer_une(str(programme(tmp_path / "chromium", commande)), "about:", tmp_path / "x.pdf")


def test_le_profil_n_est_pas_dans_tmp_que_snap_ne_voit_pas(tmp_path):
    """Ce Chromium de théâtre n’imprime que si son profil est à côté du PDF."""
    copie = 'for mot; do case "$mot" in --user-data-dir=*/_build/pdf/*) ici=1;; '
    copie += '--print-to-pdf=*) pdf="${mot#*=}";; esac; done; [ -n "$ici" ] && touch "$pdf"'
    pdf = tmp_path / "_build" / "pdf" / "x.pdf"
    pdf.parent.mkdir(parents=True)
    _imprimer_une(str(programme(tmp_path / "chromium", copie)), "about:", pdf)
    assert [f.name for f in pdf.parent.iterdir()] == ["x.pdf"], "le profil reste"


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


def test_le_jeu_etale_ne_demande_aucun_script(tmp_path):
    # Étant donné un jeu et ses scripts
    jeu = tmp_path / "_build" / "diapositives" / "index.html"
    jeu.parent.mkdir(parents=True)
    jeu.write_text(
        '<head><link rel="preload" as="script" href="reveal/reveal.js"></head>'
        '<img src="a.svg" alt="Un schéma"><script src="reveal/reveal.js"></script>'
    )
    # Quand on l’étale pour l’imprimer
    page = etaler(tmp_path)
    # Alors les figures y sont, et rien n’est demandé qui ne serve pas
    assert "reveal.js" not in page
    assert 'src="a.svg"' in page
