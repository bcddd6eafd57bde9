import hashlib
import re
import shutil

import nbformat
import pytest
from bs4 import BeautifulSoup
from publication.depot import RACINE, ErreurPublication, ecrire, lire_sommaire
from publication.diapositives import GABARIT, construire_diapositives, recadrer
from publication.plan import copie_executee
from publication.schemas import schema
from publication.temps import FICHIERS, ORDINAIRE

REVEAL = RACINE / "book" / GABARIT / "reveal"
TYPES = {"slide", "subslide", "fragment", "-", "notes", "skip"}
PAGE = "book/1_chapitre.ipynb"
PLAN = "- {partie: Ouverture, minutes: 2, courte: 1, atelier: 4}\n"
LEGENDE = "Une figure. Auteur : nous. Source : nous. Licence : CC BY 4.0."


@pytest.fixture
def marquer(deja_execute):
    """Donne un type à des cellules du chapitre d’essai, puis construit le jeu."""
    shutil.copytree(RACINE / "book" / GABARIT, deja_execute / "book" / GABARIT)
    ecrire(deja_execute / "book" / "donnees" / "plan.yaml", PLAN)

    def construire(marques, version=ORDINAIRE, **sorties):
        for fichier in (deja_execute / PAGE, copie_executee(deja_execute, PAGE)):
            notebook = nbformat.read(fichier, as_version=4)
            for cellule in notebook.cells:
                cellule.metadata.update(marques.get(cellule.id, {}))
                if cellule.id in sorties:
                    cellule.outputs = [nbformat.v4.new_output("display_data", sorties[cellule.id])]
            nbformat.write(notebook, fichier)
        page = construire_diapositives(deja_execute)
        if version != ORDINAIRE:
            page = page.with_name(FICHIERS[version])
        return BeautifulSoup(page.read_text(encoding="utf-8"), "html.parser")

    return construire


def type_de(nom, **autres):
    """Les métadonnées d’une cellule de ce type."""
    return {"slideshow": {"slide_type": nom, **autres}}


def test_reveal_est_celui_que_nous_avons_choisi():
    sommes = dict(
        reversed(ligne.split("  ")) for ligne in (REVEAL / "SHA256SUMS").read_text().splitlines()
    )
    presents = {f.name for f in REVEAL.iterdir()} - {"SHA256SUMS"}
    assert presents == set(sommes), "Chaque fichier de reveal.js a son empreinte."
    for nom, somme in sommes.items():
        assert hashlib.sha256((REVEAL / nom).read_bytes()).hexdigest() == somme, nom
    assert (
        "MIT" in (REVEAL / "LICENSE").read_text()
        or "Permission is hereby granted" in (REVEAL / "LICENSE").read_text()
    ), "La licence accompagne la copie."


def test_le_jeu_a_les_couleurs_du_livre():
    couleurs = re.compile(r"#[0-9a-f]{3,8}\b")
    jeu = couleurs.findall((RACINE / "book" / GABARIT / "diapositives.css").read_text())
    livre = couleurs.findall((RACINE / "book" / "assets" / "mlops.css").read_text())
    assert jeu, "Le jeu n’a aucune couleur."
    assert set(jeu) <= set(livre), "Une couleur du jeu n’est pas celle du livre."


def test_seules_les_cellules_marquees_sont_montrees(marquer):
    # Étant donné un titre marqué, une phrase qui ne l’est pas, un code et ses notes
    jeu = marquer(
        {
            "titre": type_de("slide"),
            "code-0": type_de("subslide", titre="Un message"),
            "texte-0": type_de("skip"),
        },
        **{"code-0": {"text/plain": "quarante-deux"}},
    )
    # Alors le jeu a ces deux diapositives, et rien d’autre
    titres = [titre.get_text() for titre in jeu.select("h1, h2")]
    assert titres[-1] == "Un message", "Le titre donné remplace celui de la page."
    assert len(jeu.select("section[id]")) == 2
    assert "quarante-deux" in jeu.get_text()
    assert "Une phrase." not in jeu.get_text(), "Une cellule non marquée est ignorée."
    assert "40 + 2" not in jeu.get_text(), "Le code n’est montré que si on le demande."


def test_le_code_se_montre_si_on_le_demande(marquer):
    jeu = marquer({"code-0": type_de("slide", code=True)})
    assert jeu.select_one("pre.code").get_text() == "40 + 2"


def test_notes_de_l_orateur(marquer):
    jeu = marquer({"titre": type_de("slide"), "texte-0": type_de("notes")})
    notes = jeu.select_one("section[id] aside.notes").get_text()
    assert "Une phrase." in notes
    assert "0\u00a0min\u00a000 → 0\u00a0min\u00a001" in notes, (
        "Les notes disent quand les commencer et les finir."
    )
    assert jeu.select_one("section[id]")["data-timing"] == "1"


@pytest.mark.parametrize(("version", "combien"), [("courte", 1), ("ordinaire", 1), ("atelier", 2)])
def test_un_jeu_par_version(marquer, version, combien):
    essai = type_de("subslide", titre="À vous", version="atelier")
    jeu = marquer({"titre": type_de("slide"), "code-0": essai}, version)
    assert len(jeu.select("section[id]")) == combien
    assert ("À vous" in jeu.get_text()) == (version == "atelier")


def test_l_exercice_s_ajoute_aux_notes(marquer, deja_execute, modifier):
    exercice = type_de("notes", version="atelier", exercice=3)
    marques = {"titre": type_de("slide"), "texte-0": type_de("notes"), "code-0": exercice}
    for fichier in (deja_execute / PAGE, copie_executee(deja_execute, PAGE)):
        notebook = nbformat.read(fichier, as_version=4)
        notebook.cells[2] = nbformat.v4.new_markdown_cell("Essayez.", id="code-0")
        nbformat.write(notebook, fichier)
    jeu = marquer(marques, "atelier")
    notes = jeu.select_one("section[id]").select("aside.notes")
    assert len(notes) == 1, "reveal.js ne montre qu’un bloc de notes."
    assert "Une phrase." in notes[0].get_text()
    assert "Exercice, 3\u00a0min\u00a000. Essayez." in notes[0].get_text()
    assert "Essayez." not in marquer(marques).get_text()


def test_le_titre_dit_la_duree_de_sa_version(marquer):
    jeu = marquer({"titre": type_de("slide", titre="Tout en 45 minutes")}, "atelier")
    assert jeu.select_one("h1").get_text() == "Tout en 90\u00a0minutes"
    assert "90 minutes" in jeu.title.get_text()


def test_figure_et_liens(marquer):
    figure = {"figure": {"name": "fig-essai", "caption": LEGENDE}, "image": {"alt": "Un carré."}}
    jeu = marquer(
        {"code-0": {**type_de("slide"), "mystnb": figure}},
        **{"code-0": {"image/svg+xml": "<svg/>"}},
    )
    image = jeu.select_one("figure img")
    assert (image["src"], image["alt"]) == ("figures/fig-essai.svg", "Un carré.")
    assert "CC\u00a0BY\u00a04.0" in jeu.select_one("figcaption").get_text()


def test_schema_recadre():
    # Étant donné un schéma avec son cadre, son échelle de niveaux et sa légende
    schema = (
        '<svg width="1280" height="800" viewBox="0 0 1280 800">'
        '<rect x="1" y="1" width="1278" height="798" rx="14" fill="#fff" stroke="#c6d0da"/>'
        '<rect x="32" y="16" width="300" height="44" rx="22" fill="#1d2530"/>'
        '<g id="noeud"/><path d="M32 728H1248" stroke="#d4dbe2" stroke-width="1.5"/>'
        "<g><text>données</text></g></svg>"
    )
    # Alors il ne garde que son dessin, qui prend toute la place
    assert recadrer(schema) == (
        '<svg width="1264" height="662" viewBox="8 62 1264 662">'
        '<rect x="32" y="16" width="300" height="44" rx="22" fill="#1d2530"/>'
        '<g id="noeud"/></svg>'
    )
    # Et un graphique, qui n’a pas de cadre, ne change pas
    graphique = '<svg width="613pt" height="310pt" viewBox="0 0 613 310"><g/></svg>'
    assert recadrer(graphique) == graphique


def test_legende_qui_repete_le_titre(marquer):
    tableau = "<table><caption>{}</caption><tr><td>1</td></tr></table>"
    for legende, classe in (("Un message", ["repetee"]), ("Autre chose", None)):
        jeu = marquer(
            {"code-0": type_de("slide", titre="Un message")},
            **{"code-0": {"text/html": tableau.format(legende)}},
        )
        assert jeu.caption.get("class") == classe
        assert jeu.caption.get_text() == legende, "Un lecteur d’écran la lit toujours."


def test_figure_sans_credit_refusee(marquer):
    with pytest.raises(ErreurPublication, match="code-0"):
        marquer(
            {"code-0": type_de("slide")},
            **{"code-0": {"image/svg+xml": "<svg/>"}},
        )


def test_aucune_cellule_marquee(marquer):
    with pytest.raises(ErreurPublication, match="aucune cellule"):
        marquer({})


def test_reveal_qui_change_n_est_pas_traduit_en_silence(marquer, deja_execute):
    script = deja_execute / "book" / GABARIT / "reveal" / "reveal.js"
    script.write_text(script.read_text().replace("Keyboard Shortcuts", "Shortcuts"))
    with pytest.raises(ErreurPublication, match="Keyboard Shortcuts"):
        marquer({"titre": type_de("slide")})


@pytest.mark.parametrize("page", lire_sommaire(RACINE))
def test_marques_des_vrais_notebooks(page):
    # Étant donné les cellules marquées d’un notebook
    notebook = nbformat.read(RACINE / page, as_version=4)
    marquees = [c for c in notebook.cells if "slideshow" in c.metadata]
    types = [c.metadata.slideshow.slide_type for c in marquees]
    assert set(types) <= TYPES, "Un type de diapositive n’existe pas."
    # Alors chaque diapositive a ses notes, que le livre ne montre pas, et un titre court
    suite = "".join("D" if t in {"slide", "subslide"} else t[0] for t in types if t != "skip")
    assert re.fullmatch(r"(D[-f]*n+)*", suite), f"Une diapositive n’a pas ses notes : {suite}"
    for cellule in marquees:
        if cellule.metadata.slideshow.slide_type == "notes":
            assert cellule.metadata.tags == ["remove-cell"], f"{cellule.id} paraîtrait au livre."
        assert len(cellule.metadata.slideshow.get("titre", "")) <= 60, f"{cellule.id} : trop long."


@pytest.mark.parametrize("niveau", range(5))
def test_un_schema_recadre_garde_ses_boites_entieres(niveau):
    # Étant donné le schéma d’un niveau, quand on le recadre pour l’écran
    dessin = recadrer(schema("niveaux", niveau=niveau).svg)
    gauche, _, large, _ = map(float, re.search(r'viewBox="([^"]+)"', dessin)[1].split())
    # Alors chaque boîte y tient, avec l’anneau de ce qui est nouveau
    boites = re.findall(r'<rect x="([\d.-]+)"[^>]*? width="([\d.]+)"', dessin)
    bords = [(float(x), float(x) + float(w)) for x, w in boites if float(w) > 100]
    assert bords, "Le schéma n’a pas de boîte."
    assert gauche <= min(debut for debut, _ in bords)
    assert max(fin for _, fin in bords) <= gauche + large
