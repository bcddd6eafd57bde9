"""Le service HTTP : le champion du registre, derrière une adresse.

Il sert la version que le journal a acceptée (une promotion ou un retour arrière est vu en moins
d’une seconde) et dit quand l’alias ``champion`` en désigne une autre. Il note chaque prédiction sur
disque avant de répondre, et la livre à Postgres. Il continue de servir quand le registre ou
Postgres ne répond plus.

``uvicorn --factory mlops_demo.service:application --http mlops_demo.service_http:Protocole
--host 0.0.0.0 --port 8000``
"""

import asyncio
import contextlib
import json
import os
import sys
import time
import urllib.request
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pandas as pd
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse, PlainTextResponse, RedirectResponse
from fastapi.routing import APIRoute
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Receive, Scope, Send

from mlops_demo import base, processus
from mlops_demo.configuration import (
    AVANT_IMPORT,
    ErreurUtilisateur,
    dossier_tampon,
    dossier_travail,
)
from mlops_demo.features import FEATURES
from mlops_demo.service_champion import Champion, Suivi, alias_suivi
from mlops_demo.service_demande import Demande, Refus, Reponse, Vol, champ, lire, motifs
from mlops_demo.service_journal import Livreur
from mlops_demo.service_mesures import Chronometre, Mesures
from mlops_demo.service_tampon import Tampon

OCTETS_MAX = 8 * 1024**2
OCTETS_D_UN_TRAIT = 32 * 1024  # une centaine de vols : une milliseconde
# Un registre ou une base qui ne répond pas se constate en quelques secondes, non en minutes.
DELAIS = {
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "5",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "PGCONNECT_TIMEOUT": "5",
}
ERREURS_HTTP = {
    400: "le corps de la demande ne se lit pas : envoyez du JSON en UTF-8",
    404: "cette adresse n’existe pas : la page /docs les liste",
    405: "cette adresse ne se demande pas ainsi : la page /docs dit comment",
    413: f"le corps de la demande dépasse {OCTETS_MAX // 1024**2} Mio : envoyez moins de vols",
}
SANS_CHAMPION = "aucun modèle n’est en service pour l’instant : réessayez dans quelques secondes"
CONFORME = "l’alias désigne la version que le journal a acceptée"
TAMPON_PLEIN = (
    "la prédiction ne peut pas être journalisée (volume du tampon plein ou en panne), elle n’est "
    "donc pas rendue : libérez de la place dans MLOPS_TAMPON, puis réessayez"
)
# La page de l’API ne charge rien et n’appelle que ce service.
SECURITE = {
    "Content-Security-Policy": "default-src 'none'; connect-src 'self'; img-src data:; "
    "script-src 'unsafe-inline'; style-src 'unsafe-inline'; frame-ancestors 'none'"
}


def application() -> FastAPI:
    """Fabrique le service, ou dit en une phrase ce qui l’en empêche : ce que lance uvicorn."""
    try:
        return fabriquer()
    except ErreurUtilisateur as erreur:
        sys.exit(f"Erreur : {erreur}")


def campagne_choisie() -> int | None:
    """Campagne que donne ``MLOPS_CAMPAGNE``, ou rien.

    Raises:
        ErreurUtilisateur: si la variable n’est pas un numéro de campagne.
    """
    campagne = os.environ.get("MLOPS_CAMPAGNE")
    if not campagne:
        return None
    if not (campagne.isdecimal() and 0 < int(campagne) < 2**63):
        raise ErreurUtilisateur(
            f"MLOPS_CAMPAGNE vaut « {campagne} » : donnez le numéro d’une campagne, ou retirez "
            "cette variable pour celle du service."
        )
    return int(campagne)


def fabriquer() -> FastAPI:
    """Fabrique le service.

    Il garde son tampon et la copie du champion dans ``MLOPS_TAMPON``, et range ses prédictions
    dans la campagne ``MLOPS_CAMPAGNE`` (la sienne, si la variable manque).
    """
    for nom, valeur in DELAIS.items():
        if os.environ.get(nom) in (None, AVANT_IMPORT.get(nom)):
            os.environ[nom] = valeur
    suivi = Suivi(dossier_tampon() / alias_suivi())
    livreur = Livreur(Tampon(dossier_tampon()), campagne_choisie())
    mesures = Mesures(suivi, livreur)

    @contextlib.asynccontextmanager
    async def vie(_: FastAPI) -> AsyncIterator[None]:
        suivi.start()
        livreur.start()
        yield
        # Les demandes en cours sont finies : uvicorn les a attendues.
        suivi.finir()
        await asyncio.to_thread(livreur.finir)

    app = FastAPI(
        title="Retard d’un vol",
        version="1",
        description="Un vol qui quitte New York arrivera-t-il avec un quart d’heure de retard ?",
        lifespan=vie,
        docs_url=None,  # la page de FastAPI vient d’un CDN
        redoc_url=None,
        telemetry={"tracing": False, "metrics": False, "logs": False},
    )
    app.router.route_class = Route
    app.add_middleware(CorpsBorne)
    app.add_middleware(Chronometre, mesures=mesures)
    _ajouter_erreurs(app, mesures)
    _ajouter_etat(app, suivi, livreur, mesures)

    @app.post(
        "/predict",
        max_body_size=OCTETS_MAX,
        summary="Juger des vols.",
        response_model=Reponse,
        response_description="Une probabilité de retard par vol, dans l’ordre.",
        responses={
            413: {"model": Refus, "description": "Corps trop gros."},
            422: {"model": Refus, "description": "Demande contraire au contrat de données."},
            503: {"model": Refus, "description": "Aucun modèle, ou journal impossible à écrire."},
        },
    )
    async def predire(demande: Demande) -> Response:
        """Chaque prédiction rendue est journalisée : l’identifiant `demande` l’y retrouve."""
        champion = suivi.servi
        if champion is None:
            raise HTTPException(503, SANS_CHAMPION)
        try:
            if len(demande.vols) == 1:  # plus court que de changer de fil
                return servir(champion, demande.vols)
            return await asyncio.to_thread(servir, champion, demande.vols)
        except OSError as erreur:
            raise HTTPException(503, TAMPON_PLEIN) from erreur

    def servir(champion: Champion, vols: list[Vol]) -> Response:
        version = champion.fiche.version
        ids = [vol.flight_id for vol in vols]
        probas = champion.juger([vol.__dict__ for vol in vols])
        demande = livreur.noter(version, ids, probas)
        mesures.compter(version, probas)
        lignes = [
            {"flight_id": i, "version": version, "probabilite": p}
            for i, p in zip(ids, probas, strict=True)
        ]
        return JSONResponse({"demande": demande, "version": version, "predictions": lignes})

    return app


class Lecture(Request):
    """Une requête dont un long corps se lit vol par vol, hors de la boucle d’événements."""

    async def json(self) -> object:
        """Lit le corps."""
        corps = await self.body()
        if len(corps) <= OCTETS_D_UN_TRAIT:
            return json.loads(corps)
        return await asyncio.to_thread(lire, corps)


class Route(APIRoute):
    """Une adresse dont le corps se lit par ``Lecture``."""

    def get_route_handler(self) -> Callable[[Request], Awaitable[Response]]:
        """Rend ce qui traite la requête."""
        suite = super().get_route_handler()

        async def traiter(requete: Request) -> Response:
            return await suite(Lecture(requete.scope, requete.receive))

        return traiter


class CorpsBorne:
    """Intergiciel ASGI qui refuse, sans le lire, un corps qui s’annonce trop gros.

    FastAPI arrête déjà celui qui ne s’annonce pas, et dirait l’autre en anglais.
    """

    def __init__(self, app: ASGIApp) -> None:
        """Entoure ``app``."""
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Laisse passer la requête, ou répond 413."""
        suite = self.app
        if scope["type"] == "http":
            annonce = Headers(scope=scope).get("content-length", "")
            if annonce.isdecimal() and int(annonce) > OCTETS_MAX:
                suite = JSONResponse(_non_servie(ERREURS_HTTP[413]), 413)
        await suite(scope, receive, send)


def _non_servie(motif: str) -> dict:
    return {"erreur": "demande non servie", "motifs": [motif]}


def _ajouter_erreurs(app: FastAPI, mesures: Mesures) -> None:
    """Dit en français pourquoi une demande n’est pas servie."""

    @app.exception_handler(RequestValidationError)
    async def expliquer(requete: Request, erreur: RequestValidationError) -> JSONResponse:
        erreurs = erreur.errors()
        if isinstance(erreur.body, bytes):  # FastAPI n’a pas lu le corps : il ne s’annonce pas JSON
            mesures.refus.labels("demande").inc()
            annonce = requete.headers.get("content-type", "absent")[:60]
            motif = f"Content-Type : « {annonce} », envoyez « application/json »"
            return JSONResponse({"erreur": "demande refusée", "motifs": [motif]}, 422)
        for une in erreurs:
            mesures.refus.labels(champ(une)).inc()
        return JSONResponse({"erreur": "demande refusée", "motifs": motifs(erreurs)}, 422)

    @app.exception_handler(HTTPException)
    async def traduire(_: Request, erreur: HTTPException) -> JSONResponse:
        motif = ERREURS_HTTP.get(erreur.status_code, erreur.detail)
        return JSONResponse(_non_servie(motif), erreur.status_code, erreur.headers)


def _ajouter_etat(app: FastAPI, suivi: Suivi, livreur: Livreur, mesures: Mesures) -> None:
    """Les adresses que lisent l’orchestrateur, la supervision et les personnes."""

    @app.get("/health", summary="Vivant ?", response_description="Vivant.")
    async def sante() -> dict:
        """Le processus répond ; à relancer sinon."""
        return {"etat": "en service"}

    @app.get(
        "/ready",
        summary="Prêt ?",
        response_description="Prêt.",
        responses={503: {"description": "Pas encore prêt : aucun modèle n’est chargé."}},
    )
    def pret(reponse: Response) -> dict:
        """200 si un modèle est chargé, 503 sinon. Le registre ou la base peut manquer."""
        servi = suivi.servi
        reponse.status_code = 503 if servi is None else 200
        return {
            "pret": servi is not None,
            "version": servi and servi.fiche.version,
            "registre": suivi.etat,
            "alias_conforme": suivi.contredit is None,
            "confiance": suivi.contredit or CONFORME,
            "journal": livreur.etat,
            "demandes_en_attente": livreur.tampon.lignes(),
            "tampon": livreur.panne or "écrit",
        }

    @app.get(
        "/version",
        summary="Quel modèle ?",
        response_description="Le modèle servi.",
        responses={503: {"model": Refus, "description": "Aucun modèle n’est chargé."}},
    )
    async def version() -> dict:
        """La version servie, et l’essai qui l’a produite."""
        if suivi.servi is None:
            raise HTTPException(503, SANS_CHAMPION)
        fiche = suivi.servi.fiche
        return {"modele": fiche.modele, "version": fiche.version, "run_id": fiche.run_id}

    @app.get(
        "/metrics",
        summary="Mesures, pour Prometheus.",
        response_class=PlainTextResponse,
        response_description="Les mesures du moment.",
    )
    def mesurer() -> Response:
        """Latences, prédictions par version, refus, attente du journal, âge du modèle."""
        contenu, genre = mesures.page()
        return Response(contenu, media_type=genre)

    @app.get("/", include_in_schema=False)
    async def accueil() -> Response:
        return RedirectResponse("docs")

    @app.get("/docs", include_in_schema=False)
    def page() -> Response:
        html = Path(__file__).with_name("service.html").read_text(encoding="utf-8")
        return HTMLResponse(html, headers=SECURITE)


def lancer(campagne: int) -> processus.Serveur:
    """Lance le service sur un port libre de 127.0.0.1, sans attendre qu’il soit prêt."""
    port = processus.port_libre()
    commande = [sys.executable, "-m", "uvicorn", "--factory", "mlops_demo.service:application"]
    commande += ["--host", "127.0.0.1", "--port", str(port), "--log-level", "warning"]
    commande += ["--http", "mlops_demo.service_http:Protocole"]
    return processus.Serveur(
        "le service",
        commande,
        f"http://127.0.0.1:{port}/ready",
        dossier_travail() / "service.journal",
        MLOPS_CAMPAGNE=str(campagne),
        DATABASE_URL=base.url(),
    )


def appeler(serveur: processus.Serveur, chemin: str, corps: dict | None = None) -> dict:
    """Appelle le service et rend sa réponse JSON."""
    demande = urllib.request.Request(
        serveur.adresse.removesuffix("/ready") + chemin,
        data=None if corps is None else json.dumps(corps).encode(),
        headers={"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(demande, timeout=60) as reponse:
        return json.load(reponse)


def attendre_version(serveur: processus.Serveur, version: int, limite_s: float = 10) -> int:
    """Attend que le service réponde avec une version donnée.

    Raises:
        ErreurUtilisateur: s’il ne la sert pas dans le délai.
    """
    attendu = f"ne sert pas la version {version}"
    _attendre(serveur, "/version", lambda vu: vu["version"] == version, attendu, limite_s)
    return version


def attendre_contestation(serveur: processus.Serveur, limite_s: float = 10) -> str:
    """Attend que le service dise, à ``/ready``, que l’alias contredit le journal.

    Returns:
        Ce qu’il en dit.

    Raises:
        ErreurUtilisateur: s’il n’a rien vu dans le délai.
    """
    attendu = "ne conteste pas l’alias"
    vu = _attendre(serveur, "/ready", lambda vu: not vu["alias_conforme"], attendu, limite_s)
    return vu["confiance"]


def _attendre(
    serveur: processus.Serveur,
    chemin: str,
    tenu: Callable[[dict], bool],
    manque: str,
    limite_s: float,
) -> dict:
    limite = time.monotonic() + limite_s
    while time.monotonic() < limite:
        if tenu(vu := appeler(serveur, chemin)):
            return vu
        time.sleep(0.02)
    raise ErreurUtilisateur(
        f"le service {manque} au bout de {limite_s:.0f} s : lisez « {serveur.journal} »."
    )


def en_json(vols: pd.DataFrame) -> list[dict]:
    """Vols et variables sous la forme qu’attend ``/predict`` (une valeur inconnue : null)."""
    table = vols[["flight_id", *FEATURES]].astype(object)
    return table.where(table.notna(), None).to_dict("records")
