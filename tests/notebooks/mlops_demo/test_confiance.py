"""La porte d’un modèle : ce que le journal a accepté, octet pour octet, et rien qui s’exécute."""

import functools
import os
import pickle
import shutil
import sys
import zipfile

import cloudpickle
import joblib
import mlflow
import pandas as pd
import pytest
import skops.io
import yaml
from mlops_demo import confiance, entrainement
from mlops_demo.features import FEATURES
from sklearn.preprocessing import FunctionTransformer

PORTES = (confiance.controler, confiance.ouvrir)


@pytest.fixture(scope="module")
def gabarit(tmp_path_factory):
    """Un modèle tel que MLflow l’écrit pour nous."""
    vols = pd.DataFrame({nom: [1.0, 2.0] for nom in FEATURES}).assign(late=[0.0, 1.0])
    naif = entrainement.naif().fit(vols[FEATURES], vols["late"])
    dossier = tmp_path_factory.mktemp("gabarit") / "modele"
    mlflow.sklearn.save_model(
        naif,
        dossier,
        serialization_format="skops",
        pip_requirements=["pandas"],
        skops_trusted_types=confiance.TYPES_ADMIS,
        pyfunc_predict_fn="predict_proba",
    )
    return dossier


@pytest.fixture
def dossier(gabarit, tmp_path):
    """Une copie de ce modèle, à abîmer."""
    return shutil.copytree(gabarit, tmp_path / "modele")


@pytest.fixture
def temoin(tmp_path):
    """Le fichier qu’un code malveillant écrirait."""
    fichier = tmp_path / "temoin"
    yield fichier
    assert not fichier.exists(), "du code du modèle s’est exécuté"


class Piege:
    """Ce qui, dépicklé, écrit le témoin."""

    def __init__(self, temoin):
        self.temoin = temoin

    def __reduce__(self):
        return os.mkdir, (str(self.temoin),)


def ecrire_mlmodel(dossier, genre, **reglages):
    fichier = dossier / "MLmodel"
    contenu = yaml.safe_load(fichier.read_text())
    contenu["flavors"].setdefault(genre, {}).update(reglages)
    fichier.write_text(yaml.safe_dump(contenu))


def refuser(dossier, motif):
    """Les deux portes refusent, avec ce motif."""
    for porte in PORTES:
        with pytest.raises(confiance.Refus, match=motif):
            porte(dossier)


def test_un_de_nos_modeles_passe_et_son_empreinte_change_au_moindre_octet(dossier):
    assert confiance.ouvrir(dossier).predict_proba([[0]])[0, 1] == 0.5
    avant = confiance.empreinte(dossier)
    for nom in sorted(confiance.FICHIERS):
        octets = (dossier / nom).read_bytes()
        (dossier / nom).write_bytes(octets + b"\n")
        assert confiance.empreinte(dossier) != avant, nom
        (dossier / nom).write_bytes(octets)
    assert confiance.empreinte(dossier) == avant


@pytest.mark.parametrize("format_", [pickle, cloudpickle, joblib], ids=lambda m: m.__name__)
@pytest.mark.parametrize("avoue", [True, False], ids=["avoué", "sous le nom de skops"])
def test_un_pickle_est_refuse_sans_etre_lu(dossier, temoin, format_, avoue):
    with (dossier / "model.skops").open("wb") as fichier:
        format_.dump(Piege(temoin), fichier)
    if avoue:
        ecrire_mlmodel(dossier, "sklearn", serialization_format="cloudpickle")
    refuser(dossier, "serialization_format = « cloudpickle »" if avoue else "format skops")


def test_un_pyfunc_a_code_est_refuse(dossier, temoin):
    code = f"import os; os.mkdir({str(temoin)!r})"
    (dossier / "code").mkdir()
    (dossier / "code" / "charger.py").write_text(code)
    refuser(dossier, "« code » n’est pas un fichier ordinaire")


@pytest.mark.parametrize(
    ("genre", "reglages", "motif"),
    [
        ("python_function", {"code": "code"}, "python_function.code"),
        ("python_function", {"loader_module": "charger"}, "python_function.loader_module"),
        ("python_function", {"data": "ailleurs"}, "python_function.data"),
        ("python_function", {"model_path": "../model.skops"}, "python_function.model_path"),
        ("sklearn", {"pickled_model": "../x.skops"}, "sklearn.pickled_model"),
        ("sklearn", {"code": "code"}, "sklearn.code"),
        ("pytorch", {}, "il faut sklearn, et lui seul"),
    ],
)
def test_un_mlmodel_qui_designe_du_code_ou_sort_du_dossier_est_refuse(
    dossier, genre, reglages, motif
):
    ecrire_mlmodel(dossier, genre, **reglages)
    refuser(dossier, motif)


@pytest.mark.parametrize("contenu", ["abîmé", "flavors: 3", "!!python/object/apply:os.mkdir [x]"])
def test_un_mlmodel_illisible_est_refuse(dossier, contenu):
    (dossier / "MLmodel").write_text(contenu)
    refuser(dossier, "« MLmodel » ne se lit pas")


def test_les_types_admis_sont_les_notres_et_non_ceux_du_modele(dossier, temoin):
    """Le modèle s’autorise lui-même un type ; MLflow le croirait."""
    module = temoin.with_name("piege_skops.py")
    module.write_text(f"import os\nos.mkdir({str(temoin)!r})\ndef f(x): return x\n")
    naif = confiance.ouvrir(dossier)
    type_ = FunctionTransformer(os.path.basename)
    skops.io.dump(type(naif)([("f", type_), *naif.steps]), dossier / "model.skops")
    remplacer(dossier / "model.skops", {b'"posixpath': b'"piege_skops', b'"basename': b'"f'})
    ecrire_mlmodel(dossier, "sklearn", skops_trusted_types=["piege_skops.f", "posixpath.basename"])
    sys.path.insert(0, str(temoin.parent))
    try:
        confiance.controler(dossier)
        with pytest.raises(confiance.Refus, match="piege_skops"):
            confiance.ouvrir(dossier)
    finally:
        sys.path.remove(str(temoin.parent))
    assert "piege_skops" not in sys.modules


def remplacer(fichier, paires):
    """Réécrit un zip en y remplaçant des octets."""
    with zipfile.ZipFile(fichier) as archive:
        pieces = {p.filename: archive.read(p) for p in archive.infolist()}
    with zipfile.ZipFile(fichier, "w") as archive:
        for nom, octets in pieces.items():
            archive.writestr(
                nom, functools.reduce(lambda o, p: o.replace(*p), paires.items(), octets)
            )


def test_ce_qui_n_est_pas_un_pipeline_est_refuse(dossier):
    skops.io.dump({"a": 1}, dossier / "model.skops")
    with pytest.raises(confiance.Refus, match="et non un pipeline"):
        confiance.ouvrir(dossier)


@pytest.mark.parametrize("ecart", [0, 1], ids=["à la borne", "un octet de trop"])
def test_la_taille_des_deux_cotes_de_sa_borne(dossier, monkeypatch, ecart):
    octets = sum(f.stat().st_size for f in dossier.iterdir())
    monkeypatch.setattr(confiance, "OCTETS_MAX", octets - ecart)
    if ecart:
        refuser(dossier, "Mio de fichiers")
    else:
        confiance.ouvrir(dossier)


def test_une_bombe_zip_est_refusee_sans_etre_decompressee(dossier):
    with zipfile.ZipFile(dossier / "model.skops", "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("bombe", bytes(confiance.OCTETS_MAX))
    assert (dossier / "model.skops").stat().st_size < 10**6
    refuser(dossier, "une fois décompressé")


@pytest.mark.parametrize("nom", ["../sorti", "/etc/sorti", "a/../../sorti", "a\\..\\sorti"])
def test_un_chemin_qui_sort_du_zip_est_refuse(dossier, nom):
    with zipfile.ZipFile(dossier / "model.skops", "a") as archive:
        archive.writestr(nom, "x")
    refuser(dossier, "qui en sort")


def test_un_lien_symbolique_est_refuse(dossier, tmp_path):
    (dossier / "model.skops").rename(tmp_path / "ailleurs.skops")
    (dossier / "model.skops").symlink_to(tmp_path / "ailleurs.skops")
    refuser(dossier, "« model.skops » n’est pas un fichier ordinaire")


@pytest.mark.parametrize("geste", ["en plus", "en moins"])
def test_la_liste_des_fichiers_est_exacte(dossier, geste):
    (dossier / "__init__.py").touch() if geste == "en plus" else (dossier / "conda.yaml").unlink()
    refuser(dossier, "absents ou de trop : " + ("__init__.py" if geste == "en plus" else "conda"))


@pytest.mark.parametrize(
    "ligne", ["git+https://exemple.org/x", "x @ file:///x", "--index-url=x", "https://exemple.org"]
)
def test_des_dependances_venues_d_ailleurs_sont_refusees(dossier, ligne):
    (dossier / "requirements.txt").write_text(f"pandas==3.0\n{ligne}\n")
    refuser(dossier, "demande d’installer d’ailleurs")


# --- Ce que le journal a accepté ------------------------------------------------------------


@pytest.mark.parametrize(
    ("version", "empreinte", "motif"),
    [
        (None, None, "n’a pas accepté la version 7"),
        (6, "la sienne", "n’a pas accepté la version 7"),
        (7, None, "ne garde pas l’empreinte"),
        (7, "f" * 64, "ne sont plus ceux que le journal a acceptés"),
        (7, "la sienne", None),
    ],
)
def test_une_version_est_servie_si_le_journal_l_a_acceptee_avec_ces_octets(
    dossier, version, empreinte, motif
):
    empreinte = confiance.empreinte(dossier) if empreinte == "la sienne" else empreinte
    tenue = version and confiance.Acceptee(version, empreinte)
    if motif is None:
        assert confiance.exiger(tenue, 7, dossier) == empreinte
        return
    with pytest.raises(confiance.Refus, match=motif):
        confiance.exiger(tenue, 7, dossier)
