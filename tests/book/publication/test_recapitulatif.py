from publication.recapitulatif import recapituler


def test_recapitulatif():
    # Étant donné deux étapes
    releve = {"duree": 12.34, "noyau": 1.0, "imports": 2.5, "memoire_mo": 410}
    etapes = [
        ("notebooks/41_donnees.ipynb", {**releve, "resultat": {"resume": "Tout est chargé."}}),
        ("notebooks/42_entrainement.ipynb", {**releve, "resultat": {"resume": "Mot " * 40}}),
    ]
    # Quand on récapitule
    texte = recapituler(etapes, total=30.0)
    # Alors chaque étape a ses chiffres et son résumé, et le total dit où va le temps
    assert "41_donnees" in texte
    assert "12,3 s" in texte
    assert "410 Mo" in texte
    assert "  Tout est chargé." in texte
    assert "Total : 30,0 s" in texte
    assert "démarre (2,0 s en tout)" in texte
    assert "importe (5,0 s)" in texte
    assert max(len(ligne) for ligne in texte.splitlines()[:-1]) <= 88
