"""Chaque règle de l’exposé, de part et d’autre de son seuil."""

from dataclasses import replace

import pytest
from publication.depot import ErreurPublication
from publication.expose import Diapositive, Notes
from publication.regles import compter, nombres_absents, verifier

FIGURE = {"genre": "figure", "nom": "fig-x", "svg": "<svg/>", "alt": "Un carré."}
BONNE = Diapositive(
    *("un", "1_essai", "Un message", "", "courte", False),
    contenu=[(FIGURE, False)],
    notes=[Notes("courte", "Bonjour.")],
    texte="Un paragraphe.",
    sources=["R1"],
)


def fautes(*diapositives, combien=40, secondes=60):
    """Ce que dit le contrôle d’un exposé dont le reste est bon."""
    toutes = [replace(BONNE, id=f"n{i}") for i in range(combien - len(diapositives))]
    toutes += diapositives
    try:
        verifier(toutes, {d.id: 60 for d in toutes} | {"un": secondes})
    except ErreurPublication as erreur:
        return str(erreur).splitlines()[1:]
    return []


def montrer(*planches):
    """Une bonne diapositive qui montre ces planches."""
    return replace(BONNE, contenu=[(planche, False) for planche in planches])


def table(lignes, colonnes):
    return {"genre": "table", "colonnes": ["c"] * colonnes, "lignes": [["x"] * colonnes] * lignes}


def code(lignes):
    return {
        "genre": "code",
        "fichier": "a.py",
        "langage": "python",
        "code": "\n".join("x" * lignes),
    }


def texte(mots):
    return {"genre": "texte", "texte": "mot " * mots}


@pytest.mark.parametrize(
    ("bonne", "fautive", "phrase"),
    [
        (montrer(texte(58)), montrer(texte(59)), "elle fait lire 61 mots, 60 au plus."),
        (montrer(table(6, 4)), montrer(table(7, 4)), "son tableau a 7 lignes et 4 colonnes"),
        (montrer(table(2, 4)), montrer(table(2, 5)), "son tableau a 2 lignes et 5 colonnes"),
        (montrer(code(12)), montrer(code(13)), "son code a plus de 12 lignes."),
        (BONNE, replace(BONNE, notes=[]), "elle n’a pas de notes."),
        (BONNE, replace(BONNE, texte=""), "elle n’a pas de paragraphe"),
        (BONNE, montrer(FIGURE | {"alt": " "}), "une image n’a pas de texte de remplacement."),
        (
            montrer({"genre": "deux", "planches": [code(12), FIGURE], "parts": [1, 1]}),
            montrer({"genre": "deux", "planches": [code(13), FIGURE], "parts": [1, 1]}),
            "son code a plus de 12 lignes.",
        ),
        (
            replace(BONNE, document=[code(12)]),
            replace(BONNE, document=[code(13)]),
            "son code a plus de 12 lignes.",
        ),
        (BONNE, replace(BONNE, sources=["XX"]), "la source « XX » n’est pas dans references.bib."),
        (replace(BONNE, titre="a" * 80), replace(BONNE, titre="a" * 81), "son titre a 81 signes"),
        (replace(BONNE, ouvre=True, contenu=[]), replace(BONNE, contenu=[]), "ne montre rien."),
        (
            replace(BONNE, texte="Et pourtant… rien."),
            replace(BONNE, texte="Il donne … 12 points."),
            "un « … » y tient la place d’un nombre.",
        ),
    ],
)
def test_une_diapositive(bonne, fautive, phrase):
    # Étant donné une diapositive au seuil, alors rien ; au-delà, la partie, la cellule et la règle
    assert fautes(bonne) == []
    (faute,) = fautes(fautive)
    assert faute.startswith("1_essai, « un » : ")
    assert phrase in faute


@pytest.mark.parametrize(
    ("secondes", "phrase"),
    [(24, "24 s à dire, il en faut de 25 à 110."), (25, ""), (110, ""), (111, "111 s à dire")],
)
def test_le_temps_d_une_diapositive(secondes, phrase):
    trouvees = fautes(BONNE, secondes=secondes)
    assert len(trouvees) == bool(phrase)
    assert all(f"1_essai, « un » : {phrase}" in faute for faute in trouvees)
    # Une diapositive d’atelier a le temps de son exercice
    assert fautes(replace(BONNE, version="atelier"), combien=41, secondes=secondes) == []


@pytest.mark.parametrize(("combien", "faux"), [(37, True), (38, False), (48, False), (49, True)])
def test_le_nombre_de_diapositives(combien, faux):
    attendue = [f"il y a {combien} diapositives, il en faut de 38 à 48."]
    assert fautes(combien=combien) == (attendue if faux else [])


@pytest.mark.parametrize(("mots", "faux"), [(23, False), (24, True)])
def test_la_mediane_des_mots(mots, faux):
    # Étant donné une majorité de diapositives de ce nombre de mots, et deux de titre
    trouvees = fautes(*(replace(montrer(texte(mots)), id=f"d{i}") for i in range(30)))
    assert trouvees == (["la diapositive médiane fait lire 26 mots, 25 au plus."] if faux else [])


def test_les_nombres_dits_sont_ecrits():
    dite = replace(BONNE, notes=[Notes("courte", "Sur 336\u202f776 vols, 32 % ; 0,5 point.")])
    assert nombres_absents(replace(dite, texte="336\u202f776, 32 et 0,5.")) == []
    assert nombres_absents(replace(dite, texte="336\u202f776 et 0,5.")) == ["32"]
    atelier = replace(BONNE, notes=[Notes("atelier", "Rejouez le 41.")])
    assert nombres_absents(atelier) == [], "Un exercice d’atelier n’est pas au document."


def test_un_mot_compte_une_fois():
    assert compter("L’AUC du vol, aujourd’hui : 0,75.") == 6


def test_un_dessin_trop_petit_a_sa_place_est_refuse():
    # Étant donné un dessin de 1216 de large, dont les lettres font 18, ou un peu moins
    def dessin(taille):
        svg = f'<svg width="1216" height="500"><text font-size="{taille}">a</text></svg>'
        return FIGURE | {"genre": "figure", "nom": "fig-a", "svg": svg}

    assert fautes(montrer(dessin(18))) == []
    assert "17.0 pixels, 18 au moins" in fautes(montrer(dessin(17)))[0]
    # Alors à côté d’un texte, il n’a que les trois cinquièmes de la largeur
    deux = {"genre": "deux", "planches": [dessin(18), texte(1)], "parts": [3, 2]}
    assert "10.4 pixels" in fautes(montrer(deux))[0]
