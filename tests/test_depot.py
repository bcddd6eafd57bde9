"""Les règles du dépôt, vérifiées sur les fichiers que git suit."""

import ast
import json
import re
import statistics
import subprocess
from collections import Counter
from pathlib import Path

import pytest
from mlops_demo.__main__ import analyseur
from nbformat.validator import iter_validate

RACINE = Path(__file__).resolve().parents[1]

A_LA_RACINE = {
    *(".ci", ".devcontainer", ".gitattributes", ".github", ".gitignore", ".pre-commit-config.yaml"),
    *("LICENSE", "Makefile", "README.md", "_config.yml", "_toc.yml", "environment.yml"),
    *("presentation_mlops.md", "pyproject.toml", "requirements"),
    *("benchmarks", "book", "cluster_k8s", "data", "local", "notebooks", "tests"),
}

# En morceaux, pour que ce fichier-ci ne les nomme pas non plus.
HOTES_DE_PAQUETS = [
    ".".join(morceaux)
    for morceaux in (
        *(("pypi", "org"), ("pythonhosted", "org"), ("anaconda", "org")),
        *(("npmjs", "org"), ("npmjs", "com"), ("deb", "debian", "org"), ("ftp", "debian", "org")),
        *(
            ("security", "debian", "org"),
            ("snapshot", "debian", "org"),
            ("archive", "ubuntu", "com"),
        ),
    )
]
MACHINES = re.compile("/" + "work/(main|shared)|/" + r"root/\.")

LIGNES_AU_PLUS = 20
LIGNES_MEDIANES = 5
CHEMIN_ABSOLU = re.compile(
    r"^(/(home|root|tmp|work|usr|var|opt|etc|mnt|media|data|srv|dev|proc|Users)\b|[A-Za-z]:\\|~)"
)
CHEMIN_PARENT = re.compile(r"(^|[/\\])\.\.([/\\]|$)")
SECRET = re.compile(
    r"url|adresse|hote|host|mot_de_passe|password|secret|token|jeton", re.IGNORECASE
)


def test_le_conteneur_de_developpement_est_l_image_des_participants():
    """La même image et le même verrou ; il lance ce que lance « make lab », sur les mêmes ports."""
    dossier = RACINE / ".devcontainer"
    reglages = json.loads((dossier / "devcontainer.json").read_text(encoding="utf-8"))
    image = RACINE / "local" / "images" / "demo" / "Dockerfile"
    assert (dossier / reglages["build"]["dockerfile"]).resolve() == image
    assert (dossier / reglages["build"]["context"]).resolve() == RACINE
    assert f"useradd --uid 10001 --gid 10001 --home-dir /home/{reglages['remoteUser']} " in (
        image.read_text(encoding="utf-8")
    )
    commande = reglages["postAttachCommand"].split()
    assert commande[:3] == ["python", "-m", "mlops_demo"]
    lues = analyseur().parse_args(commande[3:])
    assert [lues.port, lues.port_mlflow] == reglages["forwardPorts"]


def fichiers_suivis():
    """Les fichiers que git suit et qui existent ; le clone peut être à un autre compte."""
    sortie = subprocess.run(
        ["git", "-c", "safe.directory=*", "ls-files", "-z"],
        cwd=RACINE,
        capture_output=True,
        check=True,
    ).stdout.decode("utf-8")
    chemins = [RACINE / nom for nom in sortie.split("\0") if nom]
    return [chemin for chemin in chemins if chemin.is_file()]


SUIVIS = fichiers_suivis()
NOTEBOOKS = [chemin for chemin in SUIVIS if chemin.suffix == ".ipynb"]
CHAPITRE_4 = [chemin for chemin in NOTEBOOKS if chemin.parent == RACINE / "notebooks"]
EXPOSE = RACINE / "book" / "expose"
ETAPES = [chemin for chemin in NOTEBOOKS if chemin.parent == RACINE / "notebooks" / "etapes"]


def relatif(chemin):
    """Le nom d’un fichier dans le dépôt."""
    return chemin.relative_to(RACINE).as_posix()


def lire(chemin):
    """Le contenu d’un notebook, tel qu’il est écrit."""
    return json.loads(chemin.read_text(encoding="utf-8"))


def texte_de(cellule):
    """Le texte d’une cellule, que nbformat écrit en une chaîne ou en plusieurs."""
    return "".join(cellule["source"])


def cellules_de_code(contenu):
    """Les cellules de code, chacune avec sa place dans le notebook."""
    return [(i, c) for i, c in enumerate(contenu["cells"], 1) if c["cell_type"] == "code"]


def lignes_de(cellule):
    """Le nombre de lignes qui ne sont pas vides."""
    return sum(1 for ligne in texte_de(cellule).splitlines() if ligne.strip())


def etiquettes(cellule):
    """Les « tags » d’une cellule."""
    return cellule["metadata"].get("tags", [])


def defauts_de_forme(contenu):
    """Ce qui, dans un notebook, n’a pas sa place dans git ou ne s’ouvrirait pas partout."""
    # iter_validate et non validate, qui répare en silence les identifiants en double.
    for erreur in iter_validate(contenu):
        yield f"n’est pas un notebook valide : {erreur.message}"
    if (contenu["nbformat"], contenu["nbformat_minor"]) < (4, 5):
        yield "date d’avant les identifiants de cellule (nbformat 4.5)"
    if contenu["metadata"].get("kernelspec", {}).get("name") != "python3":
        yield "n’a pas « python3 » pour kernelspec : papermill ne saurait pas l’exécuter"
    identifiants = Counter(cellule.get("id") for cellule in contenu["cells"])
    for identifiant, nombre in identifiants.items():
        if nombre > 1 or not identifiant:
            yield f"a {nombre} cellules d’identifiant {identifiant}"
    for i, cellule in cellules_de_code(contenu):
        if cellule["outputs"] or cellule["execution_count"] is not None:
            yield f"cellule {i} : garde une sortie ou un numéro d’exécution, effacez-les"


def defauts_de_lecture(contenu):
    """Ce qui empêche de suivre un notebook : un code trop long."""
    for i, cellule in cellules_de_code(contenu):
        if lignes_de(cellule) > LIGNES_AU_PLUS:
            yield f"cellule {i} : {lignes_de(cellule)} lignes, {LIGNES_AU_PLUS} au plus"


def defauts_d_annonce(contenu):
    """Ce que rien n’annonce ; l’exposé, lui, montre, et ses notes disent."""
    for i, _ in cellules_de_code(contenu):
        if i == 1 or contenu["cells"][i - 2]["cell_type"] != "markdown":
            yield f"cellule {i} : aucune phrase ne dit avant elle pourquoi elle est là"


def defauts_de_code(contenu):
    """Ce qui lie un notebook à une machine ou à un shell."""
    for i, cellule in cellules_de_code(contenu):
        if re.search(r"^\s*[!%]", texte_de(cellule), re.MULTILINE):
            yield f"cellule {i} : commande « ! » ou « % »"
            continue
        try:
            arbre = ast.parse(texte_de(cellule))
        except SyntaxError as erreur:
            yield f"cellule {i} : n’est pas du Python ({erreur.msg})"
            continue
        for noeud in ast.walk(arbre):
            if isinstance(noeud, ast.Constant) and isinstance(noeud.value, str):
                if CHEMIN_ABSOLU.search(noeud.value):
                    yield f"cellule {i} : chemin absolu « {noeud.value} »"
                if CHEMIN_PARENT.search(noeud.value):
                    yield f"cellule {i} : chemin parent « {noeud.value} »"


def defauts_de_parametres(cellule):
    """Ce que papermill, Airflow ou Kubeflow ne sauraient pas passer à un notebook."""
    for instruction in ast.parse(texte_de(cellule)).body:
        cibles = getattr(instruction, "targets", [getattr(instruction, "target", None)])
        if not isinstance(instruction, ast.Assign | ast.AnnAssign) or not all(
            isinstance(cible, ast.Name) for cible in cibles
        ):
            yield f"paramètres : « {ast.unparse(instruction)} » n’est pas « nom = valeur »"
            continue
        try:
            valeur = ast.literal_eval(instruction.value)
        except ValueError:
            valeur = ...
        if not isinstance(valeur, str | int | float | bool | None):
            yield f"paramètres : « {ast.unparse(instruction)} » n’est pas un scalaire JSON"
        if SECRET.search(cibles[0].id) or "://" in str(valeur):
            yield f"paramètres : « {cibles[0].id} » doit venir de l’environnement"


def defauts_de_demonstration(contenu):
    """Ce qu’un notebook du chapitre 4 doit à qui le lance : réglages et résultat."""
    code = cellules_de_code(contenu)
    parametres = [(i, c) for i, c in code if "parameters" in etiquettes(c)]
    if len(parametres) != 1:
        yield f"a {len(parametres)} cellules « parameters » au lieu d’une"
    elif parametres[0] != code[0]:
        yield "la cellule « parameters » n’est pas la première cellule de code"
    for _, cellule in parametres:
        yield from defauts_de_parametres(cellule)
    if not code or "resultats.ecrire(" not in texte_de(code[-1][1]):
        yield "la dernière cellule de code n’écrit pas le résultat (resultats.ecrire)"
    if not texte_de(contenu["cells"][0]).startswith("# "):
        yield "ne s’ouvre pas sur un titre"


DEFAUTS = (defauts_de_forme, defauts_de_lecture, defauts_de_code)


@pytest.mark.parametrize("chemin", NOTEBOOKS, ids=relatif)
def test_un_notebook_suit_les_regles(chemin):
    contenu = lire(chemin)
    controles = DEFAUTS if chemin.parent == EXPOSE else (*DEFAUTS, defauts_d_annonce)
    trouves = [defaut for controle in controles for defaut in controle(contenu)]
    assert trouves == [], f"{relatif(chemin)} : " + " ; ".join(trouves)


@pytest.mark.parametrize("chemin", [*CHAPITRE_4, *ETAPES], ids=relatif)
def test_une_etape_se_lance_par_ses_parametres(chemin):
    trouves = list(defauts_de_demonstration(lire(chemin)))
    assert trouves == [], f"{relatif(chemin)} : " + " ; ".join(trouves)


def test_le_chapitre_4_a_ses_sept_notebooks():
    assert sorted(chemin.name[:2] for chemin in CHAPITRE_4) == [f"4{i}" for i in range(1, 8)]


def test_les_cellules_du_chapitre_4_restent_courtes():
    tailles = [
        lignes_de(cellule) for chemin in CHAPITRE_4 for _, cellule in cellules_de_code(lire(chemin))
    ]
    assert statistics.median(tailles) <= LIGNES_MEDIANES, "une idée par cellule"


def notebook_modele():
    """Un notebook de démonstration qui suit toutes les règles."""

    def cellule(genre, identifiant, texte, **autres):
        return {
            "cell_type": genre,
            "id": identifiant,
            "metadata": {},
            "source": texte,
            **({"outputs": [], "execution_count": None} if genre == "code" else {}),
            **autres,
        }

    return {
        "nbformat": 4,
        "nbformat_minor": 5,
        "metadata": {"kernelspec": {"name": "python3", "display_name": "Python 3"}},
        "cells": [
            cellule("markdown", "a", "# Un titre"),
            cellule("code", "b", "mois = 7\ngraine: int = -1", metadata={"tags": ["parameters"]}),
            cellule("markdown", "c", "Écrivons le résultat."),
            cellule("code", "d", 'resultats.ecrire("41", {"mois": mois})'),
        ],
    }


def modifie(indice, cle, valeur):
    """Une altération du modèle, en une cellule."""
    return lambda contenu: contenu["cells"][indice].update({cle: valeur})


def avant(indice):
    """Une altération du modèle : une cellule retirée."""
    return lambda contenu: contenu["cells"].pop(indice)


@pytest.mark.parametrize(
    ("abimer", "plainte"),
    [
        (modifie(0, "metadata", None), "n’est pas un notebook valide"),
        (lambda c: c.update(nbformat_minor=4), "d’avant les identifiants"),
        (lambda c: c["metadata"].pop("kernelspec"), "kernelspec"),
        (modifie(3, "id", "b"), "2 cellules d’identifiant b"),
        (modifie(3, "execution_count", 1), "garde une sortie"),
        (
            modifie(3, "outputs", [{"output_type": "stream", "name": "stdout", "text": "a"}]),
            "garde une sortie",
        ),
        (modifie(3, "source", "a = 1\n\n" * 21), "21 lignes, 20 au plus"),
        (avant(2), "aucune phrase ne dit avant elle"),
        (modifie(3, "source", "%matplotlib inline"), "commande « ! » ou « % »"),
        (modifie(3, "source", "if a:\n    !pip install b"), "commande « ! » ou « % »"),
        (modifie(3, "source", "a ="), "n’est pas du Python"),
        (modifie(3, "source", 'lire("/home/moi/a.csv")'), "chemin absolu"),
        (modifie(3, "source", "lire(f'~/{nom}')"), "chemin absolu"),
        (modifie(3, "source", 'lire("donnees/../a.csv")'), "chemin parent"),
        (modifie(3, "source", 'sys.path.append("..")'), "chemin parent"),
        (modifie(3, "source", "afficher(resultat)"), "n’écrit pas le résultat"),
        (modifie(1, "metadata", {}), "a 0 cellules « parameters »"),
        (modifie(3, "metadata", {"tags": ["parameters"]}), "a 2 cellules « parameters »"),
        (modifie(1, "source", "mois = [7]"), "n’est pas un scalaire JSON"),
        (modifie(1, "source", "mois = 3 + n"), "n’est pas un scalaire JSON"),
        (modifie(1, "source", "import os"), "n’est pas « nom = valeur »"),
        (modifie(1, "source", 'mot_de_passe = "a"'), "doit venir de l’environnement"),
        (modifie(1, "source", 'base = "postgresql://moi@ici"'), "doit venir de l’environnement"),
        (modifie(0, "source", "Sans titre"), "ne s’ouvre pas sur un titre"),
        (
            lambda c: c["cells"].insert(1, dict(c["cells"][3], id="e")),
            "n’est pas la première cellule de code",
        ),
    ],
)
def test_un_notebook_abime_est_refuse(abimer, plainte):
    controles = (*DEFAUTS, defauts_d_annonce, defauts_de_demonstration)
    contenu = notebook_modele()
    assert [d for controle in controles for d in controle(contenu)] == [], "le modèle est bon"
    abimer(contenu)
    trouves = [d for controle in controles for d in controle(contenu)]
    assert any(plainte in defaut for defaut in trouves), f"défaut non vu ; vus : {trouves}"


def test_rien_d_autre_n_est_a_la_racine():
    presents = {relatif(chemin).split("/")[0] for chemin in SUIVIS}
    assert presents <= A_LA_RACINE, f"en trop à la racine : {presents - A_LA_RACINE}"


@pytest.mark.parametrize("chemin", SUIVIS, ids=relatif)
def test_un_fichier_ne_nomme_ni_depot_de_paquets_ni_machine(chemin):
    try:
        texte = chemin.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return
    nommes = [hote for hote in HOTES_DE_PAQUETS if hote in texte]
    assert not nommes, f"{relatif(chemin)} nomme {nommes} : laissez pip, conda ou apt choisir"
    assert not MACHINES.search(texte), f"{relatif(chemin)} contient un chemin propre à une machine"


def test_le_readme_reste_court():
    assert len((RACINE / "README.md").read_text(encoding="utf-8").splitlines()) <= 150


def test_chaque_commande_du_readme_existe():
    readme = (RACINE / "README.md").read_text(encoding="utf-8")
    makefile = (RACINE / "Makefile").read_text(encoding="utf-8")
    cibles = set(re.search(r"^\.PHONY: (.*)$", makefile, re.MULTILINE).group(1).split())
    dites = set(re.findall(r"(?:`|^)make ([a-z0-9-]+)\b", readme, re.MULTILINE))
    assert dites <= cibles, "« make » seul affiche la liste des commandes."
    assert {"demo", "lab", "book", "slides"} <= dites


def test_les_liens_du_readme_menent_quelque_part():
    readme = (RACINE / "README.md").read_text(encoding="utf-8")
    liens = re.findall(r"\]\(([^)#]+)[^)]*\)", readme)
    locaux = [lien for lien in liens if "://" not in lien]
    assert locaux, "le README ne renvoie à aucun fichier"
    absents = [lien for lien in locaux if not (RACINE / lien).exists()]
    assert absents == []


def test_chaque_action_est_figee_par_son_commit():
    flux = [chemin for chemin in SUIVIS if relatif(chemin).startswith(".github/workflows/")]
    actions = [
        ligne.strip().removeprefix("- ")
        for chemin in flux
        for ligne in chemin.read_text(encoding="utf-8").splitlines()
        if re.match(r"\s*(- )?uses:", ligne)
    ]
    assert actions
    for action in actions:
        assert re.fullmatch(r"uses: \S+@[0-9a-f]{40} # v\d+\.\d+\.\d+", action), action
