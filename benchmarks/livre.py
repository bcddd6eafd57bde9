"""Construire le livre dans un clone : de zéro, sans changement, après un notebook modifié."""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from mlops_demo.configuration import ErreurUtilisateur

from benchmarks.processus import secondes

RACINE = Path(__file__).resolve().parents[1]
MODIFIE = Path("notebooks") / "46_retour_arriere.ipynb"


def tableau() -> tuple[str, list[str], list[list[str]]]:
    """Construit trois fois le livre dans un clone qui se sert de ce .venv."""
    with tempfile.TemporaryDirectory(prefix="livre-") as dossier:
        clone = Path(dossier) / "clone"
        git = ["git", "-c", "safe.directory=*", "clone", "--quiet", str(RACINE), str(clone)]
        subprocess.run(git, check=True)
        try:
            lignes = [["de zéro", secondes(construire(clone))]]
            lignes.append(["sans rien changer", secondes(construire(clone))])
            modifier(clone / MODIFIE)
            lignes.append([f"après avoir modifié {MODIFIE.name}", secondes(construire(clone))])
        finally:
            lancer(clone, "mlops_demo", "nettoyer")
    titre = "Construire le livre (dernier commit, installation non comprise)"
    return titre, ["construction", "durée"], lignes


def lancer(clone: Path, *arguments: str) -> subprocess.CompletedProcess:
    """Lance un module du clone, et non celui que .venv connaît."""
    reglages = {c: v for c, v in os.environ.items() if not c.startswith("MLOPS_")}
    reglages["PYTHONPATH"] = os.pathsep.join([str(clone / "book"), str(clone / "notebooks")])
    return subprocess.run(
        [sys.executable, "-m", *arguments],
        cwd=clone,
        env=reglages | {"MLOPS_UTILISATEUR": os.environ["MLOPS_UTILISATEUR"]},
        capture_output=True,
        text=True,
        check=False,
    )


def construire(clone: Path) -> float:
    """Construit le livre et rend la durée.

    Raises:
        ErreurUtilisateur: si la construction échoue.
    """
    debut = time.perf_counter()
    resultat = lancer(clone, "publication", "livre")
    duree = time.perf_counter() - debut
    if resultat.returncode:
        fin = (resultat.stdout + resultat.stderr)[-1500:]
        raise ErreurUtilisateur(f"le livre ne se construit pas dans le clone :\n{fin}")
    return duree


def modifier(chemin: Path) -> None:
    """Ajoute un commentaire à la dernière cellule de code d’un notebook."""
    notebook = json.loads(chemin.read_text(encoding="utf-8"))
    cellule = [c for c in notebook["cells"] if c["cell_type"] == "code"][-1]
    cellule["source"] = "".join(cellule["source"]) + "\n# modifié par le banc de mesure"
    chemin.write_text(json.dumps(notebook, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
