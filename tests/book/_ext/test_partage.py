"""La carte de partage et la page d’une adresse perdue."""

from bs4 import BeautifulSoup
from partage import baliser, dessiner_la_carte, ecrire_la_page_perdue
from PIL import Image


def test_balises_echappees():
    balises = baliser("Livre", 'Un « "titre" »', "<b>", "https://exemple.fr/l", "book/p.html")
    page = BeautifulSoup(balises, "html.parser")
    lues = {balise["property"]: balise["content"] for balise in page.select("[property]")}
    assert lues["og:title"] == 'Un « "titre" »'
    assert lues["og:description"] == "<b>"
    assert lues["og:url"] == "https://exemple.fr/l/book/p.html"
    assert lues["og:image"].startswith("https://exemple.fr/l/"), "Les réseaux la veulent absolue."


def test_carte(tmp_path):
    dessiner_la_carte(tmp_path / "a.png", "Un livre", "Une phrase.")
    dessiner_la_carte(tmp_path / "b.png", "Un livre", "Une phrase.")
    with Image.open(tmp_path / "a.png") as image:
        assert image.size == (1200, 630)
        assert len(image.convert("RGB").getcolors(100_000)) > 4, "La carte est vide."
    identiques = (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    assert identiques, "La carte change d’une construction à l’autre."


def test_page_perdue(tmp_path):
    ecrire_la_page_perdue(tmp_path / "404.html", "L & L", "https://exemple.fr/l", {"a.html": "<A>"})
    page = BeautifulSoup((tmp_path / "404.html").read_text(encoding="utf-8"), "html.parser")
    # Alors rien de ce qu’elle montre ne vient d’une adresse relative, fausse hors de la racine
    assert page.select("link[href]:not([href^='data:']), img, script[src]") == []
    assert page.title.get_text() == "Page introuvable — L & L"
    assert (page.a["href"], page.a.get_text()) == ("https://exemple.fr/l/a.html", "<A>")
