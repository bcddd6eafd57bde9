import fcntl
import subprocess
import sys
from pathlib import Path

import publication.execution
import publication.html
import pytest
from publication.__main__ import principal
from publication.depot import RACINE, ErreurPublication, ecrire
from publication.livre import bilan_execution, construire_livre, jouer_demonstration
from publication.plan import lire_notebooks, lire_releve, pages_de_l_expose


@pytest.fixture
def appels(monkeypatch, simuler):
    """Remplace l’exécution et la mise en page par leur trace."""
    traces = {"executes": [], "mises_en_page": 0}

    def executer(racine, notebooks, _suivi):
        for notebook in notebooks:
            simuler(racine, notebook, f"fois {len(traces['executes'])}")
            traces["executes"].append(notebook.chemin)

    def construire(racine):
        traces["mises_en_page"] += 1
        ecrire(racine / "_build" / "html" / "index.html", "livre")

    monkeypatch.setattr(publication.execution, "executer", executer)
    monkeypatch.setattr(publication.html, "construire", construire)
    return traces


def test_deux_constructions_de_suite(depot, appels):
    # Quand on construit deux fois sans rien changer
    assert construire_livre(depot), "La première construction a du travail."
    assert not construire_livre(depot), "La seconde n’en a pas."
    # Alors chaque notebook n’a été exécuté qu’une fois, et la mise en page faite une fois
    assert sorted(appels["executes"]) == sorted(n.chemin for n in lire_notebooks(depot))
    assert appels["mises_en_page"] == 1


@pytest.mark.parametrize(
    "fichier", ["_config.yml", "_toc.yml", "book/_ext/livre.py", "book/assets/mlops.css"]
)
def test_mise_en_page_seule(depot, appels, fichier):
    # Étant donné un livre à jour
    construire_livre(depot)
    appels["executes"].clear()
    # Quand change un fichier qui ne touche que le HTML
    chemin = depot / fichier
    chemin.write_text(chemin.read_text() + "\n")
    # Alors la page est refaite sans rien exécuter
    assert construire_livre(depot)
    assert appels == {"executes": [], "mises_en_page": 2}


def test_un_fichier_que_montre_l_expose_refait_ses_diapositives(
    exposer, diapositive, appels, simuler
):
    # Étant donné un livre et un exposé à jour
    racine = exposer(diapositive("a"))
    construire_livre(racine)
    (page,) = pages_de_l_expose(racine)
    assert appels["executes"] == [page]
    # Quand change un fichier dont l’exposé, et lui seul, montre des lignes
    ecrire(racine / "local" / "common.yaml", "autre contenu\n")
    # Alors l’exposé seul est exécuté, et le livre, où sont ses diapositives, refait
    assert construire_livre(racine)
    assert appels == {"executes": [page, page], "mises_en_page": 2}


@pytest.mark.parametrize("page", ["book/1_chapitre.ipynb", "notebooks/41_premier.ipynb"])
def test_texte_modifie(depot, appels, modifier, page):
    construire_livre(depot)
    appels["executes"].clear()
    modifier(depot / page, 0, "# Un titre corrigé")
    assert construire_livre(depot), "Un texte corrigé doit paraître."
    assert appels == {"executes": [], "mises_en_page": 2}


def test_page_effacee(depot, appels):
    construire_livre(depot)
    (depot / "_build" / "html" / "index.html").unlink()
    assert construire_livre(depot), "Un livre effacé doit être refait."


def test_echec_de_mise_en_page(depot, appels, monkeypatch):
    # Étant donné une mise en page qui échoue
    def echouer(_racine):
        raise ErreurPublication("avertissement")

    with monkeypatch.context() as essai:
        essai.setattr(publication.html, "construire", echouer)
        with pytest.raises(ErreurPublication):
            construire_livre(depot)
    # Alors la commande suivante la refait, sans exécuter de nouveau
    appels["executes"].clear()
    assert construire_livre(depot)
    assert appels["executes"] == []


def test_demonstration_toujours_rejouee(depot, appels):
    # Étant donné un livre à jour
    construire_livre(depot)
    appels["executes"].clear()
    # Quand on joue la démonstration
    etapes = jouer_demonstration(depot)
    # Alors la chaîne, et elle seule, s’est exécutée
    chaine = ["notebooks/41_premier.ipynb", "notebooks/42_second.ipynb"]
    assert appels["executes"] == chaine
    assert [(chemin, releve["duree"]) for chemin, releve in etapes] == [(c, 1.5) for c in chaine]
    # Et le livre suivant reprend ces exécutions ; seul l’accueil, qui les résume, est refait
    appels["executes"].clear()
    assert construire_livre(depot)
    assert appels["executes"] == ["book/accueil.ipynb"]


def test_une_seule_fabrication(depot, appels):
    # Étant donné une autre commande en cours
    (depot / "_build").mkdir()
    with (depot / "_build" / ".verrou").open("w") as verrou:
        fcntl.flock(verrou, fcntl.LOCK_EX)
        # Alors la seconde le dit et ne fait rien
        with pytest.raises(ErreurPublication, match="une autre commande"):
            construire_livre(depot)
    assert appels["executes"] == []
    assert construire_livre(depot), "Le verrou rendu, la construction reprend."


def test_bilan_des_etapes(deja_execute):
    assert bilan_execution(deja_execute)[0] == {
        "etape": "41_premier",
        "resume": "Fait.",
        "duree": "1,5 s",
    }


def test_bilan_sans_execution(depot):
    with pytest.raises(ErreurPublication, match=r"41_premier\.ipynb n’a pas encore été exécuté"):
        bilan_execution(depot)
    assert lire_releve(depot, "notebooks/41_premier.ipynb") == {}


def test_rien_de_lourd_sans_travail():
    # Quand on demande seulement ce qu’il y a à faire
    code = (
        "import sys, publication.__main__, publication.livre as l; "
        "l.perimes(l.RACINE, l.lire_notebooks(l.RACINE)); "
        "print({'papermill', 'sphinx', 'pandas', 'nbformat', 'mlflow'} & set(sys.modules))"
    )
    resultat = subprocess.run(
        [sys.executable, "-c", code], cwd=RACINE, capture_output=True, text=True, check=True
    )
    # Alors aucune bibliothèque lourde n’est chargée
    assert resultat.stdout.strip() == "set()", "Un livre à jour doit répondre tout de suite."


@pytest.mark.parametrize(
    ("erreur", "phrase"),
    [
        (ErreurPublication("la page manque."), "Erreur : la page manque."),
        (OSError(28, "No space left on device"), "Erreur : le disque est plein"),
        (PermissionError(13, "Permission denied", "_build"), "écriture refusée dans « _build »"),
    ],
)
def test_erreurs_en_une_phrase(monkeypatch, capsys, erreur, phrase):
    def echouer(_racine):
        raise erreur

    monkeypatch.setattr("publication.livre.construire_livre", echouer)
    assert principal(["livre"]) == 1
    sortie = capsys.readouterr().err
    assert phrase in sortie
    assert sortie.count("\n") == 1, "Une erreur prévisible tient en une phrase."


def test_erreur_utilisateur_de_la_demonstration(monkeypatch, capsys):
    from mlops_demo import ErreurUtilisateur

    def echouer(_racine):
        raise ErreurUtilisateur("la base ne répond pas.")

    monkeypatch.setattr("publication.livre.jouer_demonstration", echouer)
    assert principal(["demo"]) == 1
    assert capsys.readouterr().err == "Erreur : la base ne répond pas.\n"


def test_aide_en_francais(capsys):
    with pytest.raises(SystemExit):
        principal(["--help"])
    aide = capsys.readouterr().out
    for commande in ("livre", "demo", "servir"):
        assert commande in aide, f"L’aide ne cite pas « {commande} »."


def test_aucun_chemin_de_cette_machine():
    # Étant donné les sources du livre
    dossier = str(Path.home())
    for fichier in (RACINE / "book").rglob("*"):
        if fichier.suffix in {".py", ".ipynb", ".yaml", ".css"}:
            texte = fichier.read_text(encoding="utf-8")
            assert str(RACINE) not in texte, f"{fichier.name} contient un chemin absolu."
            assert f"{dossier}/" not in texte, f"{fichier.name} contient un chemin personnel."
