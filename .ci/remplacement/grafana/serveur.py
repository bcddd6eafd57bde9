"""Tient lieu de Grafana dans les tests, quand le registre public n’en donne pas l’image.

Ce n’est pas Grafana : aucune page, aucun dessin, aucune modification. Il lit les mêmes variables,
les mêmes fichiers et le même secret, écarte les mêmes fichiers fautifs, et rend par la même API les
tableaux, la source et ce que la source répond aux requêtes d’un panneau. Les fichiers sont lus au
démarrage ; Grafana les relit toutes les dix secondes.
"""

import base64
import binascii
import hashlib
import hmac
import json
import math
import os
import re
import secrets
import sqlite3
import sys
import urllib.error
import urllib.parse
import urllib.request
from contextlib import closing
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import yaml

PORT = 3000
TOURS = 10_000  # de PBKDF2, comme Grafana


class Refus(Exception):
    """Ce qui empêche Grafana de démarrer."""


def dire(niveau, message, **details):
    """Une ligne de journal, de la forme de celles de Grafana."""
    champs = {"t": datetime.now(UTC).isoformat(), "level": niveau, "msg": message, **details}
    print(*(f"{nom}={json.dumps(str(v), ensure_ascii=False)}" for nom, v in champs.items()))


# --- Ce qui est lu au démarrage ---------------------------------------------------------------


def lire_secrets(environnement):
    """Remplace chaque GF_X__FILE par GF_X.

    Comme le script de l’image officielle, un fichier illisible n’arrête rien : la valeur est vide,
    et Grafana prend la sienne.

    Raises:
        Refus: si les deux sont donnés.
    """
    lus = dict(environnement)
    for nom, fichier in environnement.items():
        if not (nom.startswith("GF_") and nom.endswith("__FILE") and fichier):
            continue
        cle = nom.removesuffix("__FILE")
        if environnement.get(cle):
            raise Refus(f"Both {cle} and {nom} are set (but are exclusive)")
        try:
            lus[cle] = Path(fichier).read_text(encoding="utf-8").rstrip("\n")
        except OSError as erreur:
            dire("error", "secret file", file=fichier, error=erreur)
    return lus


def configurations(dossier):
    """Ce que disent les fichiers YAML d’un dossier ; un seul illisible empêche de démarrer."""
    if not dossier.is_dir():
        dire("error", "can't read provisioning files from directory", path=dossier)
        return []
    fichiers = sorted(f for f in dossier.iterdir() if f.suffix in (".yml", ".yaml"))
    try:
        return [yaml.safe_load(f.read_text(encoding="utf-8")) or {} for f in fichiers]
    except (OSError, ValueError, yaml.YAMLError) as erreur:
        raise Refus(f"could not parse provisioning config file: {erreur}") from erreur


def lire_sources(dossier):
    """Les sources de données, par uid.

    Raises:
        Refus: si deux sources sont celles par défaut.
    """
    sources = [s for c in configurations(dossier) for s in c.get("datasources") or []]
    if sum(bool(s.get("isDefault")) for s in sources) > 1:
        raise Refus("Only one datasource per organization can be marked as default")
    for source in sources:
        # Sans uid, Grafana en tire un au hasard : aucun tableau ne peut le connaître.
        source.setdefault("uid", secrets.token_hex(7))
        dire("info", "inserting datasource from configuration", uid=source["uid"])
    return {s["uid"]: s for s in sources}


def lire_tableaux(dossier):
    """Les tableaux, par uid, avec leur dossier ; un fichier fautif est dit et laissé de côté."""
    tableaux = {}
    for fournisseur in [f for c in configurations(dossier) for f in c.get("providers") or []]:
        chemin = (fournisseur.get("options") or {}).get("path")
        if not isinstance(chemin, str):
            raise Refus("failed to load dashboards, path param is not a string")
        if not Path(chemin).is_dir():
            dire("warn", "Failed to provision config", name=fournisseur["name"], path=chemin)
            continue
        for fichier in sorted(Path(chemin).rglob("*.json")):
            try:
                tableau = json.loads(fichier.read_text(encoding="utf-8"))
                if not tableau.get("title"):
                    raise ValueError("Dashboard title cannot be empty")
            except (OSError, ValueError, AttributeError) as erreur:
                dire("error", "failed to load dashboard from ", file=fichier, error=erreur)
                continue
            uid = tableau.setdefault("uid", secrets.token_hex(7))
            if uid in tableaux:
                dire("warn", "the same UID is used more than once", uid=uid, file=fichier)
            tableaux[uid] = (tableau, fournisseur.get("folder", ""), fichier.name)
    return tableaux


def empreinte(mot_de_passe, sel):
    """Ce qui est gardé d’un mot de passe."""
    return hashlib.pbkdf2_hmac("sha256", mot_de_passe.encode(), sel.encode(), TOURS, 50).hex()


def compte(reglages):
    """Le compte de l’administrateur, écrit au premier démarrage et gardé ensuite tel quel."""
    nom = reglages.get("GF_SECURITY_ADMIN_USER") or "admin"
    mot_de_passe = reglages.get("GF_SECURITY_ADMIN_PASSWORD") or "admin"
    Path(reglages["GF_PATHS_PLUGINS"]).mkdir(exist_ok=True)
    with closing(sqlite3.connect(Path(reglages["GF_PATHS_DATA"], "grafana.db"))) as base, base:
        base.execute('CREATE TABLE IF NOT EXISTS "user" (login PRIMARY KEY, salt, password)')
        sel = secrets.token_urlsafe(8)
        valeurs = (nom, sel, empreinte(mot_de_passe, sel))
        # Comme Grafana : seule une base sans personne reçoit le compte.
        if not base.execute('SELECT 1 FROM "user"').fetchone():
            base.execute('INSERT INTO "user" VALUES (?, ?, ?)', valeurs)
        return base.execute('SELECT login, salt, password FROM "user"').fetchone()


# --- Une requête de panneau, passée à Prometheus ----------------------------------------------


def secondes(duree):
    """Une durée de Grafana, « 10s » ou « 1m »."""
    nombre, unite = re.fullmatch(r"(\d+)([smh])", duree).groups()
    return int(nombre) * {"s": 1, "m": 60, "h": 3600}[unite]


def interroger(source, requete, debut, fin):
    """Ce que répond la source à la requête d’un panneau, en colonnes comme les rend Grafana."""
    reglages = source.get("jsonData") or {}
    pas = max(requete.get("intervalMs", 0) / 1000, secondes(reglages.get("timeInterval", "15s")))
    if requete.get("instant"):
        chemin, champs = "query", {"time": fin}
    else:
        debut, fin = debut - debut % pas, fin - fin % pas
        chemin, champs = "query_range", {"start": debut, "end": fin, "step": pas}
    corps = urllib.parse.urlencode({"query": requete["expr"], **champs})
    adresse, donnees = f"{source['url'].rstrip('/')}/api/v1/{chemin}", corps.encode()
    if reglages.get("httpMethod", "POST") == "GET":
        adresse, donnees = f"{adresse}?{corps}", None
    try:
        with urllib.request.urlopen(adresse, donnees, timeout=30) as reponse:
            series = json.load(reponse)["data"]["result"]
    except urllib.error.HTTPError as erreur:
        return {"status": erreur.code, "error": erreur.read().decode(errors="replace")}
    except (OSError, ValueError, KeyError) as erreur:
        return {"status": 502, "error": str(erreur)}
    return {"status": 200, "frames": [colonnes(requete["refId"], serie) for serie in series]}


def colonnes(nom, serie):
    """Une série de Prometheus : une colonne de temps, une de valeurs."""
    points = serie.get("values") or [serie["value"]]
    valeurs = [float(valeur) for _, valeur in points]
    champs = [{"name": "Time", "type": "time"}]
    champs.append({"name": "Value", "type": "number", "labels": serie["metric"]})
    temps = [int(t * 1000) for t, _ in points]
    finies = [v if math.isfinite(v) else None for v in valeurs]
    return {"schema": {"refId": nom, "fields": champs}, "data": {"values": [temps, finies]}}


# --- L’API ------------------------------------------------------------------------------------


class Api(BaseHTTPRequestHandler):
    """Les chemins de l’API de Grafana dont les tests se servent."""

    sources, tableaux, admin, anonyme = {}, {}, ("", "", ""), False

    def rendre(self, code, corps):
        """Répond en JSON."""
        contenu = json.dumps(corps, ensure_ascii=False).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json; charset=UTF-8")
        self.send_header("Content-Length", str(len(contenu)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(contenu)

    def refus(self):
        """Pourquoi celui qui demande n’entre pas ; rien s’il entre."""
        genre, _, jeton = self.headers.get("Authorization", "").partition(" ")
        if genre != "Basic":
            lecture = self.command in ("GET", "HEAD") or self.path == "/api/ds/query"
            return None if self.anonyme and lecture else "Unauthorized"
        try:
            nom, _, mot_de_passe = base64.b64decode(jeton).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            return "Invalid username or password"
        connu, sel, attendue = self.admin
        bon = hmac.compare_digest(empreinte(mot_de_passe, sel), attendue)
        return None if bon and nom == connu else "Invalid username or password"

    def do_GET(self):
        """La santé, ouverte à tous, puis ce que lit l’administrateur."""
        chemin = self.path.partition("?")[0]
        if chemin == "/api/health":
            self.rendre(200, {"database": "ok", "version": "remplacement"})
        elif refus := self.refus():
            self.rendre(401, {"message": refus})
        elif chemin == "/api/search":
            self.rendre(200, [self.trouve(uid) for uid in self.tableaux])
        elif trouve := re.fullmatch(r"/api/(dashboards|datasources)/uid/([^/]+)", chemin):
            genre, uid = trouve.groups()
            self.rendre(*(self.tableau(uid) if genre == "dashboards" else self.source(uid)))
        else:
            self.rendre(404, {"message": "Not found"})

    do_HEAD = do_GET

    def do_POST(self):
        """Les requêtes d’un panneau ; une seule qui échoue fait échouer la réponse."""
        demande = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))) or "{}")
        if refus := self.refus():
            self.rendre(401, {"message": refus})
        elif self.path != "/api/ds/query":
            self.rendre(404, {"message": "Not found"})
        elif {r["datasource"]["uid"] for r in demande["queries"]} <= self.sources.keys():
            bornes = int(demande["from"]) / 1000, int(demande["to"]) / 1000
            rendus = {
                r["refId"]: interroger(self.sources[r["datasource"]["uid"]], r, *bornes)
                for r in demande["queries"]
            }
            bons = all(rendu["status"] == 200 for rendu in rendus.values())
            self.rendre(200 if bons else 400, {"results": rendus})
        else:
            self.rendre(404, {"message": "Data source not found"})

    def trouve(self, uid):
        """Un tableau, tel que la recherche le montre."""
        tableau, dossier, _ = self.tableaux[uid]
        nom = {"uid": uid, "title": tableau["title"], "type": "dash-db"}
        return {**nom, "tags": tableau.get("tags", []), "folderTitle": dossier}

    def tableau(self, uid):
        """Un tableau, tel que la page le lit."""
        if uid not in self.tableaux:
            return 404, {"message": "Dashboard not found"}
        tableau, dossier, fichier = self.tableaux[uid]
        meta = {"provisioned": True, "provisionedExternalId": fichier, "folderTitle": dossier}
        return 200, {"meta": meta, "dashboard": tableau}

    def source(self, uid):
        """Une source, telle que l’administrateur la lit."""
        if uid not in self.sources:
            return 404, {"message": "Data source not found"}
        source = self.sources[uid]
        return 200, {**source, "readOnly": not source.get("editable", False)}

    def log_message(self, *_):
        """Comme Grafana, ne dit rien de chaque demande."""


def principal():
    """Lit tout, puis sert."""
    try:
        reglages = lire_secrets(os.environ)
        dossier = Path(reglages["GF_PATHS_PROVISIONING"])
        Api.admin = compte(reglages)
        Api.sources = lire_sources(dossier / "datasources")
        Api.tableaux = lire_tableaux(dossier / "dashboards")
        Api.anonyme = reglages.get("GF_AUTH_ANONYMOUS_ENABLED", "").lower() == "true"
    except (Refus, OSError, sqlite3.Error) as erreur:
        dire("error", "Failed to start", error=erreur)
        sys.exit(1)
    dire("info", "HTTP Server Listen", address=f"[::]:{PORT}")
    ThreadingHTTPServer(("", PORT), Api).serve_forever()


if __name__ == "__main__":
    principal()
