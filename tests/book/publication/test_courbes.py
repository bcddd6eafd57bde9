import re
from io import StringIO

import pytest
from publication.courbes import CORPS, COURBES, TAILLE, tracer
from publication.planches import courbe
from publication.reference import valeur

# Les valeurs nommées que dit le texte de remplacement d’une courbe.
DITES = {
    "retards_par_heure": ("retards_6h", "retards_21h"),
    "annonce_observe": ("juillet_annonce", "juillet_observe"),
    "fige_reentraine": ("juillet_log_loss", "juillet_log_loss_neuf"),
    "drift_et_erreur": ("juillet_derive", "juillet_biais", "octobre_derive", "octobre_biais"),
    "gestes": ("gestes_0", "gestes_1", "gestes_2", "gestes_3", "gestes_4"),
    "candidats": ("naif", "lineaire", "boosting"),
}
ECHELLE = re.compile(r'transform="[^"]*scale\(([\d.]+) -\1\)')


@pytest.mark.parametrize("nom", COURBES)
def test_une_courbe_se_trace_et_dit_ses_nombres(nom):
    # Quand on trace une courbe deux fois
    deux = [StringIO(), StringIO()]
    alternatif, _ = (tracer(nom, dessin) for dessin in deux)
    # Alors le dessin est le même, à la taille de la salle, et rien n’y est trop petit
    svg = deux[0].getvalue()
    assert svg == deux[1].getvalue()
    assert f'viewBox="0 0 {72 * TAILLE[0]:g} {72 * TAILLE[1]:g}"' in svg
    tailles = [100 * float(t) for t in ECHELLE.findall(svg)]
    assert min(tailles) >= CORPS, f"Un texte de {min(tailles)} points."
    # Et son texte de remplacement est une phrase qui porte ses nombres
    assert re.fullmatch(r"[A-ZÀ-Ü].*\d.*\.", alternatif)
    assert "nan" not in alternatif
    for dite in DITES.get(nom, ()):
        # La phrase peut écrire « % » ou « points » après une espace ordinaire.
        ecrit = valeur(dite).partition("\u00a0")[0]
        assert re.search(rf"(?<![\d,]){re.escape(ecrit)}(?![\d,]\d)", alternatif), dite


def test_la_frise_et_la_grille_disent_l_annee():
    frise, grille = (courbe(nom).donnees["alt"] for nom in ("frise", "mauvais_lot_modele"))
    assert " ".join(valeur("retour").split()) in frise
    assert frise.count("promotion") == 2
    assert [f"niveau {n}" in grille for n in range(5)] == [True] * 5
    assert ("servi" in grille, "arrêté" in grille) == (True, True)
