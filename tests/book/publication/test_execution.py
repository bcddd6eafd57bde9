"""De vrais notebooks, exécutés par papermill dans un dépôt jetable."""

import functools
import io
import shutil
import time

import mlops_demo
import nbformat
import psutil
import psycopg
import pytest
import sqlalchemy as sa
from mlops_demo import base, processus, session
from publication.depot import ErreurPublication
from publication.execution import Sonde, executer
from publication.livre import construire_livre
from publication.plan import copie_executee, lire_notebooks, lire_releve, perimes
from publication.suivi import Suivi


@pytest.mark.parametrize(("nom", "compte"), [("calcul", True), ("postgres", False)])
def test_le_temps_de_postgres_n_est_pas_celui_du_noyau_qui_l_a_lance(tmp_path, nom, compte):
    # Étant donné un noyau, et un programme qu’il a lancé, qui calcule une seconde
    (tmp_path / nom).symlink_to(shutil.which("sh"))
    calculer = f"'{tmp_path / nom}' -c 'while :; do :; done' & wait"
    noyau = psutil.Popen(["sh", "-c", calculer])
    try:
        while not any(p.cpu_times().user > 1 for p in noyau.children()):
            time.sleep(0.1)
        # Quand on mesure le noyau
        sonde = Sonde()
        sonde.suivre(noyau.pid)
    finally:
        for processus in (*noyau.children(), noyau):
            processus.kill()
        noyau.wait()
    # Alors il a le temps de ce programme, sauf si c’est Postgres
    assert (sonde.processeur > 1) is compte


def executer_tout(racine):
    """Exécute ce qui doit l’être et rend ce qui a été écrit à l’écran."""
    ecran = io.StringIO()
    executer(racine, perimes(racine, lire_notebooks(racine)), Suivi(ecran))
    return ecran.getvalue()


def test_chaine_complete(depot):
    # Quand tout s’exécute
    ecran = executer_tout(depot)
    # Alors les copies ont leurs sorties, les relevés leurs chiffres
    copie = nbformat.read(copie_executee(depot, "book/1_chapitre.ipynb"), as_version=4)
    assert copie.cells[2].outputs[0].data["text/plain"] == "42"
    releve = lire_releve(depot, "notebooks/42_second.ipynb")
    assert releve["resultat"] == {"notebook": "42_second", "resume": "Fait."}
    assert releve["memoire_mo"] > 10, "La mémoire du noyau n’a pas été mesurée."
    assert releve["processeur"] > 0.1, "Le temps de processeur du noyau n’a pas été mesuré."
    assert 0 < releve["preambule"] <= releve["processeur"], "Le départ est une part du tout."
    assert releve["noyau"] > 0
    # Et l’écran nomme chaque notebook, et rien n’est plus à faire
    assert "[4/4] accueil : exécuté en" in ecran
    assert perimes(depot, lire_notebooks(depot)) == [], "Une exécution réussie vaut mise à jour."


def test_noyau_en_avance_mais_rien_d_autre(depot):
    # Étant donné une étape d’une seconde, et une suivante qui note si elle l’a vue finie
    premiere, seconde = (depot / "notebooks" / f"4{n}.ipynb" for n in ("1_premier", "2_second"))
    preparer(premiere, "import time\ntime.sleep(1)", "open('finie', 'w').close()")
    voir = "open({!r}, 'w').write(str(os.path.exists('finie')))"
    preparer(seconde, "import os\n_ = " + voir.format("imports"), "_ = " + voir.format("suite"))
    # Quand tout s’exécute
    executer_tout(depot)
    # Alors elle a importé pendant la première, et attendu sa fin pour la suite
    lus = {nom: (depot / "notebooks" / nom).read_text() for nom in ("imports", "suite")}
    assert lus == {"imports": "False", "suite": "True"}


def preparer(fichier, imports, suite):
    """Donne à un notebook une cellule d’imports, et une ligne de plus à la dernière."""
    notebook = nbformat.read(fichier, as_version=4)
    notebook.cells.insert(2, nbformat.v4.new_code_cell(imports, id="imports"))
    notebook.cells[-1].source = f"{suite}\n{notebook.cells[-1].source}"
    nbformat.write(notebook, fichier)


@pytest.fixture
def votre_base(demo, depot, monkeypatch):
    """Un Postgres où il y a déjà des tables, que donne DATABASE_URL ; rend de quoi les lire."""
    serveur = sa.make_url(base.url()).set(drivername="postgresql")
    adresse = serveur.set(database="la_votre").render_as_string(hide_password=False)

    def demander(ordre, url=adresse):
        with psycopg.connect(url, autocommit=True) as connexion:
            curseur = connexion.execute(ordre)
            return curseur.fetchall() if curseur.description else None

    administrer = functools.partial(demander, url=serveur.render_as_string(hide_password=False))
    shutil.rmtree(depot / "notebooks" / "mlops_demo")  # le notebook importera le vrai
    administrer("CREATE DATABASE la_votre")
    monkeypatch.setattr(mlops_demo, "session", session)
    monkeypatch.setenv("MLOPS_UTILISATEUR", "lectrice")
    monkeypatch.setenv("DATABASE_URL", adresse)
    base.oublier()
    yield demander
    base.oublier()
    administrer("DROP DATABASE la_votre WITH (FORCE)")


def test_la_base_donnee_sert_au_livre_qui_ne_touche_pas_au_reste(depot, modifier, votre_base):
    # Étant donné des tables qui ont les noms des nôtres, et un livre qui charge les vols
    for table in ("flights", "journal"):
        votre_base(f"CREATE TABLE {table} AS SELECT '{table}' AS a_moi")
    etat = (
        "SELECT n.nspname, c.relname, c.relfilenode, c.xmin::text FROM pg_class AS c"
        " RIGHT JOIN pg_namespace AS n ON n.oid = relnamespace"
        " WHERE nspname !~ '^(pg_|information_schema|demo_lectrice|mlflow)' ORDER BY 1, 2"
    )
    contenu = "SELECT a_moi FROM public.flights UNION ALL SELECT a_moi FROM public.journal"
    avant = votre_base(etat), votre_base(contenu)
    fichier = depot / "notebooks" / "42_second.ipynb"
    preparer(fichier, "from mlops_demo import donnees", "donnees.charger()")
    # Quand il s’exécute
    executer_tout(depot)
    # Alors les vols sont dans son schéma, et rien d’autre n’a changé
    assert votre_base("SELECT count(*) FROM demo_lectrice.flights")[0][0] > 300_000
    assert (votre_base(etat), votre_base(contenu)) == avant
    schemas = votre_base("SELECT nspname FROM pg_namespace WHERE nspname !~ '^pg_' ORDER BY 1")
    assert [s for (s,) in schemas] == ["demo_lectrice", "information_schema", "mlflow", "public"]


def test_une_base_donnee_qui_ne_repond_pas_arrete_tout_de_suite(depot, monkeypatch):
    adresse = f"postgresql://moi:secret@127.0.0.1:{processus.port_libre()}/x"
    monkeypatch.setattr(mlops_demo, "session", session)
    monkeypatch.setenv("DATABASE_URL", adresse)
    base.oublier()
    with pytest.raises(mlops_demo.ErreurUtilisateur) as erreur:
        construire_livre(depot)
    base.oublier()
    assert "ne répond pas" in str(erreur.value)
    assert "retirez cette variable pour la base embarquée" in str(erreur.value)
    assert "secret" not in str(erreur.value)
    assert len(perimes(depot, lire_notebooks(depot))) == 4, "rien ne s’est exécuté"


def test_echec_de_l_amont_libere_celui_qui_l_attend(depot, modifier):
    modifier(depot / "notebooks" / "41_premier.ipynb", 2, "raise ValueError('panne')")
    with pytest.raises(ErreurPublication, match="41_premier.*panne"):
        executer_tout(depot)
    assert lire_releve(depot, "notebooks/42_second.ipynb") == {}


def test_dossier_du_notebook_et_chemins_absolus(depot, modifier):
    # Étant donné un notebook qui lit un fichier placé à côté de lui
    modifier(depot / "book" / "1_chapitre.ipynb", 2, "open('donnees/plan.yaml').read()")
    # Quand il s’exécute
    executer_tout(depot)
    # Alors il l’a trouvé, et sa copie ne garde aucun chemin de cette machine
    texte = copie_executee(depot, "book/1_chapitre.ipynb").read_text()
    assert "partie: Essai" in texte
    assert "dépôt d’essai" not in texte, "La copie exécutée contient un chemin absolu."


def test_lignes_d_une_boucle_en_un_bloc(depot, modifier):
    code = "import sys\nfor mois in range(3):\n    print(mois)\n    sys.stdout.flush()"
    modifier(depot / "book" / "1_chapitre.ipynb", 2, code)
    executer_tout(depot)
    copie = nbformat.read(copie_executee(depot, "book/1_chapitre.ipynb"), as_version=4)
    assert [s.text for s in copie.cells[2].outputs] == ["0\n1\n2\n"]


def test_echec_nomme_et_anciennes_copies_gardees(depot, modifier):
    # Étant donné une exécution réussie, puis une seconde étape cassée
    executer_tout(depot)
    avant = copie_executee(depot, "notebooks/42_second.ipynb").read_bytes()
    modifier(depot / "notebooks" / "42_second.ipynb", 2, "raise ValueError('table vide')")
    # Quand on exécute
    with pytest.raises(ErreurPublication) as erreur:
        executer_tout(depot)
    # Alors le message nomme le notebook, la cellule, le type et la cause
    message = str(erreur.value)
    assert message.startswith("notebooks/42_second.ipynb : la cellule 3 ([1]) a échoué.")
    assert "ValueError : table vide" in message
    assert "Traceback" not in message, "La pile d’appels va dans le journal."
    assert "Traceback" in (depot / "_build" / "journal-erreur.txt").read_text()
    # Et la copie précédente est intacte, mais plus tenue pour à jour
    assert copie_executee(depot, "notebooks/42_second.ipynb").read_bytes() == avant
    restants = [n.chemin for n in perimes(depot, lire_notebooks(depot))]
    assert restants == ["notebooks/42_second.ipynb", "book/accueil.ipynb"]


def test_arret_silencieux_refuse(depot, modifier):
    # Étant donné un notebook qui s’arrête lui-même sans erreur
    fichier = depot / "book" / "1_chapitre.ipynb"
    notebook = nbformat.read(fichier, as_version=4)
    notebook.cells.append(nbformat.v4.new_code_cell("'jamais vu'", id="fin"))
    nbformat.write(notebook, fichier)
    modifier(fichier, 2, "raise SystemExit(0)")
    # Alors il ne passe pas pour exécuté
    with pytest.raises(ErreurPublication, match="la cellule 4 n’a pas été exécutée"):
        executer_tout(depot)


def test_noyau_tue(depot, modifier):
    code = "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)"
    modifier(depot / "book" / "1_chapitre.ipynb", 2, code)
    with pytest.raises(ErreurPublication, match=r"1_chapitre\.ipynb : le noyau s’est arrêté"):
        executer_tout(depot)


def test_etape_sans_resultat(depot, modifier):
    modifier(depot / "notebooks" / "41_premier.ipynb", 2, "# resultats.ecrire(…)")
    with pytest.raises(ErreurPublication, match=r"sans écrire son résultat \(41_premier\.json\)"):
        executer_tout(depot)


def test_rapports_gardes(depot, modifier):
    # Étant donné une étape qui écrit un rapport
    fichier = depot / "notebooks" / "42_second.ipynb"
    code = nbformat.read(fichier, as_version=4).cells[2].source
    code += "\nrapports = dossier.parent / 'rapports'\nrapports.mkdir(exist_ok=True)"
    modifier(fichier, 2, code + "\n_ = (rapports / 'juillet.html').write_text('dérive')")
    # Quand elle s’exécute
    executer_tout(depot)
    # Alors le rapport est gardé avec la copie exécutée
    rapport = depot / "_build" / "execution" / "rapports" / "juillet.html"
    assert rapport.read_text() == "dérive"


def test_suivi_au_terminal(depot):
    # Étant donné un terminal
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    ecran = Terminal()
    chapitre = [n for n in lire_notebooks(depot) if n.chemin == "book/1_chapitre.ipynb"]
    # Quand un notebook s’exécute
    executer(depot, chapitre, Suivi(ecran))
    # Alors l’avancement s’écrit cellule par cellule, sur une seule ligne
    assert "\r[1/1] 1_chapitre : cellule 3/3" in ecran.getvalue()
    assert ecran.getvalue().count("\n") == 1


def test_releve_ecrit_apres_la_copie(depot, monkeypatch):
    # Quand le disque se remplit entre la copie et le relevé
    def disque_plein(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("publication.execution.ecrire_json", disque_plein)
    with pytest.raises(OSError, match="No space left"):
        executer_tout(depot)
    # Alors le notebook n’est pas tenu pour exécuté
    assert "book/1_chapitre.ipynb" in [n.chemin for n in perimes(depot, lire_notebooks(depot))]
    assert lire_releve(depot, "book/1_chapitre.ipynb") == {}
