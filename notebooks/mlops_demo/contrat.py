"""Le contrat de données : ce qu’une table doit être, en SQL, lu dans ``contrat.yaml``."""

import functools
import hashlib
from pathlib import Path

import pyarrow as pa
import yaml

TABLES = ("airlines", "planes", "weather", "flights")
ARROW = {
    "smallint": pa.int16(),
    "double precision": pa.float64(),
    "text": pa.string(),
    "timestamptz": pa.timestamp("us", tz="UTC"),
}
# Colonnes calculées par Postgres, donc jamais en désaccord avec celles dont elles viennent.
COLONNES_CALCULEES = {
    "flights": [
        "flight_id bigint GENERATED ALWAYS AS IDENTITY",
        "flight_date date GENERATED ALWAYS AS"
        " (CAST(time_hour AT TIME ZONE 'America/New_York' AS date)) STORED",
    ]
}


@functools.cache
def _texte() -> str:
    return Path(__file__).with_name("contrat.yaml").read_text(encoding="utf-8")


@functools.cache
def contrat(table: str) -> dict:
    """Contrat d’une table, tel qu’écrit dans ``contrat.yaml``."""
    return yaml.safe_load(_texte())[table]


def empreinte() -> str:
    """SHA-256 du contrat : s’il change, les tables sont à refaire."""
    return hashlib.sha256((_texte() + repr(COLONNES_CALCULEES)).encode()).hexdigest()


def schema_arrow(table: str) -> pa.Schema:
    """Colonnes de la table et leurs types Arrow, dans l’ordre du contrat."""
    return pa.schema([(n, ARROW[c["type"]]) for n, c in contrat(table)["colonnes"].items()])


def connues_apres_depart() -> set[str]:
    """Colonnes de ``flights`` inconnues au moment de prédire : interdites au modèle."""
    return {n for n, c in contrat("flights")["colonnes"].items() if c.get("connu") == "après"}


def _valeur(valeur: object, type_sql: str) -> str:
    if type_sql in ("text", "timestamptz"):
        return "'" + str(valeur).replace("'", "''") + "'"
    return str(valeur)


def _domaine(nom: str, colonne: dict) -> dict[str, str]:
    """Règles de domaine d’une colonne : intitulé en français → prédicat SQL."""
    regles = {}
    type_sql, unite = colonne["type"], colonne.get("unite")
    suffixe = f" {unite}" if unite else ""
    if colonne.get("requis"):
        regles[f"{nom} manquant"] = f'"{nom}" IS NOT NULL'
    if "min" in colonne:
        bornes = [_valeur(colonne[b], type_sql) for b in ("min", "max")]
        intitule = f"{nom} hors de [{colonne['min']} ; {colonne['max']}]{suffixe}"
        regles[intitule] = f'"{nom}" BETWEEN {bornes[0]} AND {bornes[1]}'
    if "valeurs" in colonne:
        liste = ", ".join(_valeur(v, type_sql) for v in colonne["valeurs"])
        regles[f"{nom} hors de {', '.join(colonne['valeurs'])}"] = f'"{nom}" IN ({liste})'
    if "motif" in colonne:
        regles[f"{nom} mal formé"] = f'"{nom}" ~ {_valeur(colonne["motif"], "text")}'
    return regles


def regles(table: str) -> dict[str, str]:
    """Toutes les règles d’une ligne : intitulé en français → prédicat SQL.

    Une règle est enfreinte si son prédicat vaut faux ; NULL passe, comme pour un CHECK.
    """
    toutes: dict[str, str] = {}
    for nom, colonne in contrat(table)["colonnes"].items():
        toutes |= _domaine(nom, colonne)
    return toutes | contrat(table).get("regles", {})


def ddl_colonnes(table: str) -> str:
    """``CREATE TABLE`` sans contrainte, pour charger vite."""
    colonnes = [f'"{n}" {c["type"]}' for n, c in contrat(table)["colonnes"].items()]
    return f"CREATE TABLE {table} ({', '.join(colonnes + COLONNES_CALCULEES.get(table, []))})"


def ddl_contraintes(table: str) -> list[str]:
    """Clés, NOT NULL, CHECK et références, en un parcours de la table autant que possible."""
    description = contrat(table)
    cle = ", ".join(f'"{c}"' for c in description["cle"])
    ajouts, references = [], []
    for nom, colonne in description["colonnes"].items():
        if colonne.get("requis"):
            ajouts.append(f'ALTER "{nom}" SET NOT NULL')
        if "reference" in colonne:
            references.append(f'ADD FOREIGN KEY ("{nom}") REFERENCES {colonne["reference"]}')
    for intitule, predicat in regles(table).items():
        if not predicat.endswith("IS NOT NULL"):
            nom = intitule.encode()[:63].decode(errors="ignore")  # limite des noms Postgres
            ajouts.append(f'ADD CONSTRAINT "{nom}" CHECK ({predicat})')
    if table == "flights":
        ajouts.append("ADD PRIMARY KEY (flight_id)")
        ajouts.append(f"ADD UNIQUE ({cle})")
    else:
        ajouts.append(f"ADD PRIMARY KEY ({cle})")
    instructions = [f"ALTER TABLE {table} {', '.join(ajouts)}"]
    return instructions + [f"ALTER TABLE {table} {r}" for r in references]
