"""Les liens internes du livre construit mènent tous quelque part."""

from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit


class Page(HTMLParser):
    """Les liens et les ancres d’une page."""

    def __init__(self, fichier: Path) -> None:
        super().__init__()
        self.liens: list[str] = []
        self.ancres: set[str] = set()
        self.feed(fichier.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note où la page renvoie, et où on peut arriver en elle."""
        for nom, valeur in attrs:
            if nom in ("href", "src") and valeur:
                self.liens.append(valeur)
            elif nom in ("id", "name") and valeur:
                self.ancres.add(valeur)


def test_liens_internes(livre):
    # Étant donné toutes les pages du livre, rapports mis à part
    fichiers = [f for f in livre.rglob("*.html") if f.parent.name in ("book", "notebooks")]
    pages = {fichier: Page(fichier) for fichier in fichiers}
    # Quand on suit chaque lien interne
    perdus = []
    for fichier, page in pages.items():
        for lien in page.liens:
            partie = urlsplit(lien)
            if partie.scheme or partie.netloc:
                continue
            cible = (fichier.parent / unquote(partie.path)).resolve() if partie.path else fichier
            trouve = cible.is_file()
            if trouve and partie.fragment and cible in pages:
                trouve = unquote(partie.fragment) in pages[cible].ancres
            if not trouve:
                perdus.append(f"{fichier.name} → {lien}")
    # Alors aucun n’est perdu
    assert perdus == []
    assert len(pages) > 5, "Le livre est presque vide."
