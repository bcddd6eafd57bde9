"""Les workflows de GitHub : sans défaut pour quatre vérificateurs, et leurs scripts essayés ici.

GitHub n’est pas là : chaque étape « run » est soit lancée par un test, soit dans A_PART, avec la
raison.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

RACINE = Path(__file__).resolve().parents[2]
WORKFLOWS = sorted((RACINE / ".github" / "workflows").glob("*.yml"))
YAMLLINT = ("yamllint", "--strict", "--config-file", "tests/github/yamllint.yaml")
VERIFICATEURS = {
    "actionlint": ("actionlint",),
    # Ses règles ordinaires : les pédantes voudraient l’empreinte de l’image postgres, que GitHub
    # tire à chaque fois dans sa dernière correction, comme local/ la propose.
    "zizmor": ("zizmor", "--offline", "--quiet"),
    "schema": ("check-jsonschema", "--builtin-schema", "vendor.github-workflows"),
    "yamllint": YAMLLINT,
}

# Les étapes qu’aucun test ne lance telles quelles, et pourquoi.
A_PART = {
    "bash .ci/run": "c’est lui qui lance ces tests",
    "sudo .ci/moteur": ".ci/run le lance, puis joue ces tests",
    "make test-local": "une heure de Docker ; .ci/run en joue l’essentiel",
    "make environnement": "c’est ce qui a installé l’environnement de ces tests",
    "make book": "les tests du livre le construisent ; sur un Postgres à part, 2 min de plus",
    "make audit": "demande les avis de sécurité ; tests/requirements/test_auditer.py en juge",
    '.venv/bin/uv pip install --python .venv/bin/python --upgrade --requirement "$RUNNER_TEMP/'
    'sans-versions.txt"': "changerait l’environnement de ces tests",
    ".venv/bin/python -m pytest tests/notebooks": "ces tests sont ceux de « make test »",
}
REENTRAINER = "Réentraîner quand les alarmes le demandent, et passer le gate"
REDIGER = "Rédiger la fiche du modèle en service"


def lancer(*commande, **options):
    """Lance une commande depuis la racine ; rend ce qu’elle a fait."""
    return subprocess.run(
        [str(mot) for mot in commande],
        **{"cwd": RACINE, "timeout": 120, **options},
        capture_output=True,
        encoding="utf-8",
        check=False,
    )


def verifier(outils, nom, *fichiers):
    """Lance un vérificateur sur des workflows."""
    commande, *options = VERIFICATEURS[nom]
    return lancer(outils / commande, *options, *fichiers)


def etapes():
    """Le script de chaque étape « run », avec son workflow et son nom."""
    for chemin in WORKFLOWS:
        contenu = yaml.safe_load(chemin.read_text(encoding="utf-8"))
        for tache in contenu["jobs"].values():
            for etape in tache["steps"]:
                if "run" in etape:
                    yield chemin.name, etape["name"], etape["run"]


def script(nom):
    """Le script de l’étape de ce nom, qui doit être la seule."""
    (trouve,) = [texte for _, autre, texte in etapes() if autre == nom]
    return trouve


def jouer(nom, dossier, cwd=RACINE, timeout=120, **environnement):
    """Joue une étape comme GitHub : « bash -e », un fichier par sortie."""
    sortie = dossier / "sortie"
    sortie.touch()
    env = {**os.environ, "GITHUB_OUTPUT": str(sortie), "RUNNER_TEMP": str(dossier), **environnement}
    fait = lancer(
        "bash", "-e", "-o", "pipefail", "-c", script(nom), env=env, cwd=cwd, timeout=timeout
    )
    return fait, sortie.read_text(encoding="utf-8")


@pytest.mark.parametrize("nom", VERIFICATEURS)
def test_aucun_verificateur_n_a_rien_a_redire(outils, nom):
    assert len(WORKFLOWS) >= 4
    fait = verifier(outils, nom, *WORKFLOWS)
    assert fait.returncode == 0, fait.stdout + fait.stderr


@pytest.mark.parametrize(
    ("nom", "avant", "apres", "plainte"),
    [
        ("actionlint", "github.ref ==", "github.reff ==", "reff"),
        ("zizmor", "persist-credentials: false", "fetch-depth: 1", "artipacked"),
        ("zizmor", "  pull_request:", "  pull_request_target:", "dangerous-triggers"),
        (
            *("zizmor", "    permissions:\n      contents: read\n", "    permissions: write-all\n"),
            "excessive-permissions",
        ),
        ("zizmor", "@3d3c42e5aac5ba805825da76410c181273ba90b1 # v7.0.1", "@v7", "unpinned-uses"),
        ("zizmor", "run: make audit", "run: echo ${{ github.head_ref }}", "template-injection"),
        ("schema", "timeout-minutes: 15", "timeout-minutes: [15]", "timeout-minutes"),
        ("yamllint", "permissions: {}", "permissions: {}\npermissions: {}", "duplication"),
    ],
)
def test_un_workflow_abime_est_refuse(outils, tmp_path, nom, avant, apres, plainte):
    texte = (RACINE / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8")
    assert avant in texte, "le défaut ne serait pas posé"
    fautif = tmp_path / "ci.yml"
    fautif.write_text(texte.replace(avant, apres, 1), encoding="utf-8")
    fait = verifier(outils, nom, fautif)
    assert fait.returncode != 0, f"{nom} n’a rien vu"
    assert plainte in fait.stdout + fait.stderr


def defauts(contenu):
    """Ce que nos règles refusent et qu’aucun vérificateur ne regarde partout."""
    if contenu.get("permissions") != {}:
        yield "les droits ne sont pas vides en tête"
    if "concurrency" not in contenu:
        yield "rien ne dit quoi faire de deux exécutions à la fois"
    # YAML 1.1 lit « on » comme vrai.
    if "pull_request_target" in contenu[True]:
        yield "« pull_request_target » donne des droits au code d’autrui"
    for nom, tache in contenu["jobs"].items():
        if not isinstance(tache.get("timeout-minutes"), int):
            yield f"{nom} n’a pas de limite de temps"
        if "permissions" not in tache:
            yield f"{nom} ne dit pas ses droits"


@pytest.mark.parametrize("chemin", WORKFLOWS, ids=lambda c: c.name)
def test_droits_limites_et_concurrence_sont_dits(chemin):
    assert list(defauts(yaml.safe_load(chemin.read_text(encoding="utf-8")))) == []


def test_un_workflow_sans_limites_est_refuse():
    contenu = {True: {"pull_request_target": None}, "jobs": {"a": {"steps": []}}}
    assert len(list(defauts(contenu))) == 5


def test_chaque_script_est_essaye_ou_mis_a_part():
    essayes = {
        "Écrire le nom de l’image en minuscules, comme le registre le demande",
        "Lister les dépendances sans leur version exacte",
        "Ouvrir l’issue, ou compléter celle qui est ouverte",
        "Proposer la fiche dans une pull request, ou mettre à jour celle qui est ouverte",
        REENTRAINER,
        REDIGER,
    }
    reste = {
        (flux, nom) for flux, nom, texte in etapes() if texte not in A_PART and nom not in essayes
    }
    assert reste == set(), "ajoutez un test, ou dites dans A_PART pourquoi il n’y en a pas"
    assert set(A_PART) <= {texte for *_, texte in etapes()}, "une étape mise à part n’existe plus"


def test_le_nom_de_l_image_est_en_minuscules(tmp_path):
    nom = "Écrire le nom de l’image en minuscules, comme le registre le demande"
    fait, sortie = jouer(nom, tmp_path, DEPOT="SoufieneCHR/presentation_mlops")
    assert fait.returncode == 0, fait.stderr
    assert sortie == "prefixe=ghcr.io/soufienechr/presentation_mlops\n"


def test_les_dependances_perdent_leur_version_exacte_et_gardent_leurs_bornes(tmp_path):
    venv = RACINE / ".venv" / "bin" / "python"
    assert Path(sys.executable) == venv, "les tests se lancent par « make test »"
    fait, _ = jouer("Lister les dépendances sans leur version exacte", tmp_path)
    assert fait.returncode == 0, fait.stderr
    lignes = (tmp_path / "sans-versions.txt").read_text(encoding="utf-8").splitlines()
    assert {"mlflow", "psycopg[binary]", "pandas>=3.0,<3.1", "pytest"} <= set(lignes)
    assert not [ligne for ligne in lignes if "==" in ligne]


@pytest.fixture
def faux_gh(tmp_path):
    """Un « gh » de théâtre : il rend ce qui est ouvert (OUVERTES) et note ce qu’on lui demande."""
    (tmp_path / "bin").mkdir()
    gh = tmp_path / "bin" / "gh"
    gh.write_text(
        f"""#!{sys.executable}
import json, os, subprocess, sys
if sys.argv[2] == "list":
    filtre = sys.argv[sys.argv.index("--jq") + 1]
    jq = subprocess.run(["jq", "-r", filtre], input=os.environ["OUVERTES"], text=True)
    sys.exit(jq.returncode)
with open({str(tmp_path / "demandes")!r}, "a", encoding="utf-8") as journal:
    journal.write(json.dumps(sys.argv[1:]) + "\\n")
""",
        encoding="utf-8",
    )
    gh.chmod(0o755)
    return tmp_path


@pytest.mark.parametrize(
    ("ouvertes", "attendu"),
    [
        ([], ["issue", "create", "--title", "Un titre"]),
        ([{"number": 3, "title": "Un titre voisin"}], ["issue", "create", "--title", "Un titre"]),
        ([{"number": 7, "title": "Un titre"}], ["issue", "comment", "7"]),
    ],
)
def test_un_echec_ouvre_une_issue_ou_complete_la_sienne(faux_gh, ouvertes, attendu):
    assert shutil.which("jq"), "jq manque : « apt-get install jq »"
    fait, _ = jouer(
        "Ouvrir l’issue, ou compléter celle qui est ouverte",
        faux_gh,
        PATH=f"{faux_gh / 'bin'}:{os.environ['PATH']}",
        OUVERTES=json.dumps(ouvertes),
        TITRE="Un titre",
        EXECUTION="https://exemple.fr/7",
    )
    assert fait.returncode == 0, fait.stderr
    (demande,) = (faux_gh / "demandes").read_text(encoding="utf-8").splitlines()
    assert json.loads(demande)[: len(attendu)] == attendu
    assert "https://exemple.fr/7" in demande


@pytest.fixture
def depot_distant(tmp_path):
    """Un dépôt distant d’un commit, et son clone propre."""
    distant, clone = tmp_path / "distant.git", tmp_path / "clone"
    nom = ("-c", "user.name=essai", "-c", "user.email=essai@exemple.fr")
    for commande in (
        ("init", "--quiet", "--bare", "--initial-branch=main", distant),
        ("clone", "--quiet", distant, clone),
        ("-C", clone, *nom, "commit", "--quiet", "--allow-empty", "--message", "départ"),
        ("-C", clone, "push", "--quiet", "origin", "HEAD:main"),
    ):
        fait = lancer("git", *commande)
        assert fait.returncode == 0, fait.stderr
    (clone / ".github").mkdir()
    return distant, clone


def test_la_fiche_est_proposee_puis_mise_a_jour_puis_laissee(faux_gh, depot_distant):
    distant, clone = depot_distant
    fiche = faux_gh / "fiche_du_modele.md"

    def proposer(texte, ouvertes):
        (faux_gh / "demandes").unlink(missing_ok=True)
        fiche.write_text(texte, encoding="utf-8")
        fait, _ = jouer(
            "Proposer la fiche dans une pull request, ou mettre à jour celle qui est ouverte",
            faux_gh,
            cwd=clone,
            PATH=f"{faux_gh / 'bin'}:{os.environ['PATH']}",
            OUVERTES=json.dumps(ouvertes),
            DEPOT=str(distant),
            BRANCHE="fiche",
            FICHE=".github/fiche.md",
            TITRE="Un titre",
        )
        assert fait.returncode == 0, fait.stderr
        if not (faux_gh / "demandes").exists():
            return []
        lignes = (faux_gh / "demandes").read_text(encoding="utf-8").splitlines()
        return [json.loads(ligne) for ligne in lignes]

    corps = ["--body-file", ".github/fiche.md"]
    options = ["--base", "main", "--head", "fiche", "--title", "Un titre", *corps]
    assert proposer("version 3", []) == [["auth", "setup-git"], ["pr", "create", *options]]
    assert proposer("version 4", [{"number": 9}])[1] == ["pr", "edit", "9", *corps]
    poussee = lancer("git", "-C", distant, "show", "fiche:.github/fiche.md")
    assert poussee.stdout == "version 4"
    assert lancer("git", "-C", distant, "ls-tree", "-r", "main").stdout == "", "main n’a pas bougé"
    assert proposer("version 4", []) == [], "la même fiche ne propose rien"


@pytest.fixture
def clone_de_la_demo(tmp_path, monkeypatch):
    """Un clone neuf du dépôt, où « .venv » est celui de ces tests, et une base à lui."""
    clone = tmp_path / "clone du dépôt"
    fait = lancer("git", "clone", "--quiet", RACINE, clone)
    assert fait.returncode == 0, fait.stderr
    (clone / ".venv").symlink_to(Path(sys.executable).parents[1])
    for nom in [
        n for n in os.environ if n == "DATABASE_URL" or n.startswith(("MLOPS_", "MLFLOW_"))
    ]:
        monkeypatch.delenv(nom)
    monkeypatch.setenv("PYTHONPATH", str(clone / "notebooks"))  # le code du clone, et non le nôtre
    yield clone
    fait = lancer(clone / ".venv/bin/mlops-demo", "nettoyer", cwd=clone)
    assert fait.returncode == 0, fait.stderr


@pytest.mark.lent
def test_le_reentrainement_se_joue_d_un_clone_neuf_jusqu_a_la_fiche(clone_de_la_demo, tmp_path):
    """Les deux commandes de reentrainement.yml, telles quelles, sur une base vide."""
    fiche = tmp_path / "fiche_du_modele.md"
    trop_tot, _ = jouer(REDIGER, tmp_path, cwd=clone_de_la_demo)
    assert trop_tot.returncode != 0, "une fiche sans modèle ne doit pas être proposée"
    assert trop_tot.stderr.startswith("Erreur : aucun modèle n’est en service")
    fait, _ = jouer(REENTRAINER, tmp_path, cwd=clone_de_la_demo, timeout=600)
    assert fait.returncode == 0, fait.stderr
    rendu = json.loads(fait.stdout)
    assert rendu["promues"], "aucune promotion : la fiche ne serait que celle du départ"
    redigee, _ = jouer(REDIGER, tmp_path, cwd=clone_de_la_demo)
    assert redigee.returncode == 0, redigee.stderr
    texte = fiche.read_text(encoding="utf-8")
    assert texte.startswith("# Fiche du modèle")
    assert f", version {rendu['promues'][-1]}\n" in texte, "ce n’est pas le modèle en service"
    assert "| aéroport EWR |" in texte, "la fiche n’a pas ses mesures"
    # Ce que l’étape suivante garde est bien là, et le notebook porte ses sorties.
    chemin = RACINE / ".github/workflows/reentrainement.yml"
    (garder,) = [
        e
        for e in yaml.safe_load(chemin.read_text(encoding="utf-8"))["jobs"]["reentrainer"]["steps"]
        if "upload-artifact" in e.get("uses", "")
    ]
    gardes = garder["with"]["path"].replace("${{ runner.temp }}", str(tmp_path)).splitlines()
    assert [Path(f).is_file() for f in gardes] == [True, True], gardes
    cellules = json.loads(Path(gardes[1]).read_text(encoding="utf-8"))["cells"]
    assert any(c.get("outputs") for c in cellules)
    etat = lancer("git", "-C", clone_de_la_demo, "status", "--porcelain")
    assert etat.stdout in ("", "?? .venv\n"), "le clone ne doit pas être modifié"


def test_seule_la_tache_qui_propose_a_le_droit_d_ecrire():
    """Elle n’exécute aucune dépendance : ni Python ni make, seulement git et gh."""
    chemin = RACINE / ".github/workflows/reentrainement.yml"
    taches = yaml.safe_load(chemin.read_text(encoding="utf-8"))["jobs"]
    assert taches["reentrainer"]["permissions"] == {"contents": "read"}
    ecrit = taches["proposer"]
    assert ecrit["permissions"] == {"contents": "write", "pull-requests": "write"}
    scripts = " ".join(e.get("run", "") for e in ecrit["steps"])
    assert not {"make", "python", "pip", "uv", "mlops-demo"} & set(re.split(r"[\s/]+", scripts))


def test_le_service_postgres_a_la_version_de_local():
    contenu = yaml.safe_load((RACINE / ".github/workflows/ci.yml").read_text(encoding="utf-8"))
    service = contenu["jobs"]["livre"]["services"]["postgres"]
    reglages = (RACINE / "local" / ".env.exemple").read_text(encoding="utf-8")
    assert f"POSTGRES_IMAGE={service['image']}\n" in reglages


def test_chaque_image_est_publiee():
    contenu = yaml.safe_load((RACINE / ".github/workflows/images.yml").read_text(encoding="utf-8"))
    tache = contenu["jobs"]["image"]
    construites = [e for e in tache["steps"] if "build-push-action" in e.get("uses", "")]
    publiees = {*tache["strategy"]["matrix"]["image"], "airflow"}
    assert publiees == {f.parent.name for f in RACINE.glob("*/images/*/Dockerfile")}
    dossiers = {f.parents[2].name for f in RACINE.glob("*/images/*/Dockerfile")}
    # YAML lit la clé « on » comme le booléen vrai.
    chemins = contenu[True]["push"]["paths"]
    assert all(any(c.startswith(f"{dossier}/") for c in chemins) for dossier in dossiers)
    for etape in construites:
        reglages = etape["with"]
        assert reglages["platforms"] == "linux/amd64,linux/arm64"
        assert reglages["sbom"] is True
        assert reglages["provenance"] == "mode=max"
