"""La construction du HTML : Jupyter Book rend les pages à partir des copies exécutées."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from jupyter_cache import get_cache
from jupyter_cache.base import CacheBundleIn

from publication.depot import (
    COULEURS,
    ErreurPublication,
    dossier_execution,
    lire_sommaire,
    mettre_en_place,
)
from publication.diapositives import ecrire_les_jeux
from publication.plan import fusionner
from publication.score import RAPPORT

JUPYTER_BOOK = "from jupyter_book.cli.main import main; main()"
# Ce qui, dans le journal de Jupyter Book, explique un échec.
UTILE = re.compile(r"WARNING:|ERROR:|CRITICAL:|\w+Error: \S|Executing notebook")


def construire(racine: Path) -> None:
    """Construit le livre à part, le contrôle, puis le met à la place du précédent.

    Raises:
        ErreurPublication: avertissement ou erreur de Sphinx, page non exécutée par papermill,
            rapport manquant. Le livre précédent est alors intact.
    """
    construction = racine / "_build"
    atelier = construction / "atelier"
    shutil.rmtree(atelier, ignore_errors=True)
    _remplir_cache(racine, atelier / "_build" / ".jupyter_cache")
    _lancer_jupyter_book(racine, atelier)
    html = atelier / "_build" / "html"
    rapports = dossier_execution(racine) / "rapports"
    if rapports.is_dir():
        shutil.copytree(rapports, html / "rapports")
    if (racine / RAPPORT).is_file():
        (html / "rapports").mkdir(exist_ok=True)
        shutil.copy(racine / RAPPORT, html / "rapports")
    if (racine / "book" / "expose").is_dir():
        ecrire_les_jeux(racine, html / "diapositives", "../")
    _verifier_rapports(html)
    mettre_en_place(html, construction / "html")
    # Un simple « jupyter-book build . » trouvera ainsi les mêmes exécutions.
    mettre_en_place(atelier / "_build" / ".jupyter_cache", construction / ".jupyter_cache")
    shutil.rmtree(atelier)


def _remplir_cache(racine: Path, dossier: Path) -> None:
    """Range les notebooks exécutés dans un cache neuf de jupyter-cache."""
    cache = get_cache(dossier)
    for chemin in lire_sommaire(racine):
        if chemin.endswith(".ipynb"):
            paquet = CacheBundleIn(fusionner(racine, chemin), str(racine / chemin))
            cache.cache_notebook_bundle(paquet, overwrite=True, check_validity=False)


def _lancer_jupyter_book(racine: Path, atelier: Path) -> None:
    """Lance Jupyter Book et juge son journal, gardé en entier dans ``_build``."""
    arguments = ["build", str(racine), "--path-output", str(atelier), "-W", "--keep-going"]
    resultat = subprocess.run(
        [sys.executable, "-c", JUPYTER_BOOK, *arguments],
        check=False,  # le journal dit plus que le code de retour
        cwd=racine,
        env={**os.environ, "PYTHONUTF8": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
        errors="replace",
    )
    journal = racine / "_build" / "journal-livre.txt"
    sortie = COULEURS.sub("", resultat.stdout)
    journal.write_text(sortie, encoding="utf-8")
    if "Executing notebook" in sortie:
        cause = "Jupyter Book a exécuté un notebook lui-même : sa page ne vient pas de papermill"
    elif resultat.returncode or "WARNING:" in sortie:
        cause = "Jupyter Book a échoué ou averti"
    else:
        return
    lignes = [ligne for ligne in sortie.splitlines() if UTILE.search(ligne)]
    extrait = "\n".join(lignes[:20] or sortie.splitlines()[-20:])
    raise ErreurPublication(f"{cause}.\n{extrait}\nJournal complet : _build/journal-livre.txt.")


def _verifier_rapports(html: Path) -> None:
    """Vérifie que les rapports et les diapositives que cite une page sont dans le livre."""
    for page in html.rglob("*.html"):
        if page.is_relative_to(html / "rapports"):
            continue
        for lien in re.findall(
            r'href="([^"]*(?:rapports|diapositives)/[^"#]+)', page.read_text(encoding="utf-8")
        ):
            if "://" not in lien and not (page.parent / lien).is_file():
                raise ErreurPublication(
                    f"la page {page.relative_to(html).as_posix()} renvoie à « {lien} », "
                    "qu’aucun notebook n’a écrit."
                )
