import hashlib
import re
import shutil

import pytest
from bs4 import BeautifulSoup
from nbformat.v4 import new_markdown_cell
from publication import expose
from publication.depot import RACINE, ErreurPublication, ecrire
from publication.diapositives import GABARIT, _traduire, assembler, construire_diapositives
from publication.temps import FICHIERS, ORDINAIRE

REVEAL = RACINE / "book" / GABARIT / "reveal"
FIGURE = {"genre": "figure", "nom": "fig-x", "svg": "<svg/>", "alt": "Un carré."}
NOMBRES = {"genre": "nombres", "paires": [["32\u00a0%", "observés"]]}
PLAN = """
- {partie: Ouverture, expose: 0_ouverture, minutes: 2, courte: 1, atelier: 4}
- {partie: Essai, expose: 1_essai, minutes: 2, courte: 1, atelier: 4}
"""


@pytest.fixture
def montrer(exposer):
    """Construit le jeu d’un exposé d’essai ; donne la page d’une de ses versions."""

    def construire(*diapositives, version=ORDINAIRE):
        racine = exposer(*diapositives)
        shutil.copytree(RACINE / "book" / GABARIT, racine / "book" / GABARIT, dirs_exist_ok=True)
        page = construire_diapositives(racine).with_name(FICHIERS[version])
        return BeautifulSoup(page.read_text(encoding="utf-8"), "html.parser")

    return construire


def test_reveal_est_celui_que_nous_avons_choisi():
    sommes = dict(
        reversed(ligne.split("  ")) for ligne in (REVEAL / "SHA256SUMS").read_text().splitlines()
    )
    presents = {f.name for f in REVEAL.iterdir()} - {"SHA256SUMS"}
    assert presents == set(sommes), "Chaque fichier de reveal.js a son empreinte."
    for nom, somme in sommes.items():
        assert hashlib.sha256((REVEAL / nom).read_bytes()).hexdigest() == somme, nom
    licence = (REVEAL / "LICENSE").read_text()
    assert "Permission is hereby granted" in licence, "La licence accompagne la copie."


def test_une_diapositive(montrer, diapositive, deja_execute):
    # Étant donné l’ouverture d’une partie, et une diapositive de deux planches
    jeu = montrer(
        diapositive("a", titre="La partie", slide_type="slide"),
        diapositive("b", FIGURE, NOMBRES, titre="Un message <ici>", texte="Lu.\n\nSources : R1."),
    )
    # Alors chacune a sa section : titre, planches, sources qui mènent au livre, notes
    a, b = jeu.select("section[id]")
    assert (a["id"], a["class"], a.h1.text) == ("a", ["chapitre"], "La partie")
    assert (b.h2.text, b["class"]) == ("Un message <ici>", ["avec-figure", "avec-nombres"])
    assert b.select_one(".corps figure img")["src"] == "figures/fig-x.svg"
    assert b.select_one(".corps dd").text == "32\u00a0%"
    assert b.select_one(".sources a")["href"] == "../html/book/annexes.html#ref-R1"
    assert "mot mot" in b.select_one("aside.notes").text
    assert "Lu." not in b.text, "Le paragraphe est pour le document."
    # Et ses images sont à côté d’elle
    place = deja_execute / "_build" / "diapositives"
    assert (place / "figures" / "fig-x.svg").read_text() == "<svg/>"


def test_les_notes_disent_quand_commencer_et_finir(exposer, diapositive):
    # Étant donné une partie qui en suit une autre, de deux minutes au plan
    racine = exposer(diapositive("a", FIGURE), diapositive("b", FIGURE))
    ecrire(racine / "book" / "donnees" / "plan.yaml", PLAN)

    cellules = assembler(racine, expose.lire(racine), ORDINAIRE).cells
    # Alors sa première diapositive commence à deux minutes, et la suivante quand elle finit
    heures = [c.source.split("\n")[0] for c in cellules if c.id.endswith("-notes")]
    assert [h.replace("\u00a0", " ") for h in heures] == [
        "**2 min 00 → 2 min 30**",
        "**2 min 30 → 3 min 00**",
    ]
    assert cellules[0].metadata.diapositive["secondes"] == 30


@pytest.mark.parametrize(("version", "vues"), [("courte", 1), ("ordinaire", 2), ("atelier", 3)])
def test_un_jeu_par_version(montrer, diapositive, version, vues):
    # Étant donné une diapositive par version, la première avec un exercice d’atelier
    premiere = diapositive("a", FIGURE, slide_type="slide")
    exercice = new_markdown_cell("Essayez.", id="a-exercice")
    exercice.metadata["slideshow"] = {"slide_type": "notes", "version": "atelier", "exercice": 3}
    suite = [diapositive(v, FIGURE, version=v) for v in ("ordinaire", "atelier")]
    jeu = montrer([*premiere, exercice], *suite, version=version)
    # Alors chaque jeu a les siennes, dit sa durée, et l’exercice dans un seul bloc de notes
    assert len(jeu.select("section[id]")) == vues
    assert f"{ {'courte': 35, 'ordinaire': 45, 'atelier': 90}[version] } minutes" in jeu.title.text
    (notes,) = jeu.select_one("section[id]").select("aside.notes")
    assert ("Exercice, 3\u00a0min\u00a000. Essayez." in notes.text) == (version == "atelier")


def test_un_expose_qui_ne_tient_pas_ses_regles_ne_remplace_rien(montrer, diapositive, deja_execute):
    montrer(diapositive("a", FIGURE))
    avant = (deja_execute / "_build" / "diapositives" / "index.html").read_bytes()
    with pytest.raises(ErreurPublication, match="1_essai, « a » : elle n’a pas de paragraphe"):
        montrer(diapositive("a", FIGURE, texte=""))
    assert (deja_execute / "_build" / "diapositives" / "index.html").read_bytes() == avant


def test_sans_diapositive(exposer):
    with pytest.raises(ErreurPublication, match="aucune diapositive dans book/expose"):
        assembler(exposer(), [], ORDINAIRE)


def test_reveal_qui_change_n_est_pas_traduit_en_silence(montrer, diapositive, deja_execute):
    montrer(diapositive("a", FIGURE))
    script = deja_execute / "book" / GABARIT / "reveal" / "reveal.js"
    shutil.copy(REVEAL / "reveal.js", script)
    ecrire(script, script.read_text().replace("Keyboard Shortcuts", "Shortcuts"))

    with pytest.raises(ErreurPublication, match="« Keyboard Shortcuts » n’est plus"):
        _traduire(script.parent)


def test_le_jeu_a_la_police_du_livre():
    polices = re.compile(r"url\((?:\./)?polices/([\w-]+\.woff2)\)")
    jeu = polices.findall((RACINE / "book" / GABARIT / "diapositives.css").read_text())
    assert jeu
    for nom in jeu:
        assert (RACINE / "book" / "assets" / "polices" / nom).is_file(), nom
