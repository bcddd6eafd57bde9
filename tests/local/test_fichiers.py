"""Les fichiers de local/ : sans défaut, et les mêmes sous Compose et sous Swarm."""

import json
import re
import subprocess
from pathlib import Path

import pytest
import yaml

pytestmark = pytest.mark.local

RACINE = Path(__file__).resolve().parents[2]
LOCAL = RACINE / "local"
DOCKERFILES = sorted([*LOCAL.glob("images/*/Dockerfile"), *RACINE.glob(".ci/*/*/Dockerfile")])
SWARM = ("swarm-maillage.yaml", "swarm-sans-ipvs.yaml")

# Les règles que nous n’appliquons pas, et pourquoi.
CHECKOV_IGNORE = {
    # La version est dans l’argument PYTHON_IMAGE, que checkov ne lit pas.
    "CKV_DOCKER_7",
}
# checkov ne sait pas lire Compose : compose-lint s’en charge, et voici ce que nous n’y suivons pas,
# par règle, service et texte du constat. Une exception qui ne sert plus fait échouer le test.
COMPOSE_IGNORE = [
    # Le hub lance les participants par la socket de Docker ; local/README.md dit ce qu’il en coûte.
    ("CL-0001", "hub", ""),
    # Une empreinte ici n’irait ni à un miroir ni à nos constructions ; .env la reçoit (*_IMAGE).
    ("CL-0019", "", ""),
    # Le chemin du fichier qui porte le secret, et non le secret (images/entree.sh).
    ("CL-0020", "", "_FICHIER'"),
    # Un identifiant S3, que le dépôt demande avec sa clé ; la clé, elle, est un secret.
    ("CL-0020", "mlflow", "'AWS_ACCESS_KEY_ID'"),
    ("CL-0020", "artefacts", "'AWS_ACCESS_KEY_ID'"),
]
# Ce que Swarm ouvrirait à tout le réseau, au lieu de 127.0.0.1 : il ne le publie pas.
PUBLIES_SOUS_COMPOSE_SEULEMENT = {"postgres", "mlflow", "prometheus", "evidently"}


def lancer(*commande, **options):
    """Lance une commande dans local/ ; rend ce qu’elle a fait."""
    return subprocess.run(
        [str(mot) for mot in commande],
        cwd=LOCAL,
        capture_output=True,
        encoding="utf-8",
        check=False,
        timeout=300,
        **options,
    )


@pytest.mark.parametrize("chemin", DOCKERFILES, ids=lambda c: c.parent.name)
def test_hadolint_n_a_rien_a_redire(outils, chemin):
    fait = lancer(outils / "hadolint", chemin)
    assert fait.returncode == 0, fait.stdout


def test_hadolint_voit_un_defaut(outils, tmp_path):
    fautif = tmp_path / "Dockerfile"
    fautif.write_text("FROM debian\nRUN cd /tmp && apt-get install curl\n", encoding="utf-8")
    assert lancer(outils / "hadolint", fautif).returncode != 0


def test_checkov_n_a_rien_a_redire(outils):
    assert len(DOCKERFILES) >= 4
    options = ["--framework", "dockerfile", "--quiet", "--compact", "--skip-download"]
    ignore = ["--skip-check", ",".join(sorted(CHECKOV_IGNORE))]
    fait = lancer(outils / "checkov", "--directory", ".", *options, *ignore)
    assert fait.returncode == 0, fait.stdout


def test_yamllint_n_a_rien_a_redire(outils):
    regles = Path(__file__).with_name("yamllint.yaml")
    fait = lancer(outils / "yamllint", "--strict", "--config-file", regles, ".")
    assert fait.returncode == 0, fait.stdout


def test_compose_suit_son_schema(outils):
    schema = ("--builtin-schema", "vendor.compose-spec")
    fait = lancer(outils / "check-jsonschema", *schema, "common.yaml", "compose.yaml")
    assert fait.returncode == 0, fait.stdout


def reglages():
    """Les réglages du modèle, DOCKER_GID excepté, que « make up » trouve seul."""
    lignes = (LOCAL / ".env.exemple").read_text(encoding="utf-8").splitlines()
    valeurs = dict(ligne.split("=", 1) for ligne in lignes if re.match(r"[A-Z_]+=", ligne))
    return {"PATH": "/usr/local/bin:/usr/bin:/bin", **valeurs, "DOCKER_GID": "999"}


def compose():
    """La pile, tous outils compris, telle que Compose la lit."""
    fait = lancer(
        "docker", "compose", "--profile", "*", "config", "--format", "json", env=reglages()
    )
    assert fait.returncode == 0, fait.stderr
    return json.loads(fait.stdout)["services"]


def swarm(complement):
    """La pile, telle que Swarm la lit."""
    fichiers = [m for f in ("common.yaml", "swarm.yaml", complement) for m in ("-c", f)]
    fait = lancer("docker", "stack", "config", *fichiers, env=reglages())
    assert fait.returncode == 0, fait.stderr
    return yaml.safe_load(fait.stdout)["services"]


@pytest.mark.parametrize("complement", SWARM)
def test_compose_et_swarm_disent_la_meme_chose(complement):
    ici, la = compose(), swarm(complement)
    assert set(ici) == set(la)
    for nom, service in ici.items():
        autre = la[nom]
        for cle in ("image", "command", "user", "environment", "hostname", "healthcheck"):
            assert service.get(cle) == autre.get(cle), f"{nom} : {cle} diffère"
        for cle, champ in (("secrets", "source"), ("volumes", "target"), ("configs", "target")):
            cotes = [sorted(v[champ] for v in s.get(cle, [])) for s in (service, autre)]
            assert cotes[0] == cotes[1], f"{nom} : {cle} diffère"
        assert set(service["networks"]) == set(autre["networks"]), nom
        limites = [s["deploy"]["resources"]["limits"] for s in (service, autre)]
        assert float(limites[0]["cpus"]) == float(limites[1]["cpus"]), nom
        assert int(limites[0]["memory"]) == int(limites[1]["memory"]), nom


@pytest.mark.parametrize("complement", SWARM)
def test_swarm_reserve_a_chaque_outil_ce_qu_il_prend_au_repos(complement):
    """Sans réserve, l’ordonnanceur mettrait sur un nœud plus qu’il ne porte."""
    releve = json.loads((RACINE / "book" / "mesures_local.json").read_text("utf-8"))["outils"]
    for nom, service in swarm(complement).items():
        ressources = service["deploy"]["resources"]
        reserve, limite = ressources["reservations"], ressources["limits"]
        assert 0 < float(reserve["cpus"]) <= float(limite["cpus"]), nom
        assert int(reserve["memory"]) <= int(limite["memory"]), nom
        # La préparation ne fait que passer, et Grafana n’a pas été mesuré.
        if nom not in ("preparation", "grafana"):
            assert int(reserve["memory"]) >= releve[nom]["memoire_mo"] * 1e6, nom


def constats(outils, dossier, services):
    """Ce que compose-lint trouve dans des services, en (règle, service, texte)."""
    fichier = dossier / "compose.yaml"
    fichier.write_text(json.dumps({"services": services}), encoding="utf-8")
    fait = lancer(outils / "compose-lint", fichier, "--format", "json")
    bilan = json.loads(fait.stdout)
    assert not bilan["errors"], f"compose-lint n’a pas tout lu : {bilan['errors']}"
    return [(c["rule_id"], c["service"], c["message"]) for c in bilan["findings"]]


def couvre(exception, constat):
    """Dit si une exception vaut pour un constat ; un champ vide vaut pour tous."""
    (regle, service, morceau), (la_regle, le_service, texte) = exception, constat
    return regle == la_regle and service in ("", le_service) and morceau in texte


def test_compose_lint_n_a_rien_a_redire(outils, tmp_path):
    trouves = constats(outils, tmp_path, compose())
    restes = [c for c in trouves if not any(couvre(e, c) for e in COMPOSE_IGNORE)]
    assert restes == [], "compose-lint trouve à redire"
    inutiles = [e for e in COMPOSE_IGNORE if not any(couvre(e, c) for c in trouves)]
    assert inutiles == [], "des exceptions ne servent plus"


@pytest.mark.parametrize(
    ("regle", "defaut"),
    [
        ("CL-0002", {"privileged": True}),
        ("CL-0003", {"security_opt": []}),
        ("CL-0004", {"image": "postgres:latest"}),
        ("CL-0005", {"ports": ["0.0.0.0:5000:5000"]}),
        ("CL-0006", {"cap_drop": []}),
        ("CL-0007", {"read_only": False}),
        ("CL-0020", {"environment": {"POSTGRES_PASSWORD": "retenu"}}),
        ("CL-0026", {"deploy": {}}),
    ],
)
def test_compose_lint_voit_un_defaut(outils, tmp_path, regle, defaut):
    fautif = {"mlflow": {**compose()["mlflow"], **defaut}}
    assert regle in [c[0] for c in constats(outils, tmp_path, fautif)], f"{regle} ne voit rien"


def sans_garde(services):
    """Les services sans contrôle de santé, et ceux dont les processus sont sans borne."""
    # Les images que nous construisons portent le leur : checkov le demande à leur Dockerfile.
    a_nous = {s["image"] for s in services.values() if "build" in s}
    sante = {nom: s.get("healthcheck", {}) for nom, s in services.items()}
    sans_sante = {
        nom
        for nom, s in services.items()
        if sante[nom].get("disable") or ("test" not in sante[nom] and s["image"] not in a_nous)
    }
    sans_borne = {
        nom for nom, s in services.items() if not s["deploy"]["resources"]["limits"].get("pids")
    }
    return sans_sante, sans_borne


def test_chaque_service_a_son_controle_de_sante_et_ses_processus_bornes():
    """Ce que compose-lint ne regarde pas."""
    # « preparation » passe une fois et finit : elle n’a pas de santé à surveiller.
    sans_sante, sans_borne = sans_garde(compose())
    assert sans_sante == {"preparation"}, "un service n’a pas de contrôle de santé"
    assert sans_borne == set(), "un service n’a pas de borne à ses processus"


def test_un_service_sans_controle_ni_borne_est_vu():
    services = compose()
    del services["postgres"]["healthcheck"]
    del services["mlflow"]["deploy"]["resources"]["limits"]["pids"]
    assert sans_garde(services) == ({"postgres", "preparation"}, {"mlflow"})


def patience(controle):
    """Combien de secondes un outil qui ne répond plus reste en vie."""
    return (controle["timeout"] + controle["interval"]) * controle["retries"]


def controles():
    """Les contrôles de santé que nous écrivons, en secondes, par fichier ou par service."""
    nombres = r"--interval=(\d+)s --timeout=(\d+)s --retries=(\d+)"
    trouves = {
        dockerfile.parent.name: re.search(nombres, dockerfile.read_text("utf-8"))
        for dockerfile in sorted(RACINE.glob("*/images/*/Dockerfile"))
    }
    lus = {
        nom: dict(zip(("interval", "timeout", "retries"), map(int, t.groups()), strict=True))
        for nom, t in trouves.items()
    }
    services = yaml.safe_load((LOCAL / "common.yaml").read_text("utf-8"))["services"]
    for nom, service in services.items():
        controle = service.get("healthcheck", {})
        if "timeout" in controle:
            lus[nom] = {n: int(str(controle[n]).rstrip("s")) for n in lus["demo"]}
    return lus


def test_une_machine_occupee_deux_minutes_ne_fait_rien_tuer():
    """Swarm tue ce qui n’est pas sain, même si c’est la machine qui est lente."""
    lus = controles()
    assert {"demo", "hub", "mlserver", "postgres", "grafana"} <= lus.keys()
    assert {nom: c for nom, c in lus.items() if patience(c) < 120} == {}
    assert patience({"interval": 10, "timeout": 5, "retries": 3}) < 120


def publies(services):
    """Les ports publiés de chaque service."""
    ports = {nom: s.get("ports", []) for nom, s in services.items()}
    return {
        nom: {(int(p["target"]), int(p["published"])) for p in vus} for nom, vus in ports.items()
    }


def test_compose_et_swarm_publient_les_memes_ports():
    ici, la = publies(compose()), publies(swarm("swarm-maillage.yaml"))
    for nom in ici:
        attendus = set() if nom in PUBLIES_SOUS_COMPOSE_SEULEMENT else ici[nom]
        assert la[nom] == attendus, nom


def test_aucun_service_ne_passe_par_le_proxy_pour_en_joindre_un_autre():
    services = compose()
    for nom, service in services.items():
        env = service["environment"]
        assert env["no_proxy"] == env["NO_PROXY"], nom
        assert set(services) - {"preparation"} <= set(env["NO_PROXY"].split(",")), nom


def test_chaque_reglage_est_decrit_et_sert():
    modele = (LOCAL / ".env.exemple").read_text(encoding="utf-8")
    blocs = [bloc.splitlines() for bloc in modele.split("\n\n")]
    for bloc in blocs:
        assert bloc[0].startswith("# "), f"« {bloc[0]} » n’est pas décrit"
    decrits = {ligne.split("=")[0] for bloc in blocs for ligne in bloc if not ligne.startswith("#")}
    textes = [f.read_text(encoding="utf-8") for f in (*LOCAL.glob("*.yaml"), LOCAL / "lancer.py")]
    lus = set(re.findall(r"\$\{([A-Z_]+)", "\n".join(textes)))
    lus |= set(re.findall(r'valeurs\["([A-Z_]+)"\]', textes[-1]))
    assert decrits - lus <= {"COMPOSE_FILE"}  # lu par Docker Compose lui-même
    # Calculées par lancer.py.
    calcules = ("EMPREINTE_", "REPLIQUES_", "MLFLOW_HOTES_ADMIS", "MLFLOW_ORIGINES")
    assert {nom for nom in lus - decrits if not nom.startswith(calcules)} == set()


def test_les_pages_du_hub_sont_toutes_traduites(moteur, pile):
    image = pile.reglages["HUB_IMAGE"]
    code = (
        "import jinja2, pathlib, sys, traduction;"
        "e = jinja2.Environment(loader=jinja2.FileSystemLoader("
        "sys.prefix + '/share/jupyterhub/templates'), extensions=[traduction.EnFrancais]);"
        "[e.get_template(nom) for nom in traduction.PHRASES]; print('traduites')"
    )
    fait = lancer("docker", "run", "--rm", "--network", "none", image, "python", "-c", code)
    assert "traduites" in fait.stdout, fait.stderr
