"""Surveiller : dérive des entrées (Evidently), dérive des sorties, calibration, performance.

Seul module qui importe Evidently, et seulement quand on s’en sert : cet import prend plusieurs
secondes.
"""

import importlib
import os
import sys
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pandas as pd
from IPython.display import HTML

from mlops_demo import processus
from mlops_demo.configuration import utilisateur
from mlops_demo.features import CATEGORIES, FEATURES, NOMBRES, libelle

MUETTE = "source muette"
CALIBRATION = "calibration"
PERFORMANCE = "pire que le taux moyen"
DISCRIMINATION = "discrimination"
SORTIES = "dérive des sorties"
ENTREES = "dérive des entrées"
AGE = "modèle trop vieux"
DECLENCHEURS = (CALIBRATION, PERFORMANCE, DISCRIMINATION)

PART_PERDUE_MAX = 0.5
VOLS_POUR_JUGER = 100  # en dessous, une variable toute vide peut être un hasard


@dataclass(frozen=True)
class Alarmes:
    """Seuils d’alarme ; ``explications`` dit d’où vient chacun."""

    biais_max: float = 0.05
    skill_min: float = 0.0
    auc_perdue_max: float = 0.05
    psi_score_max: float = 0.2
    part_derive_max: float = 0.5
    age_max_jours: int = 182


def explications(alarmes: Alarmes) -> list[dict]:
    """Chaque alarme, son seuil, sa raison, et si elle déclenche un réentraînement."""
    raisons = {
        MUETTE: ("part perdue", PART_PERDUE_MAX, "le modèle juge sans elle, et rien ne le dit"),
        CALIBRATION: ("biais absolu", alarmes.biais_max, "un vol sur vingt mal compté"),
        PERFORMANCE: ("Brier skill", alarmes.skill_min, "annoncer la moyenne ferait mieux"),
        DISCRIMINATION: ("AUC perdue", alarmes.auc_perdue_max, "les vols sont moins bien classés"),
        SORTIES: ("PSI des scores", alarmes.psi_score_max, "repère d’usage, sans théorie"),
        ENTREES: ("part des variables", alarmes.part_derive_max, "défaut d’Evidently"),
        AGE: ("âge en jours", alarmes.age_max_jours, "deux saisons sans rien réapprendre"),
    }
    return [
        {"alarme": nom, "mesure": m, "seuil": s, "pourquoi": r, "déclenche": nom in DECLENCHEURS}
        for nom, (m, s, r) in raisons.items()
    ]


def alertes(mesures: dict, auc_reference: float, alarmes: Alarmes | None = None) -> list[str]:
    """Alarmes que déclenchent les mesures d’un mois.

    Args:
        mesures: ce que rend ``evaluation.mesurer``, plus ``psi_score`` et, si on les connaît,
            ``part_derive`` et ``age_jours``.
        auc_reference: AUC du modèle à sa validation.
        alarmes: seuils.
    """
    alarmes = alarmes or Alarmes()
    levees = {
        CALIBRATION: abs(mesures["biais"]) > alarmes.biais_max,
        PERFORMANCE: mesures["brier_skill"] < alarmes.skill_min,
        DISCRIMINATION: mesures["auc"] < auc_reference - alarmes.auc_perdue_max,
        SORTIES: mesures["psi_score"] > alarmes.psi_score_max,
        ENTREES: (mesures.get("part_derive") or 0) > alarmes.part_derive_max,
        AGE: (mesures.get("age_jours") or 0) > alarmes.age_max_jours,
    }
    return [nom for nom, levee in levees.items() if levee]


def sans_valeur(reference: pd.DataFrame, courant: pd.DataFrame) -> list[str]:
    """Les variables qui n’ont plus de valeur, ou l’ont perdue pour la moitié des vols."""
    avant, presente = reference[FEATURES].notna().mean(), courant[FEATURES].notna().mean()
    perdues = avant - presente > PART_PERDUE_MAX
    if len(courant) >= VOLS_POUR_JUGER:
        perdues |= presente == 0
    return list(perdues.index[perdues])


def muettes(reference: pd.DataFrame, courant: pd.DataFrame) -> list[str]:
    """L’alarme à lever avant toutes les autres : des sources se sont tues, qu’elle nomme."""
    mortes = [libelle(nom) for nom in sans_valeur(reference, courant)]
    return [f"{MUETTE} : {', '.join(mortes)}"] if mortes else []


def atelier() -> ProcessPoolExecutor:
    """Processus à part où Evidently s’importe et calcule pendant que le notebook avance.

    Ses calculs se demandent par ``submit``, s’attendent par ``result`` ; ``shutdown`` l’arrête.
    Un processus neuf (``spawn``) ne copie pas les fils d’exécution du notebook.
    """
    executant = ProcessPoolExecutor(1, get_context("spawn"), processus.mourir_avec_le_parent())
    executant.submit(importer_evidently)
    return executant


def importer_evidently() -> None:
    """Fait d’avance l’import d’Evidently, le plus long de la démonstration."""
    for module in ("evidently.metrics", "evidently.presets"):
        importlib.import_module(module)


def _jeu(exemples: pd.DataFrame, sauf: list[str]):
    from evidently import DataDefinition, Dataset

    nombres, categories = ([n for n in noms if n not in sauf] for noms in (NOMBRES, CATEGORIES))
    definition = DataDefinition(numerical_columns=nombres, categorical_columns=categories)
    return Dataset.from_pandas(exemples[categories + nombres], data_definition=definition)


def part_derive(reference: pd.DataFrame, courant: pd.DataFrame, seuil: float = 0.2) -> float:
    """Part des variables dont le PSI contre la référence atteint le seuil, par Evidently.

    Une variable qui n’a plus de valeur a dérivé plus que toute autre.

    C’est le calcul de ``DriftedColumnsCount``, sans les graphiques qu’il prépare pour chaque
    variable : personne ne les regarderait ici, et ils prennent neuf dixièmes du temps.
    """
    from evidently.legacy.calculations.stattests import psi_stat_test
    from evidently.legacy.core import ColumnType

    genres = dict.fromkeys(CATEGORIES, ColumnType.Categorical)
    genres |= dict.fromkeys(NOMBRES, ColumnType.Numerical)
    mortes = sans_valeur(reference, courant)
    en_derive = [
        nom in mortes
        or psi_stat_test(reference[nom].dropna(), courant[nom].dropna(), genre, seuil).drifted
        for nom, genre in genres.items()
    ]
    return float(sum(en_derive) / len(en_derive))


def derive(
    reference: pd.DataFrame, courant: pd.DataFrame, seuil: float = 0.2, rapport: Path | None = None
) -> pd.DataFrame:
    """PSI de chaque variable contre la référence, par Evidently.

    Args:
        reference: vols de l’apprentissage.
        courant: vols du mois.
        seuil: PSI à partir duquel une variable est dite en dérive.
        rapport: fichier où écrire le rapport HTML complet (4 Mo : à ouvrir à part, jamais dans
            la page).

    Returns:
        Une ligne par variable : ``variable``, ``psi``, ``derive`` (PSI au seuil ou au-dessus).
        Une variable qui n’a plus de valeur y a un PSI infini ; Evidently ne sait pas la lire.
    """
    from evidently import Report
    from evidently.presets import DataDriftPreset

    prereglage = DataDriftPreset(method="psi", threshold=seuil)
    mortes = sans_valeur(reference, courant)
    vue = Report([prereglage]).run(_jeu(courant, mortes), _jeu(reference, mortes))
    if rapport:
        rapport.parent.mkdir(parents=True, exist_ok=True)
        vue.save_html(str(rapport))  # donné en Path, il n’écrirait rien, sans le dire
        if os.environ.get("EVIDENTLY_URL"):
            _publier(vue, rapport.stem)
    mesures = [m for m in vue.dict()["metrics"] if "column" in m["config"]]
    lignes = [(nom, np.inf) for nom in mortes]
    lignes += [(m["config"]["column"], float(m["value"])) for m in mesures]
    table = pd.DataFrame(lignes, columns=["variable", "psi"])
    return table.assign(derive=table["psi"] >= seuil)


def _publier(vue, nom: str) -> None:
    """Ajoute un rapport au projet de l’utilisateur, dans l’interface d’Evidently.

    Elle est à l’adresse ``EVIDENTLY_URL`` et n’accepte que qui a ``EVIDENTLY_SECRET``. Injoignable,
    elle ne fait pas échouer la supervision : le rapport est déjà dans son fichier.
    """
    from evidently.ui.workspace import RemoteWorkspace

    titre = f"retard-vol-{utilisateur()}"
    try:
        espace = RemoteWorkspace(os.environ["EVIDENTLY_URL"], os.environ.get("EVIDENTLY_SECRET"))
        connus = [p for p in espace.list_projects() if p.name == titre]
        projet = connus[0] if connus else espace.create_project(titre)
        espace.add_run(projet.id, vue, name=nom)
    except Exception as erreur:  # Evidently ne dit pas lesquelles
        adresse = os.environ["EVIDENTLY_URL"]
        print(f"Rapport « {nom} » non publié sur {adresse} : {erreur}", file=sys.stderr)


def lien_vers(rapport: Path) -> HTML:
    """Lien vers un rapport, tel que le livre publié le range (``rapports/`` à sa racine)."""
    return HTML(f'<a href="../rapports/{rapport.name}">Ouvrir le rapport complet d’Evidently</a>')
