"""Cherche les failles publiées des paquets de chaque verrou : ``make audit``.

pip-audit interroge l’index de Python, npm le sien : il faut le réseau. Un paquet que l’index ne
connaît pas compte pour un échec, non pour un paquet sûr. ``failles.toml`` dit ce qui est accepté.
"""

import datetime
import json
import subprocess
import sys
import tomllib
from pathlib import Path

RACINE = Path(__file__).resolve().parent.parent
OUTILS = RACINE / "tests" / "github" / "outils.txt"
VERROUS_NPM = ("requirements", "local/images/hub")


class Probleme(Exception):
    """Ce qui empêche de conclure, dit en une phrase."""


def verrous_python(racine: Path) -> list[Path]:
    """Donne tous les verrous à empreintes du dépôt."""
    dossiers = ("requirements", "local/images", "cluster_k8s", "tests")
    trouves = [f for d in dossiers for f in sorted((racine / d).rglob("*.txt"))]
    return [f for f in trouves if "--hash=" in f.read_text(encoding="utf-8")]


def lire_python(rapport: dict) -> set[tuple[str, str]]:
    """Donne les failles et leur paquet d’un rapport de pip-audit.

    Raises:
        Probleme: si un paquet n’a pas pu être examiné.
    """
    ignores = [p["name"] for p in rapport["dependencies"] if "skip_reason" in p]
    if ignores:
        raise Probleme(
            f"l’index ne dit rien de {len(ignores)} paquets (dont {ignores[0]}) : vérifiez que le "
            "réseau y mène et qu’aucun miroir ne le remplace, puis relancez."
        )
    return {
        (f["id"], f"{p['name']} {p['version']}")
        for p in rapport["dependencies"]
        for f in p["vulns"]
    }


def lire_npm(rapport: dict) -> set[tuple[str, str]]:
    """Donne les failles et leur paquet d’un rapport de npm.

    Raises:
        Probleme: si le registre n’a pas répondu.
    """
    if "vulnerabilities" not in rapport:
        raise Probleme(
            "le registre de npm ne rend pas ses avis de sécurité : vérifiez que le réseau y mène "
            "et qu’aucun miroir ne le remplace, puis relancez."
        )
    return {
        (cause["url"].rsplit("/", 1)[-1], nom)
        for nom, paquet in rapport["vulnerabilities"].items()
        for cause in paquet["via"]
        if isinstance(cause, dict)
    }


def juger(
    trouvees: set[tuple[str, str]], acceptees: list[dict], jour: datetime.date
) -> tuple[list[str], list[str]]:
    """Sépare ce qui est refusé de ce qui est accepté, chacun avec sa raison."""
    refus, accords = [], []
    regles = {regle["faille"]: regle for regle in acceptees}
    for faille, paquet in sorted(trouvees):
        regle = regles.get(faille)
        if regle is None:
            refus.append(f"{faille} ({paquet}) : mettez ce paquet à jour par « make lock ».")
        elif regle["revoir"] < jour:
            refus.append(f"{faille} ({paquet}) : acceptée jusqu’au {regle['revoir']}, à revoir.")
        else:
            accords.append(f"{faille} ({paquet}) : {regle['raison']}")
    for faille in sorted(regles.keys() - {faille for faille, _ in trouvees}):
        refus.append(f"{faille} : n’est plus trouvée, retirez-la de requirements/failles.toml.")
    return refus, accords


def lancer(*commande: object) -> str:
    """Lance un outil et rend ce qu’il écrit ; son code de sortie dit seulement s’il a trouvé."""
    try:
        fait = subprocess.run(
            [str(mot) for mot in commande], capture_output=True, encoding="utf-8", check=False
        )
    except FileNotFoundError as erreur:
        raise Probleme(f"{commande[0]} est introuvable : installez-le, puis relancez.") from erreur
    if not fait.stdout and fait.returncode:
        fin = "\n".join(fait.stderr.splitlines()[-3:])
        raise Probleme(f"{Path(str(commande[0])).name} n’a pas pu conclure :\n{fin}")
    return fait.stdout


def chercher(racine: Path) -> set[tuple[str, str]]:
    """Examine chaque verrou de Python et de npm."""
    outils, uv = racine / "_build" / "outils_ci", Path(sys.executable).with_name("uv")
    python, trouvees = outils / "bin" / "python", set()
    lancer(uv, "venv", "--quiet", "--allow-existing", outils)
    lancer(uv, "pip", "sync", "--quiet", "--require-hashes", "--python", python, OUTILS)
    for verrou in verrous_python(racine):
        print(f"  {verrou.relative_to(racine)}", flush=True)
        options = ("--disable-pip", "--require-hashes", "--format=json", "--progress-spinner=off")
        rapport = lancer(outils / "bin" / "pip-audit", *options, "--requirement", verrou)
        trouvees |= lire_python(json.loads(rapport))
    for dossier in VERROUS_NPM:
        print(f"  {dossier}/package-lock.json", flush=True)
        options = ("--json", "--package-lock-only", "--prefix", racine / dossier)
        trouvees |= lire_npm(json.loads(lancer("npm", "audit", *options)))
    return trouvees


def principal() -> int:
    """Examine, juge, et rend le code de sortie."""
    regles = tomllib.loads((RACINE / "requirements" / "failles.toml").read_text(encoding="utf-8"))
    try:
        trouvees = chercher(RACINE)
    except Probleme as probleme:
        print(f"Audit impossible : {probleme}")
        return 2
    refus, accords = juger(trouvees, regles["acceptees"], datetime.date.today())
    for titre, lignes in (("Accepté", accords), ("Refusé", refus)):
        for ligne in lignes:
            print(f"{titre} : {ligne}")
    if not refus:
        print("Aucune faille publiée, hors celles qui sont acceptées.")
    return 1 if refus else 0


if __name__ == "__main__":
    sys.exit(principal())
