"""Les services des nuages : chacun a une page lue, et rien n’est nommé sans elle."""

import re

import pytest
from publication.tableaux import charger

# Ce qui sépare les services d’une case de nuages.yaml, hors parenthèses.
MORCEAUX = re.compile(r"(?:,| ;) (?![^(]*\))")
INSTALLE = "que l’on installe"


def proposes():
    """Ce que les tableaux disent des nuages, morceau par morceau, et l’endroit où ils le disent."""
    for ligne in charger("nuages"):
        for nuage in ("aws", "google", "azure", "europe"):
            if INSTALLE not in ligne[nuage]:
                for morceau in MORCEAUX.split(ligne[nuage]):
                    yield f"{ligne['categorie']}, {nuage}", morceau
    for principe in charger("principes"):
        for outils in principe["outils"]:
            for nom in outils["noms"]:
                if outils["ou"] != "Libres" and INSTALLE not in nom:
                    yield f"{principe['principe']}, {outils['ou']}", nom


def sans_page(noms, services):
    """Les morceaux qui ne nomment aucun service du registre."""
    connus = "|".join(re.escape(service["nom"]) for service in services)
    un_service = re.compile(rf"(?<![\w-])(?:{connus})(?![\w-])")
    return [(lieu, nom) for lieu, nom in noms if not un_service.search(nom) and INSTALLE not in nom]


def test_chaque_service_propose_a_une_page_lue():
    assert sans_page(proposes(), charger("services")) == [], (
        "Cherchez la page du fournisseur et notez-la dans services.yaml, ou retirez le nom."
    )


def test_un_service_sans_page_est_vu():
    # Étant donné un registre où CloudWatch n’a pas de page
    registre = [s for s in charger("services") if s["nom"] != "CloudWatch"]
    # Alors les tableaux qui le nomment sont montrés du doigt
    assert {nom for _, nom in sans_page(proposes(), registre)} == {"CloudWatch"}


@pytest.mark.parametrize("service", charger("services"), ids=lambda s: s["nom"])
def test_chaque_page_lue_sert(service):
    textes = [nom for _, nom in proposes()]
    assert any(service["nom"] in texte for texte in textes), "plus aucun tableau ne le nomme"


def test_vingt_outils_a_choisir_libres_et_vivants():
    vingt = [outil for outil in charger("outils") if "choisir" in outil]
    assert len(vingt) == 20
    assert {outil["statut"] for outil in vingt} == {"vivant"}
    assert not [o["outil"] for o in vingt if "non libre" in o["licence"]]
