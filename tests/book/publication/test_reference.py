import json

import pytest
from publication import reference
from publication.depot import ErreurPublication, ecrire_json
from publication.plan import lire_notebooks
from publication.reference import brute, ecarts, relever, remplir, valeur

RESULTATS = {
    "42_entrainement": {"version": 7},
    "44": {"mois": [{"mois": "2013-07", "taux": 0.3156}, {"mois": "2013-08", "taux": 0.2}]},
    "47": {"gain": 0.0123, "vols": 336776, "promues": [8, 9], "duree": 1.25, "version": 9},
}
REFERENCE = {"resultats": RESULTATS, "durees": {"41": 12.3}, "processeur": {"41": 4.5}}


@pytest.fixture
def nommer(monkeypatch):
    """Remplace les valeurs nommées et l’exécution de référence par celles d’un essai."""

    def nommer(**valeurs):
        fiches = {
            nom: dict(zip(("chemin", "format", "mesure"), fiche, strict=False))
            for nom, fiche in valeurs.items()
        }
        monkeypatch.setattr(reference, "valeurs", lambda: fiches)
        monkeypatch.setattr(reference, "charger", lambda: REFERENCE)

    return nommer


@pytest.mark.parametrize(
    ("chemin", "forme", "ecrite"),
    [
        ("47/vols", "entier", "336\u202f776"),
        ("47/vols", "texte", "336776"),
        ("47/gain", "nombre1", "0,0"),
        ("47/gain", "nombre3", "0,012"),
        ("47/gain", "signe3", "+0,012"),
        ("47/duree", "secondes", "1\u00a0s"),
        ("47/duree", "secondes1", "1,2\u00a0s"),
        ("47/duree", "millisecondes", "1\u00a0ms"),
        ("47/duree", "moins_de", "moins de 2\u00a0s"),
        ("47/duree", "inferieur", "<\u00a02\u00a0s"),
        ("processeur/41", "moins_de", "moins de 5\u00a0s"),
        ("47/promues", "compte", "2"),
        ("47/promues/1", "entier", "9"),
        ("47/version", "version", "3"),
        ("44/mois/2013-07/taux", "pourcent", "32\u00a0%"),
        ("44/mois/2013-07/taux", "points", "32"),
        ("durees/41", "secondes", "12\u00a0s"),
        ("processeur/41", "secondes1", "4,5\u00a0s"),
    ],
)
def test_un_chemin_et_une_forme_a_la_francaise(nommer, chemin, forme, ecrite):
    nommer(essai=(chemin, forme))
    assert valeur("essai") == ecrite
    assert remplir("Soit {{ essai }}, ou {{essai}}.") == f"Soit {ecrite}, ou {ecrite}."


@pytest.mark.parametrize(
    ("chemin", "forme", "phrase"),
    [
        ("44/mois/2013-09/taux", "entier", "« 2013-09 » n’est pas dans l’exécution de référence"),
        ("44/mois/2/taux", "entier", "« 2 » n’est pas dans"),
        ("47/vols/0", "entier", "« 0 » n’est pas dans"),
        ("durees/48", "entier", "« 48 » n’est pas dans"),
        ("47/vols", "chiffre", "a une forme inconnue : « chiffre »"),
        ("47/promues", "pourcent", "ne s’écrit pas en « pourcent »"),
        ("47/vols", "compte", "ne s’écrit pas en « compte »"),
    ],
)
def test_une_valeur_fautive_est_dite_en_une_phrase(nommer, chemin, forme, phrase):
    nommer(essai=(chemin, forme))
    with pytest.raises(ErreurPublication, match="« essai »") as erreur:
        valeur("essai")
    assert phrase in str(erreur.value)


@pytest.mark.parametrize(
    ("texte", "phrase"),
    [
        ("Soit {{ inconnue }}.", "« inconnue » n’est pas dans book/donnees/valeurs.yaml"),
        ("Soit {{ deux mots }}.", "un appel de valeur est mal écrit : « Soit {{ deux mots }}. »"),
        ("Soit {{ vols }.", "un appel de valeur est mal écrit"),
        ("Soit { vols }}.", "un appel de valeur est mal écrit"),
    ],
)
def test_un_appel_fautif_est_dit_en_une_phrase(texte, phrase):
    with pytest.raises(ErreurPublication) as erreur:
        remplir(texte)
    assert phrase in str(erreur.value)


@pytest.mark.parametrize(
    ("cle", "neuf", "fautes"),
    [
        ("vols", 336776, []),
        ("vols", 336775, ["vols : 336\u202f776 en référence, 336\u202f775 calculé"]),
        ("duree", 2.5, []),
        ("duree", 5.0, ["duree : 1,2\u00a0s en référence, 5,0\u00a0s mesuré"]),
        ("duree", 0.4, []),
        ("duree", 0.3, ["duree : 1,2\u00a0s en référence, 0,3\u00a0s mesuré"]),
    ],
)
def test_une_execution_neuve_confirme_ou_dement(nommer, cle, neuf, fautes):
    # Étant donné un nombre exact et une mesure
    nommer(vols=("47/vols", "entier"), duree=("47/duree", "secondes1", True))
    # Quand l’exécution est refaite, alors l’un doit être le même, l’autre du même ordre
    neuve = {"resultats": RESULTATS | {"47": RESULTATS["47"] | {cle: neuf}}, "durees": {}}
    assert ecarts(neuve) == fautes
    assert brute(cle, neuve) == neuf


def test_le_releve_d_une_execution(deja_execute):
    releve = relever(deja_execute)
    assert sorted(releve["durees"]) == ["41_premier", "42_second"] == sorted(releve["resultats"])
    assert sorted(releve["processeur"]) == ["41_premier", "42_second"]
    assert releve["resultats"]["41_premier"] == {"resume": "Fait."}
    for notebook in lire_notebooks(deja_execute):
        ecrire_json(deja_execute / "_build" / "execution" / f"{notebook.chemin[:-6]}.json", {})
    with pytest.raises(ErreurPublication, match=r"41_premier\.ipynb n’a pas encore été exécuté"):
        relever(deja_execute)


@pytest.mark.parametrize(
    ("contenu", "phrase"), [(None, "« make reference » l’écrit"), ("{", "n’est pas du JSON")]
)
def test_reference_absente_ou_illisible(tmp_path, monkeypatch, contenu, phrase):
    fichier = tmp_path / "reference.json"
    if contenu:
        fichier.write_text(contenu)
    monkeypatch.setattr(reference, "FICHIER", fichier)
    with pytest.raises(ErreurPublication, match=phrase):
        reference.charger.__wrapped__()


def test_la_vraie_reference_a_toutes_les_valeurs():
    """Chaque valeur nommée existe, et la référence dit d’où elle vient."""
    gardee = json.loads(reference.FICHIER.read_text(encoding="utf-8"))
    assert all(valeur(nom) for nom in reference.valeurs())
    assert ecarts(gardee) == []
    assert all(gardee[cle] in reference.origine() for cle in ("date", "commit", "machine"))
    assert "modifié" not in gardee["commit"], "La référence vient d’un arbre commité."
