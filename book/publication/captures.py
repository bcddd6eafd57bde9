"""De vrais écrans des outils de local/, pris dans Chromium : ``make captures``.

Les textes de ``book/captures/captures.yaml`` sont écrits à la main ; la commande y met la date et
la version. Grafana et Kubeflow n’ont pas d’écran : aucune image d’eux n’est à notre portée.
"""

import base64
import contextlib
import io
import json
import os
import re
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from publication.depot import RACINE, ErreurPublication, ecrire, lire_yaml

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

DOSSIER, FICHES = Path("book", "captures"), "captures.yaml"
POIDS_MAX = 150_000
LARGEUR = 1920
DELAI_MS = 90_000
# Le serveur d’un participant, puis son notebook ; l’année d’Airflow ; une page qui finit de bouger.
DELAI_DU_NOTEBOOK_MS, DELAI_DE_L_ANNEE_S, DELAI_D_IMAGE_S = 300_000, 3600, 60
PARTICIPANT, NOTEBOOK = "invite01", "42_entrainement.ipynb"
DAG, DERNIER_MOIS = "mois_du_modele", "2013-12"
# Juin réentraîne ; juillet est le mois que détaillent les notebooks.
MOIS_REENTRAINE, MOIS_DETAILLE = "2013-06", "2013-07"


@dataclass(frozen=True)
class Ecran:
    """Un écran pris, et ce qu’il faut en dire."""

    nom: str
    fichier: Path
    outil: str
    version: str
    verrou: str
    date: str
    alternatif: str


def ecrans(racine: Path = RACINE) -> dict[str, Ecran]:
    """Donne tous les écrans, par leur nom.

    Raises:
        ErreurPublication: s’il manque une image, ou un mot de sa fiche.
    """
    dossier, lus = racine / DOSSIER, {}
    for nom, fiche in lire_yaml(dossier / FICHES).items():
        # Le verrou n’est dit que s’il n’est pas la version : une image de base remplacée.
        complete = {"nom": nom, "verrou": fiche.get("version"), **fiche}
        manquants = [champ.name for champ in fields(Ecran) if not complete.get(champ.name)]
        if manquants:
            raise ErreurPublication(
                f"{FICHES} ne donne pas « {manquants[0]} » pour l’écran « {nom} » : écrivez-le, ou "
                "lancez « make captures » si c’est une date ou une version."
            )
        complete["fichier"] = dossier / fiche["fichier"]
        if not complete["fichier"].is_file():
            raise ErreurPublication(
                f"l’écran « {nom} » n’a pas d’image ({fiche['fichier']}) : lancez "
                "« make captures »."
            )
        lus[nom] = Ecran(**complete)
    return lus


def ecran(nom: str, racine: Path = RACINE) -> Ecran:
    """Donne un écran.

    Raises:
        ErreurPublication: si aucun ne porte ce nom, ou s’il n’a pas d’image.
    """
    connus = ecrans(racine)
    if nom not in connus:
        raise ErreurPublication(
            f"aucun écran ne s’appelle « {nom} ». Il y a : {', '.join(connus)}."
        )
    return connus[nom]


# --- Les outils en marche ------------------------------------------------------------------------


@dataclass(frozen=True)
class Outil:
    """Un outil : l’adresse où il dit qu’il va bien, celle où il dit sa version, ce qui la fixe."""

    nom: str
    sante: str
    version: str
    image: str
    paquet: str
    profil: str = ""


# Superset ne dit sa version qu’à qui est entré, et le service ne dit pas celle de FastAPI.
OUTILS = {
    "hub": Outil("JupyterHub", "/hub/health", "/hub/api", "hub", "jupyterhub"),
    "api": Outil("FastAPI", "/ready", "", "demo", "fastapi"),
    "mlflow": Outil("MLflow", "/health", "/version", "mlflow", "mlflow"),
    "evidently": Outil("Evidently", "/api/version", "/api/version", "demo", "evidently"),
    "prometheus": Outil(
        "Prometheus", "/-/ready", "/api/v1/status/buildinfo", "", "PROMETHEUS_IMAGE"
    ),
    "airflow": Outil(
        "Airflow", "/api/v2/version", "/api/v2/version", "airflow", "apache-airflow", "airflow"
    ),
    "superset": Outil("Superset", "/health", "", "superset", "apache-superset", "superset"),
}


def version_du_verrou(cle: str, racine: Path = RACINE) -> str:
    """La version que le dépôt fixe : celle du verrou de notre image, ou de l’image officielle."""
    outil, local = OUTILS[cle], racine / "local"
    if outil.image:
        fichier, motif = local / "images" / outil.image / "requirements.txt", r"==(\S+)"
    else:
        fichier, motif = local / ".env.exemple", r"=\S+:v?([^\s@]+)"
    return re.search(rf"^{outil.paquet}{motif}", fichier.read_text("utf-8"), re.MULTILINE)[1]


class Pile:
    """Les outils de local/ : leurs adresses, leurs secrets, ce qu’ils disent d’eux."""

    def __init__(self, racine: Path) -> None:
        # Les commandes de local/ n’ont pas de paquet.
        recette = spec_from_file_location("lancer_de_local", racine / "local" / "lancer.py")
        lancer = module_from_spec(recette)
        recette.loader.exec_module(lancer)
        self.racine, self.reglages, self.cartes = racine, lancer.reglages(), lancer.cartes
        # L’exécution d’Airflow de chaque mois, une fois l’année jouée.
        self.executions: dict[str, str] = {}

    def adresse(self, cle: str, chemin: str = "") -> str:
        """L’adresse HTTP d’un outil."""
        return f"http://127.0.0.1:{self.reglages[f'PORT_{cle.upper()}']}{chemin}"

    def secret(self, nom: str) -> str:
        """Un secret de local/secrets.

        Raises:
            ErreurPublication: s’il n’a jamais été écrit.
        """
        fichier = self.racine / "local" / "secrets" / nom
        if not fichier.is_file():
            raise ErreurPublication(f"local/secrets/{nom} manque : lancez « make up » d’abord.")
        return fichier.read_text(encoding="utf-8").strip()

    def compte(self, cle: str) -> tuple[str, str] | None:
        """Le nom et le mot de passe qu’un outil demande au navigateur lui-même."""
        if cle != "mlflow":
            return None
        return "production", self.secret("mot_de_passe_mlflow_production")

    def demander(
        self,
        cle: str,
        chemin: str,
        corps: object = None,
        methode: str | None = None,
        jeton: str = "",
    ) -> str:
        """Demande une adresse à un outil ; rend ce qu’il répond.

        Raises:
            ErreurPublication: s’il ne répond pas.
        """
        entetes = {"Content-Type": "application/json"}
        entetes |= {"Authorization": f"Bearer {jeton}"} if jeton else {}
        if compte := self.compte(cle):
            entetes["Authorization"] = (
                f"Basic {base64.b64encode(':'.join(compte).encode()).decode()}"
            )
        envoye = json.dumps(corps).encode() if corps is not None else None
        demande = urllib.request.Request(self.adresse(cle, chemin), envoye, entetes, method=methode)
        try:
            with urllib.request.urlopen(demande, timeout=30) as reponse:
                return reponse.read().decode("utf-8")
        except OSError as erreur:
            outil = OUTILS[cle]
            profil = f" avec « {outil.profil} » dans COMPOSE_PROFILES de local/.env"
            raise ErreurPublication(
                f"{outil.nom} ne répond pas à {self.adresse(cle, chemin)} ({erreur}) : lancez "
                f"« make up »{profil if outil.profil else ''}, puis recommencez."
            ) from erreur

    def version(self, cle: str) -> str:
        """La version que l’outil dit de lui ; celle de son verrou s’il n’en dit rien.

        Raises:
            ErreurPublication: si notre image n’est pas celle du verrou.
        """
        outil, voulue = OUTILS[cle], version_du_verrou(cle, self.racine)
        if not outil.version:
            return voulue
        dite = re.search(r"\d+\.\d+\.\d+", self.demander(cle, outil.version))[0]
        if outil.image and dite != voulue:
            raise ErreurPublication(
                f"{outil.nom} {dite} tourne, mais le verrou de son image dit {voulue} : lancez "
                "« make up », qui la reconstruit."
            )
        return dite


def jouer_l_annee(pile: Pile) -> None:
    """Laisse Airflow rejouer 2013, d’avril à décembre, s’il ne l’a pas fait : un quart d’heure.

    Raises:
        ErreurPublication: si un mois échoue, ou si l’année n’en finit pas.
    """
    compte = {"username": "admin", "password": pile.secret("mot_de_passe_airflow_admin")}
    api, dits = f"/api/v2/dags/{DAG}", set()
    limite = time.monotonic() + DELAI_DE_L_ANNEE_S
    while time.monotonic() < limite:
        jeton = json.loads(pile.demander("airflow", "/auth/token", compte))["access_token"]
        pile.demander("airflow", api, {"is_paused": False}, "PATCH", jeton)
        executions = json.loads(pile.demander("airflow", f"{api}/dagRuns", jeton=jeton))["dag_runs"]
        etats = {e["data_interval_start"][:7]: e["state"] for e in executions}
        if "failed" in etats.values():
            rates = [mois for mois, etat in sorted(etats.items()) if etat == "failed"]
            raise ErreurPublication(
                f"Airflow a échoué sur {', '.join(rates)} : voyez {pile.adresse('airflow')}."
            )
        for mois in sorted(m for m, etat in etats.items() if etat == "success" and m not in dits):
            print(f"  Airflow a joué {mois}", flush=True)
            dits.add(mois)
        if DERNIER_MOIS in dits:
            pile.executions = {e["data_interval_start"][:7]: e["dag_run_id"] for e in executions}
            return
        time.sleep(5)
    raise ErreurPublication(f"Airflow n’a pas fini l’année en {DELAI_DE_L_ANNEE_S // 60} minutes.")


# --- Ce que montre chaque écran ------------------------------------------------------------------


def _jupyterhub(pile: Pile, page: "Page") -> None:
    """Un participant entre avec sa carte et lance tout son notebook : le gate."""
    page.goto(pile.adresse("hub", "/hub/login"))
    page.fill("#username_input", PARTICIPANT)
    carte = pile.cartes.mot_de_passe(pile.secret("cle_cartes"), PARTICIPANT)
    page.fill("#password_input", carte)
    page.click("#login_submit")
    page.goto(pile.adresse("hub", f"/hub/user-redirect/lab/tree/{NOTEBOOK}?reset"))
    inactif, occupe = page.get_by_text("| Inactif"), page.get_by_text("| Occupé")
    inactif.wait_for(timeout=DELAI_DU_NOTEBOOK_MS)
    page.locator(".lm-MenuBar-item", has_text="Exécution").click()
    page.get_by_text("Exécuter toutes les cellules", exact=True).click()
    occupe.wait_for()
    inactif.wait_for(timeout=DELAI_DU_NOTEBOOK_MS)
    fichiers = page.locator("#filebrowser")
    if fichiers.is_visible():
        page.keyboard.press("Control+b")
        fichiers.wait_for(state="hidden")
    _en_haut(page, ".jp-Cell", "passer le gate")


def _mlflow(pile: Pile, page: "Page") -> None:
    """Les essais du modèle en production, comparés."""
    _choisir_l_entrainement(page)
    page.goto(pile.adresse("mlflow", "/#/experiments"))
    page.get_by_role("link", name="retard-vol/production").click()
    page.get_by_text("matching runs").wait_for()
    page.get_by_role("button", name="Toggle sidebar").click()
    page.goto(page.url.partition("?")[0] + "?compareRunsMode=CHART")
    page.get_by_text("Model metrics").wait_for()
    _cacher_l_assistant(page)


def _mlflow_registre(pile: Pile, page: "Page") -> None:
    """Les versions du modèle, et celle que désigne l’alias."""
    _choisir_l_entrainement(page)
    page.goto(pile.adresse("mlflow", "/#/models/retard-vol-production"))
    page.get_by_text("champion").first.wait_for()
    page.get_by_role("button", name="Toggle sidebar").click()
    _cacher_l_assistant(page)


def _choisir_l_entrainement(page: "Page") -> None:
    """Ouvre la partie de MLflow qui nous sert au lieu de « GenAI », l’assistant fermé."""
    reglages = {
        "mlflow.assistant.fab.autoOpenedOnFirstLoad_v1": "true",
        "mlflow.assistant.panelOpen_v1": "false",
        "mlflow.workflowType_v1": '"machine_learning"',
    }
    _retenir(page, reglages)


def _cacher_l_assistant(page: "Page") -> None:
    """Cache le bouton de l’assistant, posé sur la page ; l’ôter dérangerait React."""
    bouton = page.get_by_role("button", name="MLflow Assistant").first
    bouton.evaluate("bouton => { bouton.style.visibility = 'hidden'; }")


def _airflow(pile: Pile, page: "Page") -> None:
    """L’année mois par mois, et l’exécution d’un mois qui réentraîne."""
    page.goto(pile.adresse("airflow"))
    page.fill("input[name=username]", "admin")
    page.fill("input[name=password]", pile.secret("mot_de_passe_airflow_admin"))
    page.click("button[type=submit]")
    page.get_by_text("Accueil").first.wait_for()
    volets = {"details-panel,main-panel": {"expandToSizes": {}, "layout": [40, 60]}}
    _retenir(page, {"react-resizable-panels:grid-ltr": json.dumps(volets)})
    execution = pile.executions[MOIS_REENTRAINE]
    page.goto(pile.adresse("airflow", f"/dags/{DAG}/runs/{execution}"))
    page.get_by_text("reentrainer").first.wait_for()


def _superset(pile: Pile, page: "Page") -> None:
    """Les deux courbes du tableau de bord."""
    page.goto(pile.adresse("superset", "/login/"))
    page.fill("#username", "admin")
    page.fill("#password", pile.secret("mot_de_passe_superset_admin"))
    page.keyboard.press("Enter")
    page.wait_for_url("**/welcome/**")
    page.goto(pile.adresse("superset", "/superset/dashboard/retard-des-vols/?standalone=1"))
    page.locator(".dashboard-component-chart-holder canvas").first.wait_for()
    # Le titre n’a sa place qu’une fois retirés les boutons.
    for bouton in (".title-panel [data-test=metadata-bar]", ".right-button-panel"):
        page.locator(bouton).evaluate("bouton => bouton.remove()")
    _en_haut(page, ".dashboard-component-chart-holder", "Retards annoncés", 70)


def _evidently(pile: Pile, page: "Page") -> None:
    """Le rapport de dérive d’un mois, celui que la démonstration a écrit."""
    projets = json.loads(pile.demander("evidently", "/api/projects"))
    projet = next(p["id"] for p in projets if p["name"] == "retard-vol-production")
    rapports = json.loads(pile.demander("evidently", f"/api/projects/{projet}/reports"))
    rapport = next(r["id"] for r in rapports if r["name"] == f"derive_{MOIS_DETAILLE}")
    page.goto(pile.adresse("evidently", f"/projects/{projet}/reports/{rapport}"))
    page.get_by_text("Drift is detected for").wait_for()
    _en_haut(page, "h1, h2, h3, h4, h5, h6, p", "Drift is detected for", 38)


def _api(pile: Pile, page: "Page") -> None:
    """La page de l’API."""
    page.goto(pile.adresse("api", "/docs"))
    page.get_by_text("POST /predict").first.wait_for()


def _api_reponse(pile: Pile, page: "Page") -> None:
    """Un vol envoyé depuis la page, et la réponse du service."""
    _api(pile, page)
    # Le même vol, sans retour à la ligne : il tient en entier au-dessus de la réponse.
    page.locator("#demande").evaluate(
        "zone => { zone.rows = 4;"
        " zone.value = JSON.stringify(JSON.parse(zone.value)).replaceAll(',', ', '); }"
    )
    page.click("#envoyer")
    page.get_by_text("probabilite").last.wait_for()
    _en_haut(page, "h2", "Essayer")


def _prometheus(pile: Pile, page: "Page") -> None:
    """Les alarmes, et la règle de l’une d’elles."""
    page.goto(pile.adresse("prometheus", "/alerts"))
    # Le paquet de Debian n’a que l’ancienne interface, et le dit d’abord.
    if page.get_by_text("Use classic web UI").is_visible():
        page.goto(pile.adresse("prometheus", "/classic/alerts"))
        page.get_by_text("Show annotations").click()
    page.get_by_text("ModeleDeplace").first.click()


def _retenir(page: "Page", reglages: dict[str, str]) -> None:
    """Donne à la page des préférences, comme si on les avait choisies avant."""
    page.add_init_script(
        f"for (const [cle, valeur] of Object.entries({json.dumps(reglages)})) "
        "localStorage.setItem(cle, valeur);"
    )


def _en_haut(page: "Page", selecteur: str, texte: str, marge: int = 0) -> None:
    """Fait défiler la page jusqu’à ce qu’un élément en soit le haut."""
    element, vue = page.locator(selecteur, has_text=texte).last, None
    # Ce qui est au-dessus peut ne prendre sa taille qu’une fois vu.
    for _ in range(10):
        element.evaluate(
            "(e, m) => { e.style.scrollMarginTop = m; e.scrollIntoView(); }", f"{marge}px"
        )
        page.wait_for_timeout(500)
        if vue == (vue := element.bounding_box()):
            break


@dataclass(frozen=True)
class Prise:
    """Comment prendre un écran : l’outil, la largeur de la fenêtre, ce qu’on y fait.

    Plus la fenêtre est étroite, plus l’image, toujours de même taille, agrandit l’outil.
    """

    outil: str
    largeur: int
    geste: Callable[[Pile, "Page"], None]


PRISES = {
    "jupyterhub": Prise("hub", 960, _jupyterhub),
    "mlflow": Prise("mlflow", 1088, _mlflow),
    "mlflow_registre": Prise("mlflow", 1024, _mlflow_registre),
    "airflow": Prise("airflow", 1088, _airflow),
    "superset": Prise("superset", 960, _superset),
    "evidently": Prise("evidently", 1088, _evidently),
    "api": Prise("api", 1008, _api),
    "api_reponse": Prise("api", 1024, _api_reponse),
    "prometheus": Prise("prometheus", 1152, _prometheus),
}


# --- make captures -------------------------------------------------------------------------------


def capturer(racine: Path) -> list[Ecran]:
    """Prend tous les écrans ; rien n’est remplacé si l’un d’eux manque.

    Raises:
        ErreurPublication: si un outil ne répond pas, ou n’a pas la page attendue.
    """
    dossier, pile = racine / DOSSIER, Pile(racine)
    fiches = lire_yaml(dossier / FICHES)
    if list(fiches) != list(PRISES):
        raise ErreurPublication(f"{FICHES} doit décrire, dans l’ordre : {', '.join(PRISES)}.")
    for cle, outil in OUTILS.items():
        pile.demander(cle, outil.sante)
    # Superset montre ce que l’année a écrit.
    jouer_l_annee(pile)
    with tempfile.TemporaryDirectory(dir=dossier, prefix=".") as provisoire:
        with _navigateur(racine, Path(provisoire)) as chromium:
            for nom, prise in PRISES.items():
                print(f"  {nom}", flush=True)
                image = comprimer(_prendre(chromium, pile, nom, prise))
                fiche = fiches[nom] | {"fichier": f"{nom}.webp", "outil": OUTILS[prise.outil].nom}
                fiche |= {"version": pile.version(prise.outil), "verrou": None}
                voulue = version_du_verrou(prise.outil, racine)
                fiche |= {"verrou": voulue} if voulue != fiche["version"] else {}
                fiche |= {"date": datetime.now(UTC).strftime("%d/%m/%Y")}
                fiches[nom] = {champ: valeur for champ, valeur in fiche.items() if valeur}
                Path(provisoire, f"{nom}.webp").write_bytes(image)
        for nom in PRISES:
            os.replace(Path(provisoire, f"{nom}.webp"), dossier / f"{nom}.webp")
    ecrire_fiches(dossier / FICHES, fiches)
    return list(ecrans(racine).values())


def ecrire_fiches(fichier: Path, fiches: dict[str, dict[str, str]]) -> None:
    """Récrit les fiches ; le commentaire du début reste."""
    lignes = fichier.read_text(encoding="utf-8").splitlines(keepends=True)
    debut = "".join(ligne for ligne in lignes if ligne.startswith("#"))
    ecrire(fichier, debut + yaml.safe_dump(fiches, allow_unicode=True, sort_keys=False, width=100))


def comprimer(image: bytes) -> bytes:
    """Rend une image en WebP, aussi fidèle que son poids le permet.

    Raises:
        ErreurPublication: si elle reste trop lourde.
    """
    from PIL import Image

    with Image.open(io.BytesIO(image)) as lue:
        for reglages in ({"lossless": True}, *({"quality": q} for q in (92, 85, 75))):
            sortie = io.BytesIO()
            lue.convert("RGB").save(sortie, "WEBP", method=6, **reglages)
            if len(sortie.getvalue()) <= POIDS_MAX:
                return sortie.getvalue()
    raise ErreurPublication(f"une image pèse plus de {POIDS_MAX // 1000} ko, même comprimée.")


@contextlib.contextmanager
def _navigateur(racine: Path, dossier: Path) -> Iterator["Browser"]:
    """Un Chromium dont les caractères, là où l’outil n’en apporte pas, sont ceux du livre."""
    from playwright.sync_api import sync_playwright

    from publication.pdf import trouver_chromium

    famille = "<string>Figtree</string>"
    prefere = f'<edit name="family" mode="prepend" binding="strong">{famille}</edit>'
    generiques = "".join(
        f'<match><test name="family"><string>{nom}</string></test>{prefere}</match>'
        for nom in ("sans-serif", "system-ui")
    )
    polices = dossier / "polices.conf"
    polices.write_text(
        '<?xml version="1.0"?><fontconfig>'
        '<include ignore_missing="yes">/etc/fonts/fonts.conf</include>'
        f"<dir>{racine / 'notebooks' / 'mlops_demo' / 'polices'}</dir>{generiques}</fontconfig>",
        encoding="utf-8",
    )
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path=trouver_chromium(), env={**os.environ, "FONTCONFIG_FILE": str(polices)}
        )
        yield chromium
        chromium.close()


def _prendre(chromium: "Browser", pile: Pile, nom: str, prise: Prise) -> bytes:
    """Ouvre une fenêtre neuve, y fait le geste, et rend l’image.

    Raises:
        ErreurPublication: si la page n’est pas celle qu’on attend.
    """
    from playwright.sync_api import Error

    compte = pile.compte(prise.outil)
    contexte = chromium.new_context(
        http_credentials=compte and {"username": compte[0], "password": compte[1]},
        viewport={"width": prise.largeur, "height": prise.largeur * 9 // 16},
        device_scale_factor=LARGEUR / prise.largeur,
        locale="fr-FR",
        timezone_id="Europe/Paris",
        color_scheme="light",
        reduced_motion="reduce",
    )
    contexte.set_default_timeout(DELAI_MS)
    try:
        page = contexte.new_page()
        prise.geste(pile, page)
        return _image_immobile(page)
    except Error as erreur:
        raise ErreurPublication(
            f"l’écran « {nom} » n’a pas pu être pris ({str(erreur).splitlines()[0]}) : la page de "
            f"{OUTILS[prise.outil].nom} a peut-être changé ; revoyez son geste dans captures.py."
        ) from erreur
    finally:
        contexte.close()


def _image_immobile(page: "Page") -> bytes:
    """Rend l’image de la page quand elle ne change plus."""
    vues, limite = [b""], time.monotonic() + DELAI_D_IMAGE_S
    while len(vues) < 4 or time.monotonic() < limite:
        vues.append(page.screenshot(animations="disabled"))
        if len(set(vues[-4:])) == 1:
            break
        page.wait_for_timeout(500)
    return vues[-1]
