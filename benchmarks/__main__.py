"""Mesure les temps et la mémoire : ``make bench``, ou ``python -m benchmarks`` à la racine."""

import argparse
import os
import subprocess
import sys
import tempfile

from mlops_demo.configuration import ErreurUtilisateur

from benchmarks import calculs, chargement, demarrage, livre, service

MESURES = {
    "chargement": chargement,
    "demarrage": demarrage,
    "calculs": calculs,
    "service": service,
    "livre": livre,
}


def lire_arguments() -> argparse.Namespace:
    """Lit ce qu’il faut mesurer."""
    analyseur = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    analyseur.add_argument(
        "mesures",
        nargs="*",
        metavar="mesure",
        help=f"{', '.join(MESURES)} ; toutes (une dizaine de minutes) si rien n’est dit",
    )
    options = analyseur.parse_args()
    options.mesures = options.mesures or list(MESURES)
    if inconnues := set(options.mesures) - set(MESURES):
        analyseur.error(f"mesure inconnue : {', '.join(sorted(inconnues))}")
    return options


def montrer(titre: str, colonnes: list[str], lignes: list[list[str]]) -> None:
    """Affiche un tableau : la première colonne à gauche, les autres à droite."""
    largeurs = [max(map(len, valeurs)) for valeurs in zip(colonnes, *lignes, strict=True)]
    print(f"\n{titre}\n")
    for ligne in [colonnes, ["-" * n for n in largeurs], *lignes]:
        cases = [ligne[0].ljust(largeurs[0])]
        cases += [v.rjust(n) for v, n in zip(ligne[1:], largeurs[1:], strict=True)]
        print("  " + "  ".join(cases), flush=True)


def principal() -> int:
    """Mesure dans un dossier et un schéma jetables, puis les efface."""
    options = lire_arguments()
    charge = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0
    print(f"{os.cpu_count()} cœurs, charge {charge:.1f} au départ.".replace(".", ",", 1))
    with tempfile.TemporaryDirectory(prefix="banc-") as dossier:
        os.environ["MLOPS_TRAVAIL"] = dossier
        os.environ["MLOPS_UTILISATEUR"] = f"banc_{os.getpid()}"
        try:
            for nom in options.mesures:
                montrer(*MESURES[nom].tableau())
        except ErreurUtilisateur as erreur:
            print(f"Erreur : {erreur}", file=sys.stderr)
            return 1
        finally:
            nettoyer = [sys.executable, "-m", "mlops_demo", "nettoyer"]
            subprocess.run(nettoyer, stdout=subprocess.DEVNULL, check=False)
    return 0


if __name__ == "__main__":
    sys.exit(principal())
