"""L’audit : une faille arrête, sauf acceptée, à jour et encore là ; le silence n’est pas un oui."""

import datetime
import importlib.util
from pathlib import Path

import pytest

RACINE = Path(__file__).resolve().parents[2]
CHEMIN = RACINE / "requirements" / "auditer.py"
SPEC = importlib.util.spec_from_file_location("auditer", CHEMIN)
auditer = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(auditer)

JOUR = datetime.date(2027, 1, 15)
TROUVEE = {("PYSEC-1", "paquet 1.0")}


def accepter(faille, revoir):
    return [{"faille": faille, "raison": "jamais appelée", "revoir": datetime.date(*revoir)}]


@pytest.mark.parametrize(
    ("trouvees", "acceptees", "plainte"),
    [
        (TROUVEE, [], "mettez ce paquet à jour"),
        (TROUVEE, accepter("PYSEC-1", (2027, 1, 14)), "à revoir"),
        (set(), accepter("PYSEC-1", (2027, 1, 15)), "n’est plus trouvée"),
        (TROUVEE, accepter("PYSEC-2", (2027, 1, 15)), "mettez ce paquet à jour"),
    ],
)
def test_une_faille_ou_une_acceptation_perimee_est_refusee(trouvees, acceptees, plainte):
    refus, _ = auditer.juger(trouvees, acceptees, JOUR)
    assert any(plainte in ligne for ligne in refus), refus


def test_une_faille_acceptee_passe_jusqu_a_son_jour_avec_sa_raison():
    refus, accords = auditer.juger(TROUVEE, accepter("PYSEC-1", (2027, 1, 15)), JOUR)
    assert refus == []
    assert accords == ["PYSEC-1 (paquet 1.0) : jamais appelée"]


def test_un_rapport_de_pip_audit_donne_ses_failles():
    sain = {"name": "a", "version": "1", "vulns": []}
    fautif = {"name": "b", "version": "2", "vulns": [{"id": "PYSEC-9"}]}
    assert auditer.lire_python({"dependencies": [sain]}) == set()
    assert auditer.lire_python({"dependencies": [sain, fautif]}) == {("PYSEC-9", "b 2")}


def test_un_paquet_que_l_index_ne_connait_pas_n_est_pas_un_paquet_sur():
    rapport = {"dependencies": [{"name": "uv", "skip_reason": "Dependency not found"}]}
    with pytest.raises(auditer.Probleme, match="ne dit rien de 1 paquets"):
        auditer.lire_python(rapport)


def test_un_rapport_de_npm_donne_ses_failles():
    via = [{"url": "https://github.com/advisories/GHSA-1"}, "autre-paquet"]
    rapport = {"vulnerabilities": {"proxy": {"via": via}}}
    assert auditer.lire_npm(rapport) == {("GHSA-1", "proxy")}
    assert auditer.lire_npm({"vulnerabilities": {}}) == set()


def test_un_registre_npm_muet_n_est_pas_un_accord():
    with pytest.raises(auditer.Probleme, match="registre de npm"):
        auditer.lire_npm({"message": "405 Method Not Allowed"})


def test_tous_les_verrous_sont_examines():
    noms = {v.relative_to(RACINE).as_posix() for v in auditer.verrous_python(RACINE)}
    images = {f"local/images/{i}/requirements.txt" for i in ("demo", "hub", "airflow", "superset")}
    assert noms >= {"requirements/lock.txt", "requirements/npm.txt", "local/images/uv.txt"} | images
    for dossier in auditer.VERROUS_NPM:
        assert (RACINE / dossier / "package-lock.json").is_file()
