import json
from importlib.metadata import distributions

import pytest
import yaml
from publication import etat
from publication.depot import RACINE, ErreurPublication, lire_sommaire
from publication.mesures import APPAREILS, SORTES, ralentissement

MESURES = json.loads((RACINE / "book" / "mesures.json").read_text(encoding="utf-8"))


def test_les_mesures_publiees_tiennent():
    # Étant donné une page de chaque sorte, sur chaque appareil
    notes = {(note["sorte"], note["appareil"]): note for note in MESURES["lighthouse"]}
    assert set(notes) == {(sorte, appareil) for sorte in SORTES for appareil in APPAREILS}
    # Alors elle est accessible, sans faute, et rapide
    for qui, note in notes.items():
        assert note["accessibilite"] == 100, qui
        assert note["bonnes_pratiques"] == 100, qui
        assert note["performance"] >= 95, qui
    assert MESURES["axe"]["defauts"] == 0


@pytest.mark.parametrize(("indice", "fois"), [(1750, 4), (875, 2), (3500, 8)])
def test_le_telephone_imite_est_le_meme_sur_toute_machine(indice, fois):
    assert ralentissement(indice) == fois


def test_les_mesures_disent_de_combien_la_machine_est_ralentie():
    assert MESURES["ralentissement"] == ralentissement(MESURES["indice"])


def test_les_mesures_disent_avec_quoi_elles_sont_faites():
    # Étant donné les versions du verrou
    paquets = json.loads((RACINE / "requirements" / "package.json").read_text())["dependencies"]
    # Alors les mesures publiées ont été faites avec elles
    for nom, paquet in (("Lighthouse", "lighthouse"), ("axe-core", "axe-core")):
        assert MESURES["outils"][nom] == paquets[paquet], "Relancez « make mesures »."


def test_chaque_outil_de_local_est_mesure():
    # Étant donné les outils que Compose lance et qui restent en marche, Grafana excepté : aucun
    # registre joignable n’en donne l’image
    commun = yaml.safe_load((RACINE / "local" / "common.yaml").read_text(encoding="utf-8"))
    outils = set(commun["services"]) - {"preparation", "grafana"}
    # Alors la page donne la taille de son image et sa mémoire
    mesures = json.loads(etat.MESURES_LOCAL.read_text(encoding="utf-8"))["outils"]
    assert set(mesures) == outils, "relancez « make test-local », puis copiez ses mesures"
    assert all(vu["taille_mo"] > 0 and vu["memoire_mo"] > 0 for vu in mesures.values())
    page = etat.outils_locaux()._repr_markdown_().replace("\xa0", " ").replace("\u202f", " ")
    for outil, vu in mesures.items():
        assert f"| {outil} | {vu['image']} ({vu['taille_mo']} Mo) | {vu['memoire_mo']} Mo |" in page


def test_le_service_tient_ce_que_nous_visions():
    # Étant donné le relevé publié, pour un client
    releves = json.loads(etat.MESURES_SERVICE.read_text(encoding="utf-8"))["releves"]
    notre, le_leur = (r for r in releves if r["clients"] == 1)
    assert (notre["serveur"], le_leur["serveur"]) == ("le service", "mlflow models serve")
    # Alors les trois cibles sont tenues
    assert notre["p50_ms"] <= 5
    assert notre["p99_ms"] <= 12
    assert notre["rapport"][0] >= 4
    # Et la page donne chaque relevé
    page = etat.service()._repr_markdown_().replace("\xa0", " ").replace("\u202f", " ")
    for r in releves:
        cases = (r["serveur"], r["clients"], f"{r['debit']:.0f} par seconde", f"{r['p50_ms']} ms")
        attendu = " | ".join(map(str, cases)).replace(".", ",")
        assert attendu in page


def test_la_page_s_execute_apres_toutes_les_autres():
    page = "book/etat.ipynb"
    amont = json.loads((RACINE / page).read_text(encoding="utf-8"))["metadata"]["depend_de"]
    assert set(amont) == {p for p in lire_sommaire(RACINE) if p.endswith(".ipynb")} - {page}


def test_pages_jamais_mesurees(monkeypatch, tmp_path):
    monkeypatch.setattr(etat, "MESURES", tmp_path / "mesures.json")
    with pytest.raises(ErreurPublication, match="make mesures"):
        etat.notes()


def test_chaque_paquet_installe_est_sous_sa_licence():
    # Étant donné ce qui est installé ici, et ce qui l’a été dans les images
    installes = {p.metadata["Name"] for p in distributions()} - {"presentation-mlops"}
    images = json.loads(etat.LICENCES.with_name("licences_images.json").read_text("utf-8"))
    verrou = json.loads(etat.LICENCES.with_name("package-lock.json").read_text("utf-8"))
    images["npm"] = {p["license"] for chemin, p in verrou["packages"].items() if chemin}
    # Alors chacun est nommé une fois, et chaque image, comme npm, à chacune de ses licences
    lignes = [r.split("|")[1:4] for r in etat.licences()._repr_markdown_().splitlines()[2:]]
    lignes = [[c.strip() for c in ligne] for ligne in lignes if len(ligne) == 3]
    nommes = [p for _, paquets, _ in lignes for p in paquets.split(", ") if p != "—"]
    assert sorted(nommes) == sorted(installes)
    dites = {(nom, licence) for licence, _, noms in lignes for nom in images if f"{nom} (" in noms}
    assert dites == {(nom, licence) for nom, releve in images.items() for licence in releve}
