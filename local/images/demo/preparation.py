"""Met un premier modèle en service pour « production », s’il n’y en a pas : notebooks 41 et 42."""

import sys

import papermill
from mlops_demo import journal
from mlops_demo.configuration import ErreurUtilisateur, dossier_travail, poser_reglages
from mlops_demo.session import session


def principal() -> int:
    """Prépare, et rend le code de sortie."""
    poser_reglages()
    try:
        with session():
            version = journal.champion()
            if version is not None:
                print(f"La version {version} est déjà en service.")
                return 0
            for notebook in ("41_donnees", "42_entrainement"):
                papermill.execute_notebook(
                    f"{notebook}.ipynb",
                    dossier_travail() / f"{notebook}.ipynb",
                    progress_bar=False,
                )
                print(f"{notebook} : fait.", flush=True)
            print(f"Version {journal.champion()} en service.")
            return 0
    except ErreurUtilisateur as erreur:
        print(f"Erreur : {erreur}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(principal())
