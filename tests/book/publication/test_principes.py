"""Ce que le chapitre 3 calcule, sur une histoire écrite à la main."""

from types import SimpleNamespace

import pandas as pd
import pytest
from mlops_demo import ErreurUtilisateur, supervision
from publication import principes
from publication.depot import RACINE
from publication.score import identifiants_marques, noter
from publication.tableaux import charger

RAPPORT = {
    "tests": [
        {
            "exigence": f"Données {n}",
            "test": test,
            "issue": "réussi",
            "mesure": "deux sur deux",
        }
        for n, test in enumerate(sorted(identifiants_marques())[:7], 1)
    ]
}
MOIS = pd.to_datetime(["2013-04-01", "2013-05-01", "2013-06-01", "2013-07-01"])


@pytest.fixture
def mesures():
    """Une alarme suivie, une alarme trop tôt et une panne, un drift seul, un drift et une panne."""
    alertes = 2 * [[supervision.CALIBRATION]] + 2 * [[supervision.ENTREES]]
    return pd.DataFrame({"mois": MOIS, "alertes": alertes, "brier_skill": [0.1, -0.05, 0.05, -0.1]})


@pytest.fixture
def histoire():
    """Deux promotions, puis une version mise de force en juin et retirée en juillet."""
    lignes = [
        ("2013-04-01", "promotion", 1, None),
        ("2013-05-01", "promotion", 2, 1),
        ("2013-06-15", "promotion forcée", 3, 2),
        ("2013-07-05", "retour arrière", 2, 3),
    ]
    table = pd.DataFrame(
        lignes, columns=["date_simulee", "action", "version", "version_precedente"]
    )
    table["horodatage"] = pd.date_range("2026-01-01 10:00", periods=4, freq="min", tz="UTC")
    return table


def test_chaque_alarme_a_sa_suite(mesures, histoire):
    table = principes.decisions(mesures, histoire)
    assert list(table["declenche"]) == [True, True, False, False], "un drift ne déclenche rien"
    assert list(table["suite"]) == ["promotion", "attente", "rien", "rien"], (
        "la suite d’un mois est au journal du premier jour du mois suivant"
    )


def test_le_drift_et_la_panne_se_croisent(mesures):
    assert principes.croiser(mesures) == (["juin"], ["mai"]), "l’un sans l’autre"


def test_le_cadran_place_chaque_evenement(mesures, histoire):
    repere = principes.cadran(principes.decisions(mesures, histoire), histoire)
    places = [sorted(points.get_offsets()[:, 0].tolist()) for points in repere.collections]
    assert places == [[0, 1], [0], [0, 1, 2, 3]], "alarmes, réentraînements, mises en service"


def test_les_jauges_cernent_la_section_la_plus_basse():
    notes = noter(charger("ml_test_score"), RAPPORT)
    repere = principes.jauges(notes)
    cernees = [b.get_width() for b in repere.patches if b.get_hatch()]
    totaux = principes.par_section(notes).values()
    assert set(cernees) == {min(totaux)}, "seule la section la plus basse est cernée"


def test_un_resultat_s_ecrit_en_francais():
    table = pd.DataFrame({"a": [0.5], "n": [1200], "d": [MOIS[0]], "v": [None], "l": [["x", "y"]]})
    titres = {"a": "A", "n": "N", "d": "D", "v": "V", "l": "L"}
    markdown = principes.resultat(table, titres, "Essai", "tab-essai")._repr_markdown_()
    assert "| 0,500 | 1\u202f200 | 01/04/2013 | — | x, y |" in markdown, markdown


def test_chaque_indicateur_a_sa_valeur(histoire, monkeypatch):
    predits = pd.DataFrame({"predit_le": [histoire["horodatage"].iloc[0] + pd.Timedelta("30s")]})
    monkeypatch.setattr(principes.base, "lire", lambda *_: predits)
    valeurs = {f["indicateur"]: f["valeur"] for f in principes.indicateurs(histoire, 1)}
    assert valeurs["Délai de changement"] == "30,0 s", "de la dernière prédiction à la promotion"
    assert valeurs["Temps de rétablissement"] == "20 jours", "du 15 juin au 5 juillet"
    assert "—" not in valeurs.values(), "tout est calculé sur cette histoire"


def test_sans_demonstration_l_erreur_dit_quoi_faire(monkeypatch, histoire):
    monkeypatch.setattr(principes.journal, "tout", lambda: histoire.iloc[:0])
    with pytest.raises(ErreurUtilisateur, match="make demo"):
        principes.derniere_histoire()


@pytest.mark.parametrize("n", range(1, 12))
def test_les_outils_libres_d_abord(n):
    lignes = principes.outils(n)._repr_markdown_().splitlines()[2:]
    lieux = [ligne.split("|")[1].strip() for ligne in lignes]
    assert lieux == ["Libres", "AWS", "Google", "Azure", "Europe"], "toujours le même ordre"


def test_le_dernier_essai_de_chaque_nom(monkeypatch):
    def essai(nom, lance, auc):
        etiquettes = {"donnees.vols": "10", "donnees.fin": "2013-02-28", "donnees.empreinte": "ab"}
        return SimpleNamespace(
            info=SimpleNamespace(run_name=nom, start_time=lance),
            data=SimpleNamespace(params={"modele": "M"}, tags=etiquettes, metrics={"auc": auc}),
        )

    notes = [essai("candidat a", 3, 0.9), essai("autre", 2, 0.7), essai("candidat a", 1, 0.5)]
    client = SimpleNamespace(search_runs=lambda _: notes)
    monkeypatch.setattr(principes.registre, "client", lambda: client)
    monkeypatch.setattr(principes.registre, "experience", lambda: "1")
    assert list(principes.essais()["essai"]) == ["autre", "candidat a"], (
        "du plus ancien au plus récent"
    )
    assert list(principes.essais("candidat")["auc"]) == [0.9], "le dernier de chaque nom"
    assert principes.essais()["log_loss"].isna().all(), "une mesure absente reste absente"


def test_chaque_preuve_mene_a_son_test():
    lignes = principes.preuves(noter(charger("ml_test_score"), RAPPORT))
    assert [ligne["points"] for ligne in lignes].count("1") == 7
    assert lignes[0]["mesure"] == "deux sur deux"
    liens = [test for ligne in lignes for test in ligne["test"]]
    noms = [t["test"].split("[")[0].partition("::")[2] for t in RAPPORT["tests"]]
    for test, nom in zip(liens, noms, strict=True):
        chemin, _, ligne = test["adresse"].partition("/blob/main/")[2].partition("#L")
        vers = (RACINE / chemin).read_text(encoding="utf-8").splitlines()[int(ligne) - 1]
        assert vers.startswith(f"def {nom}("), test
    textes = [test["texte"] for test in liens]
    assert textes[0] == "test D1"
    assert len(set(textes)) == len(textes), "deux liens différents portent des noms différents"
