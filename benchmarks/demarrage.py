"""Où passe le temps de ``make demo`` avant le premier calcul : imports, noyau, Postgres."""

import importlib
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.processus import memoire_mo, mesurer, secondes

MODULES = {
    "import de pandas": "pandas",
    "import de scikit-learn (ensembles)": "sklearn.ensemble",
    "import de MLflow": "mlflow",
    "import d’Evidently": "evidently",
    "import d’ADBC": "adbc_driver_postgresql.dbapi",
    "import de matplotlib": "matplotlib.pyplot",
    "import de papermill": "papermill",
}
ESSAIS = 3


def tableau() -> tuple[str, list[str], list[list[str]]]:
    """Mesure chaque étape dans un processus neuf ; médiane de trois essais."""
    etapes = {"processus Python vide": (rien,)}
    etapes |= {nom: (importer, module) for nom, module in MODULES.items()}
    etapes["noyau vide, par papermill"] = (noyau_vide,)
    lignes = []
    for nom, (fonction, *arguments) in etapes.items():
        releves = [mesurer(fonction, *arguments) for _ in range(ESSAIS)]
        duree = statistics.median(duree for duree, _ in releves)
        memoire = max(memoire for _, memoire in releves)
        lignes.append([nom, str(ESSAIS), secondes(duree), f"{memoire} Mo"])
    if not os.environ.get("DATABASE_URL"):
        duree, memoire = postgres_neuf()
        lignes.append(["Postgres : création et démarrage", "1", secondes(duree), f"{memoire} Mo"])
    titre = "Avant le premier calcul (chaque étape seule, dans un processus neuf)"
    return titre, ["étape", "essais", "médiane", "mémoire"], lignes


def rien() -> tuple[float, int]:
    """Lance un interpréteur qui ne fait rien ; sa mémoire est celle du processus de mesure."""
    debut = time.perf_counter()
    subprocess.run([sys.executable, "-c", ""], check=True)
    return time.perf_counter() - debut, memoire_mo()


def importer(module: str) -> tuple[float, int]:
    """Importe un module."""
    debut = time.perf_counter()
    importlib.import_module(module)
    return time.perf_counter() - debut, memoire_mo()


def noyau_vide() -> tuple[float, int]:
    """Exécute par papermill un notebook d’une cellule vide, papermill étant importé."""
    import nbformat
    import papermill

    cellule = nbformat.v4.new_code_cell("pass")
    notebook = nbformat.v4.new_notebook(cells=[cellule])
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3"}
    notebook.metadata["language_info"] = {"name": "python"}
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # les avertissements du noyau
    with tempfile.TemporaryDirectory() as dossier:
        source = Path(dossier) / "vide.ipynb"
        nbformat.write(notebook, source)
        debut = time.perf_counter()
        papermill.execute_notebook(source, Path(dossier) / "execute.ipynb", progress_bar=False)
        return time.perf_counter() - debut, memoire_mo()


def postgres_neuf() -> tuple[float, int]:
    """Crée et démarre un Postgres dans un dossier neuf, puis l’efface."""
    from mlops_demo import postgres

    travail = os.environ["MLOPS_TRAVAIL"]
    with tempfile.TemporaryDirectory() as dossier:
        os.environ["MLOPS_TRAVAIL"] = dossier
        try:
            releve = mesurer(ouvrir)
            postgres.effacer()
        finally:
            os.environ["MLOPS_TRAVAIL"] = travail
    return releve


def ouvrir() -> tuple[float, int]:
    """Ouvre la base embarquée, qui s’arrêtera avec ce processus."""
    from mlops_demo import postgres

    debut = time.perf_counter()
    postgres.ouvrir()
    return time.perf_counter() - debut, memoire_mo()
