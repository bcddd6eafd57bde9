"""Ce qu’il faut exécuter : les dépendances entre notebooks, leurs clés et leurs relevés."""

import json
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from publication.depot import (
    ErreurPublication,
    dossier_execution,
    empreinte,
    empreinte_fichiers,
    lire_sommaire,
)

if TYPE_CHECKING:
    import nbformat

CHAINE = "notebooks/"
EXPOSE = "book/expose"


@dataclass
class Notebook:
    """Un notebook du livre : sa source, ce dont il dépend, ce qui le ferait changer."""

    chemin: str
    contenu: dict[str, Any]
    amont: list[str] = field(default_factory=list)
    socle: str = ""

    @property
    def dans_la_chaine(self) -> bool:
        """Vrai pour une étape de la démonstration, qui a besoin de la base."""
        return self.chemin.startswith(CHAINE)

    @property
    def ecrit_un_resultat(self) -> bool:
        """Vrai pour un notebook qui laisse ses chiffres en JSON."""
        return any("resultats.ecrire(" in _texte(c) for c in self.contenu["cells"])

    def cle(self, racine: Path) -> str:
        """Empreinte de tout ce dont les sorties dépendent, copies exécutées en amont comprises."""
        code = [
            [_texte(cellule), "parameters" in cellule["metadata"].get("tags", [])]
            for cellule in self.contenu["cells"]
            if cellule["cell_type"] == "code"
        ]
        noyau = self.contenu["metadata"].get("kernelspec", {}).get("name", "")
        amont = [str(lire_releve(racine, nom).get("empreinte")) for nom in self.amont]
        return empreinte(json.dumps(code), noyau, self.socle, *amont)


def pages_de_l_expose(racine: Path) -> list[str]:
    """Donne les notebooks de l’exposé, dans l’ordre."""
    return [f"{EXPOSE}/{f.name}" for f in sorted((racine / EXPOSE).glob("*.ipynb"))]


def lire_notebooks(racine: Path, pages: list[str] | None = None) -> list[Notebook]:
    """Donne les notebooks du sommaire, ou d’une autre liste, chacun après ceux dont il dépend.

    Raises:
        ErreurPublication: notebook illisible, dépendance absente du sommaire ou circulaire.
    """
    commun, propre_au_livre = _socles(racine)
    notebooks: list[Notebook] = []
    precedent: list[str] = []
    for chemin in lire_sommaire(racine) if pages is None else pages:
        if not chemin.endswith(".ipynb"):
            continue
        notebook = Notebook(chemin, _lire(racine / chemin, chemin), socle=commun)
        notebook.amont = list(notebook.contenu["metadata"].get("depend_de", []))
        if notebook.dans_la_chaine:
            notebook.amont += precedent
            precedent = [chemin]
        else:
            notebook.socle += propre_au_livre
        motifs = notebook.contenu["metadata"].get("lit", [])
        lus = [f for m in motifs for f in racine.glob(m) if f.is_file()]
        notebook.socle += empreinte_fichiers(racine, lus)
        notebooks.append(notebook)
    return _ordonner(notebooks)


def perimes(racine: Path, notebooks: list[Notebook]) -> list[Notebook]:
    """Donne les notebooks à exécuter : ceux qui ont changé et tous ceux qui en dépendent."""
    a_faire: dict[str, Notebook] = {}
    for notebook in notebooks:
        en_amont = any(nom in a_faire for nom in notebook.amont)
        if en_amont or not a_jour(racine, notebook):
            a_faire[notebook.chemin] = notebook
    return list(a_faire.values())


def a_jour(racine: Path, notebook: Notebook) -> bool:
    """Vrai si la copie exécutée est intacte et vient de ce code-là."""
    releve = lire_releve(racine, notebook.chemin)
    copie = copie_executee(racine, notebook.chemin)
    return (
        releve.get("cle") == notebook.cle(racine)
        and copie.is_file()
        and releve.get("empreinte") == empreinte(copie.read_bytes())
    )


def copie_executee(racine: Path, chemin: str) -> Path:
    """Fichier de la copie exécutée d’un notebook."""
    return dossier_execution(racine) / chemin


def fusionner(racine: Path, chemin: str) -> "nbformat.NotebookNode":
    """Rend la source d’un notebook avec les sorties de sa copie exécutée.

    La copie elle-même ne convient pas : papermill ajoute à chaque cellule des métadonnées qui
    entrent dans la clé de jupyter-cache, et la page serait exécutée une seconde fois.
    """
    import nbformat

    source = nbformat.read(racine / chemin, as_version=4)
    copie = nbformat.read(copie_executee(racine, chemin), as_version=4)
    executees = [cellule for cellule in copie.cells if cellule.cell_type == "code"]
    code = [cellule for cellule in source.cells if cellule.cell_type == "code"]
    for cellule, executee in zip(code, executees, strict=True):
        cellule.outputs = executee.outputs
        cellule.execution_count = executee.execution_count
    return source


def fichier_releve(racine: Path, chemin: str) -> Path:
    """Fichier du relevé d’exécution d’un notebook, à côté de sa copie exécutée."""
    return copie_executee(racine, chemin).with_suffix(".json")


def lire_releve(racine: Path, chemin: str) -> dict[str, Any]:
    """Lit le relevé d’exécution d’un notebook ; vide s’il n’y en a pas d’utilisable."""
    try:
        return json.loads(fichier_releve(racine, chemin).read_text(encoding="utf-8"))
    except (FileNotFoundError, json.JSONDecodeError):
        return {}


def _socles(racine: Path) -> tuple[str, str]:
    """Empreintes de ce que partagent tous les notebooks, puis ceux de ``book/`` seulement."""
    paquet = racine / "notebooks" / "mlops_demo"
    commun = [f for motif in ("*.py", "*.yaml", "*.sql") for f in paquet.rglob(motif)]
    commun += [racine / "requirements" / "lock.txt", racine / "data" / "SHA256SUMS"]
    livre = [racine / "book" / "references.bib"]
    livre += [f for f in (racine / "book" / "donnees").rglob("*") if f.is_file()]
    livre += [f for m in ("*.py", "*.j2") for f in (racine / "book" / "publication").rglob(m)]
    python = ".".join(map(str, sys.version_info[:2]))
    return python + empreinte_fichiers(racine, commun), empreinte_fichiers(racine, livre)


def _lire(fichier: Path, chemin: str) -> dict[str, Any]:
    """Lit un notebook comme du JSON : nbformat n’est importé que s’il y a du travail."""
    try:
        contenu = json.loads(fichier.read_text(encoding="utf-8"))
    except json.JSONDecodeError as erreur:
        raise ErreurPublication(f"{chemin} n’est pas du JSON : {erreur}") from erreur
    if not isinstance(contenu, dict) or not {"cells", "metadata"} <= contenu.keys():
        raise ErreurPublication(f"{chemin} n’est pas un notebook.")
    return contenu


def _texte(cellule: dict[str, Any]) -> str:
    """Source d’une cellule, que le fichier la garde en lignes ou d’un bloc."""
    return "".join(cellule["source"])


def _ordonner(notebooks: list[Notebook]) -> list[Notebook]:
    """Range les notebooks pour que chacun suive son amont, sans autre changement d’ordre."""
    connus = {notebook.chemin for notebook in notebooks}
    for notebook in notebooks:
        for nom in notebook.amont:
            if nom not in connus:
                raise ErreurPublication(
                    f"{notebook.chemin} déclare dépendre de « {nom} », absent de _toc.yml."
                )
    ranges: list[Notebook] = []
    while len(ranges) < len(notebooks):
        places = {notebook.chemin for notebook in ranges}
        suivant = next(
            (n for n in notebooks if n.chemin not in places and set(n.amont) <= places), None
        )
        if suivant is None:
            reste = ", ".join(n.chemin for n in notebooks if n.chemin not in places)
            raise ErreurPublication(f"dépendance circulaire entre notebooks : {reste}.")
        ranges.append(suivant)
    return ranges
