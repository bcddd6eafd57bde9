"""La recherche d’une page : les sections, les rangs, et un gate vu des deux côtés."""

import numpy as np
from publication import recherche
from publication.depot import RACINE
from publication.tableaux import charger


def test_chaque_question_a_sa_page_dans_le_contexte():
    # Étant donné les sections du livre et les questions de l’auditoire
    pages = {section.page for section in recherche.sections(RACINE)}
    attendues = {question["ou"]["adresse"].split("#")[0] for question in charger("questions")}
    # Alors chaque réponse attendue peut être trouvée
    assert attendues <= pages


def test_rang_de_la_page_attendue():
    # Étant donné trois sections, dont deux de la même page
    proximites = np.array([[0.9, 0.8, 0.1], [0.2, 0.1, 0.9]])
    rangs = recherche.rangs(proximites, ["a", "a", "b"], ["b", "b"])
    assert rangs.tolist() == [2, 1], "Une page ne compte qu’une fois."


def test_le_gate_promeut_un_gain_etabli_et_refuse_le_reste():
    champion = np.full(25, 2)
    assert recherche.juger(champion, np.full(25, 1)).promu
    assert not recherche.juger(champion, champion).promu, "Un candidat égal est passé."
    assert not recherche.juger(np.full(25, 1), champion).promu, "Un candidat pire est passé."
    # Un gain porté par une seule question se confond avec le hasard du tirage
    chanceux = np.where(np.arange(10) == 0, 1, 40)
    verdict = recherche.juger(np.full(10, 40), chanceux)
    assert verdict.gain > recherche.GAIN_MINIMAL
    assert not verdict.promu


def test_les_deux_modeles_preferent_le_texte_proche():
    textes = ["Le modèle figé se trompe en juillet.", "Recette de la tarte aux pommes."]
    for modele in (recherche.lettres, recherche.phrases):
        [proximites] = modele(["Pourquoi le modèle se trompe-t-il en juillet ?"], textes)
        assert proximites[0] > proximites[1]
