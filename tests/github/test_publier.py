"""Ce que dit « Publier » dans le README : trois commandes, essayées contre un dépôt local."""

import json
import os
import re
import subprocess
import sys

from publication.depot import RACINE


def test_les_trois_commandes_poussent_l_arbre_et_ouvrent_les_pages(tmp_path):
    # Étant donné les commandes du README, un dépôt nu à la place de GitHub et un gh qui note
    readme = (RACINE / "README.md").read_text(encoding="utf-8")
    bloc = re.search(r"## Publier.*?```bash\n(.*?)```", readme, re.DOTALL)[1]
    adresse = re.search(r"https://\S+\.git", bloc)[0]
    nu, copie, note = tmp_path / "nu.git", tmp_path / "copie", tmp_path / "appel.json"
    _git("init", "--bare", "--initial-branch=main", str(nu))
    _git("clone", "--quiet", str(RACINE), str(copie))
    _git("checkout", "-B", "main", cwd=copie)
    _git("config", f"url.{nu.as_uri()}.insteadOf", adresse, cwd=copie)
    gh = tmp_path / "gh.py"
    gh.write_text(f"import json, sys\njson.dump(sys.argv[1:], open({str(note)!r}, 'w'))\n")
    # Quand on les lance toutes les trois
    fonction = f'gh() {{ "{sys.executable}" "{gh}" "$@"; }}\n'
    resultat = subprocess.run(
        ["bash", "-euc", fonction + bloc], cwd=copie, capture_output=True, text=True, check=False
    )
    # Alors l’arbre est là-bas, et les pages viendront d’un workflow
    assert resultat.returncode == 0, resultat.stderr
    assert _git("rev-parse", "main", cwd=nu) == _git("rev-parse", "HEAD", cwd=copie)
    appel = json.loads(note.read_text())
    assert appel[-1] == "build_type=workflow", appel
    assert appel[3] == "repos/" + "/".join(adresse.removesuffix(".git").split("/")[-2:]) + "/pages"


def _git(*arguments, cwd=None):
    commande = ["git", "-c", "safe.directory=*", *arguments]
    return subprocess.run(
        commande, cwd=cwd, check=True, capture_output=True, text=True, env={**os.environ}
    ).stdout
