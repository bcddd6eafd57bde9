"""La ligne de commande : ``python -m publication livre|diapositives|pdf|markdown|temps|…``."""

import argparse
import errno
import sys
import time

from publication.depot import RACINE, ErreurPublication


def lire_arguments(arguments: list[str] | None) -> argparse.Namespace:
    """Lit la commande demandée."""
    analyseur = argparse.ArgumentParser(prog="publication", description="Fabrique le livre.")
    commandes = analyseur.add_subparsers(dest="commande", required=True, metavar="commande")
    commandes.add_parser("livre", help="exécute ce qui a changé et construit le livre")
    commandes.add_parser("demo", help="exécute en direct les notebooks du chapitre 4")
    commandes.add_parser("diapositives", help="fait les diapositives de l’exposé")
    commandes.add_parser("pdf", help="imprime les diapositives et le livre en PDF")
    commandes.add_parser("markdown", help="écrit l’exposé à lire, presentation_mlops.md")
    commandes.add_parser("temps", help="compare le temps prévu, estimé et mesuré de l’exposé")
    commandes.add_parser("reference", help="garde les nombres de cette exécution pour l’exposé")
    commandes.add_parser("mesures", help="mesure les pages avec Lighthouse et axe-core")
    commandes.add_parser("captures", help="prend les écrans des outils lancés par make up")
    servir = commandes.add_parser("servir", help="sert le livre construit sur 127.0.0.1")
    servir.add_argument("--port", type=int, default=8080, help="port d’écoute (8080)")
    return analyseur.parse_args(arguments)


def livre() -> None:
    """Construit le livre et dit où l’ouvrir."""
    from publication.livre import construire_livre

    debut = time.monotonic()
    change = construire_livre(RACINE)
    secondes = f"{time.monotonic() - debut:.1f} s".replace(".", ",")
    print(f"Livre construit en {secondes}." if change else "Le livre était déjà à jour.")
    print("Ouvrez _build/html/index.html dans un navigateur.")


def demo() -> None:
    """Joue la démonstration et montre son bilan."""
    from publication.livre import jouer_demonstration
    from publication.recapitulatif import recapituler

    debut = time.monotonic()
    etapes = jouer_demonstration(RACINE)
    print("\n" + recapituler(etapes, time.monotonic() - debut))


def diapositives() -> None:
    """Construit les diapositives et dit où les ouvrir."""
    from publication.diapositives import construire_diapositives
    from publication.livre import executer_l_expose, une_seule_fabrication

    with une_seule_fabrication(RACINE):
        executer_l_expose(RACINE)
        page = construire_diapositives(RACINE)
    print(f"Ouvrez {page.relative_to(RACINE).as_posix()} dans un navigateur ; ? y montre l’aide.")
    print("À côté : courte.html, en 35 minutes, et atelier.html, en 90.")


def pdf() -> None:
    """Imprime les diapositives et le livre, et dit ce que pèse chaque fichier."""
    from publication.pdf import imprimer

    livre()
    diapositives()
    for fichier in imprimer(RACINE):
        taille = f"{fichier.stat().st_size / 1e6:.1f} Mo".replace(".", ",")
        print(f"{fichier.relative_to(RACINE).as_posix()} : {taille}")


def markdown() -> None:
    """Écrit la présentation en Markdown."""
    from publication.livre import executer_l_expose, une_seule_fabrication
    from publication.markdown import ecrire_presentation

    with une_seule_fabrication(RACINE):
        executer_l_expose(RACINE)
        figures = ecrire_presentation(RACINE, RACINE)
    print(f"presentation_mlops.md est écrit, avec {figures} figures dans book/figures.")


def temps() -> None:
    """Montre le temps de l’exposé.

    Raises:
        ErreurPublication: si l’exposé ne tient pas dans son temps.
    """
    from publication.temps import VERSIONS, depassements, lire_sections, presenter

    print(presenter(RACINE))
    fautes = [f for v in VERSIONS for f in depassements(lire_sections(RACINE, v), v)]
    if fautes:
        raise ErreurPublication(" ; ".join(fautes) + ".")


def reference() -> None:
    """Exécute ce qui donne des nombres à l’exposé, et les garde comme référence."""
    from publication.livre import executer_ce_qui_a_change, une_seule_fabrication
    from publication.reference import enregistrer, exiger_un_arbre_commite

    exiger_un_arbre_commite(RACINE)
    with une_seule_fabrication(RACINE):
        executer_ce_qui_a_change(RACINE, seulement_les_resultats=True)
        fichier = enregistrer(RACINE)
    print(f"{fichier.relative_to(RACINE).as_posix()} est écrit : relisez ce qui y a changé.")


def mesures() -> None:
    """Mesure les pages et garde ce qu’on a mesuré."""
    from publication.mesures import MESURES, mesurer, resumer

    livre()
    print("Mesure des pages, une dizaine de minutes…", flush=True)
    print(resumer(mesurer(RACINE)))
    print(f"{MESURES.as_posix()} est écrit ; « make book » le met dans la page « État du livre ».")


def captures() -> None:
    """Prend les écrans des outils, et dit ce que pèse chacun."""
    from publication.captures import capturer

    debut = time.monotonic()
    for ecran in capturer(RACINE):
        poids = round(ecran.fichier.stat().st_size / 1000)
        print(f"{ecran.fichier.name} : {ecran.outil} {ecran.version}, {poids} ko")
    print(f"Écrans pris en {time.monotonic() - debut:.0f} s ; regardez chacun avant de le garder.")


COMMANDES = {
    "livre": livre,
    "demo": demo,
    "diapositives": diapositives,
    "pdf": pdf,
    "markdown": markdown,
    "temps": temps,
    "mesures": mesures,
    "reference": reference,
    "captures": captures,
}


def principal(arguments: list[str] | None = None) -> int:
    """Exécute une commande ; une erreur prévisible donne une phrase et le code 1."""
    for sortie in (sys.stdout, sys.stderr):
        sortie.reconfigure(errors="replace")  # un terminal en Latin-1 n’a ni ✓ ni ’
    options = lire_arguments(arguments)
    from mlops_demo import ErreurUtilisateur

    try:
        if options.commande in COMMANDES:
            COMMANDES[options.commande]()
        else:
            from publication.serveur import servir

            servir(RACINE, options.port)
    except (ErreurPublication, ErreurUtilisateur) as erreur:
        return _dire(str(erreur))
    except KeyboardInterrupt:
        print("\nArrêté.", file=sys.stderr)
        return 130
    except OSError as erreur:
        if erreur.errno == errno.ENOSPC:
            return _dire("le disque est plein : libérez de la place, puis recommencez.")
        if erreur.errno in (errno.EACCES, errno.EROFS, errno.EPERM):
            return _dire(f"écriture refusée dans « {erreur.filename} » : vérifiez vos droits.")
        raise
    return 0


def _dire(message: str) -> int:
    """Écrit une erreur sur la sortie d’erreur et donne le code de retour."""
    print(f"Erreur : {message}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(principal())
