"""Les variables du modèle : ce que l’on sait d’un vol avant son départ."""

from pathlib import Path

import adbc_driver_postgresql.dbapi as adbc
import pandas as pd

from mlops_demo import base

RETARD_MIN = 15  # minutes : seuil du BTS, « en retard » à partir d’un quart d’heure
CATEGORIES = ["carrier", "origin", "dest"]
NOMBRES = [
    "sched_min",
    "dow",
    "distance",
    "plane_age",
    "seats",
    "temp",
    "dewp",
    "humid",
    "wind_dir",
    "wind_speed",
    "wind_gust",
    "precip",
    "pressure",
    "visib",
    "late_origin_d1",
    "late_carrier_d1",
]
FEATURES = CATEGORIES + NOMBRES
METEO_SAISON = ["temp", "dewp"]
LIBELLES = {
    "carrier": "compagnie",
    "origin": "départ de",
    "dest": "destination",
    "sched_min": "heure prévue",
    "dow": "jour de la semaine",
    "distance": "distance",
    "plane_age": "âge de l’avion",
    "seats": "nombre de sièges",
    "temp": "température",
    "dewp": "point de rosée",
    "humid": "humidité",
    "wind_dir": "direction du vent",
    "wind_speed": "vitesse du vent",
    "wind_gust": "rafales",
    "precip": "précipitations",
    "pressure": "pression",
    "visib": "visibilité",
    "late_origin_d1": "retards de la veille, aéroport",
    "late_carrier_d1": "retards de la veille, compagnie",
}


def libelle(colonne: str) -> str:
    """Nomme en français une variable, ou la colonne d’une catégorie : « dest_EYW »."""
    if colonne in LIBELLES:
        return LIBELLES[colonne]
    categorie, _, valeur = colonne.partition("_")
    return f"{LIBELLES[categorie]} {valeur}"


def requete() -> str:
    """Le SQL qui calcule les variables des vols."""
    return Path(__file__).with_name("features.sql").read_text(encoding="utf-8")


def construire(connexion: adbc.Connection) -> None:
    """Calcule les variables des vols (dans la transaction donnée).

    Celles qui existent sont comparées à un nouveau calcul : un lot arrivé en retard change aussi
    des vols déjà là, ceux du lendemain (la veille) ou de la même heure (la météo).
    """
    existe = base.lire("SELECT to_regclass('features') IS NOT NULL AS oui", connexion=connexion)
    if existe["oui"].iloc[0]:
        base.executer(connexion, f"CREATE TEMP TABLE recalcul ON COMMIT DROP AS {requete()}")
        base.executer(
            connexion,
            "DELETE FROM features AS f USING recalcul AS r"
            " WHERE r.flight_id = f.flight_id AND f IS DISTINCT FROM r",
        )
        base.executer(
            connexion,
            "INSERT INTO features SELECT r.* FROM recalcul AS r WHERE NOT EXISTS"
            " (SELECT 1 FROM features AS f WHERE f.flight_id = r.flight_id)",
        )
        return
    base.executer(connexion, f"CREATE TABLE features AS {requete()}")
    obligatoires = ["flight_date", *CATEGORIES]
    base.executer(
        connexion,
        "ALTER TABLE features ADD PRIMARY KEY (flight_id), "
        + ", ".join(f'ALTER "{c}" SET NOT NULL' for c in obligatoires),
    )
    base.executer(connexion, "ALTER TABLE features ADD FOREIGN KEY (flight_id) REFERENCES flights")
    base.executer(connexion, "CREATE INDEX ON features (flight_date)")
    base.executer(connexion, "ANALYZE features")


def exemples(debut: str, fin: str) -> pd.DataFrame:
    """Lit les vols d’une période, leurs variables et leur étiquette.

    Args:
        debut: premier jour compris (heure de New York), ``AAAA-MM-JJ``.
        fin: premier jour exclu.

    Returns:
        Une ligne par vol prévu : ``flight_id``, ``flight_date``, les variables ``FEATURES``
        (nombres en float64, NaN si inconnu) et ``late`` (1.0, 0.0, ou NaN tant que le retard
        n’est pas connu : vol annulé ou dérouté).
    """
    table = base.lire(
        f"SELECT x.*, (v.arr_delay >= {RETARD_MIN})::int::float8 AS late"
        " FROM features AS x JOIN flights AS v USING (flight_id)"
        " WHERE x.flight_date >= $1::date AND x.flight_date < $2::date ORDER BY flight_id",
        debut,
        fin,
    )
    table["flight_date"] = pd.to_datetime(table["flight_date"])
    return table


def etiquetes(exemples: pd.DataFrame) -> pd.DataFrame:
    """Garde les vols dont le retard est connu."""
    return exemples[exemples["late"].notna()]
