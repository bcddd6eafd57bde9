"""Les pipelines Kubeflow de la démonstration ; lancé, ce fichier les compile à côté de lui.

Chaque étape exécute par papermill un notebook, le même que dans JupyterLab et sous Airflow, dans
l’image demo. Elle ne reçoit que des paramètres ; l’état est dans Postgres et dans MLflow. Une étape
dont l’effet est en base ne se met donc pas en cache : la sauter, ce serait ne pas la faire.

Un composant est recopié dans le YAML : il importe lui-même ce dont il se sert. Une condition porte
sur un composant à une seule valeur ; sur une sortie nommée, elle serait fausse sans le dire.
"""

import copy
import os
import sys
from pathlib import Path

from kfp import compiler, dsl, kubernetes

ICI = Path(__file__).parent
IMAGE = os.environ.get("DEMO_IMAGE", "mlops/demo:local")
PERIODE = {"debut": "{premier_jour}", "fin": "{mois_suivant}", "scenario": "production {mois}"}
REGLAGES = (
    "DATABASE_URL",
    "PGSSLMODE",
    "MLFLOW_TRACKING_URI",
    "MLFLOW_TRACKING_USERNAME",
    "MLOPS_UTILISATEUR",
)
SECRETS = {
    "mot_de_passe_production": "PGPASSWORD",
    "mot_de_passe_mlflow_production": "MLFLOW_TRACKING_PASSWORD",
}
EN_PARALLELE = 2


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def executer(
    notebook: str,
    mois: str,
    parametres: dict,
    mesures: dsl.Output[dsl.Metrics],
    page: dsl.Output[dsl.HTML],
) -> dict:
    """Exécute un notebook ; rend le JSON qu’il a écrit, ses mesures et sa copie exécutée."""
    import tempfile
    from pathlib import Path

    from mlops_demo import etape

    with tempfile.TemporaryDirectory() as dossier:
        copie = Path(dossier) / "copie.ipynb"
        resultat = etape.executer(notebook, etape.pour_le_mois(parametres, mois), copie)
        etape.en_html(copie, Path(page.path))
    for nom, valeur in etape.mesures(resultat):
        mesures.log_metric(nom, valeur)
    return resultat


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def modele_en_service() -> str:
    """Dit « oui » si un modèle est en service : on n’en entraîne un premier que sinon."""
    from mlops_demo import base, journal

    base.preparer()
    return "oui" if journal.champion() else "non"


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def gate(entrainement: dict) -> str:
    """Rend le verdict du gate, que le notebook d’entraînement a écrit."""
    return "promu" if entrainement["promu"] else "refus"


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def mois_a_reprendre(supervisions: list) -> str:
    """Rend le dernier mois dont la supervision demande de réentraîner, ou « aucun »."""
    mois = [s["en_service"] for s in supervisions]
    demandes = [m["mois"] for m in mois if m["decision"] == "réentraîner"]
    return max(demandes, default="aucun")


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def partitions(debut: str, fin: str, parts: int) -> list:
    """Rend la liste des parts, du premier au dernier jour."""
    from mlops_demo import partitions

    partitions.bornes(debut, fin, parts)  # refuse d’emblée une période ou un nombre impossible
    return list(range(parts))


def sur_le_cluster(tache: dsl.PipelineTask, nom: str, memoire: str = "2Gi") -> dsl.PipelineTask:
    """Donne à une étape son nom, ses ressources, son compte, la base et MLflow."""
    tache.set_display_name(nom)
    tache.set_caching_options(False)
    tache.set_retry(2, backoff_duration="20s", backoff_factor=2)
    tache.set_cpu_request("250m").set_cpu_limit("1")
    tache.set_memory_request("512Mi").set_memory_limit(memoire)
    # Les adresses viennent d’un ConfigMap, les mots de passe d’un Secret : ils ne sont pas dans le
    # YAML, et les exécuteurs locaux les ignorent.
    kubernetes.use_config_map_as_env(tache, "demo", {nom: nom for nom in REGLAGES})
    kubernetes.use_secret_as_env(tache, "demo", SECRETS)
    for acces in ("acces-postgres", "acces-mlflow"):  # ce que les NetworkPolicies laissent passer
        kubernetes.add_pod_label(tache, acces, "oui")
    kubernetes.set_security_context(tache, 10001, 10001, True)
    kubernetes.set_timeout(tache, 1800)
    return tache


def etape(nom: str, notebook: str, mois: str, parametres: dict) -> dsl.PipelineTask:
    """L’étape qui exécute un notebook, pour un mois, sous son nom à elle.

    Sans cela, toutes s’appelleraient « executer », et un échec ne dirait pas laquelle.
    """
    composant = copy.deepcopy(executer)
    composant.name = composant.component_spec.name = nom
    return sur_le_cluster(composant(notebook=notebook, mois=mois, parametres=parametres), nom)


def chez_evidently(tache: dsl.PipelineTask) -> dsl.PipelineTask:
    """Laisse une étape déposer son rapport dans l’interface d’Evidently."""
    kubernetes.use_config_map_as_env(tache, "demo", {"EVIDENTLY_URL": "EVIDENTLY_URL"})
    kubernetes.use_secret_as_env(tache, "demo", {"cle_evidently": "EVIDENTLY_SECRET"})
    kubernetes.add_pod_label(tache, "acces-evidently", "oui")
    return tache


def choix(tache: dsl.PipelineTask, nom: str) -> dsl.PipelineTask:
    """L’étape qui choisit la suite."""
    return sur_le_cluster(tache, nom, "1Gi")


@dsl.pipeline(name="suivre-les-mois")
def suivre_les_mois(mois: list) -> None:
    """Note et surveille chaque mois, puis réentraîne si l’un d’eux le demande."""
    with dsl.ParallelFor(mois, parallelism=EN_PARALLELE) as un_mois:
        noter = etape(
            "noter", "43_mise_en_production", un_mois, {**PERIODE, "repartir_du_debut": False}
        )
        superviser = chez_evidently(
            etape(
                "superviser",
                "44_supervision",
                un_mois,
                {"mois_detail": "{mois}", "scenario": PERIODE["scenario"]},
            )
        ).after(noter)
    # Une fonction pure de ses entrées : la seule décision que le cache peut rendre.
    reprendre = choix(
        mois_a_reprendre(supervisions=dsl.Collected(superviser.outputs["Output"])),
        "faut-il réentraîner",
    ).set_caching_options(True)
    with dsl.If(reprendre.output != "aucun", name="reentrainer"):
        etape(
            "reentrainer",
            "45_reentrainement",
            reprendre.output,
            {"mois_detail": "{mois}", "premier_mois": "{mois}", "dernier_mois": "{mois}"},
        )


@dsl.pipeline(
    name="mois-du-modele",
    description="Charger, valider, entraîner, juger, noter, superviser, réentraîner s’il le faut.",
)
def mois_du_modele(
    mois: list = ["2013-04"],  # noqa: B006 (la valeur par défaut que montre l’interface)
    debut: str = "2013-01-01",
    debut_validation: str = "2013-03-01",
    mise_en_service: str = "2013-04-01",
) -> None:
    """Ce que fait le DAG d’Airflow, plusieurs mois de front si on le demande."""
    charger = etape("charger-et-valider", "41_donnees", "2013-03", {"mois_empoisonne": "{mois}"})
    en_service = choix(modele_en_service(), "un modèle est-il en service").after(charger)
    with dsl.If(en_service.output == "non", name="premier-modele"):
        entrainer = etape(
            "entrainer-juger-promouvoir",
            "42_entrainement",
            "2013-03",
            {
                "debut": debut,
                "debut_validation": debut_validation,
                "mise_en_service": mise_en_service,
            },
        )
        verdict = choix(gate(entrainement=entrainer.outputs["Output"]), "gate")
        verdict.set_caching_options(True)
        with dsl.If(verdict.output == "promu", name="promu"):
            suivre_les_mois(mois=mois)
    with dsl.Else(name="deja-un-modele"):
        suivre_les_mois(mois=mois)


@dsl.pipeline(
    name="grand-lot",
    description="Noter une longue période, part par part, puis fusionner les statistiques.",
)
def grand_lot(
    lot: str = "grand lot 2013",
    debut: str = "2013-04-01",
    fin: str = "2014-01-01",
    parts: int = 8,
) -> None:
    """Chaque part note ses jours et laisse des statistiques ; une fusion les réunit."""
    periode = {"lot": lot, "debut": debut, "fin": fin, "parts": parts}
    decouper = choix(partitions(debut=debut, fin=fin, parts=parts), "découper")
    decouper.set_caching_options(True)
    with dsl.ParallelFor(decouper.output, parallelism=EN_PARALLELE) as part:
        noter = etape("noter-une-part", "etapes/partition", "2013-04", {**periode, "part": part})
    etape("fusionner", "etapes/fusion", "2013-04", periode).after(noter)


PIPELINES = {"mois_du_modele": mois_du_modele, "grand_lot": grand_lot}


def compiler_dans(dossier: Path) -> None:
    """Compile chaque pipeline en un fichier YAML."""
    for nom, pipeline in PIPELINES.items():
        compiler.Compiler().compile(pipeline, str(dossier / f"{nom}.yaml"))


if __name__ == "__main__":
    compiler_dans(Path(sys.argv[1]) if len(sys.argv) > 1 else ICI)
