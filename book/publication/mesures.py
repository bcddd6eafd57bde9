"""Ce que valent les pages, mesuré : Lighthouse, axe-core, et ce que chacune envoie au lecteur.

Une performance dépend de la machine et de ce qu’elle fait d’autre : on garde la médiane de
plusieurs passages, et l’on écrit d’où elle vient dans ``book/mesures.json``, que montre la page
« État du livre ». Les tests, eux, n’exigent que ce qui ne varie pas : le poids, les styles,
l’accessibilité.
"""

import json
import os
import subprocess
import threading
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

from playwright.sync_api import Browser, sync_playwright

from publication.depot import ErreurPublication, ecrire_json, lire_sommaire, provenance
from publication.outils_web import charger_axe, defauts, installer, node
from publication.pdf import trouver_chromium
from publication.serveur import preparer

MESURES = Path("book") / "mesures.json"
RESEAU_COUPE = "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1"
PASSAGES = 3
# Une page de chaque sorte.
SORTES = {
    "accueil": "book/accueil.html",
    "chapitre long": "book/2_workflow.html",
    "étape de la démonstration": "notebooks/44_supervision.html",
    "annexes": "book/annexes.html",
    "recherche": "search.html?q=modele",
    "diapositives": "diapositives/index.html",
}
ORDINATEUR, TELEPHONE = APPAREILS = ("ordinateur", "téléphone")
# Lighthouse imite un téléphone en ralentissant la machine : 4 fois celle dont l’indice est de
# 1 500 à 2 000, et moins une machine plus lente (GoogleChrome/lighthouse, docs/throttling.md).
# Le même téléphone partout : l’indice de la machine, divisé par celui-ci.
INDICE_TELEPHONE = 1750 / 4
NOTES = {
    "performance": "performance",
    "accessibilite": "accessibility",
    "bonnes_pratiques": "best-practices",
}


def mesurer(racine: Path) -> dict[str, Any]:
    """Mesure le livre déjà construit, et écrit ce qu’on trouve dans ``book/mesures.json``.

    Raises:
        ErreurPublication: si Chromium, le réseau ou le livre manque, ou si Lighthouse échoue.
    """
    outils, chromium = installer(racine), trouver_chromium()
    serveur = preparer(racine, 0)
    threading.Thread(target=serveur.serve_forever, daemon=True).start()
    adresse = f"http://127.0.0.1:{serveur.server_port}"
    try:
        with sync_playwright() as playwright:
            navigateur = playwright.chromium.launch(executable_path=chromium, args=[RESEAU_COUPE])
            mesures = {
                **_avec_quoi(racine, outils, navigateur.version),
                "axe": _compter_les_defauts(navigateur, racine, adresse),
            }
            navigateur.close()
        notes = {ORDINATEUR: [], TELEPHONE: []}
        for sorte in SORTES:
            note = _noter(outils, chromium, adresse, sorte, ["--preset=desktop"])
            notes[ORDINATEUR].append({"sorte": sorte, "appareil": ORDINATEUR, **note})
        indice = median(note["indice"] for note in notes[ORDINATEUR])
        mesures |= {"indice": indice, "ralentissement": ralentissement(indice)}
        options = [f"--throttling.cpuSlowdownMultiplier={mesures['ralentissement']}"]
        for sorte in SORTES:
            note = _noter(outils, chromium, adresse, sorte, options)
            notes[TELEPHONE].append({"sorte": sorte, "appareil": TELEPHONE, **note})
        mesures["lighthouse"] = [
            note for paire in zip(*notes.values(), strict=True) for note in paire
        ]
    finally:
        serveur.shutdown()
        serveur.server_close()
    ecrire_json(racine / MESURES, mesures)
    return mesures


def ralentissement(indice: float) -> float:
    """Dit combien de fois ralentir une machine de cet indice pour imiter le téléphone."""
    return round(indice / INDICE_TELEPHONE, 1)


def _avec_quoi(racine: Path, outils: Path, chromium: str) -> dict[str, Any]:
    """Dit d’où viennent les mesures, et avec quels outils elles sont faites."""
    paquets = json.loads((outils / "package.json").read_text(encoding="utf-8"))["dependencies"]
    return {
        **provenance(racine),
        "passages": PASSAGES,
        "outils": {
            "Lighthouse": paquets["lighthouse"],
            "axe-core": paquets["axe-core"],
            "Chromium": chromium,
            "Playwright": version("playwright"),
        },
    }


def _compter_les_defauts(navigateur: Browser, racine: Path, adresse: str) -> dict[str, int]:
    """Passe axe-core sur toutes les pages et toutes les diapositives, en clair et en sombre."""
    pages = [chemin.rsplit(".", 1)[0] + ".html" for chemin in lire_sommaire(racine)]
    pages += ["search.html?q=modele", "404.html"]
    trouves = diapositives = 0
    for mode in ("light", "dark"):
        contexte = navigateur.new_context(
            color_scheme=mode, viewport={"width": 1280, "height": 2400}
        )
        page = contexte.new_page()
        for nom in pages:
            page.goto(f"{adresse}/{nom}", wait_until="networkidle")
            charger_axe(page, racine)
            trouves += len(defauts(page))
        page.set_viewport_size({"width": 1920, "height": 1080})
        page.goto(f"{adresse}/diapositives/index.html", wait_until="networkidle")
        charger_axe(page, racine)
        diapositives = page.evaluate("Reveal.getTotalSlides()")
        for _ in range(diapositives):
            page.evaluate("() => { while (Reveal.availableFragments().next) Reveal.next(); }")
            ici = page.evaluate("Reveal.getCurrentSlide().id")
            trouves += len(defauts(page, dans=f"[id='{ici}']"))
            page.evaluate("Reveal.next()")
        contexte.close()
    return {"pages": len(pages), "diapositives": diapositives, "modes": 2, "defauts": trouves}


def _noter(
    outils: Path, chromium: str, adresse: str, sorte: str, options: list[str]
) -> dict[str, Any]:
    """Donne les notes de Lighthouse pour une page : la médiane de plusieurs passages."""
    rapports = [
        _lancer_lighthouse(outils, chromium, f"{adresse}/{SORTES[sorte]}", options)
        for _ in range(PASSAGES)
    ]
    audits = [rapport["audits"] for rapport in rapports]
    return {
        "page": SORTES[sorte].split("?")[0],
        **{
            nom: round(100 * median(r["categories"][cle]["score"] for r in rapports))
            for nom, cle in NOTES.items()
        },
        "indice": round(median(r["environment"]["benchmarkIndex"] for r in rapports)),
        "affichage_s": round(
            median(a["largest-contentful-paint"]["numericValue"] for a in audits) / 1000, 1
        ),
        "poids_ko": round(median(a["total-byte-weight"]["numericValue"] for a in audits) / 1000),
        "demandes": len(audits[0]["network-requests"]["details"]["items"]),
    }


def _lancer_lighthouse(
    outils: Path, chromium: str, adresse: str, options: list[str]
) -> dict[str, Any]:
    """Lance Lighthouse sur une page, réseau coupé."""
    nom, regle = RESEAU_COUPE.split("=")
    drapeaux = ["--headless=new", f'{nom}="{regle}"']
    drapeaux += ["--no-sandbox"] if os.geteuid() == 0 else []
    resultat = subprocess.run(
        [
            *(str(node(outils)), str(outils / "node_modules" / "lighthouse" / "cli" / "index.js")),
            *(adresse, "--quiet", "--output=json", "--no-enable-error-reporting"),
            *("--only-categories=" + ",".join(NOTES.values()), *options),
            f"--chrome-flags={' '.join(drapeaux)}",
        ],
        env={**os.environ, "CHROME_PATH": chromium},
        capture_output=True,
        text=True,
        check=False,
    )
    if resultat.returncode:
        raise ErreurPublication(
            f"Lighthouse n’a pas noté {adresse} : {resultat.stderr.strip()[-500:]}"
        )
    return json.loads(resultat.stdout)


def resumer(mesures: dict[str, Any]) -> str:
    """Met les mesures en lignes, pour le terminal."""
    lignes = [
        f"{note['sorte']:<26} {note['appareil']:<10} performance {note['performance']:>3}, "
        f"accessibilité {note['accessibilite']:>3}, "
        f"bonnes pratiques {note['bonnes_pratiques']:>3}, {note['poids_ko']} ko"
        for note in mesures["lighthouse"]
    ]
    axe = mesures["axe"]
    lignes.append(
        f"axe-core : {axe['defauts']} défaut sur {axe['pages']} pages et {axe['diapositives']} "
        "diapositives, en clair et en sombre. Indice de la machine : "
        f"{mesures['indice']:.0f}, ralentie {mesures['ralentissement']} fois pour le téléphone."
    )
    return "\n".join(lignes)
