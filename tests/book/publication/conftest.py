"""Un petit dépôt jetable, dans un chemin avec espace, accent et apostrophe."""

import json
import shutil
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path

import mlops_demo
import nbformat
import pytest
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from publication import regles
from publication.depot import ecrire, ecrire_json, empreinte
from publication.plan import Notebook, copie_executee, fichier_releve, lire_notebooks
from publication.planches import MIME

RACINE = Path(__file__).resolve().parents[3]

RESULTAT = """
import json, os, pathlib
from types import SimpleNamespace
dossier = pathlib.Path(os.environ["MLOPS_TRAVAIL"], "resultats")
dossier.mkdir(parents=True, exist_ok=True)
def ecrire(nom, resume):
    (dossier / f"{{nom}}.json").write_text(json.dumps({{"notebook": nom, "resume": resume}}))
resultats = SimpleNamespace(ecrire=ecrire)
resultats.ecrire({nom!r}, "Fait.")
"""

SOMMAIRE = """
format: jb-book
root: book/accueil
chapters:
  - file: book/1_chapitre
  - file: notebooks/41_premier
  - file: notebooks/42_second
"""

PLAN = "- {partie: Essai, expose: 1_essai, minutes: 2, courte: 1, atelier: 4}\n"


def ecrire_notebook(fichier: Path, *codes: str, **metadonnees: object) -> None:
    """Écrit un notebook : un titre, puis chaque code précédé d’une phrase."""
    noyau = {"name": "python3", "display_name": "Python 3", "language": "python"}
    cellules = [
        new_markdown_cell(f"# {fichier.stem}\n\nUne page d’essai.\n\n## Une section", id="titre")
    ]
    for i, code in enumerate(codes):
        cellules.append(new_markdown_cell("Une phrase.", id=f"texte-{i}"))
        cellules.append(new_code_cell(code, id=f"code-{i}"))
    notebook = new_notebook(metadata={"kernelspec": noyau, **metadonnees}, cells=cellules)
    fichier.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(notebook, fichier)


@pytest.fixture
def depot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Deux étapes de démonstration, un chapitre, un accueil qui dépend de la seconde."""
    racine = tmp_path / "dépôt d’essai"
    for nom in ("41_premier", "42_second"):
        ecrire_notebook(racine / "notebooks" / f"{nom}.ipynb", RESULTAT.format(nom=nom))
    ecrire_notebook(racine / "book" / "1_chapitre.ipynb", "40 + 2")
    ecrire_notebook(racine / "book" / "accueil.ipynb", "1", depend_de=["notebooks/42_second.ipynb"])
    ecrire(racine / "book" / "donnees" / "plan.yaml", PLAN)
    ecrire(racine / "notebooks" / "mlops_demo" / "base.py", "X = 1\n")
    ecrire(racine / "requirements" / "lock.txt", "numpy==1\n")
    ecrire(racine / "data" / "SHA256SUMS", "abc  vols.parquet\n")
    ecrire(racine / "_toc.yml", SOMMAIRE)
    shutil.copy(RACINE / "_config.yml", racine)
    for dossier in ("_ext", "assets"):
        shutil.copytree(RACINE / "book" / dossier, racine / "book" / dossier)
    monkeypatch.setenv("MLOPS_TRAVAIL", str(racine / "_build" / "demo"))
    monkeypatch.setattr(mlops_demo, "session", nullcontext)
    return racine


@pytest.fixture
def deja_execute(depot: Path) -> Path:
    """Le même dépôt, avec des copies et des relevés comme après une exécution réussie."""
    for notebook in lire_notebooks(depot):
        simuler_execution(depot, notebook)
    return depot


@pytest.fixture
def simuler() -> Callable[[Path, Notebook, str], None]:
    """La fonction qui remplace une vraie exécution."""
    return simuler_execution


def simuler_execution(racine: Path, notebook: Notebook, marque: str = "première") -> None:
    """Pose la copie exécutée et le relevé d’un notebook, sans noyau."""
    from publication.execution import Releve

    copie = json.loads((racine / notebook.chemin).read_text())
    copie["metadata"]["execution"] = marque
    texte = json.dumps(copie)
    mesures = (1.5, 1.0, 0.2, 0.7, 0.9, 120)
    releve = Releve(notebook.cle(racine), empreinte(texte), *mesures, {"resume": "Fait."})
    ecrire(copie_executee(racine, notebook.chemin), texte)
    ecrire_json(fichier_releve(racine, notebook.chemin), asdict(releve))


@pytest.fixture
def modifier() -> Callable[[Path, int, str], None]:
    """Change la source d’une cellule d’un notebook."""

    def changer(fichier: Path, cellule: int, source: str) -> None:
        notebook = nbformat.read(fichier, as_version=4)
        notebook.cells[cellule].source = source
        nbformat.write(notebook, fichier)

    return changer


@pytest.fixture
def diapositive() -> Callable[..., list[NotebookNode]]:
    """Fait les cellules d’une diapositive : son titre, ce qu’elle montre, ses notes, son texte."""
    return cellules_d_une_diapositive


def cellules_d_une_diapositive(
    nom: str, *planches: dict, titre="Un message", notes=70 * "mot ", texte="Un texte.", **reglages
) -> list[NotebookNode]:
    """Les planches sont comme une exécution les laisse ; 70 mots se disent en 30 secondes."""

    def regler(cellule: NotebookNode, genre: str, *etiquettes: str, **autres) -> NotebookNode:
        cellule.metadata.update(slideshow={"slide_type": genre, **autres}, tags=list(etiquettes))
        return cellule

    genre = reglages.pop("slide_type", "subslide")
    cellules = [regler(new_markdown_cell(f"## {titre}", id=nom), genre, **reglages)]
    for rang, planche in enumerate(planches):
        code = new_code_cell("montrer()", id=f"{nom}-code-{rang}")
        code.outputs = [new_output("display_data", {MIME: planche})]
        cellules.append(regler(code, "-"))
    cellules.append(regler(new_markdown_cell(notes, id=f"{nom}-notes"), "notes"))
    cellules.append(regler(new_markdown_cell(texte, id=f"{nom}-texte"), "skip", "texte"))
    return cellules


@pytest.fixture
def exposer(deja_execute: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Donne au dépôt un exposé d’une seule partie, déjà exécuté, et de la taille qu’il a."""
    monkeypatch.setattr(regles, "DIAPOSITIVES", (1, 48))

    def ecrire_l_expose(*diapositives: list[NotebookNode]) -> Path:
        notebook = new_notebook(cells=[c for cellules in diapositives for c in cellules])
        notebook.metadata["lit"] = ["book/reference.json", "local/common.yaml"]
        page = "book/expose/1_essai.ipynb"
        for fichier in (deja_execute / page, copie_executee(deja_execute, page)):
            fichier.parent.mkdir(parents=True, exist_ok=True)
            nbformat.write(notebook, fichier)
        return deja_execute

    return ecrire_l_expose
