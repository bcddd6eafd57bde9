"""ML Test Score, section Données : chaque attente, chaque variable, chaque table."""

import difflib
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import psycopg
import pytest
import sqlalchemy as sa
from mlops_demo import base, contrat, entrainement, features, sources
from mlops_demo.configuration import ErreurUtilisateur, dossier_donnees
from mlops_demo.features import CATEGORIES, FEATURES, LIBELLES
from mlops_demo.sources import SOURCES
from mlops_demo.textes import nombre

RACINE = Path(__file__).resolve().parents[2]
PERSONNEL = {
    "adresse électronique": r"[\w.+-]+@[\w-]+\.[a-z]{2,}",
    "téléphone": r"(?<![\d.])(\+\d{1,3}[ .-]?)?\(?\d{3}\)?[ .-]\d{3}[ .-]\d{4}(?!\d)",
    "adresse IP": r"(?<![\d.])\d{1,3}(\.\d{1,3}){3}(?![\d.])",
}
DE_PEU = 1e-3  # sous cette part de l’utilité de la plus forte, une variable tient de peu
# Les colonnes de texte que la démonstration écrit elle-même, hors des données du contrat. Une
# seule désigne quelqu’un : l’auteur d’une décision, qu’un journal doit nommer.
TEXTES_DE_TRAVAIL = {
    "campagnes": {"scenario", "auteur"},
    "chargements": {"source", "table_cible", "decision", "motifs"},
    "journal": {"auteur", "action", "raison", "details", "empreinte"},
    "mesures": {"alertes"},
    "predictions": {"canal"},
    "quarantaine": {"table_cible", "motifs", "contenu"},
    "features": set(CATEGORIES),
}


def _valeurs_interdites(colonne: dict) -> list:
    """Une valeur hors de chaque attente d’une colonne."""
    fautes = [None] if colonne.get("requis") else []
    if colonne["type"] == "timestamptz":
        fautes += ["1999-01-01 00:00Z", "2030-01-01 00:00Z"]
    elif "min" in colonne:
        fautes += [colonne["min"] - 1, colonne["max"] + 1]
    if "valeurs" in colonne or "motif" in colonne:
        fautes.append("<?>")
    return fautes


@pytest.mark.ml_test_score("Données 1")
def test_la_base_refuse_une_valeur_hors_de_chaque_attente_du_contrat(demo, mesure):
    acceptees, essais = [], 0
    refus_attendus = (psycopg.errors.CheckViolation, psycopg.errors.NotNullViolation)
    with base.moteur().connect() as connexion:
        for table in contrat.TABLES:
            ligne = connexion.exec_driver_sql(f"SELECT ctid::text FROM {table} LIMIT 1").scalar()
            for nom, colonne in contrat.contrat(table)["colonnes"].items():
                assert colonne["sens"], f"{table}.{nom} n’est pas décrite"
                for faute in _valeurs_interdites(colonne):
                    essais += 1
                    ordre = sa.text(f'UPDATE {table} SET "{nom}" = :v WHERE ctid = :l')
                    try:
                        with connexion.begin_nested():
                            connexion.execute(ordre, {"v": faute, "l": ligne})
                        acceptees.append((table, nom, faute))
                    except sa.exc.IntegrityError as refus:
                        if not isinstance(refus.orig, refus_attendus):
                            acceptees.append((table, nom, str(refus.orig)))
        connexion.rollback()
    assert acceptees == [], "des valeurs contraires au contrat sont entrées"
    assert essais > 75, "le contrat a perdu des attentes"
    mesure(f"{essais} valeurs hors du contrat essayées, {essais} refusées par la base")


@pytest.mark.ml_test_score("Données 2")
def test_chaque_variable_est_utile(utilite, mesure):
    pertes = pd.Series({variable: utilite([variable]) for variable in FEATURES})
    inutiles = pertes[pertes <= 0]
    assert inutiles.empty, f"brouiller ces variables ne coûte rien : {inutiles.to_dict()}"
    assert utilite(["flight_id"]) == 0, "une colonne que le modèle ne lit pas ne peut rien coûter"
    mesure(_dire_l_utilite(pertes))


def _dire_l_utilite(pertes: pd.Series) -> str:
    forte, faible = pertes.idxmax(), pertes.idxmin()
    texte = (
        "brouiller une variable coûte, sur des jours gardés à part : de "
        f"{nombre(pertes[faible], 5)} de log-loss ({LIBELLES[faible]}) à "
        f"{nombre(pertes[forte], 2)} ({LIBELLES[forte]})"
    )
    if pertes[faible] >= DE_PEU * pertes[forte]:
        return texte
    return f"{texte} ; la première ne sert presque à rien, d’autres jours ce point serait perdu"


@pytest.mark.parametrize(("faible", "dit"), [(0.0000999, True), (0.0001, False)])
def test_un_point_tenu_de_peu_le_dit(faible, dit):
    pertes = pd.Series({"sched_min": 0.1, "wind_gust": faible})
    assert ("serait perdu" in _dire_l_utilite(pertes)) is dit


PRIX = 1e-4  # log-loss exigée pour chaque « lecture de la table des vols » que coûte une source


@pytest.mark.ml_test_score("Données 3")
def test_aucune_source_ne_coute_plus_qu_elle_ne_rapporte(demo, utilite, annee, mesure):
    """Le coût est celui qu’estime le planificateur de Postgres : sans chronomètre, donc stable."""
    lecture, lignes = sources.cout_estime("SELECT flight_id FROM flights"), []
    for nom, source in SOURCES.items():
        unites = sources.cout_estime(source.requete) / lecture
        gain, octets = utilite(list(source.colonnes)), sources.octets_par_vol(source, annee)
        lignes.append(f"{nom} {nombre(gain, 4)} ({octets} octets par vol)")
        assert gain > PRIX * unites, f"{nom} coûte {unites:.1f} lectures et rapporte {gain:.5f}"
    mesure("log-loss gagnée par source, toutes au-dessus de leur coût : " + ", ".join(lignes))


@pytest.mark.ml_test_score("Données 4")
def test_les_variables_suivent_la_politique_du_projet(annee, mesure):
    interdites = sorted(contrat.connues_apres_depart() | {"late", "tailnum", "flight_id"})
    for colonne in interdites:
        with pytest.raises(ErreurUtilisateur, match=colonne):
            entrainement.verifier_colonnes([*FEATURES, colonne])
    entrainement.verifier_colonnes(FEATURES)
    # Hors du calcul de la veille, la requête ne lit rien de ce que l’on ignore avant le départ.
    suite = features.requete().split("SELECT v.flight_id", 1)[1]
    lues = [c for c in contrat.connues_apres_depart() if re.search(rf"\b{c}\b", suite)]
    assert lues == [], "la requête lit l’avenir"
    demandees = contrat.contrat("demande")["colonnes"]
    assert all(v in demandees and v in LIBELLES for v in FEATURES), "une variable non décrite"
    licence = (dossier_donnees() / "README.md").read_text(encoding="utf-8")
    assert "CC0" in licence, "la licence des données n’est plus dite"
    mesure(f"{len(interdites)} colonnes interdites refusées, {len(FEATURES)} variables décrites")


def _colonnes_de_texte(connexion) -> pd.DataFrame:
    """Les colonnes de texte des tables de la démonstration et de celles de MLflow."""
    return pd.read_sql(
        sa.text(
            "SELECT table_schema, table_name, column_name FROM information_schema.columns"
            " WHERE table_schema IN (current_schema(), :mlflow)"
            " AND data_type IN ('text', 'jsonb', 'ARRAY', 'character varying')"
        ),
        connexion,
        params={"mlflow": base.SCHEMA_MLFLOW},
    )


def _infractions(connexion) -> list[str]:
    """Colonnes de texte que rien n’autorise, et valeurs qui désignent une personne."""
    trouvees = []
    for schema, table, colonne in _colonnes_de_texte(connexion).itertuples(index=False):
        # MLflow décide de ses colonnes ; ce que nous y écrivons se juge à ses valeurs.
        if schema != base.SCHEMA_MLFLOW:
            admises = TEXTES_DE_TRAVAIL.get(table)
            if admises is None:
                connue = table in contrat.TABLES
                admises = set(contrat.contrat(table)["colonnes"]) if connue else set()
            if colonne not in admises:
                trouvees.append(f"{table}.{colonne} n’est ni au contrat ni prévue")
        for nature, motif in PERSONNEL.items():
            valeurs = f'SELECT DISTINCT "{colonne}"::text AS valeur FROM "{schema}"."{table}"'
            compte = sa.text(f"SELECT count(*) FROM ({valeurs}) AS v WHERE valeur ~* :motif")
            if connexion.execute(compte, {"motif": motif}).scalar():
                trouvees.append(f"{table}.{colonne} : {nature}")
    return trouvees


@pytest.mark.ml_test_score("Données 5")
def test_aucune_table_ne_garde_de_donnee_personnelle(servies, mesure):
    with base.moteur().connect() as connexion:
        assert _infractions(connexion) == []
        examinees = len(_colonnes_de_texte(connexion))
        connexion.exec_driver_sql("CREATE TABLE clients AS SELECT 'anne@exemple.fr' AS contact")
        assert _infractions(connexion) == [
            "clients.contact n’est ni au contrat ni prévue",
            "clients.contact : adresse électronique",
        ], "le contrôle lui-même ne voit plus rien"
        connexion.rollback()
        connexion.exec_driver_sql(f"UPDATE {base.SCHEMA_MLFLOW}.tags SET value = 'a@exemple.fr'")
        assert _infractions(connexion) == ["tags.value : adresse électronique"]
        connexion.rollback()
    assert "auteur" not in FEATURES
    mesure(
        f"{examinees} colonnes de texte de toutes les tables, celles de MLflow comprises, lues "
        "ligne à ligne : aucune donnée personnelle hors de l’auteur des décisions"
    )


NOUVELLE = {
    "features.sql": (
        "    v.distance::float8 AS distance,\n",
        "    (minutes(v.sched_dep_time) >= 18 * 60)::int::float8 AS soir,\n",
    ),
    "features.py": ('    "distance",\n    "plane_age"', '    "soir",\n'),
    "contrat.yaml": (
        "    temp: {comme: weather, exemple",
        "    soir: {type: double precision, requis: true, min: 0, max: 1, sens: après 18 h, "
        "exemple: 0}\n",
    ),
}
ESSAI = """
import json, sys
import numpy as np
from mlops_demo import base, entrainement, features, service_demande
table = base.lire(
    "SELECT x.*, (v.arr_delay >= 15)::int::float8 AS late"
    f" FROM ({features.requete()}) AS x JOIN flights AS v USING (flight_id)"
    " WHERE flight_id > $1",
    int(sys.argv[1]),
)
modele = entrainement.apprendre(entrainement.lineaire(), table)
vols = table.head(20)
juger = entrainement.pour_un_vol(modele)
seuls = [juger(v) for v in vols.replace({np.nan: None}).to_dict("records")]
service_demande.Vol(**service_demande.EXEMPLE)
print(json.dumps({
    "lue": "soir" in entrainement.influences(modele).index,
    "taux": float(table["soir"].mean()),
    "egales": bool((entrainement.probabilites(modele, vols) == seuls).all()),
    "demandee": "soir" in service_demande.COLONNES,
}))
"""


@pytest.mark.ml_test_score("Données 6")
def test_une_variable_de_plus_s_ajoute_en_trois_lignes(demo, tmp_path, annee, mesure):
    copie = tmp_path / "mlops_demo"
    shutil.copytree(Path(features.__file__).parent, copie)
    ajoutees = 0
    for nom, (repere, ligne) in NOUVELLE.items():
        texte = (copie / nom).read_text(encoding="utf-8")
        assert texte.count(repere) == 1, f"le point d’ajout de {nom} a changé"
        refait = texte.replace(repere, ligne + repere)
        difference = difflib.ndiff(texte.splitlines(), refait.splitlines())
        ajoutees += sum(1 for d in difference if d[:2] in ("+ ", "- "))
        (copie / nom).write_text(refait, encoding="utf-8")
    env = os.environ | {"PYTHONPATH": str(tmp_path)}
    depuis = str(annee["flight_id"].max() - 30_000)
    sortie = subprocess.run(
        [sys.executable, "-c", ESSAI, depuis], env=env, capture_output=True, text=True, check=False
    )
    assert sortie.returncode == 0, sortie.stderr
    obtenu = json.loads(sortie.stdout)
    assert 0.1 < obtenu.pop("taux") < 0.9, "la variable ne varie pas"
    assert obtenu == {"lue": True, "egales": True, "demandee": True}
    mesure(f"{ajoutees} lignes dans {len(NOUVELLE)} fichiers, et le modèle apprend puis sert")


@pytest.mark.ml_test_score("Données 7")
def test_les_dix_neuf_variables_recalculees_autrement_sont_les_memes(annee, mesure):
    """Tout est refait en pandas, depuis les fichiers, pour chaque vol de l’année."""
    brut = base.lire(
        "SELECT flight_id, time_hour, carrier, origin, dest, tailnum, sched_dep_time, dep_delay,"
        " air_time, arr_delay, distance FROM flights ORDER BY flight_id"
    )
    locale = brut["time_hour"].dt.tz_convert("America/New_York")
    jour = locale.dt.tz_localize(None).dt.normalize()
    prevu = brut["sched_dep_time"] // 100 * 60 + brut["sched_dep_time"] % 100
    brut = brut.assign(jour=jour, sched_min=prevu.astype(float), dow=jour.dt.dayofweek + 1.0)
    arrives = brut[
        brut["arr_delay"].notna()
        & (brut["sched_min"] + brut["dep_delay"] + brut["air_time"] + 45 <= 28 * 60)
    ]
    tard = (arrives["arr_delay"] >= 15).astype(float)
    for cle in ("origin", "carrier"):
        taux = tard.groupby([arrives["jour"] + pd.Timedelta(days=1), arrives[cle]]).mean()
        brut = brut.join(taux.rename(f"late_{cle}_d1"), on=["jour", cle])
    avions = pd.read_parquet(dossier_donnees() / "planes.parquet").set_index("tailnum")
    brut = brut.join(avions[["year", "seats"]], on="tailnum")
    brut["plane_age"] = 2013 - brut["year"]
    meteo = base.lire("SELECT * FROM weather").set_index(["origin", "time_hour"])
    brut = brut.join(meteo, on=["origin", "time_hour"])
    for variable in FEATURES:
        attendu, obtenu = brut[variable], annee[variable]
        if variable in CATEGORIES:
            assert (attendu.to_numpy() == obtenu.to_numpy()).all(), variable
        else:
            ecart = np.abs(attendu.to_numpy(float) - obtenu.to_numpy(float))
            assert np.array_equal(attendu.isna(), obtenu.isna()), f"{variable} : des absences"
            assert np.nanmax(ecart) < 1e-9, variable
    mesure(f"{len(FEATURES)} variables × {nombre(len(annee), 0)} vols, aucune différence")
