"""Le service et ``mlflow models serve`` devant le même modèle : débit et latences d’une ligne.

Les deux reçoivent les mêmes vols, un par demande, tour à tour dans la même exécution : ce qui
occupe la machine pèse sur les deux. Le service journalise chaque prédiction, et l’on vérifie à la
fin que Postgres les a toutes ; ``mlflow models serve`` n’a pas de journal.

Le relevé, ``_build/mesures_service.json``, se copie dans ``book/`` pour être publié.
"""

import asyncio
import itertools
import json
import os
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from mlops_demo.textes import nombre
from publication.depot import RACINE, ecrire_json, provenance

from benchmarks.processus import mesurer

RELEVE = RACINE / "_build" / "mesures_service.json"
TOURS, DUREE_S, CLIENTS = 5, 4, (1, 8)


@dataclass
class Porte:
    """Un serveur à mesurer."""

    nom: str
    port: int
    chemin: str
    corps: list[bytes]
    reponses: int = 0
    # Par nombre de clients, un tour après l’autre : la durée de chaque demande, en secondes.
    durees: dict[int, list[np.ndarray]] = field(default_factory=dict)


def tableau() -> tuple[str, list[str], list[list[str]]]:
    """Mesure dans un processus neuf, écrit le relevé, et en donne les lignes."""
    origine = provenance(RACINE)
    releves = mesurer(comparer)
    reglages = {"tours": TOURS, "duree_s": DUREE_S}
    ecrire_json(RELEVE, {**origine, **reglages, "releves": releves})
    titre = f"Servir une ligne ({TOURS} tours alternés de {DUREE_S} s)"
    colonnes = ["serveur, journal compris pour le nôtre", "clients", "demandes/s", "p50", "p99"]
    lignes = []
    for releve in releves:
        rapports = [nombre(r, 1) for r in releve.get("rapport", [])]
        lignes.append(
            [
                *(releve["serveur"], str(releve["clients"]), nombre(releve["debit"], 0)),
                *(f"{nombre(releve[cle], 1)} ms" for cle in ("p50_ms", "p99_ms")),
                "{} ({} à {})".format(*rapports) if rapports else "",
            ]
        )
    return titre, [*colonnes, "rapport des débits"], lignes


def comparer() -> list[dict]:
    """Lance les deux serveurs dans une séance jetable et les appelle tour à tour."""
    import mlops_demo

    with mlops_demo.session():
        from mlops_demo import base, features, service, simulation

        simulation.premier_champion()
        vols = service.en_json(features.exemples("2013-07-01", "2013-07-02"))
        campagne = simulation.ouvrir_campagne("banc")
        notre, le_leur = service.lancer(campagne), _mlflow_models_serve()
        try:
            notre.pret()
            le_leur.pret()
            colonnes = features.FEATURES
            leurs = [
                {"dataframe_split": {"columns": colonnes, "data": [[vol[c] for c in colonnes]]}}
                for vol in vols
            ]
            portes = [
                _porte("le service", notre, "/predict", [{"vols": [vol]} for vol in vols]),
                _porte("mlflow models serve", le_leur, "/invocations", leurs),
            ]
            _alterner(portes)
        finally:
            notre.arreter()
            le_leur.arreter()
        ecrites = base.lire(
            "SELECT count(*) AS n FROM predictions WHERE campagne_id = $1", campagne
        )
        assert ecrites["n"].iloc[0] == portes[0].reponses, "le journal n’a pas tout"
    return list(_resumer(*portes))


def _mlflow_models_serve():
    """Le champion, servi par MLflow sur un port libre."""
    from mlops_demo import confiance, processus, registre
    from mlops_demo.configuration import dossier_travail

    dossier, port = dossier_travail() / "pour_mlflow", processus.port_libre()
    registre.telecharger(registre.version_de(registre.CHAMPION), dossier)
    confiance.controler(dossier)
    # MLflow appelle « uvicorn » par le PATH : celui du même environnement doit venir d’abord.
    os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    commande = [sys.executable, "-m", "mlflow", "models", "serve", "--model-uri", str(dossier)]
    commande += ["--port", str(port), "--env-manager", "local"]
    journal = dossier_travail() / "mlflow_serve.journal"
    return processus.Serveur(
        "mlflow models serve",
        commande,
        f"http://127.0.0.1:{port}/ping",
        journal,
        MLFLOW_ALLOW_PICKLE_DESERIALIZATION="true",  # nos propres fichiers, contrôlés à l’instant
    )


def _porte(nom: str, serveur, chemin: str, corps: list[dict]) -> Porte:
    port = int(serveur.adresse.split(":")[2].split("/")[0])
    return Porte(nom, port, chemin, [json.dumps(c).encode() for c in corps])


def _alterner(portes: list[Porte]) -> None:
    for porte in portes:
        asyncio.run(_appeler(porte, 1, 1))  # le premier appel chauffe, il ne compte pas
    for clients in CLIENTS:
        for _ in range(TOURS):
            for porte in portes:
                durees = asyncio.run(_appeler(porte, clients, DUREE_S))
                porte.durees.setdefault(clients, []).append(durees)


async def _appeler(porte: Porte, clients: int, duree_s: float) -> np.ndarray:
    """Des clients qui appellent sans relâche, chacun sur sa connexion."""
    fin = time.perf_counter() + duree_s
    listes = await asyncio.gather(*(_client(porte, n, fin) for n in range(clients)))
    durees = np.concatenate(listes)
    porte.reponses += len(durees)
    return durees


async def _client(porte: Porte, depart: int, fin: float) -> list[float]:
    lecture, ecriture = await asyncio.open_connection("127.0.0.1", porte.port)
    durees = []
    for corps in itertools.islice(itertools.cycle(porte.corps), depart * 50, None):
        debut = time.perf_counter()
        if debut > fin:
            break
        entete = (
            f"POST {porte.chemin} HTTP/1.1\r\nHost: 127.0.0.1\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(corps)}\r\n\r\n"
        )
        ecriture.write(entete.encode() + corps)
        recu = await lecture.readuntil(b"\r\n\r\n")
        assert b" 200 " in recu[:20], recu
        taille = int(recu.lower().split(b"content-length:")[1].split(b"\r\n")[0])
        await lecture.readexactly(taille)
        durees.append(time.perf_counter() - debut)
    ecriture.close()
    await ecriture.wait_closed()
    return durees


def _resumer(notre: Porte, le_leur: Porte) -> Iterator[dict]:
    """Un relevé par serveur et par nombre de clients ; le rapport des débits, tour par tour."""
    for clients in CLIENTS:
        paires = zip(notre.durees[clients], le_leur.durees[clients], strict=True)
        rapports = [len(a) / len(b) for a, b in paires]
        for porte in (notre, le_leur):
            durees = np.concatenate(porte.durees[clients])
            p50, p99 = np.quantile(durees, [0.5, 0.99]) * 1000
            releve = {
                "serveur": porte.nom,
                "clients": clients,
                "debit": round(len(durees) / (TOURS * DUREE_S), 1),
                "p50_ms": round(float(p50), 1),
                "p99_ms": round(float(p99), 1),
            }
            if porte is notre:
                releve["rapport"] = [round(float(f(rapports)), 1) for f in (np.median, min, max)]
            yield releve
