import os
import subprocess

import pytest
from publication.depot import (
    RACINE,
    ErreurPublication,
    ecrire,
    empreinte,
    lire_sommaire,
    provenance,
)


def test_sommaire_et_fichiers_s_accordent():
    # Étant donné le sommaire et les notebooks du dépôt
    pages = lire_sommaire(RACINE)
    notebooks = {
        fichier.relative_to(RACINE).as_posix()
        for dossier in ("book", "notebooks")
        for fichier in (RACINE / dossier).glob("*.ipynb")
    }
    # Alors chaque notebook est une page, une seule fois
    assert notebooks == {page for page in pages if page.endswith(".ipynb")}, (
        "Un notebook n’est pas dans _toc.yml, ou l’inverse."
    )
    assert len(pages) == len(set(pages)), "Une page est deux fois dans _toc.yml."


def test_ordre_du_sommaire(depot):
    assert lire_sommaire(depot) == [
        "book/accueil.ipynb",
        "book/1_chapitre.ipynb",
        "notebooks/41_premier.ipynb",
        "notebooks/42_second.ipynb",
    ]


def test_page_absente(depot):
    (depot / "notebooks" / "42_second.ipynb").unlink()
    with pytest.raises(ErreurPublication, match=r"_toc\.yml cite « notebooks/42_second »"):
        lire_sommaire(depot)


def test_sommaire_absent(tmp_path):
    with pytest.raises(ErreurPublication, match=r"« _toc\.yml » est introuvable"):
        lire_sommaire(tmp_path)


def test_empreinte_distingue_les_decoupages():
    assert empreinte("ab", "c") != empreinte("a", "bc"), "Deux suites différentes se confondent."


def test_ecriture_interrompue(tmp_path):
    # Étant donné un fichier déjà écrit
    fichier = tmp_path / "releve.json"
    ecrire(fichier, "bon")
    # Quand une écriture échoue en route
    with pytest.raises(UnicodeEncodeError):
        ecrire(fichier, "\ud800")
    # Alors l’ancien contenu est intact, et rien ne traîne
    assert fichier.read_text() == "bon"
    assert [f.name for f in tmp_path.iterdir()] == ["releve.json"]


def test_une_mesure_dit_son_commit_et_s_il_a_ete_modifie(tmp_path):
    # Étant donné un dépôt d’un seul commit
    def git(*arguments):
        qui = ("-c", "user.name=essai", "-c", "user.email=essai@exemple.fr")
        subprocess.run(["git", *qui, *arguments], cwd=tmp_path, check=True, capture_output=True)

    ecrire(tmp_path / "fichier.txt", "un")
    git("init")
    git("add", ".")
    git("commit", "--message", "un")
    propre = provenance(tmp_path)
    assert propre["coeurs"] == os.cpu_count()
    assert propre["charge"] >= 0
    # Quand un fichier change, alors la mesure dit qu’elle n’est plus celle du commit
    ecrire(tmp_path / "fichier.txt", "deux")
    assert provenance(tmp_path)["commit"] == f"{propre['commit']}+modifié"
