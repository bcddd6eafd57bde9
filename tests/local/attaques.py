"""Ce que tenterait quelqu’un, avec son propre compte, sur ce que MLflow garde d’un autre.

Rien que « requests » : test_comptes.py le joue contre un serveur d’ici, et test_attaques.py
l’envoie tel quel dans le notebook d’un participant.
"""

import base64
import json

import requests

API, AJAX = "api/2.0/mlflow", "ajax-api/2.0/mlflow"
FICHIERS = "api/2.0/mlflow-artifacts/artifacts"
PIEGE = f"tr-{'b' * 32}"


def envoyer(adresse, compte, methode, chemin, corps=None):
    """Envoie une requête ; un texte part tel quel, un autre corps en JSON."""
    chemin, _, experience = chemin.partition("#")  # OpenTelemetry la veut dans un en-tête
    entetes = {"X-Mlflow-Experiment-Id": experience} if experience else {}
    texte = isinstance(corps, str)
    return requests.request(
        methode,
        f"{adresse}/{chemin}",
        auth=compte,
        params=corps if methode == "GET" else None,
        data=corps if texte else None,
        json=None if methode == "GET" or texte else corps,
        headers=entetes,
        timeout=60,
    )


def trace(experience, identifiant):
    """Une trace, telle que le client de MLflow l’envoie."""
    lieu = {"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": experience}}
    info = {"trace_id": identifiant, "trace_location": lieu, "state": "OK"}
    info |= {"request_time": "2026-01-01T00:00:00Z", "request_preview": "pris"}
    return {"trace": {"trace_info": info}}


def spans(identifiant, **attributs):
    """Une trace par le protocole OpenTelemetry, sous un nom choisi."""
    textes = [{"key": cle, "value": {"stringValue": v}} for cle, v in attributs.items()]
    span = {"traceId": identifiant.removeprefix("tr-"), "spanId": "a1" * 8, "name": "pris"}
    span |= {"startTimeUnixNano": "1000000", "endTimeUnixNano": "2000000", "attributes": textes}
    return {"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]}


def deposer(adresse, nom, mot_de_passe, marque):
    """Laisse à un compte de quoi être attaqué ; rend où est chaque chose."""

    def faire(methode, chemin, corps=None):
        reponse = envoyer(adresse, (nom, mot_de_passe), methode, chemin, corps)
        assert reponse.ok, f"{nom} ne peut pas {chemin} : {reponse.status_code} {reponse.text}"
        return reponse.json() if "json" in reponse.headers.get("Content-Type", "") else {}

    experience = faire(
        "GET", f"{API}/experiments/get-by-name", {"experiment_name": f"retard-vol/{nom}"}
    )["experiment"]["experiment_id"]
    essai = faire("POST", f"{API}/runs/create", {"experiment_id": experience, "run_name": marque})
    essai = essai["run"]["info"]["run_id"]
    faire(
        "POST",
        f"{API}/runs/log-metric",
        {"run_id": essai, "key": marque, "value": 1, "timestamp": 1},
    )
    faire("PUT", f"{FICHIERS}/{experience}/{essai}/artifacts/note.txt", marque)
    appris = faire(
        "POST",
        f"{API}/logged-models",
        {"experiment_id": experience, "name": marque, "source_run_id": essai},
    )["model"]["info"]
    faire("PUT", f"{FICHIERS}/{experience}/models/{appris['model_id']}/artifacts/MLmodel", marque)
    modele = f"retard-vol-{nom}"
    version = faire(
        "POST",
        f"{API}/model-versions/create",
        {
            "name": modele,
            "source": appris["artifact_uri"],
            "run_id": essai,
            "model_id": appris["model_id"],
            "description": marque,
        },
    )["model_version"]["version"]
    alias = {"name": modele, "alias": "victime", "version": version}
    faire("POST", f"{API}/registered-models/alias", alias)
    identifiant = f"tr-{essai}"
    faire("POST", "api/3.0/mlflow/traces", trace(experience, identifiant))
    faire("POST", f"v1/traces#{experience}", spans(identifiant, dit=marque))
    faire("PUT", f"{FICHIERS}/{experience}/traces/{identifiant}/artifacts/traces.json", marque)
    return {
        "nom": nom,
        "experience": experience,
        "essai": essai,
        "modele": modele,
        "version": version,
        "appris": appris["model_id"],
        "trace": identifiant,
        "marque": marque,
    }


def lectures(c):
    """Ce qui donnerait à lire."""
    e, r, m, v, a, t = (
        c[n] for n in ("experience", "essai", "modele", "version", "appris", "trace")
    )
    version = {"name": m, "version": v}
    yield from (
        ("GET", f"{API}/experiments/get", {"experiment_id": e}),
        ("GET", f"{API}/experiments/get-by-name", {"experiment_name": f"retard-vol/{c['nom']}"}),
        ("GET", f"{API}/runs/get", {"run_id": r}),
        ("GET", f"{API}/metrics/get-history", {"run_id": r, "metric_key": c["marque"]}),
        ("GET", f"{AJAX}/metrics/get-history-bulk", {"run_id": r, "metric_key": c["marque"]}),
        ("GET", f"{API}/artifacts/list", {"run_id": r}),
        ("GET", "get-artifact", {"run_id": r, "path": "note.txt"}),
        ("GET", f"{FICHIERS}/{e}/{r}/artifacts/note.txt", None),
        ("GET", f"ajax-{FICHIERS}/{e}/{r}/artifacts/note.txt", None),
        ("GET", f"{FICHIERS}", {"path": f"{e}/{r}/artifacts"}),
        ("GET", f"{FICHIERS}", {"path": f"{e}/models/{a}/artifacts"}),
        ("GET", f"{API}/logged-models/{a}", None),
        ("GET", f"{API}/logged-models/{a}/artifacts/directories", None),
        (
            "GET",
            f"{AJAX}/logged-models/{a}/artifacts/files",
            {"artifact_file_path": "MLmodel"},
        ),
        ("GET", f"{API}/registered-models/get", {"name": m}),
        ("GET", f"{API}/registered-models/alias", {"name": m, "alias": "victime"}),
        ("GET", f"{API}/model-versions/get", version),
        ("GET", f"{API}/model-versions/get-download-uri", version),
        ("GET", "model-versions/get-artifact", {**version, "path": "MLmodel"}),
        ("GET", f"api/3.0/mlflow/traces/{t}", None),
        ("GET", "api/3.0/mlflow/traces/get", {"trace_id": t}),
    )


def recherches(c):
    """Ce qui répond à tous, et ne doit rien dire d’un autre."""
    e, r, m = c["experience"], c["essai"], c["modele"]
    oui = {"max_results": 100}
    graphe = "query Q { %s }"
    essai = f'mlflowGetRun(input: {{runId: "{r}"}}) {{ run {{ info {{ runName runId }} }} }}'
    liste = (
        f'mlflowSearchRuns(input: {{experimentIds: ["{e}"]}}) {{ runs {{ info {{ runName }} }} }}'
    )
    versions = "mlflowSearchModelVersions(input: {}) { modelVersions { name description } }"
    yield from (
        ("POST", f"{API}/experiments/search", oui),
        ("POST", f"{API}/runs/search", {"experiment_ids": [e]}),
        ("GET", f"{API}/registered-models/search", oui),
        ("GET", f"{API}/registered-models/search", {"filter": f"name = '{m}'"}),
        ("GET", f"{API}/model-versions/search", oui),
        ("GET", f"{API}/model-versions/search", {"filter": f"run_id = '{r}'"}),
        ("POST", f"{API}/logged-models/search", {"experiment_ids": [e]}),
        (
            "POST",
            "api/3.0/mlflow/traces/search",
            {"locations": [trace(e, "")["trace"]["trace_info"]["trace_location"]]},
        ),
        ("POST", "graphql", {"query": graphe % essai, "operationName": "Q"}),
        ("POST", "graphql", {"query": graphe % liste, "operationName": "Q"}),
        ("POST", "graphql", {"query": graphe % versions, "operationName": "Q"}),
    )


def ecritures(c):
    """Ce qui changerait ou effacerait ; l’effacement vient en dernier."""
    e, r, m, v, a, t = (
        c[n] for n in ("experience", "essai", "modele", "version", "appris", "trace")
    )
    version, cle = {"name": m, "version": v}, {"key": "pris", "value": "pris"}
    yield from (
        ("POST", f"{API}/registered-models/alias", {**version, "alias": "champion"}),
        ("DELETE", f"{API}/registered-models/alias", {"name": m, "alias": "champion"}),
        ("POST", f"{API}/registered-models/set-tag", {"name": m, **cle}),
        ("PATCH", f"{API}/registered-models/update", {"name": m, "description": "pris"}),
        ("PATCH", f"{API}/model-versions/update", {**version, "description": "pris"}),
        ("POST", f"{API}/model-versions/set-tag", {**version, **cle}),
        ("DELETE", f"{API}/model-versions/delete-tag", {**version, "key": "pris"}),
        (
            "POST",
            f"{API}/model-versions/create",
            {"name": m, "source": f"models:/{a}", "run_id": r, "model_id": a},
        ),
        ("POST", f"{API}/experiments/set-experiment-tag", {"experiment_id": e, **cle}),
        ("POST", f"{API}/experiments/update", {"experiment_id": e, "new_name": f"pris/{e}"}),
        ("POST", f"{API}/runs/create", {"experiment_id": e}),
        ("POST", f"{API}/runs/update", {"run_id": r, "run_name": "pris"}),
        ("POST", f"{API}/runs/set-tag", {"run_id": r, **cle}),
        ("POST", f"{API}/runs/delete-tag", {"run_id": r, "key": "pris"}),
        ("POST", f"{API}/runs/log-parameter", {"run_id": r, **cle}),
        (
            "POST",
            f"{API}/runs/log-metric",
            {"run_id": r, "key": "pris", "value": 1, "timestamp": 1},
        ),
        ("POST", f"{API}/runs/log-batch", {"run_id": r, "tags": [cle]}),
        ("PUT", f"{FICHIERS}/{e}/{r}/artifacts/note.txt", "pris"),
        ("PUT", f"ajax-{FICHIERS}/{e}/models/{a}/artifacts/MLmodel", "pris"),
        ("POST", f"{AJAX}/upload-artifact?run_uuid={r}&path=note.txt", "pris"),
        ("PATCH", f"{API}/logged-models/{a}/tags", {"tags": [cle]}),
        ("POST", f"{API}/logged-models", {"experiment_id": e, "name": "pris"}),
        ("PATCH", f"api/3.0/mlflow/traces/{t}/tags", cle),
        ("POST", "api/3.0/mlflow/traces", trace(e, f"{t}b")),
        ("DELETE", f"{FICHIERS}/{e}/{r}/artifacts/note.txt", None),
        ("POST", f"{API}/traces/delete-traces", {"experiment_id": e, "request_ids": [t]}),
        ("DELETE", f"{API}/logged-models/{a}", None),
        ("POST", f"{API}/runs/delete", {"run_id": r}),
        ("DELETE", f"{API}/model-versions/delete", version),
        ("POST", f"{API}/registered-models/rename", {"name": m, "new_name": f"{m}-pris"}),
        ("DELETE", f"{API}/registered-models/delete", {"name": f"{m}-pris"}),
        ("POST", f"{API}/experiments/delete", {"experiment_id": e}),
    )


def piege(c, moi):
    """Une trace à soi, dont l’étiquette dit que ses fichiers sont chez un autre."""
    la = f"mlflow-artifacts:/{c['experience']}/traces/{c['trace']}/artifacts"
    yield from (
        ("POST", "api/3.0/mlflow/traces", trace(moi["experience"], PIEGE)),
        (
            "PATCH",
            f"api/3.0/mlflow/traces/{PIEGE}/tags",
            {"key": "mlflow.artifactLocation", "value": la},
        ),
    )


def detours(c, moi):
    """Ce qui passerait par ses propres affaires, ou par des droits qu’on se donnerait."""
    e, r, m, v, a, t = (
        c[n] for n in ("experience", "essai", "modele", "version", "appris", "trace")
    )
    chez_lui = f"mlflow-artifacts:/{e}/{r}/artifacts"
    mien = {"name": moi["modele"]}
    for lieu in (
        chez_lui,
        f"mlflow-artifacts:/{e}",
        "file:///var/lib/mlflow/artefacts",
        "s3://modeles",
        "http://evidently:8000/api/2.0/mlflow-artifacts/artifacts/1",
    ):
        corps = {"name": f"détour {lieu}", "artifact_location": lieu}
        yield "POST", f"{API}/experiments/create", corps
        camel = {"name": f"détour bis {lieu}", "artifactLocation": lieu}
        yield "POST", f"{AJAX}/experiments/create", camel
    for source in (
        chez_lui,
        f"mlflow-artifacts:/{e}/models/{a}/artifacts",
        f"http://mlflow:5000/{FICHIERS}/{e}/{r}/artifacts",
        f"models:/{a}",
        f"models:/{m}/{v}",
        f"models:/{m}@victime",
        f"runs:/{r}",
        f"s3://modeles/{e}/{r}/artifacts",
        "file:///var/lib/mlflow/artefacts",
        "/run/secrets",
    ):
        for de in ({}, {"run_id": moi["essai"]}, {"model_id": moi["appris"]}, {"run_id": r}):
            yield "POST", f"{API}/model-versions/create", {**mien, "source": source, **de}
    remonter = f"{moi['experience']}/%2e%2e/{e}/{r}/artifacts/note.txt"
    yield from (
        ("GET", f"{FICHIERS}/{remonter}", None),
        ("GET", f"{FICHIERS}/{remonter.replace('%', '%25')}", None),
        ("GET", f"{FICHIERS}/%2531/{r}/artifacts/note.txt", None),
        ("GET", f"{FICHIERS}", {"path": f"{moi['experience']}/../{e}"}),
        ("GET", f"{FICHIERS}", {"path": "/"}),
        ("GET", f"{FICHIERS}", None),
        ("PUT", f"{FICHIERS}/racine.txt", "pris"),
        ("GET", "get-artifact", {"run_id": moi["essai"], "path": f"../../../{e}/{r}/artifacts"}),
        # Prendre son nom, ou celui qui vaut pour tous.
        (
            "POST",
            f"{API}/experiments/update",
            {"experiment_id": moi["experience"], "new_name": f"retard-vol/{c['nom']}"},
        ),
        ("POST", f"{API}/registered-models/rename", {**mien, "new_name": m}),
        ("POST", f"{API}/registered-models/rename", {**mien, "new_name": "*"}),
        ("POST", f"{AJAX}/registered-models/rename", {**mien, "newName": "*"}),
        ("POST", f"{API}/registered-models/create", {"name": m}),
        ("POST", f"{API}/registered-models/create", {"name": "*"}),
        (
            "POST",
            f"{AJAX}/registered-models/create",
            {"name": "*", "tags": [{"key": "mlflow.prompt.is_prompt", "value": "true"}]},
        ),
        # Rattacher à soi ce qui est à lui.
        ("POST", "api/3.0/mlflow/traces", trace(moi["experience"], t)),
        ("POST", f"v1/traces#{moi['experience']}", spans(t)),
        ("GET", f"{AJAX}/get-trace-artifact", {"request_id": PIEGE}),
        ("GET", "ajax-api/3.0/mlflow/get-trace-artifact", {"request_id": PIEGE}),
        (
            "POST",
            "api/3.0/mlflow/traces/link-to-run",
            {"trace_ids": [t], "run_id": moi["essai"]},
        ),
        (
            "POST",
            f"{API}/runs/outputs",
            {"run_id": moi["essai"], "models": [{"model_id": a, "step": 0}]},
        ),
        # Se donner des droits, des comptes, des rôles.
        *(
            (
                "POST",
                f"{prefixe}/3.0/mlflow/users/permissions/grant",
                {
                    "username": moi["nom"],
                    "resource_type": genre,
                    "resource_id": numero,
                    "permission": "MANAGE",
                },
            )
            for prefixe in ("api", "ajax-api")
            for genre, numero in (
                ("experiment", e),
                ("experiment", "*"),
                ("registered_model", m),
                ("registered_model", "*"),
                ("workspace", "*"),
            )
        ),
        ("POST", f"{API}/users/create", {"username": "complice", "password": "complice-complice"}),
        ("GET", "signup", None),
        ("PATCH", f"{API}/users/update-admin", {"username": moi["nom"], "is_admin": True}),
        (
            "PATCH",
            f"{API}/users/update-password",
            {"username": c["nom"], "password": "complice-complice"},
        ),
        ("DELETE", f"{API}/users/delete", {"username": c["nom"]}),
        ("GET", f"{API}/users/get", {"username": c["nom"]}),
        ("GET", f"{API}/users/list", None),
        ("GET", f"{AJAX}/users/list", None),
        (
            "GET",
            "api/3.0/mlflow/users/permissions/list",
            {"username": c["nom"]},
        ),
        ("POST", "api/3.0/mlflow/roles/create", {"name": "chef", "workspace": "default"}),
        ("GET", "api/3.0/mlflow/roles/list", {"workspace": "default"}),
        # Ce qui sortirait de MLflow vers les autres outils.
        (
            "POST",
            f"{API}/webhooks",
            {"name": "détour", "url": "http://evidently:8000", "events": []},
        ),
        ("POST", "api/3.0/mlflow/gateway/secrets/create", {"secret_name": "détour"}),
        ("GET", "ajax-api/3.0/mlflow/gateway/supported-providers", None),
        ("GET", "gateway/mlflow/v1/models", None),
        ("POST", "ajax-api/3.0/jobs/search", {}),
        ("GET", "ajax-api/3.0/mlflow/assistant/config", None),
        ("POST", "api/3.0/mlflow/mcp-servers", {"name": "*"}),
    )


def attaquer(adresse, moi, mot_de_passe, cible):
    """Tente tout ; rend ce qui n’a pas été refusé, ou qui a dit quelque chose de la cible."""
    compte, passees = (moi["nom"], mot_de_passe), []
    for geste in piege(cible, moi):
        envoyer(adresse, compte, *geste)
    marques = [cible[n] for n in ("marque", "essai", "modele", "appris", "trace")]
    for methode, chemin, corps in recherches(cible):
        reponse = envoyer(adresse, compte, methode, chemin, corps)
        vu = [marque for marque in marques if marque in reponse.text]
        if reponse.status_code >= 500 or (vu and reponse.ok):
            passees.append([methode, chemin, corps, reponse.status_code, vu])
    refusees = (*lectures(cible), *detours(cible, moi), *ecritures(cible))
    for methode, chemin, corps in refusees:
        reponse = envoyer(adresse, compte, methode, chemin, corps)
        if not 400 <= reponse.status_code < 500 or cible["marque"] in reponse.text:
            passees.append([methode, chemin, corps, reponse.status_code, reponse.text[:200]])
    return passees, len(refusees)


def sans_compte(adresse, nom):
    """Ce que répond MLflow à qui n’a pas de compte, ou un mot de passe faux : des 401."""
    chemins = (
        "",
        f"{API}/experiments/search",
        f"{FICHIERS}/1/x",
        "graphql",
        "v1/traces",
        "version",
    )
    jeton = base64.b64encode(f"{nom}:faux".encode()).decode()
    codes = {}
    for chemin in chemins:
        methode = "POST" if chemin in ("graphql", "v1/traces") else "GET"
        for entetes in ({}, {"Authorization": f"Basic {jeton}"}, {"Authorization": "Bearer x"}):
            reponse = requests.request(
                methode, f"{adresse}/{chemin}", headers=entetes, json={}, timeout=60
            )
            codes[f"{methode} /{chemin} {entetes}"] = reponse.status_code
    return codes


def dire(resultat):
    """Écrit un résultat sur une ligne reconnaissable, pour qui lit la sortie d’un notebook."""
    print("RÉSULTAT " + json.dumps(resultat, ensure_ascii=False))
