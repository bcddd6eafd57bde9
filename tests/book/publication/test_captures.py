import io
import shutil

import pytest
from PIL import Image
from publication import captures
from publication.depot import RACINE, ErreurPublication

ECRANS = captures.ecrans()


@pytest.fixture
def copie(tmp_path):
    """Le dossier des captures et ce qui fixe les versions, dans un dépôt jetable."""
    shutil.copytree(RACINE / captures.DOSSIER, tmp_path / captures.DOSSIER)
    shutil.copytree(RACINE / "local", tmp_path / "local", ignore=shutil.ignore_patterns("secrets"))
    return tmp_path


def perimes(racine):
    """Les écrans d’un outil qui a changé de version depuis."""
    return [
        nom
        for nom, ecran in captures.ecrans(racine).items()
        if ecran.verrou != captures.version_du_verrou(captures.PRISES[nom].outil, racine)
    ]


def en_png(image):
    """Une image, comme le navigateur la rend."""
    sortie = io.BytesIO()
    image.save(sortie, "PNG")
    return sortie.getvalue()


def test_chaque_ecran_est_leger_lisible_et_dit_ce_qu_il_montre():
    assert list(ECRANS) == list(captures.PRISES)
    for nom, ecran in ECRANS.items():
        assert ecran.fichier.stat().st_size <= captures.POIDS_MAX, nom
        with Image.open(ecran.fichier) as image:
            assert image.size == (1920, 1080), nom
        assert len(ecran.alternatif) > 40, nom
        assert ecran.alternatif.endswith("."), nom


def test_aucun_ecran_n_est_plus_vieux_que_la_version_de_son_outil():
    assert perimes(RACINE) == [], "l’outil a changé de version : relancez « make captures »"


@pytest.mark.parametrize(
    ("fichier", "avant", "apres", "attendus"),
    [
        (
            "images/mlflow/requirements.txt",
            "\nmlflow==",
            "\nmlflow==99.",
            ["mlflow", "mlflow_registre"],
        ),
        (".env.exemple", "prom/prometheus:v", "prom/prometheus:v9", ["prometheus"]),
    ],
)
def test_une_version_qui_change_perime_ses_ecrans(copie, fichier, avant, apres, attendus):
    verrou = copie / "local" / fichier
    texte = verrou.read_text(encoding="utf-8")
    assert avant in texte
    verrou.write_text(texte.replace(avant, apres), encoding="utf-8")
    assert perimes(copie) == attendus


def test_un_ecran_inconnu_ou_sans_image_se_dit_en_une_phrase(copie):
    with pytest.raises(ErreurPublication, match="aucun écran ne s’appelle « grafana »"):
        captures.ecran("grafana", copie)
    captures.ecran("mlflow", copie).fichier.unlink()
    with pytest.raises(ErreurPublication, match=r"« mlflow » n’a pas d’image.*make captures"):
        captures.ecran("mlflow", copie)


def test_un_outil_arrete_se_dit_en_une_phrase_et_rien_ne_change(copie, monkeypatch):
    # Étant donné des ports où rien n’écoute
    for cle in captures.OUTILS:
        monkeypatch.setenv(f"PORT_{cle.upper()}", "1")
    dossier = copie / captures.DOSSIER
    avant = {f.name: f.read_bytes() for f in dossier.iterdir()}
    with pytest.raises(ErreurPublication, match="JupyterHub ne répond pas.*« make up »"):
        captures.capturer(copie)
    assert {f.name: f.read_bytes() for f in dossier.iterdir()} == avant


def test_une_image_trop_lourde_est_refusee():
    bruit = Image.effect_noise((800, 600), 200)
    with pytest.raises(ErreurPublication, match="pèse plus de 150 ko"):
        captures.comprimer(en_png(bruit))
