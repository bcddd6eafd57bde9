"""Recevoir des données : vérifier, charger en une transaction, mettre à l’écart, refuser."""

import gzip
import hashlib
import io
import json
import re
import zlib
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

import adbc_driver_postgresql.dbapi as adbc
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import sqlalchemy as sa

from mlops_demo import base, contrat, features
from mlops_demo.configuration import ErreurUtilisateur, dossier_donnees, schema
from mlops_demo.textes import nombre

JOURS_D_UN_MOIS = 20  # en dessous, le contrat juge le lot avec ses bornes « court »
EXEMPLES_PAR_MOTIF = 3
LIGNES_D_UN_GROS_LOT = 100  # en dessous, une colonne toute vide peut être un hasard


@dataclass
class Bilan:
    """Ce qu’il est advenu d’un lot : accepté ou refusé, combien de lignes, et pourquoi."""

    table: str
    decision: str
    recues: int
    chargees: int = 0
    ecartees: int = 0
    deja_presentes: int = 0
    motifs: list[str] = field(default_factory=list)

    @property
    def accepte(self) -> bool:
        """Vrai si le lot a été accepté."""
        return self.decision == "accepté"


# --- Le chargement initial -----------------------------------------------------------------


def verifier_empreintes(dossier: Path | None = None) -> str:
    """Compare chaque fichier à ``SHA256SUMS``.

    Returns:
        L’empreinte de l’ensemble.

    Raises:
        ErreurUtilisateur: si un fichier ou son empreinte manque, ou s’il a changé d’un octet.
    """
    dossier = dossier or dossier_donnees()
    registre = dossier / "SHA256SUMS"
    if not registre.exists():
        raise ErreurUtilisateur(
            f"« {registre} » est introuvable : reprenez le dossier data/ du dépôt, ou corrigez "
            "la variable MLOPS_DONNEES."
        )
    for nom, attendue in _empreintes(registre).items():
        fichier = dossier / nom
        if not fichier.exists():
            raise ErreurUtilisateur(f"« {nom} » manque dans « {dossier} » : reprenez-le du dépôt.")
        if hashlib.sha256(fichier.read_bytes()).hexdigest() != attendue:
            raise ErreurUtilisateur(
                f"« {nom} » ne correspond pas à son empreinte SHA-256 : le fichier a été modifié "
                f"ou abîmé. Reprenez-le (« git checkout data/{nom} »). Rien n’a été chargé."
            )
    return hashlib.sha256(registre.read_bytes()).hexdigest()


def _empreintes(registre: Path) -> dict[str, str]:
    """L’empreinte attendue de chaque fichier ; il en faut une par table."""
    try:
        attendues = dict(
            reversed(ligne.split()) for ligne in registre.read_text(encoding="utf-8").splitlines()
        )
    except ValueError:  # ni deux mots par ligne, ni du texte
        attendues = {}
    sans = [nom for t in contrat.TABLES if (nom := f"{t}.parquet") not in attendues]
    if sans:
        raise ErreurUtilisateur(
            f"« {registre} » est abîmé : il ne dit pas l’empreinte de {', '.join(sans)}. "
            "Reprenez-le (« git checkout data/SHA256SUMS »). Rien n’a été chargé."
        )
    return attendues


def lire_tables(dossier: Path | None = None) -> dict[str, pa.Table]:
    """Lit les tables du dépôt, vérifiées, dans l’ordre de leurs références."""
    dossier = dossier or dossier_donnees()
    verifier_empreintes(dossier)
    return {
        nom: pq.read_table(dossier / f"{nom}.parquet", schema=contrat.schema_arrow(nom))
        for nom in contrat.TABLES
    }


def charger() -> list[Bilan]:
    """Charge les quatre tables du dépôt, en une transaction.

    Refaire l’appel ne change rien : si les mêmes données sont là, rien n’est relu. Si les
    données, le contrat ou les requêtes ont changé, l’ancien schéma est mis de côté (renommé),
    jamais effacé.

    Returns:
        Un bilan par table, dans l’ordre du contrat.

    Raises:
        ErreurUtilisateur: fichier abîmé, base injoignable.
    """
    versions = [verifier_empreintes(), contrat.empreinte(), base.tables_de_travail()]
    empreinte = hashlib.sha256("".join([*versions, features.requete()]).encode()).hexdigest()
    deja = _bilans_initiaux(empreinte)
    if deja:
        return deja
    _mettre_de_cote()
    with base.transaction_en_bloc() as connexion:
        base.executer(connexion, "SELECT pg_advisory_xact_lock(hashtext('chargement'))")
        charger_tables(connexion, lire_tables(), f"dépôt {empreinte}")
        features.construire(connexion)
    return _bilans_initiaux(empreinte)


def charger_tables(connexion: adbc.Connection, tables: dict[str, pa.Table], source: str) -> None:
    """Crée les tables, y verse les données, écarte les lignes non conformes, contraint.

    Les contraintes viennent après le COPY : les vérifier en bloc est bien plus rapide.
    """
    for nom, table in tables.items():
        base.executer(connexion, contrat.ddl_colonnes(nom))
        base.inserer(connexion, nom, table)
        numero = _inscrire(connexion, source, nom, table.num_rows)
        _ecarter(connexion, numero, nom)
        for instruction in contrat.ddl_contraintes(nom):
            base.executer(connexion, instruction)
        base.executer(
            connexion,
            f"UPDATE chargements SET lignes_chargees = (SELECT count(*) FROM {nom})"
            f" WHERE id = {numero}",
        )
        # Sans statistiques, Postgres choisirait des boucles imbriquées pour la suite.
        base.executer(connexion, f"ANALYZE {nom}")


def _inscrire(connexion: adbc.Connection, source: str, table: str, recues: int) -> int:
    """Ajoute une ligne à ``chargements`` et rend son numéro."""
    inscription = base.lire(
        "INSERT INTO chargements (source, table_cible, lignes_recues, lignes_chargees, decision,"
        " motifs) VALUES ($1, $2, $3, 0, 'accepté', '{}') RETURNING id",
        source,
        table,
        recues,
        connexion=connexion,
    )
    return int(inscription["id"].iloc[0])


def _motifs_sql(table: str) -> str:
    """Expression SQL : le tableau des règles qu’une ligne enfreint."""
    cas = [
        f"CASE WHEN NOT ({predicat}) THEN '{intitule.replace(chr(39), chr(39) * 2)}' END"
        for intitule, predicat in contrat.regles(table).items()
    ]
    return f"array_remove(ARRAY[{', '.join(cas)}], NULL)"


def _ecarter(connexion: adbc.Connection, chargement: int, table: str) -> None:
    """Déplace en quarantaine les lignes non conformes d’une table fraîchement remplie."""
    predicats = " OR ".join(f"NOT ({p})" for p in contrat.regles(table).values())
    fautives = base.lire(
        f"SELECT ctid::text AS repere FROM {table} WHERE {predicats}", connexion=connexion
    )
    if fautives.empty:
        return
    reperes = ", ".join(f"'{r}'::tid" for r in fautives["repere"])
    base.executer(
        connexion,
        "INSERT INTO quarantaine (chargement_id, ligne, table_cible, motifs, contenu)"
        f" SELECT {chargement}, (SELECT count(*) FROM {table} AS a WHERE a.ctid <= t.ctid),"
        f" '{table}', {_motifs_sql(table)}, {_contenu_sql(table)}"
        f" FROM {table} AS t WHERE ctid IN ({reperes})",
    )
    base.executer(connexion, f"DELETE FROM {table} WHERE ctid IN ({reperes})")


def _contenu_sql(table: str) -> str:
    """Expression SQL : la ligne telle que reçue, en JSON."""
    paires = ", ".join(f"'{c}', \"{c}\"" for c in contrat.contrat(table)["colonnes"])
    return f"jsonb_build_object({paires})"


def _bilans_initiaux(empreinte: str) -> list[Bilan]:
    lignes = base.lire(
        "SELECT table_cible, lignes_recues, lignes_chargees FROM chargements"
        " WHERE source = $1 ORDER BY id",
        f"dépôt {empreinte}",
    )
    return [
        Bilan(t, "accepté", int(recues), int(chargees), int(recues - chargees))
        for t, recues, chargees in lignes.itertuples(index=False)
    ]


def _mettre_de_cote() -> None:
    """Renomme le schéma s’il contient des données d’une autre version."""
    with base.transaction() as connexion:
        occupe = connexion.execute(sa.text("SELECT to_regclass('flights') IS NOT NULL"))
        if not occupe.scalar_one():
            return
        instant = connexion.execute(sa.text("SELECT to_char(now(), 'YYYYMMDD_HH24MISS')"))
        nom = f"{schema()}_archive_{instant.scalar_one()}"
        connexion.exec_driver_sql(f"ALTER SCHEMA {schema()} RENAME TO {nom}")
    base.oublier()


# --- Un lot reçu ensuite -------------------------------------------------------------------


def recevoir(lot: pd.DataFrame | Path | str, table: str = "flights") -> Bilan:
    """Juge un lot d’après le contrat, puis le charge en entier ou n’y touche pas.

    Le lot est refusé si sa forme n’est pas celle du contrat, ou si un indicateur sort de ses
    bornes. Accepté, ses lignes non conformes vont en quarantaine avec leurs motifs, celles
    déjà présentes à l’identique sont ignorées. Un refus est inscrit dans ``chargements``.

    Args:
        lot: un DataFrame, ou le chemin d’un fichier ``.parquet`` ou ``.csv`` (UTF-8), que
            gzip peut avoir compressé.
        table: la table visée.

    Returns:
        Le bilan, avec les motifs s’il est refusé.

    Raises:
        ErreurUtilisateur: table inconnue, fichier absent, base injoignable.
    """
    if table not in contrat.TABLES:
        raise ErreurUtilisateur(
            f"la table « {table} » n’est pas au contrat : choisissez {', '.join(contrat.TABLES)}."
        )
    charger()
    try:
        recu = lot if isinstance(lot, pd.DataFrame) else lire_fichier(Path(lot))
        lignes, lectures = typer(recu, table)
    except LotIllisible as erreur:
        recues = len(lot) if isinstance(lot, pd.DataFrame) else 0
        return _refuser(table, recues, [str(erreur)])
    with base.transaction_en_bloc() as connexion:
        base.executer(connexion, "SELECT pg_advisory_xact_lock(hashtext('chargement'))")
        _deposer(connexion, table, lignes, lectures)
        motifs = _motifs_du_lot(connexion, table)
        if not motifs:
            return _accepter(connexion, table, lignes.num_rows)
    return _refuser(table, lignes.num_rows, motifs)


class LotIllisible(Exception):
    """Le lot n’a pas la forme du contrat : rien n’en est lisible sans risque."""


def lire_fichier(chemin: Path) -> pd.DataFrame:
    """Lit un fichier Parquet ou CSV, sans deviner de valeurs manquantes au-delà du vide.

    L’extension peut être en capitales, et le fichier compressé par gzip.

    Raises:
        ErreurUtilisateur: fichier absent.
        LotIllisible: format ou encodage illisible.
    """
    try:
        present = chemin.is_file()
    except OSError:  # un nom trop long, par exemple
        present = False
    if not present:
        raise ErreurUtilisateur(f"le fichier « {chemin} » n’existe pas : vérifiez son chemin.")
    extensions = [e.lower() for e in chemin.suffixes]
    comprime = extensions[-1:] == [".gz"]
    extension = "".join(extensions[-2:-1] if comprime else extensions[-1:])
    try:
        if extension == ".parquet":
            table = pq.read_table(io.BytesIO(_octets(chemin)) if comprime else chemin)
            table.validate(full=True)  # d’un fichier abîmé, des textes ne seraient pas de l’UTF-8
            return table.to_pandas()
        if extension == ".csv":
            return _lire_csv(_octets(chemin))
    except (ValueError, OSError, EOFError, zlib.error, pa.ArrowException) as erreur:
        raise LotIllisible(f"fichier illisible : {erreur}") from erreur
    raise LotIllisible(
        f"format « {chemin.suffix} » inconnu : envoyez du .parquet ou du .csv, au besoin compressé "
        "par gzip (.gz)"
    )


def _octets(chemin: Path) -> bytes:
    """Le contenu d’un fichier, décompressé s’il l’est par gzip, quel que soit son nom."""
    octets = chemin.read_bytes()
    return gzip.decompress(octets) if octets.startswith(b"\x1f\x8b") else octets


def _lire_csv(octets: bytes) -> pd.DataFrame:
    """Lit du CSV tel que l’écrivent les tableurs d’ici et d’ailleurs : BOM, « ; », tabulations.

    Une virgule décimale n’est lue que si elle ne sépare pas : entre guillemets, dans un fichier à
    virgules, « 1,234 » pourrait être mille deux cent trente-quatre.
    """
    if octets.startswith((b"PK", b"PAR1", b"\xd0\xcf")):
        raise LotIllisible(
            "ce fichier n’est pas du CSV (un classeur ou une archive, d’après ses premiers "
            "octets) : enregistrez-le en « CSV UTF-8 »"
        )
    try:
        texte = octets.decode("utf-8-sig")
    except UnicodeDecodeError as erreur:
        utf16 = octets.startswith((b"\xff\xfe", b"\xfe\xff"))
        raise LotIllisible(
            f"fichier illisible : il n’est pas encodé en UTF-8{', mais en UTF-16' * utf16} ; "
            "enregistrez-le en « CSV UTF-8 »"
        ) from erreur
    if annonce := re.match(r"sep=(.)\r?\n", texte):  # Excel l’écrit parfois avant l’en-tête
        texte = texte[annonce.end() :]
    entete = texte.partition("\n")[0]
    separateur = annonce[1] if annonce else max(",;\t|", key=entete.count)
    lu = pd.read_csv(
        io.StringIO(texte), sep=separateur, keep_default_na=False, na_values=[""], dtype=str
    )
    if separateur == ";":
        lu = lu.replace(r"^([+-]?\d+),(\d+)$", r"\1.\2", regex=True)
    return lu


def typer(recu: pd.DataFrame, table: str) -> tuple[pa.Table, dict[int, list[str]]]:
    """Donne aux colonnes les types du contrat.

    Returns:
        La table typée, où une valeur illisible est remplacée par NULL, et les motifs de
        lecture de chaque ligne concernée (comptée à partir de 1).

    Raises:
        LotIllisible: lot vide, colonne absente, en double ou inconnue, date sans fuseau.
    """
    attendues = contrat.schema_arrow(table)
    if recu.empty:
        raise LotIllisible("lot vide : aucune ligne")
    noms = [str(c) for c in recu.columns]
    doublons = sorted({n for n in noms if noms.count(n) > 1})
    manquantes = [n for n in attendues.names if n not in noms]
    inconnues = [n for n in noms if n not in attendues.names]
    for intitule, liste in (
        ("colonnes absentes", manquantes),
        ("colonnes inconnues du contrat", inconnues),
        ("colonnes en double", doublons),
    ):
        if liste:
            raise LotIllisible(f"{intitule} : {', '.join(liste)}")
    lectures: dict[int, list[str]] = {}
    colonnes = []
    for champ in attendues:
        valeurs, illisibles = _convertir(recu[champ.name].reset_index(drop=True), champ)
        colonnes.append(valeurs)
        for position in np.flatnonzero(illisibles):
            brut = str(recu[champ.name].iloc[position])[:40]
            lectures.setdefault(int(position) + 1, []).append(f"{champ.name} illisible : {brut!r}")
    return pa.table(colonnes, schema=attendues), lectures


def _convertir(serie: pd.Series, champ: pa.Field) -> tuple[pa.Array, np.ndarray]:
    """Convertit une colonne ; rend aussi le masque des valeurs illisibles."""
    absentes = serie.isna().to_numpy()
    if pa.types.is_timestamp(champ.type):
        if isinstance(serie.dtype, pd.DatetimeTZDtype):
            instants = serie.astype("datetime64[us, UTC]")
            return pa.array(instants, champ.type, from_pandas=True), np.zeros(len(serie), bool)
        if isinstance(serie.dtype, np.dtype) and serie.dtype.kind == "M":
            raise LotIllisible(f"{champ.name} est sans fuseau horaire : donnez de l’UTC")
        textes = serie.astype("str")
        sans_fuseau = ~absentes & ~textes.str.contains(r"(?:Z|[+-]\d\d:?\d\d)$").to_numpy(bool)
        instants = pd.to_datetime(textes.where(~absentes), utc=True, errors="coerce")
        illisibles = (instants.isna().to_numpy() | sans_fuseau) & ~absentes
        microsecondes = instants.mask(illisibles).astype("datetime64[us, UTC]")
        return pa.array(microsecondes, type=champ.type, from_pandas=True), illisibles
    if pa.types.is_string(champ.type):
        est_texte = serie.map(lambda v: isinstance(v, str) and "\x00" not in v, na_action=None)
        illisibles = ~est_texte.to_numpy(bool) & ~absentes
        propres = [
            None if i or a else v for v, i, a in zip(serie, illisibles, absentes, strict=True)
        ]
        return pa.array(propres, type=champ.type), illisibles
    nombres = pd.to_numeric(serie, errors="coerce").astype("float64").to_numpy(na_value=np.nan)
    lisibles = np.isfinite(nombres)
    if pa.types.is_integer(champ.type):
        lisibles &= (nombres == np.round(nombres)) & (np.abs(nombres) < 2**15)
    illisibles = ~lisibles & ~absentes
    propres = pd.array(np.where(lisibles, nombres, np.nan), dtype="Float64")
    return pa.array(propres, from_pandas=True).cast(champ.type), illisibles


def _deposer(
    connexion: adbc.Connection, table: str, lignes: pa.Table, lectures: dict[int, list[str]]
) -> None:
    """Verse le lot dans une table temporaire et y calcule les motifs de chaque ligne."""
    rangs = range(1, lignes.num_rows + 1)
    lus = [json.dumps(lectures[i], ensure_ascii=False) if i in lectures else "[]" for i in rangs]
    lignes = lignes.append_column("ligne", pa.array(rangs, pa.int32()))
    lignes = lignes.append_column("lectures", pa.array(lus, pa.string()))
    ddl = contrat.ddl_colonnes(table).replace(f"TABLE {table} (", "TEMP TABLE reception (", 1)
    ddl = ddl.replace("bigint GENERATED ALWAYS AS IDENTITY", "bigint")
    base.executer(connexion, "DROP TABLE IF EXISTS pg_temp.reception")
    base.executer(connexion, ddl[:-1] + ", ligne integer, lectures text) ON COMMIT DROP")
    base.inserer(connexion, "reception", lignes, temporary=True)
    cle = ", ".join(contrat.contrat(table)["cle"])
    base.executer(
        connexion,
        f"""
        CREATE TEMP TABLE jugement ON COMMIT DROP AS
        SELECT *, false AS deja, row_number() OVER (PARTITION BY {cle} ORDER BY ligne) AS rang,
            ARRAY(SELECT json_array_elements_text(lectures::json)) || {_motifs_sql(table)} AS motifs
        FROM reception
        """,
    )
    base.executer(connexion, "ANALYZE jugement")
    for motif, ou in _motifs_de_contexte(table).items():
        base.executer(connexion, f"UPDATE jugement SET motifs = motifs || '{motif}'::text {ou}")
    memes_cles = " AND ".join(f"p.{c} = jugement.{c}" for c in contrat.contrat(table)["cle"])
    identique = " AND ".join(
        f'p."{c}" IS NOT DISTINCT FROM jugement."{c}"' for c in contrat.contrat(table)["colonnes"]
    )
    base.executer(
        connexion,
        f"UPDATE jugement SET deja = ({identique}), motifs = CASE WHEN {identique} THEN motifs"
        f" ELSE motifs || 'déjà chargé avec d’autres valeurs'::text END"
        f" FROM {table} AS p WHERE {memes_cles}",
    )


def _motifs_de_contexte(table: str) -> dict[str, str]:
    """Motifs qui demandent de regarder ailleurs que dans la ligne : intitulé → clause SQL."""
    motifs = {"clé en double dans le lot": "WHERE rang > 1"}
    for nom, colonne in contrat.contrat(table)["colonnes"].items():
        if "reference" in colonne:
            reference = colonne["reference"]
            motifs[f"{nom} inconnu de {reference}"] = (
                f"WHERE {nom} NOT IN (SELECT {nom} FROM {reference})"
            )
    if table == "flights":
        motifs["distance différente de celle connue pour cette liaison"] = (
            "FROM (SELECT origin, dest, min(distance) - 2 AS mini, max(distance) + 2 AS maxi"
            " FROM flights GROUP BY 1, 2) AS connue WHERE connue.origin = jugement.origin"
            " AND connue.dest = jugement.dest AND distance NOT BETWEEN mini AND maxi"
        )
    return motifs


def _indicateurs(connexion: adbc.Connection, table: str) -> dict[str, float]:
    """Indicateurs du lot, comparés aux bornes du contrat."""
    lot = base.lire(
        "SELECT avg((cardinality(motifs) > 0)::int)::float8 AS ecartees FROM jugement",
        connexion=connexion,
    ).iloc[0]
    indicateurs = {"part de lignes écartées": lot["ecartees"]}
    if table == "weather":
        return indicateurs | _indicateurs_de_la_meteo(connexion)
    if table != "flights":
        return indicateurs
    vols = base.lire(
        """
        SELECT count(DISTINCT flight_date)::int AS jours,
            avg((arr_delay IS NULL)::int)::float8 AS "part de vols sans retard connu",
            avg((arr_delay >= 15)::int)::float8 AS "part de vols en retard",
            percentile_cont(0.5) WITHIN GROUP (ORDER BY distance * 60.0 / nullif(air_time, 0))
                AS "vitesse médiane",
            avg((tailnum NOT IN (SELECT tailnum FROM planes))::int)::float8
                AS "part d’immatriculations hors registre"
        FROM jugement
        """,
        connexion=connexion,
    ).iloc[0]
    par_jour = base.lire(
        """
        SELECT min(n)::float8 AS mini, max(n)::float8 AS maxi FROM (
            SELECT flight_date, count(*) AS n FROM (
                SELECT flight_date, time_hour, carrier, flight FROM flights
                WHERE flight_date IN (SELECT flight_date FROM jugement)
                UNION SELECT flight_date, time_hour, carrier, flight FROM jugement) AS tous
            WHERE flight_date IS NOT NULL GROUP BY 1) AS jours
        """,
        connexion=connexion,
    ).iloc[0]
    indicateurs |= vols.to_dict()
    return indicateurs | {"vols par jour": (par_jour["mini"], par_jour["maxi"])}


def _indicateurs_de_la_meteo(connexion: adbc.Connection) -> dict[str, float]:
    """Ce qui trahit une unité ou un fuseau qui n’est pas celui du contrat."""
    releves = base.lire(
        """
        SELECT count(DISTINCT (time_hour AT TIME ZONE 'America/New_York')::date)::int AS jours,
            percentile_cont(0.5) WITHIN GROUP (ORDER BY temp) AS "température médiane",
            percentile_cont(0.5) WITHIN GROUP (ORDER BY wind_speed) AS "vent médian",
            avg(precip)::float8 AS "précipitations moyennes",
            (SELECT extract(hour FROM time_hour AT TIME ZONE 'UTC')::float8 FROM jugement
                GROUP BY 1 ORDER BY avg(temp) DESC NULLS LAST LIMIT 1) AS "heure la plus chaude"
        FROM jugement
        """,
        connexion=connexion,
    ).iloc[0]
    return releves.to_dict()


def _court(valeur: float) -> str:
    """Trois chiffres significatifs, virgule décimale."""
    return f"{valeur:.3g}".replace(".", ",") if np.isfinite(valeur) else "inconnu"


def hors_bornes(indicateurs: dict[str, float], table: str) -> list[str]:
    """Donne les indicateurs d’un lot hors des bornes que le contrat donne à sa durée.

    Args:
        indicateurs: une valeur par borne du contrat, ou deux, la plus petite et la plus grande ;
            ``jours``, s’il y est, est la durée du lot.
        table: table du contrat ; sans bornes à elle, celle des lignes écartées s’applique.
    """
    duree = "mois" if indicateurs.get("jours", 0) >= JOURS_D_UN_MOIS else "court"
    bornes_du_lot = contrat.contrat(table).get("lot") or {
        "part de lignes écartées": contrat.contrat("flights")["lot"]["part de lignes écartées"]
    }
    refus = []
    for nom, bornes in bornes_du_lot.items():
        if duree not in bornes:
            continue
        mini, maxi = bornes[duree]
        valeurs = np.atleast_1d(np.asarray(indicateurs[nom], dtype=float))
        if not ((valeurs >= mini) & (valeurs <= maxi)).all():
            unite = f" {bornes['unite']}" if "unite" in bornes else ""
            ecrites = " à ".join(_court(v) for v in valeurs)
            attendu = f"attendu entre {_court(mini)} et {_court(maxi)}"
            refus.append(f"{nom} : {ecrites}{unite}, {attendu}")
    return refus


def _motifs_du_lot(connexion: adbc.Connection, table: str) -> list[str]:
    """Motifs de refus du lot entier ; liste vide s’il est acceptable."""
    refus = hors_bornes(_indicateurs(connexion, table), table)
    refus += _colonnes_vides(connexion, table)
    if not refus:
        return []
    return refus + _motifs_de_ligne(connexion)


def _colonnes_vides(connexion: adbc.Connection, table: str) -> list[str]:
    """Les colonnes dont un lot assez gros n’a aucune valeur, alors que la table en a."""
    noms = contrat.contrat(table)["colonnes"]
    compter = ", ".join(f'count("{c}") AS "{c}"' for c in noms)

    def valeurs(source: str) -> pd.Series:
        sql = f"SELECT count(*) AS lignes, {compter} FROM {source}"
        return base.lire(sql, connexion=connexion).iloc[0]

    lot = valeurs("jugement")
    vides = [c for c in noms if lot[c] == 0]
    if not vides or lot["lignes"] < LIGNES_D_UN_GROS_LOT:
        return []
    deja = valeurs(table)
    return [f"{c} : aucune valeur dans tout le lot" for c in vides if deja[c]]


def _motifs_de_ligne(connexion: adbc.Connection) -> list[str]:
    """Les règles enfreintes, les plus fréquentes d’abord, avec des numéros de ligne."""
    compte = base.lire(
        "SELECT regexp_replace(m, ' illisible : .*', ' illisible') AS motif, count(*) AS n,"
        f" string_agg(ligne::text, ', ') FILTER (WHERE rang <= {EXEMPLES_PAR_MOTIF}) AS lignes"
        " FROM (SELECT ligne, m, row_number() OVER (PARTITION BY"
        "   regexp_replace(m, ' illisible : .*', ' illisible') ORDER BY ligne) AS rang"
        "   FROM jugement, unnest(motifs) AS m) AS motifs GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 20",
        connexion=connexion,
    )
    return [
        f"{motif} : {nombre(n, 0)} ligne{'s' if n > 1 else ''} (par exemple {lignes})"
        for motif, n, lignes in compte.itertuples(index=False)
    ]


def _accepter(connexion: adbc.Connection, table: str, recues: int) -> Bilan:
    """Charge les lignes conformes et nouvelles, écarte les autres."""
    numero = _inscrire(connexion, f"lot {table}", table, recues)
    colonnes = ", ".join(f'"{c}"' for c in contrat.contrat(table)["colonnes"])
    base.executer(
        connexion,
        "INSERT INTO quarantaine (chargement_id, ligne, table_cible, motifs, contenu)"
        f" SELECT {numero}, ligne, '{table}', motifs, {_contenu_sql(table)}"
        " FROM jugement WHERE cardinality(motifs) > 0",
    )
    base.executer(
        connexion,
        f"INSERT INTO {table} ({colonnes}) SELECT {colonnes} FROM jugement"
        " WHERE cardinality(motifs) = 0 AND NOT deja ORDER BY ligne",
    )
    compte = base.lire(
        "SELECT count(*) FILTER (WHERE cardinality(motifs) > 0)::int AS ecartees,"
        " count(*) FILTER (WHERE cardinality(motifs) = 0 AND deja)::int AS deja FROM jugement",
        connexion=connexion,
    ).iloc[0]
    ecartees, deja = int(compte["ecartees"]), int(compte["deja"])
    chargees = recues - ecartees - deja
    base.executer(
        connexion, f"UPDATE chargements SET lignes_chargees = {chargees} WHERE id = {numero}"
    )
    if chargees:
        features.construire(connexion)
    motifs = _motifs_de_ligne(connexion)
    return Bilan(table, "accepté", recues, chargees, ecartees, deja, motifs)


def _refuser(table: str, recues: int, motifs: list[str]) -> Bilan:
    with base.transaction() as connexion:
        connexion.execute(
            sa.text(
                "INSERT INTO chargements (source, table_cible, lignes_recues, lignes_chargees,"
                " decision, motifs) VALUES (:source, :table, :recues, 0, 'refusé', :motifs)"
            ),
            {"source": f"lot {table}", "table": table, "recues": recues, "motifs": motifs},
        )
    return Bilan(table, "refusé", recues, ecartees=recues, motifs=motifs)


def retrouver(compagnie: str, numero: int, jour: str) -> int:
    """Identifiant d’un vol ; à défaut de celui-ci, du premier vol de ce jour.

    Args:
        compagnie: son code à deux caractères, « AA ».
        numero: le numéro du vol, 701.
        jour: jour de départ prévu, « 2013-07-15 ».

    Raises:
        ErreurUtilisateur: si le jour ne se lit pas, ou si aucun vol de ce jour n’est chargé.
    """
    try:
        date.fromisoformat(jour)
    except ValueError as erreur:
        raise ErreurUtilisateur(
            f"« {jour} » n’est pas un jour : écrivez-le comme « 2013-07-15 »."
        ) from erreur
    vols = base.lire(
        "SELECT flight_id FROM flights WHERE flight_date = $1::date"
        " ORDER BY (carrier = $2 AND flight = $3) DESC, flight_id LIMIT 1",
        jour,
        compagnie,
        numero,
    )
    if vols.empty:
        raise ErreurUtilisateur(
            f"aucun vol n’est chargé pour le {jour} : donnez un autre jour, ou chargez celui-là "
            "(notebook 41)."
        )
    return int(vols["flight_id"].iloc[0])
