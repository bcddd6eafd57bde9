"""L’appareil du livre : citations, glossaire, figures et tableaux se tiennent."""

import ast
import re

import nbformat
import pytest
from publication.annexes import ancre, bibliographie, glossaire, lire_figures
from publication.depot import RACINE, lire_sommaire, lire_yaml
from publication.references import references
from publication.schemas import schema
from publication.tableaux import DONNEES, charger

PAGES = lire_sommaire(RACINE)
NOTEBOOKS = {page: nbformat.read(RACINE / page, as_version=4) for page in PAGES}
DU_LIVRE = {page: n for page, n in NOTEBOOKS.items() if page.startswith("book/")}

LIEN = re.compile(r"\[[^\]]*\]\(([^)\s]*)\)")
GRAS = re.compile(r"\*\*(.+?)\*\*")
GRAS_LIE = re.compile(r"\[\*\*(.+?)\*\*\]\(([^)]*)\)")
# Le gras qui n’est pas celui d’un terme : meneur d’encadré ou d’élément de liste, rubrique, case.
MENEUR = re.compile(r"^(> |\s*- |\s*\d+\. )\*\*[^*]+\*\*")
# Les trois gestes de l’accueil.
ACTION = re.compile(r"\*\*\[[^\]*]+\]\([^)]*\)\*\*")
RUBRIQUES = ("**But.**", "**Durée.**", "**Ce que vous verrez :**")
# Ce qui dessine : un schéma, ou un graphique du paquet.
DESSINE = re.compile(r"\bschema\(|\bgraphiques\.(axe|comparer|calibration)\(")
PHRASE = re.compile(r"[A-ZÀ-Ü].*\.", re.DOTALL)


def prose(notebook):
    """Le texte que lit le lecteur d’un notebook, ligne à ligne, sans ses titres."""
    textes = [c.source for c in notebook.cells if c.cell_type == "markdown"]
    return [ligne for texte in textes for ligne in texte.splitlines() if not ligne.startswith("#")]


def fiches(valeur):
    """Toutes les fiches d’un fichier de données, quelle que soit leur profondeur."""
    if isinstance(valeur, dict):
        yield valeur
        valeur = list(valeur.values())
    if isinstance(valeur, list):
        for element in valeur:
            yield from fiches(element)


def liens(notebook):
    """Les adresses que visent le texte et les légendes d’un notebook."""
    textes = [c.source for c in notebook.cells if c.cell_type == "markdown"]
    textes += [reglages["figure"]["caption"] for _, reglages in figures_de(notebook)]
    return LIEN.findall("\n".join(textes))


def figures_de(notebook):
    """Les cellules de figure d’un notebook, avec leurs réglages."""
    for cellule in notebook.cells:
        dessine = "mystnb" in cellule.metadata or DESSINE.search(cellule.source)
        if cellule.cell_type == "code" and dessine:
            yield cellule, cellule.metadata.get("mystnb", {"figure": {"caption": ""}})


def appels(notebook, fonction):
    """Les appels d’une fonction dans le code d’un notebook."""
    for cellule in notebook.cells:
        if cellule.cell_type == "code":
            for noeud in ast.walk(ast.parse(cellule.source)):
                if isinstance(noeud, ast.Call) and getattr(noeud.func, "id", "") == fonction:
                    yield noeud


def citations():
    """Les clés que citent le texte, les légendes et les données du livre."""
    cles = [lien.partition("#ref-")[2] for n in NOTEBOOKS.values() for lien in liens(n)]
    for fichier in DONNEES.rglob("*.yaml"):
        for fiche in fiches(lire_yaml(fichier)):
            source = fiche.get("source", [])
            cles += source if isinstance(source, list) else [source]
            textes = " ".join(v for v in fiche.values() if isinstance(v, str))
            cles += re.findall(r"#ref-(\w+)", textes)
    return {cle for cle in cles if re.fullmatch(r"[A-Z]\w*", cle)}


def test_chaque_etape_citee_par_les_donnees_existe():
    for fichier in DONNEES.rglob("*.yaml"):
        for fiche in fiches(lire_yaml(fichier)):
            if "etape" in fiche:
                notebook = RACINE / "notebooks" / f"{fiche['etape']}.ipynb"
                assert notebook.is_file(), f"{fichier.name} renvoie à un notebook absent : {fiche}"


def test_chaque_citation_a_son_entree_et_chaque_entree_est_citee():
    entrees = references().keys()
    assert citations() - entrees == set(), "Ces clés n’ont pas d’entrée dans references.bib."
    assert entrees - citations() == set(), (
        "Ces entrées de references.bib ne sont citées nulle part."
    )


def test_termes_du_glossaire():
    # Étant donné les entrées du glossaire
    fiches_du_glossaire = charger("glossaire")
    ancres = [entree.ancre for entree in glossaire().entrees]
    # Alors chacune a une ancre à elle, et sa définition ne dépend pas de l’annexe
    assert len(ancres) == len(set(ancres)), "Deux termes ont la même ancre."
    for fiche in fiches_du_glossaire:
        assert any(page.endswith(f"/{fiche['page']}.ipynb") for page in PAGES), fiche["page"]


@pytest.mark.parametrize("page", PAGES)
def test_liens_vers_l_annexe(page):
    ancres = {e.ancre for entrees in (bibliographie(), glossaire()) for e in entrees.entrees}
    for lien in liens(NOTEBOOKS[page]):
        cible, _, visee = lien.partition("#")
        if visee.startswith(("ref-", "terme-")):
            attendue = "annexes.ipynb" if page in DU_LIVRE else "../book/annexes.ipynb"
            assert cible == attendue, f"« {lien} » ne mène pas à l’annexe."
            assert visee in ancres, f"« {lien} » : cette ancre n’est pas dans l’annexe."


@pytest.mark.parametrize("page", PAGES)
def test_tout_terme_en_gras_est_lie_au_glossaire(page):
    ancres = {ancre("terme", fiche["terme"]) for fiche in charger("glossaire")}
    vus = set()
    for ligne in prose(NOTEBOOKS[page]):
        lies = GRAS_LIE.findall(ligne)
        for terme, lien in lies:
            visee = lien.partition("#")[2]
            assert visee in ancres, f"« {terme} » n’est pas dans le glossaire : {lien}"
            assert visee not in vus, f"« {terme} » n’est en gras qu’à sa première apparition."
            vus.add(visee)
        if ligne.startswith("|"):
            continue
        reste = GRAS_LIE.sub("", MENEUR.sub("", ACTION.sub("", ligne)))
        libre = [gras for gras in GRAS.findall(reste) if f"**{gras}**" not in RUBRIQUES]
        assert libre == [], f"Du gras qui n’est pas un terme lié au glossaire : {ligne}"


@pytest.mark.parametrize("page", PAGES)
def test_un_terme_est_lie_a_sa_premiere_apparition(page):
    texte = "\n".join(ligne for ligne in prose(NOTEBOOKS[page]) if not ligne.startswith("|"))
    for lien in GRAS_LIE.finditer(texte):
        avant = re.sub(r"`[^`]*`|\]\([^)]*\)", " ", texte[: lien.start()])
        # Suivi d’une majuscule, c’est un nom propre, comme « CD Foundation ».
        deja = re.search(rf"(?<![\w-]){re.escape(lien[1])}(?![\w-]| [A-Z])", avant)
        assert not deja, f"« {lien[1]} » apparaît avant d’être en gras et lié."


@pytest.mark.parametrize("page", PAGES)
def test_figures_decrites(page):
    for cellule, reglages in figures_de(NOTEBOOKS[page]):
        alt = reglages.get("image", {}).get("alt", "")
        nom = reglages.get("figure", {}).get("name", "")
        assert nom.startswith("fig-"), f"{cellule.id} : la figure n’a pas de nom « fig-… »."
        assert PHRASE.fullmatch(alt), f"{nom} : le texte de remplacement n’est pas une phrase."


def test_registre_des_figures():
    # lire_figures refuse une légende sans auteur, source ni licence
    figures = lire_figures()
    noms = [figure.nom for figure in figures]
    assert len(noms) == len(set(noms)), "Deux figures ont le même nom."
    combien = sum(1 for notebook in NOTEBOOKS.values() for _ in figures_de(notebook))
    assert len(figures) == combien, "Une figure n’est pas au registre."
    alternatifs = [figure.texte_alternatif for figure in figures]
    assert len(alternatifs) == len(set(alternatifs)), "Deux figures ont le même texte."


@pytest.mark.parametrize("page", DU_LIVRE)
def test_legende_et_texte_d_un_schema_viennent_de_ses_donnees(page):
    for cellule, reglages in figures_de(NOTEBOOKS[page]):
        for appel in appels(nbformat.v4.new_notebook(cells=[cellule]), "schema"):
            arguments = [ast.literal_eval(valeur) for valeur in appel.args]
            nommes = {cle.arg: ast.literal_eval(cle.value) for cle in appel.keywords}
            attendu = schema(*arguments, **nommes)
            assert reglages["figure"]["caption"] == attendu.legende, cellule.id
            assert reglages["image"]["alt"] == attendu.description.strip(), cellule.id


def noms_de_tableaux(notebook):
    """Les noms des tableaux d’un notebook ; un nom calculé est rendu par son code."""
    for appel in appels(notebook, "tableau"):
        nommes = {cle.arg: cle.value for cle in appel.keywords}
        assert "nom" in nommes, f"Tableau sans nom : {ast.unparse(appel)}"
        assert len(appel.args) >= 3 or "legende" in nommes, f"Sans légende : {ast.unparse(appel)}"
        constant = isinstance(nommes["nom"], ast.Constant)
        yield nommes["nom"].value if constant else ast.unparse(nommes["nom"])


def test_tableaux_nommes():
    noms = [nom for notebook in DU_LIVRE.values() for nom in noms_de_tableaux(notebook)]
    assert all(nom.removeprefix("f'").startswith("tab-") for nom in noms)
    assert len(noms) == len(set(noms)), "Deux tableaux ont le même nom."


def test_renvois_aux_figures_et_aux_tableaux():
    # Étant donné les noms écrits en toutes lettres ; la construction vérifie aussi les autres
    noms = {figure.nom for figure in lire_figures()}
    noms |= {nom for notebook in DU_LIVRE.values() for nom in noms_de_tableaux(notebook)}
    debuts = tuple(nom.removeprefix("f'").partition("{")[0] for nom in noms if "{" in nom)
    for page, notebook in NOTEBOOKS.items():
        visees = {lien.partition("#")[2] for lien in liens(notebook)}
        perdues = {v for v in visees if v.startswith(("fig-", "tab-"))} - noms
        perdues = {v for v in perdues if not v.startswith(debuts or ("?",))}
        assert perdues == set(), f"{page} renvoie à ce qui n’existe pas."


def test_numeros_des_figures_du_livre(livre):
    # Étant donné le livre construit
    for figure in lire_figures():
        page = (livre / "book" / figure.page).resolve().with_suffix(".html")
        texte = page.read_text(encoding="utf-8")
        # Alors chaque figure y a le numéro que lui donne le registre
        corps = texte.partition(f'id="{figure.nom}"')[2]
        numero = re.search(r'class="caption-number">Figure (\d+)\. ', corps)
        assert numero, f"{figure.nom} n’est pas numérotée dans {page.name}."
        assert int(numero[1]) == figure.numero, figure.nom


def test_toute_image_du_livre_est_une_figure_decrite(livre):
    for page in [*livre.glob("book/*.html"), *livre.glob("notebooks/*.html")]:
        article = (
            page.read_text(encoding="utf-8").partition("<article")[2].partition("</article")[0]
        )
        hors_figure = re.sub(r"<figure\b.*?</figure>", "", article, flags=re.DOTALL)
        assert "<img" not in hors_figure, f"{page.name} montre une image qui n’est pas une figure."
        for image in re.findall(r"<img[^>]*>", article):
            assert re.search(r'alt="[^"]{20,}"', image), f"{page.name} : {image[:200]}"


def test_le_glossaire_mene_ou_le_terme_est_montre(livre):
    for fiche in charger("glossaire"):
        page = next(p for p in PAGES if p.endswith(f"/{fiche['page']}.ipynb"))
        html = (livre / page).with_suffix(".html").read_text(encoding="utf-8")
        mots = r"\w? ".join(map(re.escape, fiche["terme"].split()))
        trouve = re.search(rf"(?<![\w-]){mots}\w?(?![\w-])", html, re.IGNORECASE)
        lie = f'#{ancre("terme", fiche["terme"])}"' in html
        assert trouve or lie, f"« {fiche['terme']} » n’est pas dans {page}."
