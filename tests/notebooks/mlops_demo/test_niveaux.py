"""Les cinq niveaux exécutés : actes comptés, relances comparées, incidents servis ou arrêtés."""

import itertools
import os

import pandas as pd
import pytest
from mlops_demo import base, entrainement, niveaux, registre
from mlops_demo.configuration import schema

ETAT = "SELECT count(*) AS vols, max(xmin::text::bigint) AS derniere_ecriture FROM flights"
JOURNAL = "SELECT count(*) AS n FROM journal"


@pytest.fixture(scope="module")
def execution(premier):
    """Les cinq niveaux, exécutés une fois, et l’état de la démonstration avant et après."""
    etat = lambda: (  # noqa: E731 (deux lectures identiques, avant et après)
        base.lire(ETAT).iloc[0].to_dict(),
        base.lire(JOURNAL)["n"].iloc[0],
        registre.version_de(registre.CHAMPION),
        registre.nom_du_modele(),
        dict(os.environ),
    )
    avant = etat()
    with niveaux.atelier() as atelier:
        ailleurs = schema(), registre.nom_du_modele()
        mesures = niveaux.executer(atelier)
    return mesures, avant, etat(), ailleurs


@pytest.fixture(scope="module")
def mesures(execution):
    """Les mesures des cinq niveaux."""
    return execution[0]


def test_le_chapitre_4_n_a_pas_bouge(execution):
    _, avant, apres, ailleurs = execution
    assert avant == apres, "exécuter les niveaux a touché à la démonstration"
    assert ailleurs[0] != schema(), "les niveaux écrivent dans le schéma du chapitre 4"
    assert ailleurs[1] != registre.nom_du_modele(), "les niveaux partagent le modèle du chapitre 4"


def test_chaque_niveau_a_toutes_ses_mesures(mesures):
    assert [m.niveau for m in mesures] == [0, 1, 2, 3, 4]
    for m in mesures:
        assert m.duree_s > 0, f"niveau {m.niveau} : durée absente"
        assert len(m.traces) == 7, f"niveau {m.niveau} : traces incomplètes"
        assert set(m.skill) == {"bon lot", "mauvais lot", "mauvais modèle"}
        for incident in (m.mauvais_lot, m.mauvais_modele, m.degradation):
            assert incident.par, f"niveau {m.niveau} : un incident sans cause"
            assert incident.quand, f"niveau {m.niveau} : un incident sans moment"


def test_les_actes_manuels_decroissent_strictement(mesures):
    comptes = [len(m.actes) for m in mesures]
    assert all(a > b for a, b in itertools.pairwise(comptes)), comptes
    assert comptes[-1] == 0, "au niveau 4, personne ne touche au cycle ordinaire"


def test_les_attentes_sont_les_changements_de_main():
    passage = niveaux.Passage(None, None, None, None, None, None)
    for metier in ("a", "a", "b", "a"):
        passage.agir(metier, "un geste")
    assert passage.attentes == 3


def test_un_acte_compte_fait_vraiment_le_geste():
    passage = niveaux.Passage(None, None, None, None, None, None)
    assert passage.agir("développeur", "compter", lambda: 7) == 7
    assert passage.actes == [niveaux.Acte("développeur", "compter")]


def test_sans_graine_ni_registre_on_ne_refait_pas_le_modele(mesures):
    for m in mesures[:2]:
        assert not m.reproductible, f"niveau {m.niveau} refait à l’identique"
        assert m.ecart > 0.001, f"niveau {m.niveau} : {m.ecart}"
    for m in mesures[2:]:
        assert m.reproductible, f"niveau {m.niveau} : écart de {m.ecart}"
        assert m.ecart == 0


def test_chaque_niveau_apprend_sur_autant_de_vols(premier):
    """Sinon l’on comparerait des quantités de données, et non des façons de faire."""
    combien = []
    with niveaux.atelier() as atelier:
        for niveau in range(5):
            passage = atelier.passage(niveau)
            niveaux.NIVEAUX[niveau](passage)
            dates = passage.lire(passage)["flight_date"]
            combien.append(int((dates >= niveaux.LOT).sum()))
            niveaux._retirer_le_lot()
    assert max(combien) < 1.15 * min(combien), combien


def test_ce_qui_est_trace_ne_diminue_jamais(mesures):
    comptes = [sum(m.traces.values()) for m in mesures]
    assert comptes == sorted(comptes), comptes
    assert not mesures[1].traces["données"], "un fichier de modèle ne dit pas ses données"
    assert mesures[2].traces["données"], "le registre retrouve les données"
    assert all(mesures[3].traces.values()), mesures[3].traces


def test_une_trace_fausse_n_est_pas_une_trace(premier, tmp_path):
    """Une application sans rien à côté d’elle, puis une fiche de livraison qui ment."""
    modele = entrainement.lineaire()
    passage = niveaux.Passage(None, None, None, None, tmp_path, None, modele=modele)
    relus = pd.DataFrame({"late": [0.0, 1.0]})
    assert not any(niveaux.chercher(passage, relus).values()), "rien à côté, mais tout retrouvé"
    mensonge = {"donnees.empreinte": "0" * 16, "code.version": "une autre", "max_iter": "7"}
    niveaux.livrer(passage, **mensonge)
    trouve = niveaux.chercher(passage, relus)
    assert [nom for nom, vrai in trouve.items() if vrai] == ["date de livraison"], trouve


def test_le_mauvais_lot_est_servi_jusqu_au_contrat(mesures):
    assert [m.mauvais_lot.servi for m in mesures] == [True, True, False, False, False]
    for m in mesures[2:]:
        assert m.mauvais_lot.par == niveaux.CONTRAT
        assert "vitesse médiane" in m.mauvais_lot.motif, m.mauvais_lot.motif


def test_le_mauvais_modele_est_servi_jusqu_au_gate(mesures):
    assert [m.mauvais_modele.servi for m in mesures] == [True, True, True, False, False]
    assert mesures[2].mauvais_modele.quand == niveaux.AU_SUIVI, "MLflow montre la chute d’AUC"
    for m in mesures[3:]:
        assert m.mauvais_modele.par == niveaux.GATE
        assert m.mauvais_modele.quand == niveaux.AVANT


def test_le_meme_gate_laisse_passer_le_bon_modele(mesures):
    for m in mesures[3:]:
        assert m.skill["bon lot"] > m.skill["mauvais modèle"], "le bon lot n’a rien promu"
        assert m.retour_s is not None, "rien n’a été promu, donc rien à quoi revenir"
        assert m.retour_s > 0


def test_un_mauvais_modele_servi_coute(mesures):
    for m in mesures[:3]:
        assert m.skill["mauvais modèle"] < m.skill["bon lot"], f"niveau {m.niveau}"


def test_seule_la_surveillance_voit_la_degradation(mesures):
    assert [m.degradation.quand for m in mesures] == [*[niveaux.JAMAIS] * 4, niveaux.ETIQUETTES]
    assert "calibration" in mesures[4].degradation.motif


def test_le_tableau_dit_chaque_mesure_a_chaque_niveau(mesures):
    lignes = {ligne.pop("mesure"): ligne for ligne in niveaux.lignes(mesures)}
    assert all(set(ligne) == set("01234") for ligne in lignes.values())
    assert list(lignes["Gestes faits à la main"].values()) == ["9", "5", "3", "1", "0"]
    assert lignes["Un mauvais modèle arrive"]["0"] == "servi ; vu : jamais"
    assert lignes["Un mauvais modèle arrive"]["3"].startswith("arrêté par le gate")
    assert lignes["Le modèle, refait"]["2"] == "identique"


def test_relancer_donne_les_memes_decisions(mesures, premier):
    """Deux niveaux refaits dans un atelier neuf : mêmes actes, traces, scores et verdicts."""
    with niveaux.atelier() as atelier:
        for niveau in (2, 3):
            encore, avant = niveaux.mesurer(niveau, atelier), mesures[niveau]
            for champ in ("actes", "traces", "skill", "mauvais_lot", "mauvais_modele"):
                assert getattr(encore, champ) == getattr(avant, champ), champ


def test_une_erreur_rend_la_demonstration_intacte(premier):
    avant = dict(os.environ)
    with pytest.raises(RuntimeError, match="panne"), niveaux.atelier():
        raise RuntimeError("panne")
    assert dict(os.environ) == avant
    assert registre.version_de(registre.CHAMPION) is not None
