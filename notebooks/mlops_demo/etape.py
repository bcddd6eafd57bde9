"""Exécuter un notebook comme une étape : ce que font Airflow, Kubeflow et un Job Kubernetes.

Une étape, c’est un notebook, des paramètres, et le JSON qu’il écrit en finissant. Qui l’ordonne ne
sait rien d’autre ; c’est pourquoi tous passent par ici.
"""

import ast
import contextlib
import json
import logging
import os
import tempfile
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import papermill
from nbclient.exceptions import DeadKernelError
from papermill.exceptions import PapermillExecutionError

from mlops_demo import base
from mlops_demo.configuration import RACINE, ErreurUtilisateur
from mlops_demo.resultats import VARIABLE

NOTEBOOKS = RACINE / "notebooks"
# Une cellule en échec et un Ctrl-C se disent ici, en une phrase ; eux les diraient en anglais.
for _bavard in ("papermill", "asyncio"):
    logging.getLogger(_bavard).setLevel(logging.CRITICAL)


def connus() -> list[str]:
    """Noms des étapes : les notebooks du chapitre 4, puis ceux qui ne servent qu’à l’échelle."""
    chapitre = sorted(f.stem for f in NOTEBOOKS.glob("4*.ipynb"))
    return chapitre + sorted(f"etapes/{f.stem}" for f in (NOTEBOOKS / "etapes").glob("*.ipynb"))


def parametres_de(notebook: str) -> dict[str, object]:
    """Les paramètres d’une étape et leurs valeurs par défaut, lus dans le notebook.

    Raises:
        ErreurUtilisateur: aucune étape ne porte ce nom.
    """
    if notebook not in connus():
        raise ErreurUtilisateur(
            f"aucune étape ne s’appelle « {notebook} ». Il y a : {', '.join(connus())}."
        )
    cellules = json.loads((NOTEBOOKS / f"{notebook}.ipynb").read_text(encoding="utf-8"))["cells"]
    source = "".join(
        next(c["source"] for c in cellules if "parameters" in c["metadata"].get("tags", []))
    )
    lignes = ast.parse(source).body
    return {ligne.targets[0].id: ast.literal_eval(ligne.value) for ligne in lignes}


def lire_parametres(notebook: str, donnes: list[str]) -> dict[str, object]:
    """Lit des « nom=valeur » d’une ligne de commande, au type de la valeur par défaut.

    Raises:
        ErreurUtilisateur: forme, nom ou valeur que le notebook n’attend pas.
    """
    defauts = parametres_de(notebook)
    lus: dict[str, object] = {}
    for donne in donnes:
        nom, egal, texte = donne.partition("=")
        if not egal:
            raise ErreurUtilisateur(f"« {donne} » n’est pas de la forme nom=valeur.")
        _exiger_connus(notebook, {nom}, defauts)
        lus[nom] = _au_type(nom, texte, defauts[nom])
    return lus


def _au_type(nom: str, valeur: object, defaut: object) -> object:
    """Rend au type de la valeur par défaut ce qui a voyagé en texte."""
    genre = type(defaut)
    if not isinstance(valeur, str) or genre is str:
        return valeur
    lire = {bool: {"true": True, "false": False}.__getitem__, int: _entier, float: float}[genre]
    try:
        return lire(valeur)
    except (KeyError, ValueError) as erreur:
        attendu = {bool: "true ou false", int: "un entier", float: "un nombre"}[genre]
        raise ErreurUtilisateur(f"{nom} : « {valeur} » n’est pas {attendu}.") from erreur


def _entier(texte: str) -> int:
    """Lit un entier, que Kubeflow écrit « 2.0 »."""
    nombre = float(texte)
    if not nombre.is_integer():
        raise ValueError(texte)
    return int(nombre)


def executer(notebook: str, parametres: dict, copie: Path | None = None) -> dict:
    """Exécute un notebook par papermill et rend le JSON qu’il a écrit.

    Ce JSON est écrit à part : celui d’une autre exécution, même simultanée, ne peut pas passer
    pour le sien.

    Args:
        notebook: nom de l’étape (``42_entrainement``).
        parametres: ceux qui changent ; papermill ignorerait en silence un nom inconnu. Un nombre
            peut y être en texte : Kubeflow écrit ainsi ce qu’il met dans un dictionnaire.
        copie: fichier où garder le notebook exécuté.

    Raises:
        ErreurUtilisateur: étape ou paramètre inconnu ; cellule en échec, avec sa raison.
    """
    defauts = parametres_de(notebook)
    _exiger_connus(notebook, set(parametres), defauts)
    parametres = {nom: _au_type(nom, v, defauts[nom]) for nom, v in parametres.items()}
    base.preparer()
    with _resultats_a_part() as dossier:
        try:
            papermill.execute_notebook(
                NOTEBOOKS / f"{notebook}.ipynb",
                copie,
                parametres,
                kernel_name="python3",
                cwd=NOTEBOOKS,
                progress_bar=False,
                extra_arguments=["--log-level=CRITICAL"],  # une cellule en échec se dit autrement
            )
        except PapermillExecutionError as erreur:
            raise ErreurUtilisateur(
                f"étape {notebook} en échec, cellule {erreur.cell_index} : "
                f"{erreur.ename}, {erreur.evalue}"
            ) from erreur
        except DeadKernelError as erreur:
            raise ErreurUtilisateur(
                f"étape {notebook} : son noyau s’est arrêté, sans doute faute de mémoire. "
                "Donnez-lui-en plus, ou moins de vols."
            ) from erreur
        (ecrit,) = dossier.glob("*.json")
        return json.loads(ecrit.read_text(encoding="utf-8"))


def pour_le_mois(parametres: dict, mois: str) -> dict:
    """Écrit un mois dans des paramètres : ``{mois}``, ``{premier_jour}``, ``{mois_suivant}``.

    Raises:
        ErreurUtilisateur: le mois n’est pas de la forme AAAA-MM.
    """
    try:
        debut = datetime.strptime(mois, "%Y-%m").date()
    except ValueError as erreur:
        raise ErreurUtilisateur(f"« {mois} » n’est pas un mois de la forme AAAA-MM.") from erreur
    suivant = (debut + timedelta(days=31)).replace(day=1)
    valeurs = {"mois": mois, "premier_jour": debut, "mois_suivant": suivant}
    return {n: v.format(**valeurs) if isinstance(v, str) else v for n, v in parametres.items()}


def en_html(copie: Path, page: Path) -> None:
    """Écrit un notebook exécuté en page HTML, pour l’interface de qui l’a lancé."""
    from nbconvert import HTMLExporter

    texte, _ = HTMLExporter(embed_images=True).from_filename(copie)
    page.write_text(texte, encoding="utf-8")


def mesures(resultat: object, nom: str = "") -> Iterator[tuple[str, float]]:
    """Les nombres d’un résultat, chacun sous son chemin : ``mesures-boosting-log_loss``."""
    if isinstance(resultat, dict):
        for cle, valeur in resultat.items():
            yield from mesures(valeur, f"{nom}-{cle}" if nom else str(cle))
    elif isinstance(resultat, int | float) and not isinstance(resultat, bool):
        yield nom, resultat


def _exiger_connus(notebook: str, noms: set[str], defauts: dict) -> None:
    if inconnus := sorted(noms - set(defauts)):
        raise ErreurUtilisateur(
            f"{notebook} n’a pas de paramètre {', '.join(inconnus)}. "
            f"Il attend : {', '.join(defauts)}."
        )


@contextlib.contextmanager
def _resultats_a_part() -> Iterator[Path]:
    """Un dossier de résultats neuf, dont hérite le noyau."""
    avant = os.environ.get(VARIABLE)
    with tempfile.TemporaryDirectory() as dossier:
        os.environ[VARIABLE] = dossier
        try:
            yield Path(dossier)
        finally:
            os.environ.pop(VARIABLE)
            if avant is not None:
                os.environ[VARIABLE] = avant
