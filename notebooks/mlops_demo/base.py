"""Accès à Postgres : connexions, schémas, lecture et écriture en bloc."""

import functools
import importlib.util
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path

import adbc_driver_postgresql.dbapi as adbc
import pandas as pd
import pyarrow as pa
import sqlalchemy as sa

from mlops_demo import postgres
from mlops_demo.configuration import ErreurUtilisateur, schema, serveur_mlflow, utilisateur

SCHEMA_MLFLOW = "mlflow"
# Une machine éteinte net ne ferme pas ses connexions : sans cela, on l’attendrait deux heures.
VIVACITE = {"keepalives_idle": "10", "keepalives_interval": "5", "keepalives_count": "2"}
VIVACITE |= {"tcp_user_timeout": "20000"}
REPARTITEUR = (
    "l’adresse {adresse} mène à un répartiteur de connexions (PgBouncer, par exemple), qui ne "
    "laisse pas choisir le schéma : donnez dans DATABASE_URL l’adresse directe de Postgres."
)
MLFLOW_D_UNE_AUTRE_VERSION = (
    "les tables de MLflow, dans le schéma « {schema} » de la base, sont d’une version plus {age} "
    "que MLflow {installe} (révision {revision}) : rien n’a changé. {remede}, ou donnez une autre "
    "base."
)
SANS_PLACE = (
    "la base n’a plus de place sur son disque : rien n’a été gardé de ce qui était commencé, le "
    "reste est intact. Libérez de la place, puis relancez l’étape."
)
SANS_DROIT = (
    "le compte de DATABASE_URL n’a pas les droits qu’il faut dans la base ({cause}) : rien n’a "
    "changé. Demandez-les à l’administrateur, puis relancez l’étape."
)
LECTURE_SEULE = (
    "la base n’accepte que la lecture : rien n’a changé. Donnez dans DATABASE_URL un serveur et un "
    "compte qui peuvent écrire, puis relancez l’étape."
)


@functools.cache
def url() -> str:
    """Adresse de la base : ``DATABASE_URL`` si elle est donnée, sinon le serveur embarqué.

    Une adresse sans mot de passe prend celui du fichier ``DATABASE_PASSWORD_FILE`` (un secret
    Docker ou Kubernetes), pour qu’il n’apparaisse dans aucun environnement de conteneur.

    Raises:
        ErreurUtilisateur: si ``DATABASE_URL`` n’est pas une adresse Postgres, ou si le fichier
            du mot de passe ne se lit pas.
    """
    donnee = os.environ.get("DATABASE_URL")
    if not donnee:
        return postgres.ouvrir()
    try:
        adresse = sa.make_url(donnee)
    except (sa.exc.ArgumentError, ValueError):
        adresse = None
    if adresse is None or adresse.get_backend_name() not in ("postgresql", "postgres"):
        raise ErreurUtilisateur(
            "DATABASE_URL doit être une adresse Postgres, de la forme "
            "« postgresql://nom:mot-de-passe@hote:5432/base », ou absente : la base est alors "
            "embarquée."
        )
    adresse = adresse.set(drivername="postgresql+psycopg")
    if not adresse.password and (fichier := os.environ.get("DATABASE_PASSWORD_FILE")):
        adresse = adresse.set(password=_mot_de_passe(fichier))
    return en_texte(adresse)


def en_texte(adresse: sa.URL) -> str:
    """Écrit une adresse, mot de passe compris, comme libpq la lit.

    Dans les options, SQLAlchemy écrit « + » une espace ; libpq n’y voit qu’un plus.
    """
    serveur, separateur, options = adresse.render_as_string(hide_password=False).partition("?")
    return serveur + separateur + options.replace("+", "%20")


def _mot_de_passe(fichier: str) -> str:
    try:
        mot_de_passe = Path(fichier).read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as erreur:
        raise ErreurUtilisateur(
            f"le mot de passe de la base ne se lit pas dans « {fichier} » ({erreur}) : corrigez "
            "DATABASE_PASSWORD_FILE."
        ) from erreur
    if not mot_de_passe:
        raise ErreurUtilisateur(
            f"« {fichier} » est vide : écrivez-y le mot de passe de la base, ou corrigez "
            "DATABASE_PASSWORD_FILE."
        )
    return mot_de_passe


def url_avec_schema(nom: str) -> sa.URL:
    """Adresse de la base, tables cherchées dans le schéma donné."""
    adresse = sa.make_url(url())
    options = " ".join([*adresse.normalized_query.get("options", ()), f"-csearch_path={nom}"])
    return adresse.update_query_dict(VIVACITE | {"options": options})


@functools.cache
def moteur() -> sa.Engine:
    """Moteur SQLAlchemy dont le ``search_path`` est le schéma de l’utilisateur."""
    return sa.create_engine(url_avec_schema(schema()), pool_pre_ping=True)


@functools.cache
def _source_en_bloc() -> adbc.Connection:
    """Connexion ADBC à cloner : en ouvrir une autre relirait tous les types de Postgres."""
    adresse = url_avec_schema(schema()).set(drivername="postgresql")
    return adbc.connect(en_texte(adresse), autocommit=True)


def oublier() -> None:
    """Ferme les connexions et oublie l’adresse (fin de séance, changement de base)."""
    if moteur.cache_info().currsize:
        moteur().dispose()
    moteur.cache_clear()
    if _source_en_bloc.cache_info().currsize:
        _source_en_bloc().close()
    _source_en_bloc.cache_clear()
    url.cache_clear()
    _preparee.cache_clear()


@contextmanager
def transaction() -> Iterator[sa.Connection]:
    """Connexion SQLAlchemy dans une transaction, sur la base préparée.

    Raises:
        ErreurUtilisateur: si la base ne répond pas, n’a plus de place ou refuse ce compte.
    """
    _preparee()
    with _connexion() as connexion, connexion.begin():
        yield connexion


@contextmanager
def _connexion() -> Iterator[sa.Connection]:
    try:
        connexion = moteur().connect()
    except (sa.exc.OperationalError, sa.exc.ProgrammingError) as erreur:  # option inconnue
        raise _injoignable(erreur.orig) from erreur
    with connexion:
        try:
            yield connexion
        except sa.exc.DBAPIError as erreur:
            if motif := _motif(erreur.orig):
                raise ErreurUtilisateur(motif) from erreur
            raise


def _injoignable(reponse: BaseException) -> ErreurUtilisateur:
    if "unsupported startup parameter" in str(reponse):
        return ErreurUtilisateur(_par_repartiteur())
    return ErreurUtilisateur(
        f"la base {sa.make_url(url()).render_as_string()} ne répond pas. Vérifiez qu’elle est "
        "lancée et que DATABASE_URL est juste, ou retirez cette variable pour la base embarquée. "
        f"Réponse : {str(reponse).strip()}"
    )


def _par_repartiteur() -> str:
    return REPARTITEUR.format(adresse=sa.make_url(url()).render_as_string())


@contextmanager
def transaction_en_bloc() -> Iterator[adbc.Connection]:
    """Connexion ADBC (COPY binaire) dans une transaction : validée en entier, ou pas du tout.

    Raises:
        ErreurUtilisateur: si la base ne répond pas, s’arrête en route, n’a plus de place ou
            refuse ce compte.
    """
    _preparee()
    try:
        connexion = _source_en_bloc().adbc_clone()
    except adbc.OperationalError as erreur:
        raise _injoignable(erreur) from erreur
    with connexion:
        try:
            yield connexion
            connexion.commit()
        except BaseException as erreur:
            try:
                connexion.rollback()
            except adbc.Error:
                raise ErreurUtilisateur(
                    "la base s’est arrêtée en cours de route : ce qui était commencé est annulé, "
                    "le reste est intact. Relancez-la, puis la même étape."
                ) from erreur
            if motif := _motif(erreur):
                raise ErreurUtilisateur(motif) from erreur
            raise


def _motif(erreur: BaseException) -> str | None:
    """Ce que dit à l’utilisateur un refus de Postgres qu’il peut lever, ou rien."""
    code = getattr(erreur, "sqlstate", "")  # ADBC et psycopg le nomment ainsi
    if code == "53100" or "Check free disk space" in str(erreur):  # ou limite de taille
        return SANS_PLACE
    if code == "42501":
        return SANS_DROIT.format(cause=str(erreur).splitlines()[0])
    return LECTURE_SEULE if code == "25006" else None


def executer(connexion: adbc.Connection, sql: str) -> None:
    """Exécute une instruction SQL sans résultat."""
    with connexion.cursor() as curseur:
        curseur.execute(sql)


def inserer(connexion: adbc.Connection, nom: str, table: pa.Table, **options: bool) -> None:
    """Ajoute une table Arrow à une table Postgres existante, par COPY."""
    with connexion.cursor() as curseur:
        curseur.adbc_ingest(nom, table, mode="append", **options)


def lire(sql: str, *parametres: object, connexion: adbc.Connection | None = None) -> pd.DataFrame:
    """Lit le résultat d’une requête (paramètres ``$1``, ``$2``…) dans un DataFrame."""
    if connexion is None:
        with transaction_en_bloc() as nouvelle:
            return lire(sql, *parametres, connexion=nouvelle)
    with connexion.cursor() as curseur:
        curseur.execute(sql, parametres or None)
        return curseur.fetch_arrow_table().to_pandas()


def tables_de_travail() -> str:
    """Le SQL des tables de travail."""
    return Path(__file__).with_name("schema.sql").read_text(encoding="utf-8")


@functools.cache
def _preparee() -> None:
    """Crée, s’ils manquent, le schéma de l’utilisateur et ses tables de travail.

    Le verrou fait attendre un second processus qui arriverait en même temps.
    """
    nom = schema()
    with _connexion() as connexion, connexion.begin():
        # Un répartiteur réglé pour ignorer ce paramètre nous ferait écrire chez un autre.
        vu = connexion.execute(sa.text("SELECT current_setting('search_path')")).scalar_one()
        if vu != nom:
            raise ErreurUtilisateur(_par_repartiteur())
        connexion.execute(sa.text("SELECT pg_advisory_xact_lock(hashtext('mlops_demo'))"))
        # Un administrateur a pu créer le schéma de qui n’a pas le droit d’en créer.
        if not connexion.execute(
            sa.text("SELECT to_regnamespace(:nom) IS NOT NULL"), {"nom": nom}
        ).scalar_one():
            _creer_schema(connexion, nom)
        elif _existe(connexion, nom, "journal"):
            _completer(connexion, nom)
            return
        connexion.connection.driver_connection.execute(tables_de_travail())


def _completer(connexion: sa.Connection, nom: str) -> None:
    """Ajoute au journal d’une version antérieure du projet la colonne qui lui manque."""
    colonne = {"table": f"{nom}.journal"}
    connue = sa.text(
        "SELECT EXISTS (SELECT FROM pg_attribute WHERE attrelid = CAST(:table AS regclass)"
        " AND attname = 'empreinte')"
    )
    if not connexion.execute(connue, colonne).scalar_one():
        connexion.exec_driver_sql(
            "ALTER TABLE journal ADD COLUMN empreinte text CHECK (empreinte ~ '^[0-9a-f]{64}$')"
        )


def _creer_schema(connexion: sa.Connection, nom: str) -> None:
    try:
        connexion.execute(sa.text(f"CREATE SCHEMA {nom}"))
    except sa.exc.ProgrammingError as erreur:
        raise ErreurUtilisateur(
            f"le compte {sa.make_url(url()).username} ne peut pas créer le schéma « {nom} » : "
            "demandez à l’administrateur « GRANT CREATE ON DATABASE »."
        ) from erreur


def _existe(connexion: sa.Connection, nom_schema: str, table: str) -> bool:
    return connexion.execute(
        sa.text("SELECT to_regclass(:nom) IS NOT NULL"), {"nom": f"{nom_schema}.{table}"}
    ).scalar_one()


def preparer() -> None:
    """Prépare la base : schéma de l’utilisateur, et celui de MLflow, créé une seule fois.

    Huit processus qui créeraient ensemble les tables de MLflow se gêneraient : un verrou
    consultatif les fait passer un par un. Un serveur MLflow crée lui-même les siennes.

    Raises:
        ErreurUtilisateur: si les tables de MLflow sont d’une autre version.
    """
    _preparee()
    if serveur_mlflow():
        return
    with _connexion() as connexion, connexion.begin():
        connexion.execute(sa.text("SELECT pg_advisory_xact_lock(hashtext('mlops_demo:mlflow'))"))
        if _existe(connexion, SCHEMA_MLFLOW, "alembic_version"):
            _exiger_les_tables_de_mlflow(connexion)
            finies = sa.text(f"SELECT EXISTS (SELECT FROM {SCHEMA_MLFLOW}.experiments)")
            if connexion.execute(finies).scalar_one():
                return
        with _connexion() as autre, autre.begin():
            autre.execute(sa.text(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA_MLFLOW}"))
        from mlops_demo import registre  # MLflow ne s’importe que si ses tables manquent

        registre.creer_tables()


def _exiger_les_tables_de_mlflow(connexion: sa.Connection) -> None:
    """Vérifie que les tables de MLflow sont de sa version ; on n’y touche pas sans le dire."""
    connues, derniere = _revisions_de_mlflow()
    lire = sa.text(f"SELECT version_num FROM {SCHEMA_MLFLOW}.alembic_version")
    revision = connexion.execute(lire).scalar()
    if revision == derniere:
        return
    if revision in connues:
        adresse = url_avec_schema(SCHEMA_MLFLOW).render_as_string()
        age, remede = (
            "ancienne",
            (
                "Sauvegardez la base (pg_dump), puis mettez-les à jour, le mot de passe à la place "
                f"de *** : .venv/bin/mlflow db upgrade '{adresse}'"
            ),
        )
    else:
        age, remede = "récente", "Reprenez la version du projet qui les a faites"
    installe = metadata.version("mlflow")
    raise ErreurUtilisateur(
        MLFLOW_D_UNE_AUTRE_VERSION.format(
            schema=SCHEMA_MLFLOW, age=age, installe=installe, revision=revision, remede=remede
        )
    )


@functools.cache
def _revisions_de_mlflow() -> tuple[set[str], str]:
    """Les révisions des tables que MLflow connaît, et la dernière, sans l’importer."""
    paquet = importlib.util.find_spec("mlflow").submodule_search_locations[0]
    textes = [
        fichier.read_text(encoding="utf-8")
        for fichier in Path(paquet, "store", "db_migrations", "versions").glob("*.py")
    ]
    connues = {r for t in textes for r in re.findall(r'^revision = "(\w+)"', t, re.MULTILINE)}
    suivies = {r for t in textes for r in re.findall(r'^down_revision = "(\w+)"', t, re.MULTILINE)}
    (derniere,) = connues - suivies
    return connues, derniere


@contextmanager
def verrou_de_seance() -> Iterator[None]:
    """Tient le verrou qui réserve à ce processus le schéma de l’utilisateur.

    Raises:
        ErreurUtilisateur: si une autre séance le tient.
    """
    with _connexion() as connexion:
        cle = {"cle": f"mlops_demo:{schema()}"}
        pris = sa.text("SELECT pg_try_advisory_lock(hashtext(:cle))")
        if not connexion.execute(pris, cle).scalar_one():
            raise ErreurUtilisateur(
                f"une démonstration de « {utilisateur()} » tourne déjà sur cette base : "
                "attendez sa fin, ou donnez un autre nom dans la variable MLOPS_UTILISATEUR."
            )
        connexion.commit()
        try:
            yield
        finally:
            connexion.invalidate()  # rendue à la réserve, elle garderait le verrou
