"""Les données du livre se tiennent : forme, étapes réelles, temps compté, mots cités exacts."""

import json
import re

import nbformat
import pytest
from jsonschema import Draft202012Validator
from publication.depot import RACINE, lire_sommaire
from publication.plan import CHAINE
from publication.tableaux import DONNEES, charger
from publication.temps import CLES, VERSIONS

FICHIERS = sorted(f.stem for f in DONNEES.glob("*.yaml"))
SCHEMA = json.loads((DONNEES / "schema.json").read_text(encoding="utf-8"))

# Les points sur lesquels le chapitre 1 compare les définitions.
POINTS = ("donnees", "modele", "exploitation", "culture", "outils", "cycle")
DUREE = re.compile(r"\*\*Durée\.\*\* (?:(\d+) minutes?)? ?(?:(\d+)(?: secondes)?)?\. ")
RELEVE = (2026, 11)  # le mois où les versions des outils ont été relevées


def forme(nom):
    """Le schéma d’un fichier, avec les types qu’il partage avec les autres."""
    return Draft202012Validator({"$ref": f"#/$defs/{nom}", "$defs": SCHEMA["$defs"]})


def test_le_deroule_tient_en_45_minutes():
    for version, plafond in VERSIONS.items():
        total = sum(partie[CLES[version]] for partie in charger("plan"))
        assert total <= plafond, f"La version {version} dure {total} minutes."


def test_les_durees_des_etapes_font_celle_du_chapitre():
    # Étant donné la durée qu’annonce chaque étape, en minutes, en secondes ou les deux
    etapes = [page for page in lire_sommaire(RACINE) if page.startswith(CHAINE)]
    ouvertures = [nbformat.read(RACINE / page, as_version=4).cells[0].source for page in etapes]
    annoncees = [DUREE.search(ouverture) for ouverture in ouvertures]
    secondes = sum(60 * int(a[1] or 0) + int(a[2] or 0) for a in annoncees)
    # Alors leur somme est le temps que le plan donne au chapitre
    adresse = f"../{etapes[0]}"
    prevues = [p["minutes"] for p in charger("plan") if adresse in str(p["partie"])]
    assert [secondes] == [60 * minutes for minutes in prevues], (
        "Les « Durée » des étapes ne font pas les minutes du plan."
    )


def test_compte_des_definitions_niveaux_et_principes():
    assert len(charger("definitions")) == 5
    assert [ligne["niveau"][0] for ligne in charger("niveaux")] == list("01234")
    assert len(charger("principes")) == 11


def test_chaque_fichier_a_son_schema_et_inversement():
    decrits = sorted(nom for nom in SCHEMA["$defs"] if not nom.startswith("_"))
    assert decrits == FICHIERS, "schema.json et book/donnees ne nomment pas les mêmes fichiers."


@pytest.mark.parametrize("nom", FICHIERS)
def test_forme_des_fichiers(nom):
    assert nom in SCHEMA["$defs"], f"{nom}.yaml n’a pas de forme dans schema.json."
    fautes = [
        f"{'/'.join(map(str, e.path))} : {e.message}" for e in forme(nom).iter_errors(charger(nom))
    ]
    assert fautes == [], f"{nom}.yaml ne suit pas schema.json."


def test_une_virgule_oubliee_dans_un_outil_est_refusee():
    # Étant donné un outil dont une virgule, en YAML, a fait une clé de trop
    outils = charger("outils")
    outils[0] |= {"diplômé de la CNCF": None}
    # Alors le fichier est refusé, et un outil sans licence dite l’est aussi
    assert not forme("outils").is_valid(outils)
    outils = charger("outils")
    outils[0]["licence"] = "MIT"
    assert not forme("outils").is_valid(outils), (
        "Une licence ni lue ni « non vérifiée » est passée."
    )


@pytest.mark.parametrize("definition", charger("definitions"), ids=lambda d: d["source"])
def test_chaque_case_cite_les_mots_de_la_definition(definition):
    citation = definition["citation"]["texte"]
    for point in POINTS:
        case = definition[point]
        mots = case["texte"].strip("“”").split(" […] ") if isinstance(case, dict) else []
        assert mots or case == "non dit", f"{point} : ni mots cités, ni « non dit »."
        for morceau in mots:
            assert morceau in citation, f"{point} : « {morceau} » n’est pas dans la définition."


def test_le_statut_d_un_outil_suit_la_date_de_sa_version():
    for outil in charger("outils"):
        mois = re.search(r"\((\d\d)/(\d{4})\)", str(outil["version"]))
        if mois and outil["statut"] == "vivant":
            age = (RELEVE[0] - int(mois[2])) * 12 + RELEVE[1] - int(mois[1])
            assert age < 12, f"{outil['outil']} est dit vivant, sa version a {age} mois."


def test_les_outils_sont_ranges_par_categorie():
    rang = list(dict.fromkeys(outil["categorie"] for outil in charger("outils")))
    suite = [rang.index(outil["categorie"]) for outil in charger("outils")]
    assert suite == sorted(suite), "Une catégorie est coupée en deux."
    nuages = [ligne["categorie"] for ligne in charger("nuages")]
    assert nuages == rang, "nuages.yaml et outils.yaml n’ont pas les mêmes catégories."


def test_le_chapitre_1_decrit_les_outils_que_nomment_les_autres():
    # Étant donné les outils des étapes, des niveaux, des principes et des schémas
    nommes = [outil for etape in charger("outils_etapes") for outil in etape["outils"]]
    nommes += [outil for niveau in charger("niveaux") for outil in niveau["outils"]]
    nommes += [nom for principe in charger("principes") for nom in principe["outils"][0]["noms"]]
    icones = {outil["titre"] for outil in charger("icones")["outils"].values()}
    # Alors chacun a sa ligne au chapitre 1, et les schémas l’écrivent comme elle
    decrits = [outil["outil"].removeprefix("Apache ") for outil in charger("outils")]
    un_outil = re.compile(rf"(?<![\w-])({'|'.join(map(re.escape, decrits))})(?![\w-])")
    inconnus = {nom for nom in nommes if not un_outil.search(nom)}
    assert inconnus == set(), "outils.yaml ne décrit pas ces outils."
    assert icones - set(decrits) == set(), "outils.yaml ne nomme pas ainsi ces outils."


def test_une_etape_apparait_au_premier_niveau_de_ses_outils():
    # Étant donné le premier niveau qui nomme chaque outil
    premier = {o: n["niveau"][0] for n in reversed(charger("niveaux")) for o in n["outils"]}
    # Alors aucune étape ne le montre plus tôt, et l’une le montre dès ce niveau
    for outil, niveau in premier.items():
        etapes = [e["des"] for e in charger("outils_etapes") if outil in e["outils"]]
        assert not etapes or min(etapes) == niveau, f"{outil} : niveau {niveau}, étapes {etapes}."


def test_les_premieres_actions_existent():
    makefile = (RACINE / "Makefile").read_text(encoding="utf-8")
    for ligne in charger("lundi"):
        depart = ligne["commencer"]
        assert (RACINE / "book" / depart["adresse"]).is_file(), f"{depart} n’existe pas."
        for commande in re.findall(r"make (\w+)", depart["texte"]):
            assert f"\n{commande}:" in makefile, f"« make {commande} » n’existe pas."
