"""Le service HTTP : le champion du registre, derrière une adresse.

Il suit l’alias ``champion`` (une promotion ou un retour arrière est vu en moins d’une seconde)
et journalise chaque prédiction en arrière-plan.
"""

import asyncio
import contextlib
import json
import os
import queue
import sys
import threading
import time
import urllib.request
from collections.abc import AsyncIterator

import pandas as pd
import sqlalchemy as sa
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field, create_model

from mlops_demo import base, entrainement, processus, registre
from mlops_demo.configuration import ErreurUtilisateur, dossier_travail
from mlops_demo.features import CATEGORIES, FEATURES, NOMBRES

PERIODE_SUIVI_S = 0.5
VOLS_MAX = 10_000

Vol = create_model(
    "Vol",
    __config__=ConfigDict(extra="forbid", allow_inf_nan=False),
    flight_id=(int, Field(gt=0)),
    **{c: (str, Field(pattern="^[A-Z0-9]{2,3}$")) for c in CATEGORIES},
    **dict.fromkeys(NOMBRES, (float | None, ...)),
)


class Demande(BaseModel):
    """Des vols à juger, avec leurs variables."""

    model_config = ConfigDict(extra="forbid")
    vols: list[Vol] = Field(min_length=1, max_length=VOLS_MAX)


class Journaliste(threading.Thread):
    """Écrit les prédictions en base sans retarder les réponses."""

    def __init__(self, campagne: int) -> None:
        super().__init__(daemon=True)
        self.campagne, self.file = campagne, queue.Queue()

    def noter(self, lignes: list[dict]) -> None:
        """Met des prédictions en attente d’écriture."""
        self.file.put(lignes)

    def run(self) -> None:
        """Écrit ce qui attend, jusqu’à recevoir ``None``."""
        while (lignes := self.file.get()) is not None:
            with base.transaction() as connexion:
                connexion.execute(
                    sa.text(
                        "INSERT INTO predictions (campagne_id, canal, flight_id, version_modele,"
                        f" probabilite) VALUES ({self.campagne}, 'http', :flight_id, :version,"
                        " :probabilite)"
                    ),
                    lignes,
                )

    def finir(self) -> None:
        """Écrit ce qui reste, puis s’arrête."""
        self.file.put(None)
        self.join(30)


def application() -> FastAPI:
    """Fabrique le service (campagne de journalisation dans ``MLOPS_CAMPAGNE``)."""
    etat = {"servi": registre.charger_champion()}
    journaliste = Journaliste(int(os.environ["MLOPS_CAMPAGNE"]))

    async def suivre() -> None:
        while True:
            await asyncio.sleep(PERIODE_SUIVI_S)
            version = await asyncio.to_thread(registre.version_de, registre.CHAMPION)
            if version and version != etat["servi"].version:
                etat["servi"] = await asyncio.to_thread(registre.charger, version)

    @contextlib.asynccontextmanager
    async def vie(_: FastAPI) -> AsyncIterator[None]:
        journaliste.start()
        suivi = asyncio.create_task(suivre())
        yield
        suivi.cancel()
        journaliste.finir()

    app = FastAPI(title="Retard d’un vol", lifespan=vie)

    @app.exception_handler(RequestValidationError)
    async def expliquer(_: Request, erreur: RequestValidationError) -> JSONResponse:
        motifs = [_en_francais(e) for e in erreur.errors()[:20]]
        return JSONResponse({"erreur": "demande refusée", "motifs": motifs}, 422)

    @app.get("/health")
    def sante() -> dict:
        return {"etat": "en service"}

    @app.get("/version")
    def version() -> dict:
        return {"version": etat["servi"].version, "run_id": etat["servi"].run_id}

    @app.post("/predict")
    def predire(demande: Demande) -> dict:
        servi = etat["servi"]
        vols = pd.DataFrame([v.model_dump() for v in demande.vols])
        vols[NOMBRES] = vols[NOMBRES].astype("float64")
        probas = entrainement.probabilites(servi.pipeline, vols[FEATURES])
        lignes = [
            {"flight_id": int(i), "version": servi.version, "probabilite": float(p)}
            for i, p in zip(vols["flight_id"], probas, strict=True)
        ]
        journaliste.noter(lignes)
        return {"version": servi.version, "predictions": lignes}

    return app


MOTIFS = {
    "missing": "manquant",
    "extra_forbidden": "inconnu",
    "string_pattern_mismatch": "mal formé",
    "too_short": "aucun vol",
    "too_long": f"plus de {VOLS_MAX} vols",
    "json_invalid": "JSON illisible",
    "finite_number": "doit être un nombre fini",
}


def _en_francais(erreur: dict) -> str:
    """Traduit une erreur de validation : où, et ce qui ne va pas."""
    lieu = " → ".join(str(p) for p in erreur["loc"][1:]) or "corps"
    genre = erreur["type"]
    attendu = "texte attendu" if genre.startswith("string") else "nombre ou objet attendu"
    return f"{lieu} : {MOTIFS.get(genre, attendu)}"


def lancer(campagne: int) -> processus.Serveur:
    """Lance le service sur un port libre de 127.0.0.1, sans attendre qu’il soit prêt."""
    port = processus.port_libre()
    os.environ["MLOPS_CAMPAGNE"] = str(campagne)
    os.environ["DATABASE_URL"] = base.url()
    commande = [sys.executable, "-m", "uvicorn", "--factory", "mlops_demo.service:application"]
    commande += ["--host", "127.0.0.1", "--port", str(port), "--log-level", "warning"]
    return processus.Serveur(
        "le service",
        commande,
        f"http://127.0.0.1:{port}/health",
        dossier_travail() / "service.journal",
    )


def appeler(serveur: processus.Serveur, chemin: str, corps: dict | None = None) -> dict:
    """Appelle le service et rend sa réponse JSON."""
    demande = urllib.request.Request(
        serveur.adresse.removesuffix("/health") + chemin,
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
    limite = time.monotonic() + limite_s
    while time.monotonic() < limite:
        if appeler(serveur, "/version")["version"] == version:
            return version
        time.sleep(0.02)
    raise ErreurUtilisateur(
        f"le service ne sert pas la version {version} au bout de {limite_s:.0f} s : "
        f"lisez « {serveur.journal} »."
    )


def en_json(vols: pd.DataFrame) -> list[dict]:
    """Vols et variables sous la forme qu’attend ``/predict`` (une valeur inconnue : null)."""
    table = vols[["flight_id", *FEATURES]].astype(object)
    return table.where(table.notna(), None).to_dict("records")
