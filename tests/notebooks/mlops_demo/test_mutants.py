"""Chaque mutant du gate, du contrat et des seuils d’alarme doit être tué par un test.

Un mutant est le module avec une comparaison, un signe, un nombre ou un mot logique changé. Un
processus est bifurqué par mutant, et n’y rejoue que les tests de ce module : ni installation, ni
base. Un mutant qui survit est un test qui manque, ou figure ci-dessous avec sa raison.
"""

import ast
import copy
import os
import sys
from itertools import islice
from pathlib import Path

import pytest

ICI = Path(__file__).parent
# Module, fonctions et classes mutées, tests qui les gardent.
CIBLES = {
    "gate": (("Seuils", "Verdict", "juger"), ("test_gate.py",)),
    "supervision": (
        ("Alarmes", "alertes"),
        (
            "test_supervision.py::test_chaque_alarme_des_deux_cotes_de_son_seuil",
            "test_supervision.py::test_perdre_juste_l_auc_toleree_n_alarme_pas",
            "test_supervision.py::test_une_derive_non_calculee_n_alarme_pas",
        ),
    ),
    "donnees": (("hors_bornes",), ("test_donnees_bornes.py",)),
    "contrat": (
        ("connues_apres_depart", "_valeur", "_domaine", "regles", "ddl_contraintes"),
        ("test_contrat.py",),
    ),
}
# Mutants qui ne changent rien d’observable : « module, nom, ligne, avant → après » : raison.
EQUIVALENTS = {
    'donnees, hors_bornes, duree = "mois" if indicateurs.get("jours", 0) >= JOURS_D_UN_MOIS else '
    '"court", 0 → 1': "une durée inconnue, comptée pour un jour, reste celle d’un lot court",
    'supervision, alertes, AGE: (mesures.get("age_jours") or 0) > alarmes.age_max_jours,, '
    "0 → 1": "un âge inconnu compté pour un jour reste sous tout seuil",
}

AU_MOINS = {"donnees": 8}  # une seule fonction, courte

COMPARAISONS = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}
CALCULS = {ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult}
LOGIQUES = {ast.And: ast.Or, ast.Or: ast.And}


def _variantes(noeud: ast.AST):
    """Les changements possibles d’un nœud : le champ, et sa nouvelle valeur."""
    if isinstance(noeud, ast.Compare) and type(noeud.ops[0]) in COMPARAISONS:
        yield "ops", [COMPARAISONS[type(noeud.ops[0])](), *noeud.ops[1:]]
    elif isinstance(noeud, ast.BinOp) and type(noeud.op) in CALCULS:
        yield "op", CALCULS[type(noeud.op)]()
    elif isinstance(noeud, ast.BoolOp):
        yield "op", LOGIQUES[type(noeud.op)]()
    elif isinstance(noeud, ast.UnaryOp) and isinstance(noeud.op, ast.Invert | ast.Not):
        yield "op", ast.UAdd()
    elif isinstance(noeud, ast.Constant) and type(noeud.value) in (int, float):
        yield "value", noeud.value + (1 if type(noeud.value) is int else 0.001)
    elif isinstance(noeud, ast.Call) and getattr(noeud.func, "id", "") == "abs":
        yield "func", ast.Name("float", ast.Load())


def mutants(module: str):
    """Donne chaque mutant d’un module : son nom, et son code compilé."""
    fichier = Path(sys.modules[f"mlops_demo.{module}"].__file__)
    texte = fichier.read_text(encoding="utf-8")
    arbre, lignes = ast.parse(texte), texte.splitlines()
    mutes = [n for n in arbre.body if getattr(n, "name", "") in CIBLES[module][0]]
    for definition in mutes:
        # Les annotations ne s’exécutent pas.
        for rang, noeud in enumerate(ast.walk(definition)):
            for champ, valeur in _variantes(noeud):
                copie = copy.deepcopy(arbre)
                jumelle = copie.body[arbre.body.index(definition)]
                vise = next(n for i, n in enumerate(ast.walk(jumelle)) if i == rang)
                avant, ligne = ast.unparse(vise), lignes[vise.lineno - 1].strip()
                setattr(vise, champ, valeur)
                nom = f"{module}, {definition.name}, {ligne}, {avant} → {ast.unparse(vise)}"
                yield nom, compile(ast.fix_missing_locations(copie), str(fichier), "exec")


def rejouer(module: str, code: object) -> int:
    """Rejoue les tests du module dans un processus où il est remplacé par son mutant ; rend
    le numéro de ce processus.
    """
    enfant = os.fork()
    if not enfant:
        issue = 2
        try:
            puits = os.open(os.devnull, os.O_WRONLY)
            os.dup2(puits, 1)
            os.dup2(puits, 2)
            # Un module de test déjà lu garderait les fonctions d’avant la mutation.
            for nom, lu in list(sys.modules.items()):
                if Path(getattr(lu, "__file__", None) or "/").parent == ICI:
                    del sys.modules[nom]
            exec(code, sys.modules[f"mlops_demo.{module}"].__dict__)
            tests = [str(ICI / nom) for nom in CIBLES[module][1]]
            options = ["-x", "-q", "-p", "no:cacheprovider", "-p", "no:randomly", "--noconftest"]
            issue = int(pytest.main([*options, *tests]))
        finally:
            os._exit(issue)
    return enfant


def survivants(module: str, essais: list[tuple[str, object]]) -> list[str]:
    """Les noms de ceux qui passent les tests ; autant de processus à la fois que de cœurs."""
    en_cours, survivent = {}, []
    a_venir = iter(essais)
    while (suite := list(islice(a_venir, os.cpu_count() - len(en_cours)))) or en_cours:
        en_cours |= {rejouer(module, code): nom for nom, code in suite}
        fini, etat = os.wait()
        nom = en_cours.pop(fini)
        if os.waitstatus_to_exitcode(etat) == 0:
            survivent.append(nom)
    return survivent


@pytest.mark.mutants
@pytest.mark.parametrize("module", CIBLES)
def test_aucun_mutant_ne_survit(module):
    __import__(f"mlops_demo.{module}")
    sain = compile("", "sain", "exec")
    assert survivants(module, [("sain", sain)]), "les tests échouent déjà sans mutant"
    tous = list(mutants(module))
    survivent = survivants(module, [(nom, code) for nom, code in tous if nom not in EQUIVALENTS])
    print(f"{module} : {len(tous)} mutants, {len(survivent)} survivants")
    assert survivent == []
    assert len(tous) >= AU_MOINS.get(module, 10), "on ne mute presque plus rien"
