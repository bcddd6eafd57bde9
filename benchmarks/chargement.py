"""Charger les quatre tables dans Postgres : le projet contre ``pandas.to_sql``, côte à côte."""

import os
import statistics
import time
from typing import TYPE_CHECKING

from benchmarks.processus import a_part, memoire_mo, mesurer, secondes

if TYPE_CHECKING:
    import adbc_driver_postgresql.dbapi as adbc

PROJET = "le projet : COPY, contraintes, quarantaine"
COPIE = "COPY seul, tables sans contrainte"
NU = "to_sql par défaut, tables sans contrainte"
CONTRAINT = "to_sql, tables contraintes du projet"
A_CONTRAINTES_EGALES = {NU: COPIE, CONTRAINT: PROJET}


def tableau() -> tuple[str, list[str], list[list[str]]]:
    """Mesure chaque méthode, en alternant, et compare les médianes."""
    ordre = [PROJET, COPIE, NU, PROJET, COPIE, CONTRAINT, PROJET, COPIE]
    releves: dict[str, list[tuple[float, int]]] = {}
    with a_part() as gardien:  # le serveur embarqué vit autant que lui
        donnee = os.environ.get("DATABASE_URL")
        os.environ["DATABASE_URL"] = gardien.submit(adresse).result()
        try:
            for methode in ordre:
                releves.setdefault(methode, []).append(mesurer(charger, methode))
        finally:
            if donnee is None:
                del os.environ["DATABASE_URL"]
    medianes = {m: statistics.median(s for s, _ in r) for m, r in releves.items()}
    lignes = [
        [
            methode,
            str(len(releves[methode])),
            secondes(mediane),
            f"{max(memoire for _, memoire in releves[methode])} Mo",
            fois(mediane / medianes[PROJET]),
            fois(mediane / medianes[A_CONTRAINTES_EGALES.get(methode, methode)]),
        ]
        for methode, mediane in medianes.items()
    ]
    titre = "Charger les quatre tables dans Postgres (lecture des fichiers non comprise)"
    colonnes = ["méthode", "essais", "médiane", "mémoire", "/ projet", "/ COPY, mêmes contraintes"]
    return titre, colonnes, lignes


def fois(rapport: float) -> str:
    """Un rapport à la française."""
    return f"× {rapport:.1f}".replace(".", ",")


def adresse() -> str:
    """Adresse de la base, que ce processus fait vivre si elle est embarquée."""
    from mlops_demo import base

    return base.url()


def charger(methode: str) -> tuple[float, int]:
    """Charge les tables dans un schéma neuf, validation comprise, puis l’efface.

    Returns:
        La durée en secondes et la mémoire du processus en Mo.
    """
    from mlops_demo import base, donnees
    from mlops_demo.configuration import schema

    tables = donnees.lire_tables()
    with base.transaction():  # crée le schéma et ses tables de travail
        pass
    try:
        if methode in (PROJET, COPIE):
            debut = time.perf_counter()
            with base.transaction_en_bloc() as connexion:
                if methode == PROJET:
                    donnees.charger_tables(connexion, tables, "banc")
                else:
                    _copier(connexion, tables)
            duree = time.perf_counter() - debut
        else:
            duree = _to_sql(tables, methode == CONTRAINT)
        _verifier(tables, toutes=methode in (COPIE, NU))
        return duree, memoire_mo()
    finally:
        with base.transaction() as connexion:
            connexion.exec_driver_sql(f"DROP SCHEMA {schema()} CASCADE")


def _copier(connexion: "adbc.Connection", tables: dict) -> None:
    """Verse les tables par COPY, sans contrainte ni quarantaine."""
    from mlops_demo import base, contrat

    for nom, table in tables.items():
        base.executer(connexion, contrat.ddl_colonnes(nom))
        base.inserer(connexion, nom, table)


def _to_sql(tables: dict, contraintes: bool) -> float:
    """Charge par ``to_sql`` ; sous contraintes, sans les lignes que le contrat refuse."""
    from mlops_demo import base, contrat

    cadres = {nom: table.to_pandas() for nom, table in tables.items()}
    reglages = {}
    if contraintes:
        reglages = {"if_exists": "append", "index": False}
        limites = {
            "flights": ("distance", contrat.contrat("flights")["colonnes"]["distance"]),
            "weather": ("wind_speed", contrat.contrat("weather")["colonnes"]["wind_speed"]),
        }
        for nom, (colonne, bornes) in limites.items():
            hors = (cadres[nom][colonne] < bornes["min"]) | (cadres[nom][colonne] > bornes["max"])
            cadres[nom] = cadres[nom][~hors]
        with base.transaction_en_bloc() as connexion:
            for nom in cadres:
                for instruction in [contrat.ddl_colonnes(nom), *contrat.ddl_contraintes(nom)]:
                    base.executer(connexion, instruction)
    debut = time.perf_counter()
    for nom, cadre in cadres.items():
        cadre.to_sql(nom, base.moteur(), **reglages)
    return time.perf_counter() - debut


def _verifier(tables: dict, toutes: bool) -> None:
    """S’assure que chaque ligne est arrivée : toutes, ou toutes sauf deux non conformes."""
    from mlops_demo import base

    compte = " + ".join(f"(SELECT count(*) FROM {nom})" for nom in tables)
    chargees = int(base.lire(f"SELECT {compte} AS n")["n"].iloc[0])
    attendues = sum(table.num_rows for table in tables.values()) - (0 if toutes else 2)
    if chargees != attendues:
        raise RuntimeError(f"{chargees} lignes chargées au lieu de {attendues}")
