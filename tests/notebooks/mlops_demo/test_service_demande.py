"""Le contrat de la demande : chaque borne des deux côtés, l’inconnu, et des motifs bornés."""

import json
import math

import pytest
from mlops_demo.service_demande import COLONNES, EXEMPLE, Demande, Vol, champ, lire, motifs
from pydantic import ValidationError

BORNES = [(nom, borne) for nom, c in COLONNES.items() for borne in ("min", "max") if borne in c]
# Les règles entre colonnes ne jugent pas ce que l’on ne sait pas.
SANS_REGLE = EXEMPLE | dict.fromkeys(["temp", "dewp", "wind_gust", "wind_speed"])


@pytest.mark.parametrize(("nom", "borne"), BORNES)
def test_chaque_borne_est_permise_et_juste_apres_refusee(nom, borne):
    permise = COLONNES[nom][borne]
    assert getattr(Vol(**SANS_REGLE | {nom: permise}), nom) == permise
    sens = -1 if borne == "min" else 1
    entier = COLONNES[nom]["type"] in ("bigint", "smallint")
    au_dela = permise + sens if entier else math.nextafter(permise, sens * math.inf)
    with pytest.raises(ValidationError) as refus:
        Vol(**SANS_REGLE | {nom: au_dela})
    (motif,) = motifs([{**e, "loc": ("body", *e["loc"])} for e in refus.value.errors()])
    unite = f" {COLONNES[nom]['unite']}" if "unite" in COLONNES[nom] else ""
    assert motif == f"{nom} : hors de [{COLONNES[nom]['min']} ; {COLONNES[nom]['max']}]{unite}"


@pytest.mark.parametrize(("valeur", "motif"), [(5, []), (5.0, []), (3.7, ["multiple_of"])])
def test_un_entier_du_contrat_s_ecrit_5_ou_5_0_mais_pas_3_7(valeur, motif):
    try:
        Vol(**EXEMPLE | {"dow": valeur})
        types = []
    except ValidationError as refus:
        types = [e["type"] for e in refus.errors()]
    assert types == motif


def en_corps(vols, avant='{"vols":[', apres="]}"):
    return (
        avant + ",".join(json.dumps(v) if isinstance(v, dict) else v for v in vols)
    ).encode() + (apres.encode())


@pytest.mark.parametrize("espaces", ["", " \n\t "])
def test_une_longue_demande_se_lit_comme_une_courte(espaces):
    vols = [EXEMPLE | {"flight_id": n, "temp": None} for n in range(1, 50)]
    corps = json.dumps({"vols": vols}, indent=espaces or None).encode()
    assert Demande.model_validate(lire(corps)) == Demande.model_validate(json.loads(corps))


@pytest.mark.parametrize(
    "corps",
    [
        en_corps([EXEMPLE, EXEMPLE | {"temp": 200}, {}, {}]),
        en_corps([EXEMPLE, {}, EXEMPLE]),
        en_corps([EXEMPLE, "3", EXEMPLE]),
        en_corps([EXEMPLE, {f"k{n}": 1 for n in range(100)}]),
        en_corps([EXEMPLE] * 10_001),
    ],
    ids=["température", "vide", "nombre", "cent clés", "un de trop"],
)
def test_une_longue_demande_fautive_dit_les_memes_motifs_qu_une_courte(corps):
    dits = []
    for lecture in (lire, json.loads):
        with pytest.raises(ValidationError) as refus:
            Demande.model_validate(lecture(corps))
        dits.append([(e["type"], e["loc"]) for e in refus.value.errors()])
    assert dits[0] == dits[1]


def test_le_premier_vol_refuse_arrete_la_lecture():
    lue = lire(en_corps([EXEMPLE, {}] + [{}] * 9_998, apres="illisible"))
    assert [type(vol) for vol in lue["vols"]] == [Vol, dict]


@pytest.mark.parametrize(
    ("corps", "place"),
    [
        (b'{"autre": []}', 0),
        (en_corps([EXEMPLE, "{"]), None),
        (en_corps([EXEMPLE], apres="}"), None),
        (en_corps([EXEMPLE], apres="]} suite"), None),
        (en_corps(['{"k": "' + "x" * 5000 + '"}']), 15),
    ],
    ids=["autre clé", "vol ouvert", "liste ouverte", "suite", "vol sans fin"],
)
def test_une_longue_demande_illisible_est_refusee_a_sa_place(corps, place):
    with pytest.raises(json.JSONDecodeError) as refus:
        lire(corps)
    assert refus.value.pos == place or place is None


@pytest.mark.parametrize("nom", COLONNES)
def test_seule_une_colonne_requise_refuse_l_inconnu(nom):
    try:
        Vol(**SANS_REGLE | {nom: None})
        refuse = False
    except ValidationError:
        refuse = True
    assert refuse == COLONNES[nom].get("requis", False)


@pytest.mark.parametrize("inconnue", ["temp", "dewp", "wind_gust", "wind_speed"])
def test_une_regle_dont_une_valeur_est_inconnue_n_est_pas_enfreinte(inconnue):
    assert getattr(Vol(**EXEMPLE | {inconnue: None}), inconnue) is None


def test_une_demande_n_a_que_des_vols():
    with pytest.raises(ValidationError, match="extra_forbidden"):
        Demande(vols=[EXEMPLE], autre=1)


@pytest.mark.parametrize(
    ("fautes", "fin"), [(20, "vols → 19 → temp : manquant"), (23, "et 3 autres")]
)
def test_au_dela_de_vingt_motifs_le_reste_se_compte(fautes, fin):
    erreurs = [{"type": "missing", "loc": ("body", "vols", n, "temp")} for n in range(fautes)]
    dits = motifs(erreurs)
    assert dits[19] == "vols → 19 → temp : manquant"
    assert (len(dits), dits[-1]) == (min(fautes, 21), fin)


def test_un_nom_invente_par_le_client_est_coupe_et_ne_se_compte_pas():
    nom = "\ud800" + "x" * 1000
    erreur = {"type": "extra_forbidden", "loc": ("body", "vols", 0, nom)}
    assert motifs([erreur]) == [f"vols → 0 → ?{'x' * 59} : inconnu"]
    assert champ(erreur) == "demande", "une mesure de Prometheus par nom inventé le noierait"
    assert champ({"loc": ("body", "vols", 0, "temp")}) == "temp"
