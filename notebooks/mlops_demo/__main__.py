"""Commandes de la démonstration : ``mlops-demo`` ou ``python -m mlops_demo``."""

import argparse
import sys
from pathlib import Path
from typing import NoReturn

from mlops_demo.configuration import ErreurUtilisateur


def _lab(options: argparse.Namespace) -> int:
    from mlops_demo import lab

    lab.ouvrir(options.port, options.port_mlflow, not options.sans_navigateur)
    return 0


def _recevoir(options: argparse.Namespace) -> int:
    from mlops_demo import donnees

    bilan = donnees.recevoir(options.fichier, options.table)
    print(
        f"Lot {bilan.decision} : {bilan.recues} lignes reçues, {bilan.chargees} chargées, "
        f"{bilan.ecartees} écartées, {bilan.deja_presentes} déjà présentes."
    )
    for motif in bilan.motifs:
        print(f"  - {motif}")
    return 0 if bilan.accepte else 1


def _retour_arriere(options: argparse.Namespace) -> int:
    from mlops_demo import base, registre

    base.preparer()
    quittee, remise, duree = registre.retour_arriere(options.raison, options.date)
    print(f"Version {quittee} retirée, version {remise} remise en service en {duree:.2f} s.")
    return 0


def _journal(_: argparse.Namespace) -> int:
    from mlops_demo import journal

    for ligne in journal.tout().itertuples():
        print(
            f"{ligne.horodatage:%Y-%m-%d %H:%M:%S} {ligne.auteur} : {ligne.action}, "
            f"version {ligne.version} ({ligne.raison})"
        )
    return 0


def _executer(options: argparse.Namespace) -> int:
    import json

    from mlops_demo import etape

    parametres = etape.lire_parametres(options.etape, options.parametre)
    resultat = etape.executer(options.etape, parametres, options.copie)
    if options.mesures:
        for nom, valeur in etape.mesures(resultat):
            print(f"{nom}={valeur}")
    else:
        print(json.dumps(resultat, ensure_ascii=False, indent=2))
    return 0


def _fiche(options: argparse.Namespace) -> int:
    from mlops_demo import base, fiche, journal

    base.preparer()
    version = options.version
    if version is None:
        version = journal.champion()
    if version is None:
        raise ErreurUtilisateur("aucun modèle n’est en service : donnez « --version ».")
    print(fiche.rediger(version))
    return 0


def _lignage(options: argparse.Namespace) -> int:
    from mlops_demo import registre

    if options.demande:
        trouve = registre.lignage_de_la_demande(options.demande, options.rang)
    else:
        trouve = registre.lignage(options.vol, options.scenario)
    for nom, valeur in trouve.items():
        print(f"{nom} : {valeur}")
    return 0


def _verifier(options: argparse.Namespace) -> int:
    from mlops_demo import base, registre

    base.preparer()
    for maillon, preuve in registre.chaine(options.version):
        print(f"{maillon} : {preuve}")
    print(f"La version {options.version} est celle que le journal a acceptée.")
    return 0


def _oublier(options: argparse.Namespace) -> int:
    from mlops_demo import fiche

    effacees = fiche.oublier_les_predictions(options.jours)
    print(f"{effacees} prédictions de plus de {options.jours} jours effacées ; le journal reste.")
    return 0


def _nettoyer(_: argparse.Namespace) -> int:
    import shutil

    from mlops_demo import configuration, postgres

    postgres.effacer()
    # Le tampon du service ne vaut que pour cette base.
    shutil.rmtree(configuration.dossier_tampon(), ignore_errors=True)
    print("Base embarquée effacée.")
    return 0


def _entier(texte: str) -> int:
    """Lit un entier que la base sait garder ; refuse les autres."""
    nombre = int(texte)
    if abs(nombre) >= 2**63:
        raise ValueError(texte)
    return nombre


class Analyseur(argparse.ArgumentParser):
    """Un analyseur d’arguments qui parle français."""

    def __init__(self, **reglages: object) -> None:
        super().__init__(**reglages, add_help=False)
        self._positionals.title = "arguments"
        self.add_argument("-h", "--help", action="help", help="montrer cette aide")

    def error(self, message: str) -> NoReturn:
        """Dit où trouver de l’aide, et s’arrête avec le code 2."""
        self.exit(
            2,
            f"Erreur : commande incomplète ou inconnue. « {self.prog} --help » dit ce qu’elle "
            "attend.\n",
        )


def analyseur() -> argparse.ArgumentParser:
    """Décrit les commandes."""
    racine = Analyseur(prog="mlops-demo", description="Commandes de la démonstration.")
    commandes = racine.add_subparsers(required=True, metavar="commande")
    lab = commandes.add_parser("lab", help="ouvrir JupyterLab, Postgres et MLflow")
    lab.add_argument("--port", type=int, default=8888, help="port de JupyterLab")
    lab.add_argument("--port-mlflow", type=int, default=5050, help="port de MLflow")
    lab.add_argument("--sans-navigateur", action="store_true", help="n’ouvrir aucune page")
    lab.set_defaults(faire=_lab)
    recevoir = commandes.add_parser("recevoir", help="juger un lot et le charger s’il est bon")
    recevoir.add_argument("fichier", type=Path, help="fichier .parquet ou .csv (UTF-8)")
    recevoir.add_argument("--table", default="flights", help="table visée (flights)")
    recevoir.set_defaults(faire=_recevoir)
    retour = commandes.add_parser("retour-arriere", help="remettre la version précédente")
    retour.add_argument("--raison", required=True, help="pourquoi, pour le journal")
    retour.add_argument("--date", default="2013-12-31", help="jour de l’histoire")
    retour.set_defaults(faire=_retour_arriere)
    commandes.add_parser("journal", help="montrer le journal").set_defaults(faire=_journal)
    executer = commandes.add_parser("executer", help="exécuter un notebook comme une étape")
    executer.add_argument("etape", help="nom du notebook, sans extension (42_entrainement)")
    executer.add_argument(
        "-p", "--parametre", action="append", default=[], metavar="NOM=VALEUR", help="un paramètre"
    )
    executer.add_argument("--copie", type=Path, help="fichier où garder le notebook exécuté")
    executer.add_argument("--mesures", action="store_true", help="écrire « nom=valeur » par nombre")
    executer.set_defaults(faire=_executer)
    carte = commandes.add_parser("fiche", help="rédiger la fiche d’un modèle, en Markdown")
    carte.add_argument("--version", type=_entier, help="version (celle en service)")
    carte.set_defaults(faire=_fiche)
    lignage = commandes.add_parser("lignage", help="remonter d’une prédiction à ses sources")
    prediction = lignage.add_mutually_exclusive_group(required=True)
    prediction.add_argument("vol", type=_entier, nargs="?", help="identifiant du vol (flight_id)")
    prediction.add_argument("--demande", help="celle qu’a rendue le service, plutôt qu’un vol")
    lignage.add_argument("--scenario", default="réentraîné", help="scénario du vol (réentraîné)")
    lignage.add_argument("--rang", type=_entier, default=1, help="rang du vol dans la demande (1)")
    lignage.set_defaults(faire=_lignage)
    verifier = commandes.add_parser(
        "verifier", help="remonter la chaîne de confiance d’une version"
    )
    verifier.add_argument("version", type=_entier, help="numéro de la version")
    verifier.set_defaults(faire=_verifier)
    oublier = commandes.add_parser("oublier", help="effacer les vieilles prédictions")
    oublier.add_argument("--jours", type=_entier, default=365, help="jours gardés (365)")
    oublier.set_defaults(faire=_oublier)
    nettoyer = commandes.add_parser("nettoyer", help="effacer la base embarquée")
    nettoyer.set_defaults(faire=_nettoyer)
    return racine


def principal() -> int:
    """Exécute une commande ; une erreur que l’on peut corriger tient en une phrase."""
    for sortie in (sys.stdout, sys.stderr):
        sortie.reconfigure(errors="replace")  # un terminal en Latin-1 n’a ni ✓ ni ’
    options = analyseur().parse_args()
    try:
        return options.faire(options)
    except ErreurUtilisateur as erreur:
        print(f"Erreur : {erreur}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(
            "\nInterrompu : ce qui n’était pas fini est annulé. Relancez la même commande.",
            file=sys.stderr,
        )
        return 130


if __name__ == "__main__":
    sys.exit(principal())
