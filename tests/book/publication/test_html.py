"""La mise en page, avec le vrai Jupyter Book sur un dépôt jetable."""

import nbformat
import pytest
from bs4 import BeautifulSoup
from publication.depot import ErreurPublication, adresse_jupyterhub, ecrire
from publication.html import construire
from publication.plan import copie_executee, fusionner


@pytest.fixture
def execute(deja_execute):
    """Le dépôt jetable, avec une vraie sortie dans la copie du chapitre."""
    copie = copie_executee(deja_execute, "book/1_chapitre.ipynb")
    notebook = nbformat.read(copie, as_version=4)
    notebook.cells[2].outputs = [
        nbformat.v4.new_output("execute_result", {"text/plain": "42"}, execution_count=7)
    ]
    notebook.cells[2].execution_count = 7
    notebook.cells[2].metadata["papermill"] = {"duration": 0.1}
    nbformat.write(notebook, copie)
    return deja_execute


def test_fusion(execute, modifier):
    # Étant donné un texte corrigé depuis l’exécution
    modifier(execute / "book" / "1_chapitre.ipynb", 0, "# Titre corrigé")
    # Quand on fusionne
    fusion = fusionner(execute, "book/1_chapitre.ipynb")
    # Alors le texte est le nouveau, les sorties sont celles de la copie, sans rien de papermill
    assert fusion.cells[0].source == "# Titre corrigé"
    assert fusion.cells[2].outputs[0].data["text/plain"] == "42"
    assert "papermill" not in fusion.cells[2].metadata


def test_construction_puis_avertissement(execute, modifier):
    # Quand le livre se construit
    construire(execute)
    page = execute / "_build" / "html" / "book" / "1_chapitre.html"
    # Alors la page a la sortie de la copie exécutée, et l’accueil s’ouvre
    assert "42" in page.read_text()
    assert "book/accueil.html" in (execute / "_build" / "html" / "index.html").read_text()
    assert not (execute / "_build" / "atelier").exists(), "L’atelier doit être rangé."
    journal = (execute / "_build" / "journal-livre.txt").read_text()
    assert journal.count("Using cached notebook") == 4
    assert "\x1b" not in journal, "Le journal doit être sans couleur."

    # Quand une page montre une image absente
    texte = "# Titre\n\n## Section\n\n![Un schéma.](absente.png)"
    modifier(execute / "book" / "1_chapitre.ipynb", 0, texte)
    with pytest.raises(ErreurPublication) as erreur:
        construire(execute)
    # Alors la construction échoue en citant l’avertissement, et l’ancien livre est intact
    assert "WARNING" in str(erreur.value)
    assert "absente.png" in str(erreur.value)
    assert "42" in page.read_text()


def test_page_non_executee_par_papermill(execute, monkeypatch):
    # Étant donné un cache où il manque un notebook
    monkeypatch.setattr("publication.html.lire_sommaire", lambda _racine: ["book/accueil.ipynb"])
    # Alors Jupyter Book l’exécute lui-même, et la construction le refuse
    with pytest.raises(ErreurPublication, match="Jupyter Book a exécuté un notebook lui-même"):
        construire(execute)


def test_bouton_de_jupyterhub(execute, monkeypatch):
    # Étant donné l’adresse d’un JupyterHub, réglée
    monkeypatch.setenv("LIVRE_JUPYTERHUB", "https://hub.exemple.fr/hub/user-redirect/lab/tree/p/")
    construire(execute)
    # Alors chaque page offre de s’y ouvrir
    page = BeautifulSoup(
        (execute / "_build" / "html" / "notebooks" / "41_premier.html").read_text(), "html.parser"
    )
    bouton = page.select_one("a.btn-jupyterhub-button")
    assert bouton["href"] == (
        "https://hub.exemple.fr/hub/user-redirect/lab/tree/p/notebooks/41_premier.ipynb"
    )
    assert bouton["title"] == "Ouvrir dans JupyterHub"


def test_adresse_de_jupyterhub_refusee(monkeypatch):
    monkeypatch.setenv("LIVRE_JUPYTERHUB", "hub.exemple.fr")
    with pytest.raises(ErreurPublication, match=r"« hub\.exemple\.fr », qui n’est pas une adresse"):
        adresse_jupyterhub()


def test_rapport_cite_mais_absent(execute, modifier):
    texte = "# Titre\n\n## Section\n\nLe [rapport complet](../rapports/juillet.html)."
    modifier(execute / "notebooks" / "42_second.ipynb", 0, texte)
    with pytest.raises(ErreurPublication, match=r"42_second\.html.*rapports/juillet\.html"):
        construire(execute)
    # Quand le rapport existe
    ecrire(execute / "_build" / "execution" / "rapports" / "juillet.html", "<p>Dérive</p>")
    construire(execute)
    # Alors il est dans le livre, et le lien y mène
    assert (execute / "_build" / "html" / "rapports" / "juillet.html").is_file()
    page = execute / "_build" / "html" / "notebooks" / "42_second.html"
    assert 'href="../rapports/juillet.html"' in page.read_text()
