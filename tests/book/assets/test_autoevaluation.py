"""L’auto-évaluation, dans un vrai navigateur, depuis le disque et réseau coupé."""

from collections import Counter

import pytest
from publication.tableaux import charger, tableau

QUESTIONS = charger("autoevaluation")
COMBIEN = Counter(int(q["niveau"]) for q in QUESTIONS)


@pytest.fixture
def ouvrir(page_avec):
    """Ouvre une page qui contient les questions et le script."""
    titres = {"question": "Question", "niveau": "Niveau"}
    html = tableau(QUESTIONS, titres, "Questions", nom="tab-autoevaluation")._repr_html_()
    return page_avec(html, "autoevaluation.js")


def resultat(page):
    """Ce qui est annoncé aux lecteurs d’écran."""
    return page.locator("output[aria-live=polite]").inner_text()


def cocher(page, niveau):
    """Répond oui à toutes les questions d’un niveau."""
    for question in QUESTIONS:
        if question["niveau"] == str(niveau):
            page.get_by_role("checkbox", name=question["question"]).check()


def test_les_questions_vont_du_niveau_1_au_niveau_4_dans_l_ordre():
    niveaux = [int(q["niveau"]) for q in QUESTIONS]
    assert niveaux == sorted(niveaux)
    assert set(niveaux) == {1, 2, 3, 4}


def test_sans_javascript_les_questions_se_lisent(ouvrir):
    page = ouvrir(java_script_enabled=False)
    assert page.locator("tbody tr:visible").count() == len(QUESTIONS)
    assert page.locator("input, output").count() == 0, "Une case inutilisable est affichée."


def test_le_niveau_monte_quand_tout_un_niveau_est_coche(ouvrir):
    # Étant donné aucune réponse
    page = ouvrir()
    assert resultat(page).startswith("Votre niveau : 0 ;")
    for niveau in (1, 2, 3, 4):
        # Quand tout est oui sauf une question, alors le niveau n’est pas atteint
        cocher(page, niveau)
        derniere = [q["question"] for q in QUESTIONS if q["niveau"] == str(niveau)][-1]
        page.get_by_role("checkbox", name=derniere).uncheck()
        assert resultat(page).startswith(f"Votre niveau : {niveau - 1} ;")
        assert "il reste une question" in resultat(page)
        # Quand elle l’est aussi, alors il l’est
        page.get_by_role("checkbox", name=derniere).check()
        assert resultat(page).startswith(f"Votre niveau : {niveau} ;")


def test_un_niveau_saute_ne_compte_pas(ouvrir):
    page = ouvrir()
    for niveau in (2, 3, 4):
        cocher(page, niveau)
    attendu = f"Votre niveau : 0 ; pour le niveau 1, il reste {COMBIEN[1]} questions."
    assert resultat(page) == attendu


def test_tout_se_fait_au_clavier(ouvrir):
    # Étant donné la première case, atteinte par la première tabulation
    page = ouvrir()
    for _ in range(COMBIEN[1]):
        page.keyboard.press("Tab")
        page.keyboard.press("Space")
    assert resultat(page).startswith("Votre niveau : 1 ;")
    # Quand on va jusqu’au bouton et qu’on l’actionne, alors tout est décoché
    for _ in range(len(QUESTIONS) - COMBIEN[1] + 1):
        page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert page.locator("input:checked").count() == 0
    assert resultat(page).startswith("Votre niveau : 0 ;")


def test_rien_n_est_garde(ouvrir):
    page = ouvrir()
    cocher(page, 1)
    page.reload()
    assert page.locator("input:checked").count() == 0, "Une réponse a survécu au rechargement."
    assert (
        page.evaluate("localStorage.length + sessionStorage.length + document.cookie.length") == 0
    )
