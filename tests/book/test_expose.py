"""Le vrai exposé : ses règles, ses nombres, et le document Markdown qu’il donne."""

import itertools
import json
import re
from pathlib import Path

import pytest
from publication import reference, temps
from publication.depot import RACINE, lire_yaml
from publication.markdown import FICHIER, FIGURES, ecrire_presentation
from publication.plan import pages_de_l_expose
from publication.planches import figures
from publication.references import references
from publication.regles import compter, nombres_absents, verifier

CONSEIL = "Lancez « make markdown » et gardez ce qu’il écrit."
IMPOSEES = ("R1", "R2", "R3")
# Ce qui se dit d’une source, une fois, dans la bibliographie du livre.
STATUTS = re.compile(
    r"lue? chez un tiers|(?<!Gio )(?<!octets )de mémoire|non vérifiée?s?|classement est le nôtre"
)
NOMBRE = re.compile(r"\d+(?:\.\d+)?")


@pytest.fixture(scope="session")
def document(diapositives, tmp_path_factory):
    """Le dossier où « make markdown » vient d’écrire le document et ses figures."""
    dossier = tmp_path_factory.mktemp("document")
    ecrire_presentation(RACINE, dossier)
    return dossier


def test_ses_regles_sont_tenues(diapositives):
    verifier(diapositives, {d.id: temps.paroles(d) for d in diapositives})


def test_chaque_partie_du_plan_a_son_notebook(diapositives):
    plan = lire_yaml(RACINE / "book" / "donnees" / "plan.yaml")
    parties = [partie["expose"] for partie in plan if "expose" in partie]
    assert [Path(page).stem for page in pages_de_l_expose(RACINE)] == parties
    assert list(dict.fromkeys(d.partie for d in diapositives)) == parties


def test_une_diapositive_ne_se_confond_avec_aucune_autre(diapositives):
    for cle in ("id", "titre"):
        vus = [getattr(d, cle) for d in diapositives]
        assert len(vus) == len(set(vus)), [v for v in vus if vus.count(v) > 1]


def test_les_nombres_dits_sont_ecrits(ordinaires):
    absents = {d.id: manque for d in ordinaires if (manque := nombres_absents(d))}
    assert absents == {}, "Ces notes disent des nombres que leur paragraphe n’a pas."


def test_aucun_statut_de_lecture(diapositives):
    dits = [
        f"{d.id} : {trouve[0]}"
        for d in diapositives
        for texte in (d.visible, d.texte, *(n.texte for n in d.notes))
        if (trouve := STATUTS.search(texte))
    ]
    assert dits == []


@pytest.mark.parametrize("page", pages_de_l_expose(RACINE))
def test_chaque_fichier_montre_est_dit_lu(page):
    """Sinon, le changer ne referait pas la diapositive qui en montre des lignes."""
    notebook = json.loads((RACINE / page).read_text(encoding="utf-8"))
    code = "\n".join("".join(c["source"]) for c in notebook["cells"] if c["cell_type"] == "code")
    montres = {f for f in re.findall(r'extrait\(\s*"([^"]+)"', code) if "mlops_demo" not in f}
    montres |= {"book/captures/*"} if "ecran(" in code else set()
    assert montres <= set(notebook["metadata"]["lit"])


def test_chaque_image_citee_existe(diapositives):
    images = [f for d in diapositives for p in (*d.planches, *d.document) for f in figures(p)]
    assert images
    for image in images:
        assert (
            image.get("svg", "").lstrip().startswith(("<svg", "<?xml"))
            or (RACINE / image["fichier"]).is_file()
        ), image.get("nom", image.get("fichier"))


def test_le_document_se_lit_dans_le_temps_de_l_expose(ordinaires, document):
    texte = (document / FICHIER).read_text(encoding="utf-8")
    prose = sum(compter(d.texte) for d in ordinaires)
    assert prose <= temps.VERSIONS["ordinaire"] * temps.DEBIT, f"{prose} mots à lire."
    assert len(texte.encode()) <= 90_000, f"{len(texte.encode())} octets."
    sommaire = texte.partition("## Sommaire\n")[2].partition("\n## ")[0]
    assert 5 <= len(sommaire.strip().splitlines()) <= 40


def test_le_document_cite_les_references_imposees(document):
    texte = (document / FICHIER).read_text(encoding="utf-8")
    citees = texte.partition("\n## Références citées\n")[2].partition("\n## ")[0]
    absentes = [cle for cle in IMPOSEES if references()[cle].titre not in citees]
    assert absentes == []


def test_le_document_du_depot_est_celui_de_cet_expose(document):
    """Le texte est le même, mot pour mot ; une figure l’est à un arrondi près."""
    garde = (RACINE / FICHIER).read_text(encoding="utf-8").splitlines()
    neuf = (document / FICHIER).read_text(encoding="utf-8").splitlines()
    paires = itertools.zip_longest(garde, neuf, fillvalue="")
    assert [f"- {a}\n+ {b}" for a, b in paires if a != b][:3] == [], CONSEIL
    neuves = {f.name: f.read_text(encoding="utf-8") for f in (document / FIGURES).iterdir()}
    gardees = {f.name: f for f in (RACINE / FIGURES).iterdir()}
    assert gardees.keys() == neuves.keys(), CONSEIL
    for nom, fichier in gardees.items():
        assert meme_dessin(fichier.read_text(encoding="utf-8"), neuves[nom]), f"{nom} : {CONSEIL}"


def meme_dessin(avant, apres):
    """Vrai si deux dessins ont les mêmes traits, à un dixième de point près."""
    nombres = [list(map(float, NOMBRE.findall(dessin))) for dessin in (avant, apres)]
    proches = all(abs(a - b) <= 0.1 for a, b in zip(*nombres, strict=False))
    return proches and NOMBRE.sub("", avant) == NOMBRE.sub("", apres)


@pytest.mark.parametrize(
    ("apres", "pareils"),
    [
        ('<svg><path d="M1.05 2"/></svg>', True),
        ('<svg><path d="M1.2 2"/></svg>', False),
        ('<svg><path d="L1 2"/></svg>', False),
        ('<svg><path d="M1 2 3"/></svg>', False),
    ],
)
def test_la_comparaison_ne_passe_qu_un_arrondi(apres, pareils):
    assert meme_dessin('<svg><path d="M1 2"/></svg>', apres) == pareils


@pytest.mark.lent
def test_l_execution_du_livre_confirme_les_nombres_de_l_expose(livre):
    """Ce que le livre vient de calculer est ce que l’exposé dit, aux mesures près."""
    assert reference.ecarts(reference.relever(RACINE)) == [], "Relisez, puis « make reference »."
