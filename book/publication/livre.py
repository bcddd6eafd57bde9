"""Le livre de bout en bout : n’exécuter et ne reconstruire que ce qui a changé."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from publication.depot import (
    RACINE,
    ErreurPublication,
    adresse_jupyterhub,
    ecrire,
    empreinte,
    empreinte_fichiers,
    lire_sommaire,
)
from publication.plan import (
    CHAINE,
    Notebook,
    lire_notebooks,
    lire_releve,
    pages_de_l_expose,
    perimes,
)
from publication.score import assurer_rapport
from publication.suivi import Suivi


def construire_livre(racine: Path) -> bool:
    """Exécute les notebooks qui ont changé et refait le HTML s’il le faut.

    Returns:
        Faux si tout était à jour.
    """
    with une_seule_fabrication(racine):
        notebooks = executer_ce_qui_a_change(racine)
        temoin = racine / "_build" / "html.empreinte"
        attendue = empreinte_html(racine, notebooks)
        page = racine / "_build" / "html" / "index.html"
        if page.is_file() and temoin.is_file() and temoin.read_text() == attendue:
            return False
        from publication.html import construire

        print("Mise en page du livre…", flush=True)
        construire(racine)
        ecrire(temoin, attendue)
        return True


def executer_ce_qui_a_change(racine: Path, seulement_les_resultats: bool = False) -> list[Notebook]:
    """Met à jour les copies exécutées ; donne les notebooks du livre et de l’exposé.

    Args:
        racine: la racine du dépôt.
        seulement_les_resultats: vrai pour laisser l’exposé et les pages sans résultat.
    """
    assurer_rapport(racine)
    notebooks = lire_notebooks(racine, [*lire_sommaire(racine), *pages_de_l_expose(racine)])
    a_executer = perimes(racine, notebooks)
    if seulement_les_resultats:
        a_executer = [n for n in a_executer if n.ecrit_un_resultat]
    _executer(racine, a_executer)
    return notebooks


def executer_l_expose(racine: Path) -> None:
    """Met à jour les copies exécutées des notebooks de l’exposé : ni base, ni entraînement."""
    _executer(racine, perimes(racine, lire_notebooks(racine, pages_de_l_expose(racine))))


def _executer(racine: Path, notebooks: list[Notebook]) -> None:
    if notebooks:
        from publication.execution import executer

        executer(racine, notebooks, Suivi())


def jouer_demonstration(racine: Path) -> list[tuple[str, dict[str, Any]]]:
    """Exécute toute la chaîne de la démonstration, même si rien n’a changé.

    Returns:
        Le nom et le relevé de chaque étape.
    """
    with une_seule_fabrication(racine):
        etapes = [n for n in lire_notebooks(racine) if n.dans_la_chaine]
        from publication.execution import executer

        executer(racine, etapes, Suivi())
        return [(n.chemin, lire_releve(racine, n.chemin)) for n in etapes]


def bilan_execution(racine: Path = RACINE) -> list[dict[str, str]]:
    """Donne ce que chaque étape de la démonstration a conclu, et sa durée.

    Raises:
        ErreurPublication: si une étape n’a pas été exécutée.
    """
    lignes = []
    for notebook in lire_notebooks(racine):
        if notebook.dans_la_chaine:
            releve = lire_releve(racine, notebook.chemin)
            if not releve:
                raise ErreurPublication(
                    f"{notebook.chemin} n’a pas encore été exécuté : lancez « make demo »."
                )
            duree = f"{releve['duree']:.1f} s".replace(".", ",")
            resume = releve["resultat"]["resume"]
            lignes.append({"etape": Path(notebook.chemin).stem, "resume": resume, "duree": duree})
    return lignes


def empreinte_html(racine: Path, notebooks: list[Notebook]) -> str:
    """Empreinte de tout ce dont le HTML dépend : sources, réglages et copies exécutées."""
    fichiers = [f for f in (racine / "book").rglob("*") if f.is_file()]
    fichiers = [f for f in fichiers if "__pycache__" not in f.parts and not f.name.startswith(".")]
    fichiers += [racine / "_config.yml", racine / "_toc.yml", racine / "requirements" / "lock.txt"]
    fichiers += [racine / n.chemin for n in notebooks if n.chemin.startswith(CHAINE)]
    executions = [str(lire_releve(racine, n.chemin).get("empreinte")) for n in notebooks]
    return empreinte(empreinte_fichiers(racine, fichiers), adresse_jupyterhub(), *executions)


@contextmanager
def une_seule_fabrication(racine: Path) -> Iterator[None]:
    """Refuse deux fabrications à la fois dans le même dépôt.

    Raises:
        ErreurPublication: si une autre est en cours.
    """
    construction = racine / "_build"
    construction.mkdir(exist_ok=True)
    with (construction / ".verrou").open("w") as verrou:
        try:
            fcntl.flock(verrou, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as erreur:
            raise ErreurPublication(
                "une autre commande exécute déjà les notebooks de ce dossier : "
                "attendez qu’elle finisse, puis recommencez."
            ) from erreur
        yield
