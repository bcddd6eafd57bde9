"""Le mois du modèle : charger, entraîner, noter, superviser, réentraîner s’il le faut.

Airflow lance par papermill les notebooks du chapitre 4, ceux que l’on ouvre dans JupyterLab. Il les
exécute avec le Python de la démonstration, à part du sien, et ne sait d’eux que deux choses : leurs
paramètres, et le JSON qu’ils écrivent en finissant. C’est ce JSON qui décide.

Nos vols sont ceux de 2013 : activer le DAG rejoue l’année, d’avril à décembre, un mois après
l’autre ; en production, il suffirait de retirer `end_date`. Une étape qui échoue se relance seule,
puis à la main (« Clear ») ; le mois suivant attend que celui-ci soit fini.
"""

import os
from datetime import UTC, datetime, timedelta

from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import dag, task
from airflow.timetables.interval import CronDataIntervalTimetable

PYTHON = os.environ.get("MLOPS_PYTHON", "/opt/venv/bin/python")
MOIS = "{{ data_interval_start.strftime('%Y-%m') }}"
PREMIER_JOUR, MOIS_SUIVANT = "{{ data_interval_start | ds }}", "{{ data_interval_end | ds }}"
SCENARIO = f"production {MOIS}"


@task.external_python(python=PYTHON, expect_airflow=False)
def executer(notebook: str, mois: str, parametres: dict) -> dict:
    """Exécute un notebook et rend le JSON qu’il a écrit."""
    from mlops_demo import etape
    from mlops_demo.configuration import dossier_travail

    copies = dossier_travail() / "airflow" / mois
    copies.mkdir(parents=True, exist_ok=True)
    return etape.executer(notebook, parametres, copies / f"{notebook}.ipynb")


@task.branch_external_python(python=PYTHON, expect_airflow=False)
def faut_il_entrainer() -> str:
    """N’entraîne un premier modèle que si aucun n’est en service."""
    from mlops_demo import base, journal

    base.preparer()
    return "noter" if journal.champion() else "entrainer"


@task.branch
def faut_il_reentrainer(supervision: dict) -> str:
    """Suit la décision écrite par le notebook de supervision."""
    mois = supervision["en_service"]
    print(f"Version {mois['version']}, alarmes {mois['alertes']} : décision {mois['decision']}")
    return "reentrainer" if mois["decision"] == "réentraîner" else "garder_le_modele"


def notebook(tache: str, nom: str, regle: str = "all_success", **parametres: object):
    """La tâche qui exécute un notebook, paramètres compris."""
    return executer.override(task_id=tache, trigger_rule=regle)(nom, MOIS, parametres)


@dag(
    schedule=CronDataIntervalTimetable("@monthly", timezone="UTC"),
    start_date=datetime(2013, 4, 1, tzinfo=UTC),
    end_date=datetime(2013, 12, 1, tzinfo=UTC),
    catchup=True,
    max_active_runs=1,  # chaque mois se sert du modèle que le précédent a laissé en service
    default_args={"retries": 2, "retry_delay": timedelta(seconds=20), "depends_on_past": True},
    dagrun_timeout=timedelta(minutes=30),
    tags=["retard-vol"],
    doc_md=__doc__,
)
def mois_du_modele() -> None:
    """Enchaîne les notebooks d’un mois."""
    charger = notebook("charger", "41_donnees", mois_empoisonne=MOIS)
    entrainer = notebook("entrainer", "42_entrainement")
    noter = notebook(
        "noter",
        "43_mise_en_production",
        regle="none_failed_min_one_success",
        debut=PREMIER_JOUR,
        fin=MOIS_SUIVANT,
        scenario=SCENARIO,
        repartir_du_debut=False,
    )
    superviser = notebook("superviser", "44_supervision", mois_detail=MOIS, scenario=SCENARIO)
    reentrainer = notebook(
        "reentrainer",
        "45_reentrainement",
        mois_detail=MOIS,
        premier_mois=MOIS,
        dernier_mois=MOIS,
    )
    garder = EmptyOperator(task_id="garder_le_modele")

    charger >> faut_il_entrainer() >> [entrainer, noter]
    entrainer >> noter
    faut_il_reentrainer(superviser) >> [reentrainer, garder]
    noter >> superviser


mois_du_modele()
