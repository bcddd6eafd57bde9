import pytest
from nbformat.v4 import new_markdown_cell
from publication import expose
from publication.depot import ErreurPublication

FIGURE = {"genre": "figure", "nom": "fig-x", "svg": "<svg/>", "alt": "Un carré."}
CODE = {"genre": "code", "fichier": "a.py", "langage": "python", "code": "x = 1"}


def regler(cellule, genre, *etiquettes, **autres):
    """Donne son rôle à une cellule."""
    cellule.metadata.update(slideshow={"slide_type": genre, **autres}, tags=list(etiquettes))
    return cellule


def test_chaque_cellule_a_son_role(exposer, diapositive):
    # Étant donné une diapositive de deux planches, dont une n’est que pour le document
    texte = "Un paragraphe, avec {{ retards_21h }}.\n\nSources : R1, K23."
    cellules = diapositive("un", FIGURE, CODE, titre="Le message", texte=texte, slide_type="slide")
    regler(cellules[2], "skip", "document")
    # Et une suite qui paraît à la demande, puis un exercice d’atelier
    cellules.insert(3, regler(new_markdown_cell("La suite : là.", id="suite"), "fragment"))
    exercice = new_markdown_cell("Essayez.", id="exercice")
    cellules.append(regler(exercice, "notes", version="atelier", exercice=3))
    # Quand on la lit
    (lue,) = expose.lire(exposer(cellules))
    # Alors chaque cellule a le rôle que disent ses réglages
    assert (lue.id, lue.partie, lue.titre, lue.ouvre) == ("un", "1_essai", "Le message", True)
    suite = {"genre": "texte", "texte": "La suite\u00a0: là."}
    assert lue.contenu == [(FIGURE, False), (suite, True)]
    assert lue.document == [CODE]
    assert lue.texte == "Un paragraphe, avec 37\u00a0%.", "Sa valeur, sans les sources."
    assert lue.sources == ["R1", "K23"]
    assert [len(lue.paroles(v)) for v in expose.VERSIONS] == [1, 1, 2]
    assert lue.notes[1].exercice == 3
    assert lue.visible.split() == ["Le", "message", "La", "suite", ":", "là."]


@pytest.mark.parametrize(
    ("texte", "sources"),
    [
        ("Un texte.\n\nSources : R1.", ["R1"]),
        ("Un texte.\nSources : R1, R2", ["R1", "R2"]),
        ("Sources : elles manquent.\n\nUn texte.", []),
        ("Un texte.", []),
    ],
)
def test_les_sources_sont_a_la_fin_du_texte(exposer, diapositive, texte, sources):
    (lue,) = expose.lire(exposer(diapositive("un", texte=texte)))
    assert lue.sources == sources


@pytest.mark.parametrize(
    ("version", "vues"),
    [("courte", "a"), ("ordinaire", "ab"), ("atelier", "abc")],
)
def test_chaque_version_contient_la_precedente(exposer, diapositive, version, vues):
    racine = exposer(
        diapositive("a"),
        diapositive("b", version="ordinaire"),
        diapositive("c", version="atelier"),
    )
    assert "".join(d.id for d in expose.lire(racine, version)) == vues
    assert [d.id for d in expose.lire_sans_sorties(racine)] == ["a", "b", "c"]


def test_une_cellule_avant_la_premiere_diapositive_est_nommee(exposer, diapositive):
    cellules = diapositive("un")
    racine = exposer([cellules[1]], cellules[:1], cellules[2:])
    faute = r"book/expose/1_essai\.ipynb, cellule un-notes : elle précède la première"
    with pytest.raises(ErreurPublication, match=faute):
        expose.lire(racine)


@pytest.mark.parametrize(
    ("rang", "source", "reglages", "phrase"),
    [
        (0, "Sans titre", {}, "commence par son titre"),
        (0, "## Un titre", {"version": "brève"}, "la version « brève » n’existe pas"),
        (1, "Des notes.", {"version": "brève"}, "la version « brève » n’existe pas"),
        (1, "Des {{ valeurs_absentes }}.", {}, "« valeurs_absentes » n’est pas dans"),
        (1, "Des notes.", {"slide_type": "note"}, "le rôle « note » n’existe pas"),
    ],
)
def test_une_cellule_fautive_est_nommee(exposer, diapositive, rang, source, reglages, phrase):
    cellules = diapositive("un")
    cellules[rang].source = source
    cellules[rang].metadata.slideshow.update(reglages)
    with pytest.raises(ErreurPublication) as erreur:
        expose.lire(exposer(cellules))
    assert f"book/expose/1_essai.ipynb, cellule {cellules[rang].id} : " in str(erreur.value)
    assert phrase in str(erreur.value)
