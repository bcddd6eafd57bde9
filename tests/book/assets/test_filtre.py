"""Les filtres des tableaux, dans un vrai navigateur, depuis le disque et réseau coupé."""

import pytest
from publication.tableaux import charger, tableau

COLONNES = {"outil": "Outil", "categorie": "Catégorie", "licence": "Licence", "statut": "Statut"}
VISIBLES = "[...document.querySelectorAll('tbody tr')].filter((r) => !r.hidden).length"


@pytest.fixture
def ouvrir(page_avec):
    """Ouvre une page qui contient le tableau des outils et le script."""
    html = tableau(charger("outils"), COLONNES, "Les outils", filtrable=True)._repr_html_()
    return page_avec(html, "filtre.js")


def test_sans_javascript_tout_le_tableau_est_la(ouvrir):
    page = ouvrir(java_script_enabled=False)
    assert page.locator("tbody tr:visible").count() == len(charger("outils"))
    assert page.locator("form").count() == 0, "Un filtre inutilisable est affiché."


def test_chercher_sans_accent_et_choisir_un_statut(ouvrir):
    # Étant donné le tableau entier
    page = ouvrir()
    total = len(charger("outils"))
    assert page.locator("output").inner_text() == f"{total} lignes sur {total}"
    # Quand on cherche sans accents, alors les mots accentués sont trouvés
    page.get_by_label("Chercher").fill("qualite des donnees")
    attendus = [o for o in charger("outils") if o["categorie"] == "Qualité des données"]
    assert page.evaluate(VISIBLES) == len(attendus)
    # Quand on ajoute un statut, alors les deux conditions comptent, et le nombre est annoncé
    page.get_by_label("Statut").select_option("licence à vérifier")
    assert page.evaluate(VISIBLES) == 1
    assert page.locator("output[aria-live=polite]").inner_text() == f"1 ligne sur {total}"


def test_tout_se_fait_au_clavier(ouvrir):
    # Étant donné le champ de recherche, atteint par la première tabulation
    page = ouvrir()
    page.keyboard.press("Tab")
    page.keyboard.type("mlflow")
    page.keyboard.press("Enter")
    assert page.evaluate(VISIBLES) == 1, "La touche Entrée a quitté la page."
    # Quand on va jusqu’au bouton et qu’on l’actionne, alors tout revient
    for _ in range(3):
        page.keyboard.press("Tab")
    page.keyboard.press("Space")
    page.wait_for_function(f"{VISIBLES} === {len(charger('outils'))}")


def test_chaque_commande_a_son_nom(ouvrir):
    page = ouvrir()
    noms = {"Chercher": "searchbox", "Catégorie": "combobox", "Statut": "combobox"}
    for nom, role in noms.items():
        trouves = page.get_by_role(role, name=nom, exact=True).count()
        assert trouves == 1, f"« {nom} » n’a pas son étiquette."
    assert page.get_by_role("search", name="Filtrer le tableau : Les outils").count() == 1


def test_rien_ne_trouve_se_dit(ouvrir):
    page = ouvrir()
    page.get_by_label("Chercher").fill("introuvable")
    assert page.locator("output").inner_text().startswith("0 ligne sur ")
