"""Charger les quatre tables dans Postgres : le projet contre ``pandas.to_sql``, côte à côte."""

import os
import statistics
import time

from benchmarks.processus import a_part, memoire_mo, mesurer, secondes

PROJET = "le projet (COPY, contraintes, quarantaine, une transaction)"
NU = "to_sql, ses réglages par défaut, tables sans contrainte"
CONTRAINT = "to_sql dans les tables contraintes du projet"


def tableau(complet: bool) -> tuple[str, list[str], list[list[str]]]:
    """Mesure chaque méthode, en alternant, et compare les médianes."""
    ordre = [PROJET, NU, PROJET, *([CONTRAINT] if complet else []), PROJET]
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
            f"× {mediane / medianes[PROJET]:.1f}".replace(".", ","),
        ]
        for methode, mediane in medianes.items()
    ]
    titre = "Charger les quatre tables dans Postgres (lecture des fichiers non comprise)"
    return titre, ["méthode", "essais", "médiane", "mémoire", "rapport"], lignes


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
        if methode == PROJET:
            debut = time.perf_counter()
            with base.transaction_en_bloc() as connexion:
                donnees.charger_tables(connexion, tables, "banc")
            duree = time.perf_counter() - debut
        else:
            duree = _to_sql(tables, methode == CONTRAINT)
        _verifier(tables, toutes=methode == NU)
        return duree, memoire_mo()
    finally:
        with base.transaction() as connexion:
            connexion.exec_driver_sql(f"DROP SCHEMA {schema()} CASCADE")


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
