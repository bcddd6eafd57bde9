"""L’exécution des notebooks par papermill, depuis un seul processus parent."""

import contextlib
import json
import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import mlops_demo
import nbformat
import papermill
import psutil
from jupyter_client.manager import AsyncKernelManager
from jupyter_core.utils import run_sync
from nbclient.exceptions import CellTimeoutError, DeadKernelError

from publication.depot import (
    COULEURS,
    ErreurPublication,
    dossier_execution,
    ecrire,
    ecrire_json,
    empreinte,
)
from publication.plan import Notebook, copie_executee, fichier_releve
from publication.suivi import Suivi

# Deux notebooks à la fois : au-delà, les noyaux se disputent les cœurs et la mémoire.
EN_PARALLELE = 2
# Et un troisième qui démarre son noyau pendant que s’exécute celui dont il dépend.
EN_AVANCE = 1
# Une cellule qui dépasse cinq minutes est bloquée, pas lente.
DELAI_CELLULE = 300


@dataclass(frozen=True)
class Releve:
    """Ce qu’on garde d’une exécution, à côté de la copie exécutée."""

    cle: str
    empreinte: str
    duree: float
    noyau: float
    imports: float
    preambule: float
    processeur: float
    memoire_mo: int
    resultat: dict[str, Any] | None


def executer(racine: Path, notebooks: list[Notebook], suivi: Suivi) -> None:
    """Exécute des notebooks, dans l’ordre de leurs dépendances, jusqu’au premier échec.

    Raises:
        ErreurPublication: un notebook échoue ; ce qui a réussi avant lui est gardé.
        mlops_demo.ErreurUtilisateur: la base ne peut pas être préparée.
    """
    besoin_de_base = any(notebook.dans_la_chaine for notebook in notebooks)
    suivi.commencer([notebook.chemin for notebook in notebooks])
    with (
        mlops_demo.session() if besoin_de_base else contextlib.nullcontext(),
        ThreadPoolExecutor(EN_PARALLELE + EN_AVANCE) as executants,
        _arret_des_noyaux(),
    ):

        def lancer(notebook: Notebook, amont: list[Future]) -> Future:
            return executants.submit(_executer_un, racine, notebook, amont, suivi)

        _ordonnancer(notebooks, lancer)


def _ordonnancer(
    notebooks: list[Notebook], lancer: Callable[[Notebook, list[Future]], Future]
) -> None:
    """Lance chaque notebook dès que tous ceux dont il dépend sont finis, un autre en avance.

    Celui qui part en avance reçoit les exécutions qu’il devra attendre : ce qu’il peut faire
    sans elles, démarrer son noyau et importer, ne retarde plus la suite.
    """
    en_attente = {n.chemin: n for n in sorted(notebooks, key=lambda n: not n.dans_la_chaine)}
    en_cours: dict[str, Future] = {}
    amonts = {notebook.chemin: set(notebook.amont) for notebook in notebooks}
    while en_attente or en_cours:
        actifs = sum(1 for chemin in en_cours if not amonts[chemin] & en_cours.keys())
        avances = len(en_cours) - actifs
        for chemin in list(en_attente):
            if amonts[chemin] & en_attente.keys():
                continue
            attendus = [en_cours[nom] for nom in amonts[chemin] & en_cours.keys()]
            if avances < EN_AVANCE if attendus else actifs < EN_PARALLELE:
                en_cours[chemin] = lancer(en_attente.pop(chemin), attendus)
                avances += bool(attendus)
                actifs += not attendus
        finis, _ = wait(en_cours.values(), return_when=FIRST_COMPLETED)
        for chemin, tache in list(en_cours.items()):
            if tache in finis:
                del en_cours[chemin]
                tache.result()


def _executer_un(racine: Path, notebook: Notebook, amont: list[Future], suivi: Suivi) -> None:
    """Exécute un notebook, puis seulement après garde sa copie et son relevé.

    Passé ses imports, il attend que son amont soit fini : sa durée ne se compte que de là.
    """
    lancement = debut = time.monotonic()
    document = nbformat.from_dict(notebook.contenu)
    premiere = _premiere_cellule_utile(document)
    sonde = Sonde()
    gestionnaire = AsyncKernelManager(kernel_name="python3")
    cle, preambule = "", 0.0

    def cellule_commencee(cell_index: int, **_: Any) -> None:
        nonlocal cle, debut, preambule
        sonde.suivre(gestionnaire.provisioner.pid)
        if cell_index == premiere:
            preambule = sonde.processeur
            for execution in amont:
                execution.result()
                debut = time.monotonic()
            cle = notebook.cle(racine)
            suivi.debut(notebook.chemin)
        if cell_index >= premiere:
            suivi.cellule(notebook.chemin, cell_index + 1, len(document.cells))

    try:
        with sonde:
            execute = papermill.execute_notebook(
                document,
                None,
                progress_bar=False,
                km=gestionnaire,
                # Le dossier du noyau seul : papermill changerait celui de tout le processus.
                resources={"metadata": {"path": str((racine / notebook.chemin).parent)}},
                on_cell_start=cellule_commencee,
                execution_timeout=DELAI_CELLULE,
                # Les lignes écrites une à une par une boucle font un seul bloc.
                coalesce_streams=True,
                # ipykernel signale sinon que sa connexion locale est en clair, et chaque arrêt.
                extra_arguments=["--IPKernelApp.log_level=CRITICAL"],
            )
    except papermill.PapermillExecutionError as erreur:
        raise _echec(racine, notebook, erreur) from erreur
    except CellTimeoutError as erreur:
        raise ErreurPublication(
            f"{notebook.chemin} : une cellule a dépassé {DELAI_CELLULE} secondes."
        ) from erreur
    except DeadKernelError as erreur:
        raise ErreurPublication(
            f"{notebook.chemin} : le noyau s’est arrêté en cours d’exécution "
            "(mémoire insuffisante, ou processus arrêté)."
        ) from erreur
    finally:
        run_sync(gestionnaire.shutdown_kernel)()

    _verifier_complet(notebook, execute)
    fin = time.monotonic()
    texte = nbformat.writes(execute)
    ecrire(copie_executee(racine, notebook.chemin), texte)
    cellules = [(c, c.metadata.papermill.duration or 0) for c in execute.cells]
    releve = Releve(
        cle=cle,
        empreinte=empreinte(texte),
        duree=round(fin - debut, 2),
        noyau=round(fin - lancement - sum(secondes for _, secondes in cellules), 2),
        imports=round(sum(s for c, s in cellules if _importe(c)), 2),
        preambule=round(preambule, 1),
        processeur=round(sonde.processeur, 1),
        memoire_mo=round(sonde.pointe / 1e6),
        resultat=_garder_resultat(racine, notebook) if notebook.ecrit_un_resultat else None,
    )
    ecrire_json(fichier_releve(racine, notebook.chemin), asdict(releve))
    suivi.fin(notebook.chemin, fin - debut)


def _garder_resultat(racine: Path, notebook: Notebook) -> dict[str, Any]:
    """Lit le résultat d’une étape et met ses rapports à l’abri des exécutions suivantes."""
    travail = mlops_demo.dossier_travail()
    fichier = travail / "resultats" / f"{Path(notebook.chemin).stem}.json"
    if not fichier.is_file():
        raise ErreurPublication(
            f"{notebook.chemin} s’est terminé sans écrire son résultat ({fichier.name})."
        )
    if notebook.dans_la_chaine and (travail / "rapports").is_dir():
        rapports = dossier_execution(racine) / "rapports"
        shutil.rmtree(rapports, ignore_errors=True)
        shutil.copytree(travail / "rapports", rapports)
    return json.loads(fichier.read_text(encoding="utf-8"))


def _verifier_complet(notebook: Notebook, execute: nbformat.NotebookNode) -> None:
    """Refuse une exécution arrêtée en route sans erreur, par ``sys.exit()`` par exemple."""
    for numero, cellule in enumerate(execute.cells, start=1):
        if cellule.cell_type == "code" and cellule.source.strip() and not cellule.execution_count:
            raise ErreurPublication(
                f"{notebook.chemin} : la cellule {numero} n’a pas été exécutée ; "
                "une cellule précédente a mis fin au notebook."
            )


def _echec(
    racine: Path, notebook: Notebook, erreur: papermill.PapermillExecutionError
) -> ErreurPublication:
    """Nomme le notebook, la cellule et l’erreur ; la pile d’appels va dans un journal."""
    journal = racine / "_build" / "journal-erreur.txt"
    pile = COULEURS.sub("", "\n".join(erreur.traceback))
    ecrire(journal, f"{notebook.chemin}\n\n{erreur.source}\n\n{pile}\n")
    return ErreurPublication(
        f"{notebook.chemin} : la cellule {erreur.cell_index + 1} ([{erreur.exec_count}]) "
        f"a échoué. {erreur.ename} : {COULEURS.sub('', erreur.evalue)}\n"
        f"La pile d’appels est dans {journal.relative_to(racine).as_posix()}."
    )


def _premiere_cellule_utile(document: nbformat.NotebookNode) -> int:
    """Position de la première cellule qui suit le titre, les paramètres et les imports."""
    fin_du_preambule = -1
    for position, cellule in enumerate(document.cells):
        if cellule.cell_type == "code":
            if not _importe(cellule) and "parameters" not in cellule.metadata.get("tags", []):
                break
            fin_du_preambule = position
    return min(fin_du_preambule + 1, len(document.cells) - 1)


def _importe(cellule: nbformat.NotebookNode) -> bool:
    """Vrai pour une cellule d’imports, que le fichier la garde en lignes ou d’un bloc."""
    source = "".join(cellule.source)
    return cellule.cell_type == "code" and source.startswith(("import ", "from "))


class Sonde:
    """Mesure un noyau et ses processus enfants : mémoire de pointe, temps de processeur.

    Le temps de processeur dépend bien moins que la durée de ce que fait le reste de la machine ;
    celui de Postgres n’y est pas, même quand c’est ce noyau qui a dû le lancer.
    """

    def __init__(self) -> None:
        self.pointe = 0
        self.processeur = 0.0
        self._pid: int | None = None
        self._fini = threading.Event()
        self._fil = threading.Thread(target=self._veiller, daemon=True)

    def suivre(self, pid: int) -> None:
        """Donne le noyau à mesurer, une fois qu’il est lancé, et le mesure aussitôt."""
        self._pid = pid
        self._mesurer()

    def __enter__(self) -> "Sonde":
        self._fil.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._fini.set()
        self._fil.join()

    def _veiller(self) -> None:
        while not self._fini.wait(0.5):
            if self._pid is not None:
                self._mesurer()

    def _mesurer(self) -> None:
        with contextlib.suppress(psutil.NoSuchProcess):
            noyau = psutil.Process(self._pid)
            arbre = [noyau, *noyau.children(recursive=True)]
            self.pointe = max(self.pointe, sum(p.memory_info().rss for p in arbre))
            temps = [t for p in arbre if p.name() != "postgres" for t in p.cpu_times()[:4]]
            self.processeur = max(self.processeur, sum(temps))


@contextlib.contextmanager
def _arret_des_noyaux() -> Iterator[None]:
    """Sur une interruption, arrête les noyaux en cours : sans cela, on attendrait leur fin."""
    try:
        yield
    except BaseException:
        for enfant in psutil.Process(os.getpid()).children():
            with contextlib.suppress(psutil.NoSuchProcess):
                if "ipykernel_launcher" in enfant.cmdline():
                    enfant.kill()
        raise
