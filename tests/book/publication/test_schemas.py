"""Les schémas : ce qui ne tient pas est refusé, la carte ne bouge pas, tout se lit."""

import json
import re
from itertools import pairwise
from xml.etree import ElementTree

import pytest
from publication import carte
from publication.depot import RACINE, ErreurPublication, lire_yaml
from publication.schemas import SCHEMAS, dessiner, schema

CROQUIS = sorted(f.stem for f in SCHEMAS.glob("*.yaml") if f.stem not in {"carte"})
TOUS = [(nom, None) for nom in CROQUIS] + [("carte", n) for n in range(5)]
# La place d’un dessin sur une diapositive : toute la largeur, ou sa moitié gauche.
LARGE, ETROIT = (1216, 590), (705, 590)
TAILLE = re.compile(r'font-size="([\d.]+)"')
APPEL = re.compile(r'schema\("(\w+)"(?:, niveau=(\d))?\)')


def donnees(**changements):
    """Un croquis de deux blocs et une flèche, avec ce que le test y change."""
    blocs = [{"place": [10, 10, 200, 80], "texte": "Un"}, {"place": [400, 10, 200, 80]}]
    fleches = [{"points": [[210, 50], [400, 50]]}]
    base = {"modele": "croquis", "titre": "Un essai", "description": "Deux blocs."}
    return base | {"cadre": [720, 300], "blocs": blocs, "fleches": fleches} | changements


@pytest.mark.parametrize(("nom", "niveau"), TOUS)
def test_un_dessin_est_autonome_et_dit_ce_qu_il_montre(nom, niveau):
    dessin = schema(nom, niveau)
    arbre = ElementTree.fromstring(dessin.svg)
    espace = "{http://www.w3.org/2000/svg}"
    assert arbre.find(f"{espace}desc").text == dessin.description, "Sans texte de remplacement."
    assert "<script" not in dessin.svg and not re.search(r'(?:href|src)="https?:', dessin.svg)
    assert len(dessin.svg) < 80_000, "Trop lourd."
    assert not re.search(r"lu en partie|lu chez|non vérifi|de mémoire", dessin.legende)


@pytest.mark.parametrize(("nom", "niveau"), TOUS)
def test_les_lettres_se_lisent_du_fond_de_la_salle(nom, niveau):
    # Étant donné un dessin mis à la place qu’il a sur une diapositive
    svg = schema(nom, niveau).svg
    large, haut = map(float, re.search(r'width="([\d.]+)" height="([\d.]+)"', svg).groups())
    place = ETROIT if large <= 720 else LARGE
    echelle = min(place[0] / large, place[1] / haut)
    # Alors aucune lettre n’y descend sous 18 pixels, 16 pour le nom d’un outil ; l’affiche est à
    # imprimer, et ce que seul le livre montre, à lire de près
    if nom in {"affiche", "outils", "scenario_local", "scenario_cluster", "famille_ops"}:
        return
    plus_petit = min(map(float, TAILLE.findall(svg))) * echelle
    seuil = 15.5 if nom in {"carte", "acteurs"} else 18
    assert plus_petit >= seuil, f"{plus_petit:.1f} pixels."


def test_les_blocs_de_la_carte_ne_bougent_pas():
    fond = lire_yaml(SCHEMAS / "carte.yaml")
    from publication.schemas import icones

    places = [
        {b["nom"]: (b["x"], b["y"], b["l"], b["h"]) for b in dessin["blocs"]}
        for dessin in (carte.disposer(fond, icones(), n) for n in range(5))
    ]
    for avant, apres in pairwise(places):
        communs = avant.keys() & apres.keys()
        assert len(communs) >= len(avant) - 1, "Un niveau ne remplace qu’un bloc."
        assert {n: avant[n] for n in communs} == {n: apres[n] for n in communs}


def test_chaque_niveau_dit_ce_qui_est_nouveau():
    combien = [schema("carte", n).svg.count(">nouveau<") for n in range(5)]
    assert combien == [0, 3, 3, 2, 1], combien


@pytest.mark.parametrize(
    ("changements", "dit"),
    [
        ({"blocs": [{"place": [10, 10, 60, 80], "texte": "Beaucoup trop long"}]}, "ne tient pas"),
        ({"blocs": [{"place": [10, 10, 200, 20], "texte": "Un"}]}, "trop bas"),
        ({"blocs": [{"place": [600, 10, 200, 80], "texte": "Un"}]}, "sort du cadre"),
        ({"blocs": [{"place": [10, 10, 200, 80], "outils": ["inconnu"]}]}, "icones.yaml"),
        ({"modele": "flux"}, "n’existe pas"),
        ({"description": ""}, "il manque description"),
    ],
)
def test_un_schema_fautif_est_refuse(changements, dit):
    dessiner("essai", donnees())
    with pytest.raises(ErreurPublication, match=dit) as erreur:
        dessiner("essai", donnees(**changements))
    assert "schéma « essai »" in str(erreur.value)


def test_la_carte_refuse_un_niveau_absent_et_une_fleche_de_travers():
    with pytest.raises(ErreurPublication, match="quel niveau"):
        schema("carte")
    with pytest.raises(ErreurPublication, match="le niveau 5"):
        schema("carte", 5)
    fond = lire_yaml(SCHEMAS / "carte.yaml")
    for fleche, dit in (
        ({"points": [[0, 0], [10, 10]]}, "d’équerre"),
        ({"points": ["nulle droite", [0, 0]]}, "n’existe pas"),
    ):
        with pytest.raises(ErreurPublication, match=dit):
            dessiner("carte", fond | {"fleches": [fleche]}, 0)


def test_les_pages_ont_la_legende_et_le_texte_de_remplacement_du_schema():
    ecarts, vus = [], 0
    for page in (*(RACINE / "book").glob("*.ipynb"), *(RACINE / "notebooks").glob("*.ipynb")):
        for cellule in json.loads(page.read_text(encoding="utf-8"))["cells"]:
            appel = APPEL.search("".join(cellule["source"]))
            reglages = cellule["metadata"].get("mystnb", {})
            if cellule["cell_type"] == "code" and appel and "figure" in reglages:
                dessin, vus = schema(appel[1], appel[2] and int(appel[2])), vus + 1
                if (reglages["figure"]["caption"], reglages["image"]["alt"]) != (
                    dessin.legende,
                    dessin.description,
                ):
                    ecarts.append(f"{page.name}, {cellule['id']}")
    assert vus > 20, "Presque aucun schéma vu : l’expression ne les trouve plus."
    assert not ecarts, ecarts
