"""Les PDF que « make pdf » imprime : leurs pages, leur texte, leurs liens, leur taille."""

import re
import subprocess
import sys

import pytest
from bs4 import BeautifulSoup
from publication.depot import RACINE, lire_sommaire
from pypdf import PdfReader

pytestmark = pytest.mark.lent


@pytest.fixture(scope="session")
def impression(jeu, livre):
    """Imprime comme le ferait « make pdf » ; donne les deux PDF et ce que la commande en dit."""
    resultat = subprocess.run(
        [sys.executable, "-m", "publication", "pdf"],
        cwd=RACINE,
        capture_output=True,
        text=True,
        check=False,
    )
    assert resultat.returncode == 0, f"Les PDF ne s’impriment pas.\n{resultat.stderr}"
    fichiers = {nom: RACINE / "_build" / "pdf" / f"{nom}.pdf" for nom in ("diapositives", "livre")}
    return {nom: (f, PdfReader(f)) for nom, f in fichiers.items()}, resultat.stdout


def sans_espaces(texte):
    """Le texte d’un PDF coupe les mots où il veut."""
    return re.sub(r"\s", "", texte)


def test_pdf_taille_dite(impression):
    pdf, sortie = impression
    for nom, (fichier, _) in pdf.items():
        taille = f"{fichier.stat().st_size / 1e6:.1f} Mo".replace(".", ",")
        assert f"_build/pdf/{nom}.pdf : {taille}" in sortie
    assert pdf["diapositives"][0].stat().st_size < 3e6, "Une figure a été imprimée comme une image."


def test_pdf_des_diapositives(impression, jeu):
    # Une page par diapositive, dans l’ordre, et le titre de chacune s’y lit
    pages = impression[0]["diapositives"][1].pages
    document = BeautifulSoup(jeu.read_text(encoding="utf-8"), "html.parser")
    titres = [section.select_one("h1, h2").get_text() for section in document.select("section[id]")]
    assert len(pages) == len(titres)
    assert {tuple(map(float, page.mediabox[2:])) for page in pages} == {(960, 540)}
    for page, titre in zip(pages, titres, strict=True):
        assert sans_espaces(titre) in sans_espaces(page.extract_text()), titre


def test_pdf_du_livre(impression, livre):
    # Chaque page du livre commence une page du PDF, dans l’ordre du sommaire, titre en tête
    textes = [sans_espaces(p.extract_text()) for p in impression[0]["livre"][1].pages]
    debuts = []
    for page in lire_sommaire(RACINE):
        html = (livre / page).with_suffix(".html").read_text(encoding="utf-8")
        article = BeautifulSoup(html, "html.parser").select_one("article.bd-article")
        for superflu in article.select(".headerlink"):
            superflu.decompose()
        titre = sans_espaces(article.h1.get_text())
        numero = next((n for n, texte in enumerate(textes) if texte.startswith(titre)), None)
        assert numero is not None, f"« {article.h1.get_text()} » ne commence aucune page du PDF."
        debuts.append(numero)
        # Et son texte y est, du premier paragraphe au dernier titre
        suite = "".join(textes[numero:])
        for morceau in (article.find("p"), article.select("h2")[-1]):
            assert sans_espaces(morceau.get_text())[:60] in suite, morceau.get_text()
    assert debuts == sorted(set(debuts))
    assert debuts[0] == 0
    assert len(lire_sommaire(RACINE)) * 3 < len(textes) < 250, "Des pages manquent ou sont vides."
    assert all(textes), "Une page du PDF est vide."


def test_liens_des_pdf(impression):
    # Aucun lien ne mène à cette machine, et chaque renvoi interne a sa destination
    for nom, (_, pdf) in impression[0].items():
        liens = [
            annotation.get_object()
            for page in pdf.pages
            for annotation in page.get("/Annots", [])
            if annotation.get_object()["/Subtype"] == "/Link"
        ]
        adresses = [lien["/A"]["/URI"] for lien in liens if "/URI" in lien.get("/A", {})]
        assert adresses, f"{nom}.pdf n’a aucun lien."
        assert [a for a in adresses if not a.startswith(("http://", "https://"))] == []
        renvois = {str(lien["/Dest"]).lstrip("/") for lien in liens if "/Dest" in lien}
        destinations = {cle.lstrip("/") for cle in pdf.named_destinations}
        assert renvois <= destinations, sorted(renvois - destinations)[:5]
        assert nom != "livre" or len(renvois) > 100, (
            "Les renvois du livre restent dans le document."
        )


def test_affiche_sur_une_page_a3(impression):
    # L’affiche tient sur une page A3 couchée, et son texte y est du texte
    affiche = PdfReader(RACINE / "_build" / "pdf" / "affiche.pdf")
    assert [round(float(cote) / 72 * 25.4) for cote in affiche.pages[0].mediabox[2:]] == [420, 297]
    assert len(affiche.pages) == 1
    assert "Qui agit où" in affiche.pages[0].extract_text()
    assert "affiche.pdf" in impression[1]
