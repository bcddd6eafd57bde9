"""L’accès à la base : une séance rend ce qu’elle a pris."""

from mlops_demo import base, session


def test_une_seance_rend_son_verrou_meme_si_le_moteur_a_change(demo, monkeypatch):
    # Étant donné une séance pendant laquelle le moteur est oublié, comme quand les données changent
    monkeypatch.setenv("MLOPS_UTILISATEUR", "verrou")
    with session():
        moteur = base.moteur()
        base.oublier()
    # Alors une autre s’ouvre aussitôt, l’ancien moteur existant encore
    with session():
        assert base.moteur() is not moteur
    base.oublier()
