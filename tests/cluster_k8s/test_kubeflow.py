"""Les objets de KServe et de Kubeflow : conformes, et leurs pods admissibles."""

import copy
import gzip
import hashlib
import json
import re
from pathlib import Path

import controles
import jsonschema
import pytest

pytestmark = pytest.mark.k8s

SCHEMAS = Path(__file__).with_name("schemas")


def strict(schema):
    """Le schéma d’une CRD, lu comme le fait un serveur en mode strict."""
    if isinstance(schema, list):
        return [strict(s) for s in schema]
    if not isinstance(schema, dict):
        return schema
    if schema.get("x-kubernetes-int-or-string"):
        return {"type": ["integer", "string"]}
    lu = {cle: strict(valeur) for cle, valeur in schema.items()}
    libre = schema.get("x-kubernetes-preserve-unknown-fields")
    if schema.get("type") == "object" and "properties" in schema and not libre:
        lu["additionalProperties"] = False
    return lu


def plaintes(objet):
    """Ce que la définition d’un objet lui reproche."""
    version = objet["apiVersion"].split("/")[1]
    fichier = SCHEMAS / f"{objet['kind']}.{version}.json.gz"
    schema = strict(json.loads(gzip.decompress(fichier.read_bytes())))
    schema["properties"]["metadata"] = {"type": "object"}  # celui de tout objet de Kubernetes
    erreurs = jsonschema.Draft202012Validator(schema).iter_errors(objet)
    return [f"{e.json_path} : {e.message}" for e in erreurs]


@pytest.fixture
def kubeflow(objets):
    """Les objets de cluster_k8s/kserve et de cluster_k8s/notebooks, par genre."""
    lus = [*objets("kserve"), *objets("notebooks")]
    return {o["kind"]: copy.deepcopy(o) for o in lus}


GENRES = ("InferenceService", "ServingRuntime", "Notebook")


@pytest.mark.parametrize("genre", GENRES)
def test_un_objet_suit_sa_definition(kubeflow, genre):
    assert plaintes(kubeflow[genre]) == []


def conteneur(objet):
    """Le premier conteneur d’un objet, où qu’il soit."""
    spec = objet["spec"]
    if objet["kind"] == "Notebook":
        spec = spec["template"]["spec"]
    return spec["predictor"]["model"] if "predictor" in spec else spec["containers"][0]


@pytest.mark.parametrize("genre", GENRES)
@pytest.mark.parametrize(
    ("cle", "valeur"), [("inconnue", 1), ("env", "texte"), ("volumeMounts", [{"name": "a"}])]
)
def test_un_objet_abime_est_refuse(kubeflow, genre, cle, valeur):
    conteneur(kubeflow[genre])[cle] = valeur
    assert plaintes(kubeflow[genre]) != []


@pytest.mark.parametrize(
    ("genre", "champ", "valeur"),
    [
        ("InferenceService", "canary", []),
        ("InferenceService", "predictor/hostnameOverride", "retard-vol"),
        ("InferenceService", "predictor/model/restartPolicyRules", []),
        ("ServingRuntime", "schedulerName", "autre"),
    ],
)
def test_un_champ_d_un_kserve_plus_recent_est_refuse(kubeflow, genre, champ, valeur):
    """KServe 0.20 les admet, pas celui de Kubeflow 26.03."""
    *chemin, cle = champ.split("/")
    cible = kubeflow[genre]["spec"]
    for nom in chemin:
        cible = cible[nom]
    cible[cle] = valeur
    (plainte,) = plaintes(kubeflow[genre])
    assert f"'{cle}' was unexpected" in plainte


def test_les_schemas_sont_ceux_que_dit_leur_readme():
    texte = (SCHEMAS / "README.md").read_text(encoding="utf-8")
    declares = dict(re.findall(r"^\| `(\S+)` .* `([0-9a-f]{64})` \|$", texte, re.MULTILINE))
    fichiers = {f.name.removesuffix(".json.gz"): f for f in SCHEMAS.glob("*.json.gz")}
    lus = {
        nom: hashlib.sha256(gzip.decompress(fichier.read_bytes())).hexdigest()
        for nom, fichier in fichiers.items()
    }
    assert lus == declares


def comme_deploiement(nom, labels, spec):
    """Le Deployment que ferait le contrôleur."""
    modele = {"metadata": {"labels": labels}, "spec": spec}
    return {
        "kind": "StatefulSet",
        "metadata": {"name": nom},
        "spec": {"selector": {"matchLabels": labels}, "template": modele},
    }


@pytest.fixture
def avec_kubeflow(objets, kubeflow):
    """L’installation, et les pods que KServe et Kubeflow y ajoutent."""
    service, moteur = kubeflow["InferenceService"], kubeflow["ServingRuntime"]["spec"]
    predicteur = dict(service["spec"]["predictor"])
    labels = {"serving.kserve.io/inferenceservice": service["metadata"]["name"]}
    labels |= predicteur.pop("labels")
    notebook = kubeflow["Notebook"]
    return [
        *copy.deepcopy(objets("overlays/kind")),
        *(o for o in objets("kserve") if o["kind"] == "NetworkPolicy"),
        *(o for o in objets("notebooks") if o["kind"] == "PersistentVolumeClaim"),
        comme_deploiement("retard-vol", labels, {**moteur, **predicteur}),
        comme_deploiement(
            "participant",
            {"notebook-name": "participant", **notebook["metadata"]["labels"]},
            notebook["spec"]["template"]["spec"],
        ),
    ]


def test_leurs_pods_n_ont_pas_de_defaut(avec_kubeflow):
    assert controles.defauts(avec_kubeflow) == []


def test_un_predicteur_sans_profil_est_refuse(avec_kubeflow):
    predicteur = next(o for o in avec_kubeflow if o["metadata"]["name"] == "retard-vol")
    del predicteur["spec"]["template"]["spec"]["securityContext"]
    trouves = controles.defauts(avec_kubeflow)
    assert any("root possible" in defaut for defaut in trouves), trouves


def test_leurs_pods_joignent_ce_dont_ils_ont_besoin(avec_kubeflow):
    labels = {
        o["metadata"]["name"]: controles.etiquettes(pod)
        for o in avec_kubeflow
        if "spec" in o and (pod := controles.modele(o))
    }
    for de, vers, port, attendu in (
        ("retard-vol", "mlflow", 5000, True),
        ("retard-vol", "postgres", 5432, True),
        ("retard-vol", "evidently", 8000, False),
        ("participant", "mlflow", 5000, True),
        ("participant", "postgres", 5432, True),
    ):
        obtenu = controles.passe(avec_kubeflow, labels[de], labels[vers], port)
        assert obtenu is attendu, f"{de} → {vers}"


def test_kserve_sert_sans_knative_par_le_moteur_du_projet(kubeflow):
    service, moteur = kubeflow["InferenceService"], kubeflow["ServingRuntime"]
    assert service["metadata"]["annotations"]["serving.kserve.io/deploymentMode"] == "Standard"
    modele = service["spec"]["predictor"]["model"]
    assert modele["runtime"] == moteur["metadata"]["name"]
    formats = {f["name"] for f in moteur["spec"]["supportedModelFormats"]}
    assert modele["modelFormat"]["name"] in formats
    assert modele["protocolVersion"] in moteur["spec"]["protocolVersions"]
    assert moteur["spec"]["containers"][0]["name"] == "kserve-container", "le nom qu’attend KServe"
    assert "storageUri" not in modele, "le moteur télécharge lui-même"


def test_le_poste_part_du_dossier_de_son_image(kubeflow):
    """Sans workingDir, le contrôleur de Kubeflow met celui de ses propres images."""
    racine = SCHEMAS.parents[2]
    dockerfile = (racine / "local" / "images" / "demo" / "Dockerfile").read_text(encoding="utf-8")
    (dossier,) = re.findall(r"^WORKDIR (\S+)$", dockerfile, re.MULTILINE)
    assert conteneur(kubeflow["Notebook"]).get("workingDir") == dossier
