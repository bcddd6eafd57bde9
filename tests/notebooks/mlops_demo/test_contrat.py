"""Le contrat devient du SQL : chaque attente, mot pour mot, sans base."""

import pytest
from mlops_demo import contrat
from mlops_demo.contrat import _domaine, _valeur, connues_apres_depart, ddl_contraintes, regles

COLONNE = {"type": "smallint", "requis": True, "min": 1, "max": 9, "unite": "min"}


def test_une_colonne_complete_a_toutes_ses_regles():
    assert _domaine("n", COLONNE) == {
        "n manquant": '"n" IS NOT NULL',
        "n hors de [1 ; 9] min": '"n" BETWEEN 1 AND 9',
    }


def test_une_colonne_sans_attente_n_a_pas_de_regle():
    assert _domaine("n", {"type": "text"}) == {}
    sans_unite = {"type": "double precision", "min": -1, "max": 2.5}
    assert _domaine("n", sans_unite) == {"n hors de [-1 ; 2.5]": '"n" BETWEEN -1 AND 2.5'}


def test_listes_motifs_et_dates_sont_des_textes_proteges():
    assert _domaine("o", {"type": "text", "valeurs": ["A", "B"]}) == {
        "o hors de A, B": "\"o\" IN ('A', 'B')"
    }
    assert _domaine("o", {"type": "text", "motif": "^l'a$"}) == {"o mal formé": "\"o\" ~ '^l''a$'"}
    dates = {"type": "timestamptz", "min": "2013", "max": "2014"}
    assert _domaine("d", dates) == {"d hors de [2013 ; 2014]": "\"d\" BETWEEN '2013' AND '2014'"}
    assert (_valeur("a'b", "text"), _valeur(3, "smallint")) == ("'a''b'", "3")


def test_les_colonnes_d_apres_le_depart_sont_celles_que_le_contrat_marque():
    attendues = {"dep_time", "dep_delay", "arr_time", "arr_delay", "air_time"}
    assert connues_apres_depart() == attendues


@pytest.mark.parametrize("table", contrat.TABLES)
def test_les_regles_d_une_table_sont_celles_de_ses_colonnes_et_les_siennes(table):
    toutes = regles(table)
    for nom, colonne in contrat.contrat(table)["colonnes"].items():
        assert _domaine(nom, colonne).items() <= toutes.items()
    assert contrat.contrat(table).get("regles", {}).items() <= toutes.items()


@pytest.mark.parametrize("table", contrat.TABLES)
def test_chaque_attente_devient_une_contrainte(table):
    premiere, *suite = ddl_contraintes(table)
    description = contrat.contrat(table)
    requises = [n for n, c in description["colonnes"].items() if c.get("requis")]
    assert [
        n for n in description["colonnes"] if f'ALTER "{n}" SET NOT NULL' in premiere
    ] == requises
    cles = ", ".join(f'"{c}"' for c in description["cle"])
    principale = "PRIMARY KEY (flight_id)" if table == "flights" else f"PRIMARY KEY ({cles})"
    assert principale in premiere
    assert (f"ADD UNIQUE ({cles})" in premiere) == (table == "flights")
    verifiees = [p for p in regles(table).values() if not p.endswith("IS NOT NULL")]
    assert premiere.count("ADD CONSTRAINT") == len(verifiees)
    for predicat in verifiees:
        assert f"CHECK ({predicat})" in premiere
    references = [n for n, c in description["colonnes"].items() if "reference" in c]
    assert len(suite) == len(references)
    for nom, instruction in zip(references, suite, strict=True):
        assert f'FOREIGN KEY ("{nom}") REFERENCES' in instruction


def test_un_intitule_trop_long_est_coupe_entre_deux_lettres(monkeypatch):
    monkeypatch.setattr(contrat, "regles", lambda _: {"é" * 40: "true"})
    instruction = ddl_contraintes("airlines")[0]
    assert f'ADD CONSTRAINT "{"é" * 31}" CHECK (true)' in instruction, "63 octets au plus"
