"""Ce que data/README.md affirme, recalculé d’après les fichiers publiés."""

import hashlib
import importlib.util
import re
from pathlib import Path

import pandas as pd
import pytest

DONNEES = Path(__file__).resolve().parents[2] / "data"
README = (DONNEES / "README.md").read_text(encoding="utf-8")
NEW_YORK = "America/New_York"
DEFAUTS = README.split("## Défauts connus")[1].split("## Dictionnaire")[0]


def entier(nombre):
    """Un entier écrit comme dans le README : une espace entre les milliers."""
    return f"{nombre:,}".replace(",", " ")


def table(nom):
    """Une table publiée."""
    return pd.read_parquet(DONNEES / f"{nom}.parquet")


@pytest.fixture(scope="module")
def vols():
    """Les vols, avec leur heure prévue à New York."""
    lus = table("flights")
    return lus.assign(locale=lus["time_hour"].dt.tz_convert(NEW_YORK))


@pytest.fixture(scope="module")
def meteo():
    """La météo, avec son heure à New York."""
    lue = table("weather")
    return lue.assign(locale=lue["time_hour"].dt.tz_convert(NEW_YORK))


@pytest.fixture(scope="module")
def avions():
    """Le registre des avions."""
    return table("planes")


def fabrique():
    """Le script data/fabriquer.py, chargé sans être lancé."""
    description = importlib.util.spec_from_file_location("fabriquer", DONNEES / "fabriquer.py")
    module = importlib.util.module_from_spec(description)
    description.loader.exec_module(module)
    return module


def dit(phrase):
    """Vérifie que le README contient cette phrase, coupée comme on veut."""
    assert phrase in re.sub(r"\s+", " ", DEFAUTS), f"data/README.md ne dit pas « {phrase} »"


def empreintes():
    """Le contenu de SHA256SUMS : nom du fichier → empreinte."""
    lignes = (DONNEES / "SHA256SUMS").read_text(encoding="utf-8").splitlines()
    return {nom: somme for somme, nom in (ligne.split() for ligne in lignes)}


def tableau_des_fichiers():
    """Le tableau du README : nom du fichier → (lignes, empreinte)."""
    motif = r"^\| `(\w+\.parquet)` \| ([\d ]+) \| `([0-9a-f]{64})` \|$"
    trouves = re.findall(motif, README, re.MULTILINE)
    return {nom: (int(lignes.replace(" ", "")), somme) for nom, lignes, somme in trouves}


def test_le_readme_donne_les_empreintes_de_sha256sums():
    assert {nom: somme for nom, (_, somme) in tableau_des_fichiers().items()} == empreintes()


def test_sha256sums_nomme_chaque_fichier_publie():
    assert {f.name for f in DONNEES.glob("*.parquet")} == set(empreintes())


@pytest.mark.parametrize("nom", empreintes())
def test_un_fichier_a_l_empreinte_et_les_lignes_annoncees(nom):
    lignes, somme = tableau_des_fichiers()[nom]
    assert hashlib.sha256((DONNEES / nom).read_bytes()).hexdigest() == somme
    assert len(pd.read_parquet(DONNEES / nom)) == lignes


def test_le_readme_nomme_l_archive_que_le_script_verifie():
    script = fabrique()
    assert f"`{script.ARCHIVE}`" in README
    assert f"`{script.EMPREINTE}`" in README


def test_le_dictionnaire_est_celui_du_contrat():
    assert fabrique().avec_dictionnaire(README) == README, (
        "le contrat a changé : lancez « python data/fabriquer.py --dictionnaire »"
    )


def test_le_dictionnaire_decrit_toutes_les_colonnes_publiees():
    for section in README.split("### `")[1:]:
        nom = section.split("`")[0]
        decrites = re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)
        assert sorted(decrites) == sorted(table(nom).columns), nom


def test_le_vent_impossible(meteo):
    (ligne,) = meteo[meteo["wind_speed"] > 200].itertuples()
    assert (ligne.origin, f"{ligne.locale:%d/%m %H}") == ("EWR", "12/02 03")
    dit(f"Un vent de {entier(int(ligne.wind_speed))} mi/h | à EWR, le 12 février à 3 h")


def test_le_vol_de_dix_sept_milles(vols):
    (vol,) = vols[vols["distance"] < 50].itertuples()
    assert (vol.origin, vol.dest, vol.carrier, vol.flight) == ("EWR", "LGA", "US", 1632)
    assert pd.isna(vol.dep_time)
    assert f"{vol.locale:%d/%m}" == "27/07"
    dit(f"Un vol de {vol.distance} milles | EWR → LGA, US 1632, le 27 juillet, annulé")


def test_les_valeurs_absentes_des_vols(vols):
    annules, sans_retard = vols["dep_time"].isna(), vols["arr_delay"].isna()
    sans_avion = vols["tailnum"].isna()
    assert annules[sans_avion].all()
    assert sans_retard[annules].all()
    dit(f"{entier(annules.sum())} vols annulés")
    dit(f"{entier(sans_retard.sum())} vols sans retard à l’arrivée")
    dit(f"{entier((sans_retard & ~annules).sum())} vols partis")
    dit(f"{entier(sans_avion.sum())} vols sans immatriculation | tous annulés")
    dit(f"{(vols['dep_time'] == 2400).sum()} vols partis à minuit")
    assert (vols["dep_time"] != 0).all()


def test_les_avions_absents_du_registre(vols, avions):
    connus = vols.dropna(subset="tailnum")
    absents = ~connus["tailnum"].isin(avions["tailnum"])
    parts = absents.groupby(connus["carrier"]).mean().sort_values()
    assert list(parts.index[-2:]) == ["AA", "MQ"]
    dit(f"{entier(absents.sum())} vols d’un avion absent de `planes`")
    dit(f"{connus['tailnum'][absents].nunique()} immatriculations")
    dit(f"(MQ, {parts['MQ']:.0%} de".replace("%", " %"))
    dit(f"(AA, {parts['AA']:.0%})".replace("%", " %"))
    noms = table("airlines").set_index("carrier")["name"]
    assert noms["MQ"].startswith("Envoy Air")
    assert noms["AA"].startswith("American Airlines")


def test_les_valeurs_absentes_de_la_meteo_et_des_avions(meteo, avions):
    rafales, pression = meteo["wind_gust"].isna(), meteo["pressure"].isna()
    dit(f"Rafales absentes à {rafales.mean():.0%}".replace("%", " %"))
    dit(f"`wind_gust` manque dans {entier(rafales.sum())} relevés")
    dit(f"Pression absente à {pression.mean():.0%}".replace("%", " %"))
    dit(f"`pressure` manque dans {entier(pression.sum())} relevés")
    dit(f"`year` manque pour {avions['year'].isna().sum()} avions")
    dit(f"`speed` n’est connue que pour {avions['speed'].notna().sum()}")


def test_les_heures_sans_meteo(vols, meteo):
    debut, fin = meteo["time_hour"].min(), meteo["time_hour"].max()
    heures = 3 * (int((fin - debut) / pd.Timedelta(hours=1)) + 1)
    assert f"{meteo['locale'].max():%d/%m %H}" == "30/12 18"
    jointure = vols.merge(meteo[["origin", "time_hour"]], how="left", indicator=True)
    seuls = jointure[jointure["_merge"] == "left_only"]
    saint_sylvestre = seuls["locale"].dt.strftime("%d/%m") == "31/12"
    assert len(jointure) == len(vols), "joindre par time_hour ne multiplie aucun vol"
    dit(f"{heures - len(meteo)} heures manquent")
    dit("le 30 décembre à 18 h")
    dit(f"{entier(len(seuls))} vols n’ont pas de météo")
    dit(f"dont les {saint_sylvestre.sum()} du 31 décembre")


def test_l_heure_qui_existe_deux_fois(meteo):
    murale = meteo.assign(locale=meteo["locale"].dt.tz_localize(None))
    doubles = murale[murale.duplicated(["origin", "locale"])]
    assert sorted(doubles["origin"]) == ["EWR", "JFK", "LGA"]
    assert set(doubles["locale"]) == {pd.Timestamp("2013-11-03 01:00")}
    assert not meteo.duplicated(["origin", "time_hour"]).any()
    dit("le 3 novembre, 1 h (heure locale) existe deux fois")


def test_les_destinations_nouvelles(vols):
    hiver = set(vols.loc[vols["locale"].dt.month <= 3, "dest"])
    nouveaux = vols[~vols["dest"].isin(hiver)]
    dit(f"{nouveaux['dest'].nunique()} des {vols['dest'].nunique()} destinations")
    dit(f"{len(nouveaux)} vols y vont ensuite")


def test_aucune_colonne_ne_designe_une_personne():
    colonnes = {c for nom in ("flights", "weather", "planes", "airlines") for c in table(nom)}
    suspects = re.compile(r"passen|pilot|crew|owner|person|mail|phone|birth|address", re.IGNORECASE)
    assert not [c for c in colonnes if suspects.search(c)]
    assert "**Aucune donnée personnelle**" in README
