"""Les schémas du livre : ce qu’ils disent, et ce qu’un navigateur en dessine."""

import copy
import re
import xml.etree.ElementTree as ET
from itertools import pairwise

import pytest
import yaml
from publication import anneaux, flux, mesure, schemas
from publication.depot import ErreurPublication, lire_yaml
from publication.dessin import FAMILLES, Icone
from publication.schemas import ICONES, SCHEMAS, dessiner, icones, schema

SVG = "{http://www.w3.org/2000/svg}"
FICHIERS = sorted(SCHEMAS.glob("*.yaml"))
DONNEES = {fichier.stem: lire_yaml(fichier) for fichier in FICHIERS}
TOUS = [
    (nom, niveau)
    for nom, donnees in DONNEES.items()
    for niveau in (range(len(donnees["echelle"])) if "echelle" in donnees else [None])
]

# La place d’une figure sur une diapositive de 1920 × 1080, et la colonne du livre au même écran.
DIAPOSITIVE, COLONNE = (1872, 978), 774

PETIT = """
modele: flux
titre: Un essai
description: Deux nœuds reliés par une flèche, pour essayer le dessin des schémas du livre.
credit: {auteur: presentation_mlops, source: essai, licence: CC BY 4.0}
grille: {colonnes: 3, lignes: 2}
noeuds:
  a: {case: [1, 1], texte: Départ, famille: donnees, outils: [postgresql]}
  b: {case: [3, 1], texte: Arrivée, famille: modele, forme: cylindre}
fleches:
  - {de: a, vers: b, texte: chemin}
"""

# Dans le navigateur : la boîte de chaque texte, et celle de la forme du nœud qui le contient.
TEXTES = """() => [...document.querySelectorAll("text")].map((texte) => {
  const boite = (e) => {
    const b = e.getBoundingClientRect();
    return [b.x, b.y, b.right, b.bottom];
  };
  const noeud = texte.closest("g[id*='-noeud-']");
  const forme = noeud?.querySelector("path, rect, ellipse");
  const pastille = texte.getAttribute("fill") === "#fff";
  return {
    mot: texte.textContent,
    taille: parseFloat(getComputedStyle(texte).fontSize),
    boite: boite(texte),
    forme: forme && !pastille ? boite(forme) : null,
  };
})"""


@pytest.fixture
def petit():
    """Un schéma juste, à fausser."""
    return yaml.safe_load(PETIT)


@pytest.fixture(scope="module")
def textes(navigateur):
    """Ce que Chromium mesure des textes de chaque schéma."""
    mesures = {}
    page = navigateur.new_page(viewport={"width": 1280, "height": 900})
    for nom, niveau in TOUS:
        page.set_content(f'<body style="margin:0">{schema(nom, niveau).svg}</body>')
        mesures[nom, niveau] = page.evaluate(TEXTES)
    page.close()
    return mesures


@pytest.mark.parametrize(("nom", "niveau"), TOUS)
def test_dessin_autonome(nom, niveau):
    # Quand on dessine un schéma
    svg = schema(nom, niveau).svg
    racine = ET.fromstring(svg)
    # Alors c’est un SVG dimensionné, léger, sans rien d’extérieur
    _, _, largeur, hauteur = racine.get("viewBox").split()
    assert (racine.get("width"), racine.get("height")) == (largeur, hauteur)
    assert largeur == "1280", "Les tailles de texte se lisent pour 1280 de large."
    assert len(svg.encode()) < 60_000, "Le schéma est trop lourd."
    noms = {element.tag.removeprefix(SVG) for element in racine.iter()}
    assert not noms & {"script", "style", "image", "foreignObject"}
    appels = re.findall(r'href="([^"]*)"|url\(([^)]*)\)', svg)
    assert all("".join(appel).startswith("#") for appel in appels), "Le schéma appelle dehors."


@pytest.mark.parametrize(("nom", "niveau"), TOUS)
def test_paroles_du_schema(nom, niveau):
    # Quand on lit ce qui accompagne un schéma
    dessin = schema(nom, niveau)
    racine = ET.fromstring(dessin.svg)
    # Alors il a un titre, une description en phrases et un crédit
    assert racine.find(f"{SVG}title").text, "Le titre est vide."
    assert re.fullmatch(r"[A-ZÀÉÊ].{58,}\.", dessin.description.strip(), re.DOTALL), (
        "La description est une phrase : une majuscule, un point, au moins 60 signes."
    )
    assert dessin.credit.keys() == {"auteur", "source", "licence"}
    assert dessin.legende.endswith(f" Licence : {dessin.credit['licence']}.")
    assert not dessin.titre.endswith("."), "La légende ajoute le point."


@pytest.mark.parametrize(("nom", "niveau"), TOUS)
def test_textes_dans_leurs_boites(textes, nom, niveau):
    # Quand un navigateur dessine le schéma
    for texte in textes[nom, niveau]:
        gauche, haut, droite, bas = texte["boite"]
        # Alors chaque texte reste dans son nœud, et dans le panneau
        x, y, x2, y2 = texte["forme"] or (0, 0, 1280, 900)
        assert x <= gauche <= droite <= x2, f"« {texte['mot']} » déborde en largeur."
        assert y <= haut <= bas <= y2, f"« {texte['mot']} » déborde en hauteur."


@pytest.mark.parametrize(("nom", "niveau"), TOUS)
def test_textes_lisibles_du_fond_de_la_salle(textes, nom, niveau):
    # Étant donné un schéma montré sur une diapositive, ou dans le livre
    hauteur = int(ET.fromstring(schema(nom, niveau).svg).get("height"))
    projete = min(DIAPOSITIVE[0] / 1280, DIAPOSITIVE[1] / hauteur)
    # Alors son plus petit texte s’y lit
    petit = min(textes[nom, niveau], key=lambda texte: texte["taille"])
    assert petit["taille"] * projete >= 24, f"« {petit['mot']} » est trop petit pour la salle."
    assert petit["taille"] * COLONNE / 1280 >= 12, f"« {petit['mot']} » est trop petit au livre."


@pytest.mark.parametrize(("nom", "niveau"), TOUS)
def test_textes_separes(textes, nom, niveau):
    # Quand un navigateur dessine le schéma, alors aucun texte n’en recouvre un autre
    boites = textes[nom, niveau]
    for rang, un in enumerate(boites):
        for autre in boites[rang + 1 :]:
            (a, b, c, d), (e, f, g, h) = un["boite"], autre["boite"]
            jeu = 3  # l’interligne laisse les boîtes de deux lignes se toucher
            assert c - jeu < e or g - jeu < a or d - jeu < f or h - jeu < b, (
                f"« {un['mot']} » recouvre « {autre['mot']} »."
            )


def test_icones_utiles():
    # Quand on compare les outils décrits et ceux que les schémas nomment
    cites = set()
    for donnees in DONNEES.values():
        for noeud in donnees.get("noeuds", {}).values():
            outils = noeud.get("outils", [])
            listes = outils.values() if isinstance(outils, dict) else [outils]
            cites.update(nom for liste in listes for nom in liste)
    # Alors ce sont les mêmes
    assert cites == set(icones()), "icones.yaml décrit les outils des schémas, et eux seuls."


def test_icones_lisibles():
    # Quand une marque est trop pâle, alors on l’assombrit, et les autres gardent leur couleur
    assert Icone("x", "X", "#ffff00").lisible != "#ffff00"
    assert Icone("x", "X", "#000000").lisible == "#000000"
    tete = ICONES.read_text(encoding="utf-8").splitlines()[:4]
    assert "CC0" in " ".join(tete), "L’en-tête donne la licence des icônes."


@pytest.mark.parametrize("nom", [nom for nom, donnees in DONNEES.items() if "echelle" in donnees])
def test_le_schema_grandit(nom):
    # Quand on passe d’un niveau au suivant
    donnees = DONNEES[nom]
    etapes = [_dispose(donnees, niveau) for niveau in range(len(donnees["echelle"]))]
    for niveau, (avant, apres) in enumerate(pairwise(etapes)):
        places = {noeud.nom: noeud for noeud in apres["noeuds"]}
        for noeud in avant["noeuds"]:
            # Alors tout ce qui doit rester reste, à la même place
            if donnees["noeuds"][noeud.nom].get("jusqua") == niveau:
                assert noeud.nom not in places, f"« {noeud.nom} » devait disparaître."
            else:
                assert places[noeud.nom].boite == noeud.boite, f"« {noeud.nom} » a bougé."
        # Et ce qui est nouveau, et seulement cela, est mis en évidence
        nouveaux = {n.nom for n in apres["noeuds"]} - {n.nom for n in avant["noeuds"]}
        marques = {n.nom for n in apres["noeuds"] if n.accent and n.pastille == "nouveau"}
        assert marques == nouveaux
    assert not any(noeud.accent for noeud in etapes[0]["noeuds"]), "Au départ, rien n’est nouveau."


@pytest.mark.parametrize("nom", [nom for nom, donnees in DONNEES.items() if "echelle" in donnees])
def test_ce_qui_change_est_marque(nom):
    # Quand on passe d’un niveau au suivant
    etapes = [_dispose(DONNEES[nom], niveau) for niveau in range(len(DONNEES[nom]["echelle"]))]
    for avant, apres in pairwise(etapes):
        anciens = {noeud.nom: _paroles(noeud) for noeud in avant["noeuds"]}
        for noeud in apres["noeuds"]:
            if noeud.nom not in anciens or noeud.manuel or noeud.forme == "texte":
                continue
            # Alors un nœud qui dit autre chose, ou nomme d’autres outils, est marqué, et lui seul
            change = anciens[noeud.nom] != _paroles(noeud)
            assert change == (noeud.pastille in ("étendu", "automatisé")), f"« {noeud.nom} »"


def _paroles(noeud):
    """Ce qu’un nœud dit, et les outils qu’il nomme."""
    mots = " ".join(ligne.texte for ligne in noeud.textes)
    return mots, [outil["icone"].nom for outil in noeud.outils]


@pytest.mark.parametrize(
    ("nom", "niveau"), [(n, v) for n, v in TOUS if DONNEES[n].get("legende", True)]
)
def test_legende_de_ce_qui_est_dessine(nom, niveau):
    # Quand un schéma porte une légende
    if DONNEES[nom]["modele"] != "flux":
        assert "legende" not in DONNEES[nom], "Seul un flux a une légende."
        return
    dessin = _dispose(DONNEES[nom], niveau)
    articles = [article for rang in dessin["legende"] for article in rang]
    noeuds, fleches = dessin["noeuds"], dessin["fleches"]
    # Alors elle nomme les familles du dessin, et elles seules
    familles = {n.famille for n in noeuds if n.forme != "texte"} - {"neutre"}
    assert {a["nom"] for a in articles if a["sorte"] == "famille"} == familles
    # Et ses autres signes, sauf le trait plein, sont ceux du dessin, et eux seuls
    attendus = {
        "manuel": any(x.manuel for x in (*noeuds, *fleches)),
        "pointille": any(f.pointille for f in fleches),
        "nouveau": niveau is not None and any(x.accent for x in (*noeuds, *fleches)),
        "avenir": bool(dessin["esquisses"]),
    }
    signes = {a["sorte"] for a in articles} - {"famille", "automatique"}
    assert signes == {sorte for sorte, utile in attendus.items() if utile}
    plein = any(not f.manuel and not f.pointille for f in fleches)
    assert plein or "automatique" not in {a["sorte"] for a in articles}
    assert all(a["fin"] <= 1248 for a in articles), "La légende sort du panneau."


def test_fleche_partie_de_la_ligne_surlignee():
    # Étant donné un tableau dont une ligne est surlignée, et d’où part une flèche
    for nom, donnees in DONNEES.items():
        tableaux = {n for n, noeud in donnees.get("noeuds", {}).items() if "surligne" in noeud}
        departs = [f["de"] for f in donnees.get("fleches", []) if f["de"] in tableaux]
        dessin = _dispose(donnees, None) if departs else {"noeuds": [], "fleches": []}
        places = {noeud.nom: noeud for noeud in dessin["noeuds"]}
        for fleche, depart in zip(dessin["fleches"], departs, strict=True):
            # Alors elle part de cette ligne
            (ligne,) = (t["boite"] for t in places[depart].traits if t["style"] == "choisie")
            assert ligne.y < fleche.points[0][1] < ligne.bas, f"{nom} : {fleche.nom}"


@pytest.mark.parametrize("nom", [n for n, d in DONNEES.items() if "notes" in d])
def test_anneaux_dans_toute_la_place(nom):
    # Quand des notes sont écrites sous des anneaux
    donnees = DONNEES[nom]
    dessin = anneaux.boucle(donnees, icones(), None)
    # Alors rien n’est vide dessous, et les centres sont de la même taille
    bas = max(ligne.y for anneau in dessin["anneaux"] for ligne in anneau["textes"])
    assert donnees["hauteur"] - bas < 40, "Une bande vide reste sous les notes."
    places = [
        (anneau, a["texte"])
        for anneau, a in zip(dessin["anneaux"], donnees["anneaux"], strict=True)
    ]
    centres = {t.taille for anneau, mot in places for t in anneau["textes"] if t.texte == mot}
    assert len(centres) == 1, f"Tailles : {centres}"


@pytest.mark.parametrize(
    "nom",
    [n for n, d in DONNEES.items() if any("lignes" in x for x in d.get("noeuds", {}).values())],
)
def test_un_tableau_se_lit_dans_son_alternative(nom):
    # Étant donné un tableau dessiné, alors son texte de remplacement en donne chaque case
    dit = " ".join(DONNEES[nom]["description"].split()).casefold()
    for noeud in DONNEES[nom]["noeuds"].values():
        for case in (case for ligne in noeud.get("lignes", []) for case in ligne):
            assert case.removeprefix("… ").casefold() in dit, f"« {case} » n’y est pas."


def test_le_travail_manuel_recule():
    # Quand on compte les mains, du niveau 0 au niveau 4
    mains = []
    for niveau in range(5):
        dessin = _dispose(DONNEES["niveaux"], niveau)
        mains.append(sum(x.manuel for x in (*dessin["noeuds"], *dessin["fleches"])))
    # Alors il y en a de moins en moins, puis plus aucune
    assert mains == sorted(mains, reverse=True)
    assert mains[0] > 0
    assert mains[3:] == [0, 0]


def _dispose(donnees, niveau):
    """Ce que le modèle ``flux`` place à un niveau."""
    return flux.disposer(flux.au_niveau(donnees, niveau), icones(), niveau)


def test_familles_distinctes_sans_la_couleur(petit):
    # Quand un schéma emploie plusieurs familles
    svg = dessiner("essai", petit).svg
    motifs = dict(re.findall(r'<pattern id="essai-(\w+)"(.*?)</pattern>', svg, re.DOTALL))
    # Alors chacune a son motif, différent des autres même en gris
    assert motifs.keys() == {*FAMILLES, "accent"}
    gris = {re.sub(r"#\w{6}", "", motif) for motif in motifs.values()}
    assert len(gris) == len(motifs), "Deux familles ne diffèrent que par la couleur."


@pytest.mark.parametrize(("nom", "niveau"), TOUS)
def test_motif_de_chaque_famille(nom, niveau):
    # Quand on dessine un nœud ou un quartier
    donnees = flux.au_niveau(DONNEES[nom], niveau)
    noeuds = [n for n in donnees.get("noeuds", {}).values() if n.get("present", True)]
    familles = [
        n.get("famille", "neutre") for n in noeuds if n.get("forme") not in ("texte", "tableau")
    ]
    for anneau in donnees.get("anneaux", []):
        familles += [q.get("famille", anneau.get("famille")) for q in anneau["quartiers"]]
    # Alors il porte le motif de sa famille
    dessin = schema(nom, niveau)
    for famille in set(familles):
        poses = dessin.svg.count(f'fill="url(#{dessin.nom}-{famille})"')
        assert poses >= familles.count(famille), f"« {famille} » ne se voit qu’à sa couleur."


def test_un_trait_en_evidence_reste_lisible():
    # Quand une flèche est mise en évidence
    svg = schema("niveaux", 3).svg
    hachures = re.findall(r'<path d="([^"]+)"[^>]*stroke="url\(#niveaux-3-accent\)"', svg)
    blancs = set(re.findall(r'<path d="([^"]+)"[^>]*stroke="#fff"', svg))
    # Alors un liseré blanc sépare son trait des hachures
    assert hachures
    assert blancs >= set(hachures)


def test_affichage(petit):
    dessin = dessiner("essai", petit)
    assert dessin._repr_svg_() == dessin.svg
    assert "<svg" not in repr(dessin), "La sortie en texte ne doit pas répéter le dessin."
    assert dessin.legende == (
        "Un essai. Auteur : presentation_mlops. Source : essai. Licence : CC BY 4.0."
    )


def _fausser(chemin, valeur):
    """Un changement à faire dans les données d’un schéma ; sans valeur, on retire la clé."""

    def changer(donnees):
        *parents, cle = chemin
        for parent in parents:
            donnees = donnees[parent]
        if valeur is None:
            del donnees[cle]
        else:
            donnees[cle] = valeur

    return changer


def _etiquette_sous_la_mise_en_evidence(donnees):
    """Approche d’une étiquette un nœud en évidence, dont seul le halo la touche."""
    donnees["noeuds"]["c"] = {"case": [2, 1], "taille": [1, 0.48], "texte": "Halo", "accent": True}


@pytest.mark.parametrize(
    ("changer", "message"),
    [
        (_fausser(["titre"], None), "schéma « essai » : schéma : la clé « titre » manque."),
        (_fausser(["credit", "licence"], None), "la clé « licence » manque"),
        (_fausser(["modele"], "arbre"), "le modèle « arbre » n’existe pas"),
        (_fausser(["noeuds", "a", "case"], None), "nœud « a » : la clé « case » manque"),
        (_fausser(["noeuds", "a", "txt"], "x"), "nœud « a » : la clé « txt » n’existe pas"),
        (_fausser(["noeuds", "a"], "x"), "nœud « a » : on attend des clés"),
        (_fausser(["noeuds", "a", "case"], [4, 1]), "la case 4 (sur 1) sort de la grille"),
        (_fausser(["noeuds", "a", "forme"], "étoile"), "la forme « étoile » n’existe pas"),
        (_fausser(["noeuds", "a", "famille"], "x"), "la famille « x » n’existe pas"),
        (_fausser(["noeuds", "a", "outils"], ["vim"]), "l’outil « vim » n’est pas dans icones"),
        (_fausser(["noeuds", "a", "texte"], "a" * 60), "ne tient pas dans"),
        (_fausser(["noeuds", "a", "texte"], "mot " * 200), "son contenu ne tient pas dans sa"),
        (_fausser(["noeuds", "b", "case"], [1, 1]), "les nœuds « a » et « b » se chevauchent"),
        (_fausser(["noeuds", "c"], {"case": [2, 1]}), "flèche a → b traverse le nœud « c »"),
        (_fausser(["fleches", 0, "vers"], "z"), "la flèche a → z nomme un nœud inconnu : « z »"),
        (_fausser(["fleches", 0, "depart"], "nord"), "le côté « nord » n’existe pas"),
        (_fausser(["fleches", 0, "trait"], "ondulé"), "le trait « ondulé » n’existe pas"),
        (_fausser(["fleches", 0, "place"], 0.02), "recouvre le nœud « a »"),
        (_etiquette_sous_la_mise_en_evidence, "recouvre le nœud « c »"),
        (_fausser(["corps"], 12), "un texte de 12 serait illisible, au moins 20"),
        (_fausser(["hauteur"], 900), "la hauteur dépasse 812 pixels"),
    ],
)
def test_donnees_fautives(petit, changer, message):
    # Quand les données d’un schéma sont fausses
    changer(petit)
    # Alors la phrase dit où et pourquoi
    with pytest.raises(ErreurPublication, match=re.escape(message)):
        dessiner("essai", petit)


@pytest.mark.parametrize(
    ("niveau", "message"),
    [(None, "il faut dire quel niveau montrer"), (9, "le niveau 9 n’existe pas")],
)
def test_niveau_impossible(niveau, message):
    with pytest.raises(ErreurPublication, match=message):
        schema("niveaux", niveau)


def test_schema_absent():
    with pytest.raises(ErreurPublication, match=r"« rien\.yaml » est introuvable"):
        schema("rien")


@pytest.mark.parametrize(
    ("nom", "cle", "message"),
    [
        ("devops_mlops", "anneaux", "ne tient pas dans son quartier"),
        ("venn", "cercles", "ne tient pas dans"),
    ],
)
def test_cercle_trop_petit(nom, cle, message):
    # Quand un texte est trop long pour son cercle
    donnees = copy.deepcopy(DONNEES[nom])
    cible = donnees[cle][0]
    cible.get("quartiers", [cible])[0]["texte"] = "anticonstitutionnellement" * 2
    # Alors le dessin s’arrête
    with pytest.raises(ErreurPublication, match=message):
        dessiner(nom, donnees)


def test_retour_a_la_ligne():
    # Quand un texte ne tient pas sur une ligne, alors les lignes sont équilibrées
    assert mesure.couper("aaa aaa aaa aaa", 130, 16) == ["aaa aaa", "aaa aaa"]
    assert mesure.couper("trop", 10, 16) is None
    assert mesure.couper("où ?", 200, 16) == ["où\u202f?"], "Une espace insécable ne se coupe pas."


def test_valeur_par_niveau():
    # Quand une valeur dépend du niveau, alors la dernière atteinte vaut
    valeur = {0: "a", 2: "b"}
    assert [flux.au_niveau(valeur, n) for n in range(4)] == ["a", "a", "b", "b"]
    assert flux.au_niveau({"x": valeur}, 3) == {"x": "b"}


def test_schemas_presents():
    attendus = {"venn", "devops_mlops", "etapes", "roles", "outils", "niveaux", "famille_ops"}
    assert attendus <= {fichier.stem for fichier in schemas.SCHEMAS.glob("*.yaml")}
