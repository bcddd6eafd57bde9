"""Recevoir des données : charger une fois, refuser avec des raisons, ne jamais rien abîmer."""

import gzip
import hashlib
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
import sqlalchemy as sa
from mlops_demo import base, contrat, donnees
from mlops_demo.configuration import ErreurUtilisateur, dossier_donnees

# xmin est le numéro de la transaction qui a écrit la ligne : tout ajout ou changement s’y voit.
ETAT = "SELECT count(*) AS vols, max(xmin::text::bigint) AS derniere_ecriture FROM flights"


@pytest.fixture
def mars(demo):
    """Les vols de mars, tels que le fournisseur les envoie."""
    colonnes = ", ".join(contrat.schema_arrow("flights").names)
    return base.lire(
        f"SELECT {colonnes} FROM flights WHERE flight_date >= '2013-03-01'"
        " AND flight_date < '2013-04-01'"
    )


@pytest.fixture
def vols_intacts(demo):
    """Vérifie, après le test, que la table des vols n’a pas changé d’une ligne."""
    avant = base.lire(ETAT).iloc[0].to_dict()
    yield
    assert base.lire(ETAT).iloc[0].to_dict() == avant, "un lot refusé a modifié les vols"


def test_les_tables_sont_completes(demo):
    comptes = {t: base.lire(f"SELECT count(*) AS n FROM {t}")["n"].iloc[0] for t in contrat.TABLES}
    assert comptes == {"airlines": 16, "planes": 3322, "weather": 26114, "flights": 336775}


def test_les_defauts_connus_sont_en_quarantaine_avec_leur_motif(demo):
    lignes = base.lire("SELECT table_cible, motifs[1] AS motif FROM quarantaine ORDER BY 1")
    trouves = dict(lignes.itertuples(index=False))
    assert trouves["weather"].startswith("wind_speed hors de"), "le vent de 1 048 mi/h"
    assert trouves["flights"].startswith("distance hors de"), "le vol de 17 milles"


def test_une_ligne_du_depot_mise_a_l_ecart_garde_son_numero(demo):
    recues = pq.read_table(dossier_donnees() / "flights.parquet")["distance"].to_pylist()
    lignes = base.lire("SELECT ligne FROM quarantaine WHERE table_cible = 'flights'")
    assert lignes["ligne"].tolist() == [recues.index(17) + 1]
    assert [bilan.ecartees for bilan in donnees.charger()] == [0, 0, 1, 1]


def test_charger_deux_fois_ne_relit_ni_ne_double_rien(demo, vols_intacts):
    assert donnees.charger() == donnees.charger()
    assert base.lire("SELECT count(*) AS n FROM flights")["n"].iloc[0] == 336775


@pytest.mark.parametrize("nom", ["flights.parquet", "weather.parquet"])
def test_un_octet_change_est_refuse_par_son_nom(tmp_path, nom):
    copie = tmp_path / "data"
    shutil.copytree(dossier_donnees(), copie)
    fichier = copie / nom
    contenu = bytearray(fichier.read_bytes())
    contenu[len(contenu) // 2] ^= 1
    fichier.write_bytes(contenu)
    with pytest.raises(ErreurUtilisateur, match=nom):
        donnees.verifier_empreintes(copie)


def test_un_fichier_absent_est_nomme(tmp_path):
    copie = tmp_path / "data"
    shutil.copytree(dossier_donnees(), copie)
    (copie / "planes.parquet").unlink()
    with pytest.raises(ErreurUtilisateur, match=r"planes\.parquet"):
        donnees.verifier_empreintes(copie)


@pytest.mark.parametrize(
    "abimer",
    [lambda s: b"", lambda s: s.partition(b"\n")[2], lambda s: s + b"\n", lambda s: b"\xff" + s],
    ids=["vide", "une table en moins", "une ligne vide", "ni texte"],
)
def test_sans_l_empreinte_de_chaque_table_rien_ne_se_charge(tmp_path, abimer):
    copie = tmp_path / "data"
    shutil.copytree(dossier_donnees(), copie)
    registre = copie / "SHA256SUMS"
    registre.write_bytes(abimer(registre.read_bytes()))
    with pytest.raises(ErreurUtilisateur, match="SHA256SUMS » est abîmé .* Rien n’a été chargé"):
        donnees.lire_tables(copie)


def test_un_chargement_tue_a_mi_chemin_se_reprend(demo):
    """Tué par SIGKILL pendant le COPY, puis relancé : tables entières, sans doublon."""
    code = (
        "from mlops_demo import base, donnees\n"
        "vraie = base.inserer\n"
        "def lente(c, nom, t, **o):\n"
        "    vraie(c, nom, t, **o)\n"
        "    if nom == 'weather': print('ici', flush=True); import time; time.sleep(60)\n"
        "base.inserer = lente\n"
        "donnees.charger()\n"
    )
    env = {**os.environ, "MLOPS_UTILISATEUR": "tue"}
    enfant = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, env=env)
    assert enfant.stdout.readline().strip() == b"ici"
    enfant.send_signal(signal.SIGKILL)
    enfant.wait()
    reprise = "from mlops_demo import donnees; print(donnees.charger()[-1].chargees)"
    resultat = subprocess.run(
        [sys.executable, "-c", reprise], capture_output=True, text=True, env=env, check=True
    )
    assert resultat.stdout.strip() == "336775", resultat.stderr
    inscrits = base.lire("SELECT count(*) AS n FROM demo_tue.chargements")["n"].iloc[0]
    assert inscrits == len(contrat.TABLES), "le chargement tué a laissé une trace"


# --- Les mauvais lots ----------------------------------------------------------------------

ARRIVEE = "retard à l’arrivée égal à l’écart des heures"
# Ce qui est faussé, et la raison qui doit le dire.
POISONS = {
    "kilomètres": (
        lambda d: d.assign(distance=(d["distance"] * 1.609).round()),
        "distance différente de celle connue",
    ),
    "retards inversés": (lambda d: d.assign(arr_delay=-d["arr_delay"]), ARRIVEE),
    "retards en secondes": (lambda d: d.assign(arr_delay=d["arr_delay"] * 60), "arr_delay hors de"),
    "étiquettes mélangées": (
        lambda d: d.assign(arr_delay=d["arr_delay"].sample(frac=1, random_state=1).to_numpy()),
        ARRIVEE,
    ),
    "heure locale donnée pour de l’UTC": (
        lambda d: d.assign(time_hour=d["time_hour"] - pd.Timedelta(hours=5)),
        "départ prévu cohérent avec l’heure UTC",
    ),
    "année décalée": (
        lambda d: d.assign(time_hour=d["time_hour"] + pd.Timedelta(days=365)),
        "time_hour hors de",
    ),
    "colonne toute vide": (
        lambda d: d.assign(air_time=np.nan),
        "air_time : aucune valeur dans tout le lot",
    ),
    "origines inconnues": (lambda d: d.assign(origin="CDG"), "origin hors de"),
    "compagnies inconnues": (lambda d: d.assign(carrier="ZZ"), "carrier inconnu de airlines"),
    "dix fois chaque vol": (lambda d: pd.concat([d] * 10), "clé en double dans le lot"),
    "chaînes hostiles": (
        lambda d: d.assign(tailnum="'); DROP TABLE flights; --"),
        "tailnum",
    ),
    "balises": (lambda d: d.assign(dest="<script>"), "dest"),
    "infinis": (lambda d: d.assign(arr_delay=np.inf), "arr_delay illisible"),
    "texte pour un nombre": (lambda d: d.assign(distance="loin"), "distance illisible"),
    "octet nul": (lambda d: d.assign(dest="A\x00B"), "dest illisible"),
    "décimales": (
        lambda d: d.assign(sched_dep_time=d["sched_dep_time"] + 0.5),
        "sched_dep_time illisible",
    ),
    "temps de vol, roulage compris": (
        lambda d: d.assign(air_time=(d["air_time"] * 1.4).round()),
        "vitesse médiane",
    ),
    "un vol sur quatre": (lambda d: d.iloc[::4], "vols par jour"),
    "immatriculations d’ailleurs": (
        lambda d: d.assign(tailnum="N00000"),
        "part d’immatriculations hors registre",
    ),
    "un vol sur cinq dérouté": (
        lambda d: d.assign(
            **{c: d[c].mask(np.arange(len(d)) % 5 == 0) for c in ("arr_delay", "air_time")}
        ),
        "part de vols sans retard connu",
    ),
    "un jour sur deux": (
        lambda d: d[d["time_hour"].dt.day % 2 == 0].assign(flight=lambda x: x["flight"] + 5000),
        "flight hors de",
    ),
}


@pytest.fixture(scope="module")
def _sans_mars(demo, tmp_path_factory):
    """De quoi vivre dans un schéma à part, qui ne connaît que janvier et février."""
    dossier = tmp_path_factory.mktemp("sans mars") / "data"
    shutil.copytree(dossier_donnees(), dossier)
    vols = pq.read_table(dossier / "flights.parquet")
    hiver = pc.less(vols["time_hour"], pa.scalar(pd.Timestamp("2013-03-01T05:00Z")))
    pq.write_table(vols.filter(hiver), dossier / "flights.parquet")
    noms = [ligne.split()[1] for ligne in (dossier / "SHA256SUMS").read_text().splitlines()]
    sommes = [f"{hashlib.sha256((dossier / n).read_bytes()).hexdigest()}  {n}\n" for n in noms]
    (dossier / "SHA256SUMS").write_text("".join(sommes))
    return {"MLOPS_DONNEES": str(dossier), "MLOPS_UTILISATEUR": "sans_mars"}


@pytest.fixture
def sans_mars(mars, _sans_mars, monkeypatch):
    """Une base qui attend mars : un lot n’y est refusé que pour ce qu’il est."""
    for nom, valeur in _sans_mars.items():
        monkeypatch.setenv(nom, valeur)
    base.oublier()
    base.preparer()
    donnees.charger()
    yield
    monkeypatch.undo()
    base.oublier()


@pytest.mark.parametrize("nom", POISONS)
def test_un_lot_empoisonne_est_refuse_pour_ce_qu_il_a(mars, sans_mars, nom):
    empoisonner, motif = POISONS[nom]
    avant = base.lire(ETAT).iloc[0].to_dict()
    bilan = donnees.recevoir(empoisonner(mars))
    assert not bilan.accepte, f"{nom} : accepté"
    assert bilan.chargees == 0
    assert any(motif in m for m in bilan.motifs), bilan.motifs
    assert not any("déjà chargé" in m for m in bilan.motifs), "refusé pour une autre raison"
    assert base.lire(ETAT).iloc[0].to_dict() == avant, "un lot refusé a modifié les vols"


def test_le_meme_lot_sain_entre(mars, sans_mars):
    bilan = donnees.recevoir(mars)
    assert (bilan.accepte, bilan.chargees) == (True, len(mars)), bilan.motifs
    with base.transaction() as connexion:
        connexion.exec_driver_sql("DELETE FROM features WHERE flight_date >= '2013-03-01'")
        connexion.exec_driver_sql("DELETE FROM flights WHERE flight_date >= '2013-03-01'")


FORMES = {
    "lot vide": (lambda d: d.head(0), "lot vide"),
    "colonne absente": (lambda d: d.drop(columns="origin"), "colonnes absentes : origin"),
    "colonne inconnue": (lambda d: d.assign(x=1), "colonnes inconnues du contrat : x"),
    "date sans fuseau": (
        lambda d: d.assign(time_hour=d["time_hour"].dt.tz_localize(None)),
        "sans fuseau",
    ),
}


@pytest.mark.parametrize("nom", FORMES)
def test_une_mauvaise_forme_est_refusee_avant_tout(mars, vols_intacts, nom):
    deformer, motif = FORMES[nom]
    bilan = donnees.recevoir(deformer(mars))
    assert not bilan.accepte
    assert motif in bilan.motifs[0]


def test_le_refus_est_inscrit(mars):
    donnees.recevoir(mars.head(0))
    dernier = base.lire("SELECT decision, motifs FROM chargements ORDER BY id DESC LIMIT 1")
    assert dernier["decision"].iloc[0] == "refusé"
    assert list(dernier["motifs"].iloc[0]) == ["lot vide : aucune ligne"]


def test_un_bon_lot_deja_la_est_accepte_sans_rien_ajouter(mars, vols_intacts):
    bilan = donnees.recevoir(mars)
    assert bilan.accepte, bilan.motifs
    assert (bilan.chargees, bilan.deja_presentes) == (0, len(mars))


def test_quelques_lignes_fautives_vont_en_quarantaine_et_le_reste_entre(mars, vols_intacts):
    lot = mars.copy()
    lot.loc[lot.index[:3], "origin"] = "CDG"
    bilan = donnees.recevoir(lot)
    assert bilan.accepte, bilan.motifs
    assert (bilan.ecartees, bilan.deja_presentes) == (3, len(mars) - 3)
    assert any("origin hors de" in m for m in bilan.motifs)


@pytest.mark.parametrize(("fautives", "accepte"), [(288, True), (289, False)])
def test_le_seuil_de_lignes_ecartees_des_deux_cotes(mars, vols_intacts, fautives, accepte):
    """1 % de 28 834 vols : 288 passent, 289 font refuser le lot."""
    lot = mars.copy()
    lot.loc[lot.index[:fautives], "origin"] = "CDG"
    assert len(lot) == 28834
    assert donnees.recevoir(lot).accepte is accepte


def test_un_mois_nouveau_entre_avec_ses_variables(demo):
    """Décembre retiré puis renvoyé : vols et variables sont refaits à l’identique."""
    colonnes = ", ".join(contrat.schema_arrow("flights").names)
    choix = "flight_date >= '2013-12-30'"
    temoin = (
        "SELECT v.carrier, v.flight, v.time_hour, x.late_origin_d1, x.temp FROM features AS x"
        f" JOIN flights AS v USING (flight_id) WHERE v.{choix} ORDER BY 3, 1, 2"
    )
    lot, avant = base.lire(f"SELECT {colonnes} FROM flights WHERE {choix}"), base.lire(temoin)
    with base.transaction() as connexion:
        connexion.execute(sa.text(f"DELETE FROM features WHERE {choix}"))
        connexion.execute(sa.text(f"DELETE FROM flights WHERE {choix}"))
    bilan = donnees.recevoir(lot)
    assert bilan.accepte, bilan.motifs
    assert bilan.chargees == len(lot)
    pd.testing.assert_frame_equal(base.lire(temoin), avant)


def _lot(**colonnes):
    """Un lot de vols où tout est inconnu, sauf ces colonnes."""
    inconnues = dict.fromkeys(contrat.schema_arrow("flights").names)
    return pd.DataFrame(inconnues | colonnes, dtype=object)


@pytest.mark.parametrize(
    ("valeur", "lisible"), [(32767, True), (32768, False), (-32767, True), (-32769, False)]
)
def test_un_entier_trop_grand_pour_sa_colonne_est_illisible(valeur, lisible):
    lignes, lectures = donnees.typer(_lot(distance=[1, valeur]), "flights")
    assert lignes["distance"].to_pylist() == [1, valeur if lisible else None]
    assert lectures == ({} if lisible else {2: [f"distance illisible : '{valeur}'"]})


@pytest.mark.parametrize(
    ("heure", "lue"),
    [
        ("2013-05-01 12:00Z", 12),
        ("2013-05-01 12:00-05:00", 17),
        ("2013-05-01 12:00+0000", 12),
        ("2013-05-01 12:00", None),
        ("05-01-2013 12:00", None),
    ],
)
def test_un_instant_en_texte_sans_fuseau_est_illisible(heure, lue):
    lignes, lectures = donnees.typer(_lot(time_hour=[heure, heure]), "flights")
    lus = [instant and instant.hour for instant in lignes["time_hour"].to_pylist()]
    assert lus == [lue, lue]
    assert list(lectures) == ([] if lue else [1, 2])


def test_dans_un_csv_seul_le_vide_est_inconnu(tmp_path):
    (tmp_path / "lot.csv").write_text("carrier,dest\nNA,NaN\nnull,\n")
    lu = donnees.lire_fichier(tmp_path / "lot.csv")
    assert lu["carrier"].tolist() == ["NA", "null"]
    assert lu["dest"].iloc[0] == "NaN"
    assert lu["dest"].isna().tolist() == [False, True]


def _juger(lot):
    """Les motifs de chaque ligne d’un lot de vols, sans le recevoir."""
    with base.transaction_en_bloc() as connexion:
        donnees._deposer(connexion, "flights", *donnees.typer(lot, "flights"))
        return base.lire("SELECT motifs FROM jugement ORDER BY ligne", connexion=connexion)[
            "motifs"
        ].map(list)


def test_une_distance_a_deux_milles_de_celle_connue_est_admise(mars):
    connues = base.lire(
        "SELECT min(distance) AS mini, max(distance) AS maxi FROM flights"
        " WHERE (origin, dest) = ('EWR', 'IAH')"
    ).iloc[0]
    vols = mars[(mars["origin"] == "EWR") & (mars["dest"] == "IAH")].head(4)
    distances = [connues["mini"] - 3, connues["mini"] - 2, connues["maxi"] + 2, connues["maxi"] + 3]
    motifs = _juger(vols.assign(distance=distances))
    autre = "distance différente de celle connue pour cette liaison"
    assert [autre in dits for dits in motifs] == [True, False, False, True]


def test_d_une_cle_en_double_la_premiere_ligne_est_gardee(mars):
    motifs = _juger(pd.concat([mars.head(3), mars.head(1)]))
    assert motifs.tolist() == [[], [], [], ["clé en double dans le lot"]]


def test_les_motifs_disent_les_fautes_les_plus_frequentes_d_abord(mars, vols_intacts):
    lot = mars.copy()
    lot.loc[lot.index[0], "dest"] = "X"
    lot.loc[lot.index[[1, 3, 4, 6]], "origin"] = "CDG"
    assert donnees.recevoir(lot).motifs[:3] == [
        "déjà chargé avec d’autres valeurs : 5 lignes (par exemple 1, 2, 4)",
        "origin hors de EWR, JFK, LGA : 4 lignes (par exemple 2, 4, 5)",
        "dest mal formé : 1 ligne (par exemple 1)",
    ]


def test_un_lot_partiel_se_compte_avec_les_vols_du_jour_deja_la(mars, vols_intacts):
    quart = mars.iloc[::4]
    bilan = donnees.recevoir(quart)
    assert bilan.accepte, bilan.motifs
    assert bilan.deja_presentes == len(quart)


def test_un_instant_se_lit_de_meme_en_texte_et_en_date(mars):
    mars.loc[mars.index[3], "time_hour"] = pd.NaT
    textes = mars["time_hour"].astype("str").where(mars["time_hour"].notna())
    a_new_york = mars["time_hour"].dt.tz_convert("America/New_York")
    lues = [
        donnees.typer(mars.assign(time_hour=instants), "flights")
        for instants in (mars["time_hour"], a_new_york, textes)
    ]
    assert lues[0][0]["time_hour"].null_count == 1
    assert lues[0] == lues[1] == lues[2]


CSV = "dest,distance,air_time\nMIA,1089,155.5\nBQN,1576,\n"
PV = CSV.replace(",", ";").replace(".", ",")


def compresser(octets):
    """Compresse sans dater : d’une seconde à l’autre, un test ne doit pas changer de nom."""
    return gzip.compress(octets, mtime=0)


@pytest.mark.parametrize(
    ("nom", "octets"),
    [
        ("LOT.CSV", CSV.encode()),
        ("lot.csv", CSV.encode("utf-8-sig")),
        ("lot.csv", CSV.replace("\n", "\r\n").encode()),
        ("lot.csv", CSV.replace(",", "\t").encode()),
        ("lot.csv", PV.encode("utf-8-sig")),
        ("lot.Csv", ("sep=;\n" + PV).replace("\n", "\r\n").encode("utf-8-sig")),
        ("lot.csv.gz", compresser(CSV.encode())),
        ("LOT.CSV.GZ", compresser(PV.encode())),
        ("lot.csv", compresser(CSV.encode())),
    ],
)
def test_un_csv_se_lit_comme_l_ecrivent_les_tableurs(tmp_path, nom, octets):
    (tmp_path / nom).write_bytes(octets)
    lu = donnees.lire_fichier(tmp_path / nom)
    assert lu.to_dict("list") == {
        "dest": ["MIA", "BQN"],
        "distance": ["1089", "1576"],
        "air_time": ["155.5", pytest.approx(np.nan, nan_ok=True)],
    }


def test_entre_des_virgules_une_virgule_decimale_n_est_pas_devinee(tmp_path):
    (tmp_path / "lot.csv").write_text('dest,distance\nMIA,"1,089"\n', encoding="utf-8")
    assert donnees.lire_fichier(tmp_path / "lot.csv")["distance"].tolist() == ["1,089"]


@pytest.mark.parametrize("nom", ["LOT.PARQUET", "lot.parquet.gz"])
def test_un_parquet_se_lit_en_capitales_ou_compresse(tmp_path, nom):
    pq.write_table(pa.table({"dest": ["MIA"]}), tmp_path / "lot")
    octets = (tmp_path / "lot").read_bytes()
    (tmp_path / nom).write_bytes(compresser(octets) if nom.endswith("gz") else octets)
    assert donnees.lire_fichier(tmp_path / nom)["dest"].tolist() == ["MIA"]


@pytest.mark.parametrize(
    ("nom", "octets", "motif"),
    [
        ("lot.csv", CSV.encode("utf-16"), "mais en UTF-16 ; enregistrez-le en « CSV UTF-8 »"),
        ("lot.csv", b"PK\x03\x04", "n’est pas du CSV"),
        ("lot.csv.gz", compresser(CSV.encode())[:-9], "fichier illisible"),
        ("lot.csv.bz2", b"", "format « .bz2 » inconnu : envoyez du .parquet ou du .csv"),
    ],
)
def test_un_autre_format_est_refuse_par_son_nom(tmp_path, nom, octets, motif):
    (tmp_path / nom).write_bytes(octets)
    with pytest.raises(donnees.LotIllisible, match=motif):
        donnees.lire_fichier(tmp_path / nom)


@pytest.mark.parametrize("suffixe", [".parquet", ".csv"])
def test_un_fichier_se_recoit(mars, vols_intacts, tmp_path, suffixe):
    fichier = tmp_path / f"lot é{suffixe}"
    mars.to_parquet(fichier) if suffixe == ".parquet" else mars.to_csv(fichier, index=False)
    bilan = donnees.recevoir(fichier)
    assert bilan.accepte, bilan.motifs
    assert bilan.deja_presentes == len(mars)


@pytest.mark.parametrize(
    ("nom", "octets", "motif"),
    [
        ("lot.csv", "é".encode("latin-1") * 50, "UTF-8"),
        ("lot.parquet", b"pas du parquet", "illisible"),
        ("lot.xlsx", b"", "format"),
        ("lot.csv", b"", "illisible"),
    ],
)
def test_un_fichier_illisible_est_refuse_en_une_phrase(
    demo, vols_intacts, tmp_path, nom, octets, motif
):
    (tmp_path / nom).write_bytes(octets)
    bilan = donnees.recevoir(tmp_path / nom)
    assert not bilan.accepte
    assert motif in bilan.motifs[0]


def test_un_texte_qui_n_est_pas_de_l_utf_8_dans_un_parquet_est_refuse(mars, vols_intacts, tmp_path):
    lignes = pa.Table.from_pandas(mars.head(50), preserve_index=False)
    place = lignes.column_names.index("dest")
    octets = pa.array([b"\xff\xfe"] * 50, pa.binary()).view(pa.string())
    pq.write_table(lignes.set_column(place, "dest", octets), tmp_path / "lot.parquet")
    bilan = donnees.recevoir(tmp_path / "lot.parquet")
    assert not bilan.accepte
    assert "fichier illisible" in bilan.motifs[0]


def test_un_nom_de_fichier_trop_long_est_dit_absent():
    with pytest.raises(ErreurUtilisateur, match="n’existe pas"):
        donnees.lire_fichier(Path("a" * 5000 + ".csv"))


def test_la_base_refuse_aussi_sans_python(demo):
    for ordre in (
        "UPDATE flights SET distance = 17 WHERE flight_id = 1",
        "UPDATE flights SET arr_delay = arr_delay + 1 WHERE flight_id = 1",
        "UPDATE flights SET origin = NULL WHERE flight_id = 1",
        "UPDATE flights SET carrier = 'ZZ' WHERE flight_id = 1",
        "INSERT INTO airlines SELECT * FROM airlines LIMIT 1",
    ):
        with pytest.raises(sa.exc.IntegrityError), base.transaction() as connexion:
            connexion.exec_driver_sql(ordre)


@pytest.fixture
def dernier_vol(demo):
    """Le dernier vol du 15 juillet, que rien ne fait trouver par hasard."""
    return base.lire(
        "SELECT flight_id, carrier, flight FROM flights WHERE flight_date = '2013-07-15'"
        " ORDER BY flight_id DESC LIMIT 1"
    ).iloc[0]


def test_un_vol_se_retrouve_par_sa_compagnie_son_numero_et_son_jour(dernier_vol):
    trouve = donnees.retrouver(dernier_vol["carrier"], int(dernier_vol["flight"]), "2013-07-15")
    assert trouve == dernier_vol["flight_id"]


def test_a_defaut_de_ce_vol_on_prend_le_premier_du_jour(dernier_vol):
    vol = base.lire("SELECT min(flight_id) AS id FROM flights WHERE flight_date = '2013-07-15'")
    assert donnees.retrouver("ZZ", int(dernier_vol["flight"]), "2013-07-15") == vol["id"].item()


@pytest.mark.parametrize(
    ("jour", "message"),
    [("2015-07-15", "aucun vol n’est chargé pour le 2015-07-15"), ("hier", "n’est pas un jour")],
)
def test_un_jour_sans_vol_ou_illisible_est_dit(demo, jour, message):
    with pytest.raises(ErreurUtilisateur, match=message):
        donnees.retrouver("AA", 701, jour)
