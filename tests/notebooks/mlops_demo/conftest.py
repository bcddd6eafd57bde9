"""De quoi éprouver le service : un Postgres, un MLflow et un service que l’on peut tuer."""

import contextlib
import http.client
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest
from mlops_demo import base, entrainement, postgres, processus, registre
from mlops_demo.service_demande import EXEMPLE


def attendre(vrai: Callable[[], object], quoi: str, limite_s: float = 60) -> object:
    """Attend qu’une condition soit vraie et rend sa valeur ; échoue au bout du délai."""
    limite = time.monotonic() + limite_s
    while time.monotonic() < limite:
        if valeur := vrai():
            return valeur
        time.sleep(0.05)
    return pytest.fail(f"{quoi} : toujours pas au bout de {limite_s} s")


@pytest.fixture(name="attendre")
def _attendre() -> Callable:
    """De quoi attendre, avec une limite."""
    return attendre


class Programme:
    """Un programme dans son groupe de processus, que l’on tue, arrête et relance."""

    def __init__(self, commande: list, journal: Path, env: dict | None = None, **reglages) -> None:
        self.commande, self.journal, self.reglages = commande, journal, reglages
        self.env = os.environ | (env or {})
        self.processus: subprocess.Popen | None = None

    def lancer(self) -> None:
        with self.journal.open("a") as sortie:
            self.processus = subprocess.Popen(
                self.commande,
                env=self.env,
                stdin=subprocess.DEVNULL,
                stdout=sortie,
                stderr=sortie,
                start_new_session=True,
                **self.reglages,
            )

    def tuer(self, recu: int = signal.SIGKILL) -> int | None:
        """Envoie le signal à tout le groupe et attend la fin."""
        if self.processus is None:
            return None
        if self.processus.poll() is None:
            os.killpg(self.processus.pid, recu)
        return self.processus.wait(30)


class Postgres(Programme):
    """Un vrai Postgres à part, toujours à la même adresse."""

    def __init__(self, dossier: Path) -> None:
        binaires = postgres._binaires(postgres._dossier())
        postgres._initialiser(dossier, binaires)
        self.port = processus.port_libre()
        mot_de_passe = (dossier / "mot_de_passe").read_text()
        self.url = f"postgresql://postgres:{mot_de_passe}@127.0.0.1:{self.port}/postgres"
        commande = [binaires / "postgres", "-D", dossier / "grappe", "-p", str(self.port)]
        for nom, valeur in postgres.REGLAGES.items():
            commande += ["-c", f"{nom}={valeur}"]
        super().__init__(commande, dossier / "postgres.journal", **postgres._identite())

    def tuer(self, recu: int = signal.SIGKILL) -> int | None:
        """Tue aussi ses enfants : chacun a sa session, et finirait sa transaction."""
        enfants = []
        if self.processus is not None and self.processus.poll() is None:
            enfants = psutil.Process(self.processus.pid).children(recursive=True)
        code = super().tuer(recu)
        for enfant in enfants:
            with contextlib.suppress(psutil.NoSuchProcess):
                enfant.send_signal(signal.SIGKILL)
        psutil.wait_procs(enfants, 30)
        return code

    @contextlib.contextmanager
    def fige(self) -> Iterator[None]:
        """Le suspend avec ses enfants : ses connexions restent ouvertes, et muettes."""
        tous = [psutil.Process(self.processus.pid)]
        tous += tous[0].children(recursive=True)
        for un in tous:
            un.suspend()
        try:
            yield
        finally:
            for un in tous:
                with contextlib.suppress(psutil.NoSuchProcess):
                    un.resume()

    def lancer(self) -> None:
        """Lance le serveur, s’il ne tourne pas, et attend qu’il réponde."""
        import psycopg

        def repond() -> bool:
            if self.processus is None or self.processus.poll() is not None:
                Programme.lancer(self)
            try:
                psycopg.connect(self.url, connect_timeout=5).close()
            except psycopg.OperationalError:
                return False
            return True

        attendre(repond, "Postgres")

    def verifier(self, reponses: list[dict]) -> int:
        """Vérifie que chaque prédiction rendue est en base une fois et une seule, à sa valeur.

        Returns:
            Le nombre de prédictions vérifiées.
        """
        assert reponses, "aucune réponse : ce test ne prouverait rien"
        base.oublier()
        lues = base.lire(
            "SELECT demande::text AS demande, rang, flight_id, version_modele, probabilite"
            " FROM predictions WHERE canal = 'http' ORDER BY demande, rang"
        )
        en_base: dict[str, list] = {}
        for ligne in lues.itertuples(index=False):
            en_base.setdefault(ligne.demande, []).append(tuple(ligne)[1:])
        for reponse in reponses:
            attendues = [
                (rang, p["flight_id"], p["version"], p["probabilite"])
                for rang, p in enumerate(reponse["predictions"], 1)
            ]
            trouvees = en_base.get(reponse["demande"])
            assert trouvees == attendues, (
                f"{reponse['demande']} : {trouvees} au lieu de {attendues}"
            )
        assert len({r["demande"] for r in reponses}) == len(reponses), "un identifiant par demande"
        return sum(len(r["predictions"]) for r in reponses)

    def lignes(self) -> int:
        """Nombre de prédictions écrites par le service."""
        base.oublier()
        lues = base.lire("SELECT count(*) AS n FROM predictions WHERE canal = 'http'")
        return int(lues["n"].iloc[0])


class Service(Programme):
    """Le service, lancé comme dans un conteneur."""

    def __init__(self, dossier: Path, **env: str) -> None:
        self.port = processus.port_libre()
        self.tampon = dossier / "tampon" / os.environ["MLOPS_UTILISATEUR"]
        commande = [sys.executable, "-m", "uvicorn", "--factory", "mlops_demo.service:application"]
        commande += ["--host", "127.0.0.1", "--port", str(self.port), "--no-access-log"]
        commande += ["--http", "mlops_demo.service_http:Protocole"]
        env = {"MLOPS_TAMPON": str(dossier / "tampon")} | env
        super().__init__(commande, dossier / f"service-{self.port}.journal", env)

    def lire(self, chemin: str) -> tuple[int, dict]:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{chemin}", timeout=30) as r:
                return r.status, json.load(r)
        except urllib.error.HTTPError as refus:
            return refus.code, json.load(refus)

    def partir(self) -> None:
        """Lance le service, sans attendre."""
        super().lancer()

    def lancer(self) -> None:
        """Lance le service et attend qu’il soit prêt."""
        self.partir()
        attendre(self.pret, f"le service (« {self.journal} »)")

    def pret(self) -> bool:
        try:
            return self.lire("/ready")[0] == 200
        except (OSError, http.client.HTTPException):
            return False

    def mesures(self) -> dict[str, float]:
        """Les mesures de Prometheus : nom et étiquettes → valeur."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/metrics", timeout=30) as r:
            lignes = r.read().decode().splitlines()
        return {n: float(v) for n, v in (x.rsplit(" ", 1) for x in lignes if x[0] != "#")}

    def en_attente(self) -> float:
        """Demandes que la base n’a pas encore."""
        return self.mesures()["mlops_journal_attente_lignes"]

    def predire(self, vols: list[dict]) -> tuple[int, dict]:
        """Demande des prédictions : code et réponse."""
        connexion = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            corps = json.dumps({"vols": vols})
            connexion.request("POST", "/predict", corps, {"Content-Type": "application/json"})
            reponse = connexion.getresponse()
            return reponse.status, json.load(reponse)
        finally:
            connexion.close()

    def attendre(self, vrai: Callable[[], object], quoi: str, limite_s: float = 60) -> None:
        """Attend qu’une condition soit vraie ; échoue au bout du délai."""
        attendre(vrai, f"{quoi} (« {self.journal} »)", limite_s)

    def attendre_la_livraison(self) -> None:
        """Attend que tout ce qui est noté soit en base."""
        self.attendre(lambda: self.en_attente() == 0, "la livraison")

    def charge(self, vols: list[dict], clients: int = 4) -> "Charge":
        """Des clients qui l’appellent sans relâche, le temps d’un ``with``."""
        return Charge(self, vols, clients)


class Charge:
    """Des clients qui appellent le service sans relâche et notent tout ce qu’il répond."""

    def __init__(self, service: Service, vols: list[dict], clients: int) -> None:
        self.service, self.vols = service, vols
        self.reponses: list[dict] = []
        self.refus: list[tuple[int, dict]] = []
        self.coupures = 0
        self._fin = threading.Event()
        self._fils = [threading.Thread(target=self._appeler, args=[n]) for n in range(clients)]

    def __enter__(self) -> "Charge":
        for fil in self._fils:
            fil.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._fin.set()
        for fil in self._fils:
            fil.join(60)

    def _appeler(self, depart: int) -> None:
        aleas = np.random.default_rng(depart)
        while not self._fin.is_set():
            n = 1 if aleas.random() < 0.9 else 20
            debut = int(aleas.integers(len(self.vols) - n))
            try:
                code, reponse = self.service.predire(self.vols[debut : debut + n])
            except (OSError, http.client.HTTPException, ValueError):
                self.coupures += 1
                time.sleep(0.01)
                continue
            (self.reponses.append(reponse) if code == 200 else self.refus.append((code, reponse)))

    def avancer(self, reponses: int) -> None:
        """Attend que le service ait encore répondu tant de fois."""
        but = len(self.reponses) + reponses
        attendre(lambda: len(self.reponses) >= but, f"{reponses} réponses")


@pytest.fixture(scope="module")
def _ailleurs(annee, tmp_path_factory):
    """Un Postgres à part, avec deux versions du modèle : un linéaire et un boosting."""
    dossier = postgres._dossier().parent / f"service_{os.getpid()}_{time.monotonic_ns()}"
    dossier.mkdir(mode=0o711)
    dossier.chmod(0o711)
    serveur = Postgres(dossier)
    hiver = annee[annee["flight_date"] < "2013-02-01"]
    with pytest.MonkeyPatch.context() as reglages:
        reglages.setenv("DATABASE_URL", serveur.url)
        reglages.setenv("MLOPS_UTILISATEUR", "ailleurs")
        reglages.setenv("MLOPS_TRAVAIL", str(tmp_path_factory.mktemp("ailleurs")))
        base.oublier()
        try:
            serveur.lancer()
            base.preparer()
            serveur.pipelines = {}
            for fabrique in (entrainement.lineaire, entrainement.boosting):
                pipeline = entrainement.apprendre(fabrique(), hiver)
                run_id = registre.enregistrer_essai(fabrique.__name__, pipeline, hiver, {})
                serveur.pipelines[registre.inscrire_challenger(run_id)] = pipeline
            yield serveur
        finally:
            base.oublier()
            serveur.tuer()
            shutil.rmtree(dossier)


@pytest.fixture
def ailleurs(_ailleurs):
    """Le Postgres à part : il répond, sert la version 1 et n’a aucune prédiction."""
    _ailleurs.lancer()
    with base.transaction() as connexion:
        connexion.exec_driver_sql("TRUNCATE campagnes CASCADE")
    actuelle = registre.version_de(registre.CHAMPION)
    registre.mettre_en_service("promotion", 1, "2013-04-01", "départ", attendu=actuelle)
    return _ailleurs


@pytest.fixture
def lancer_service(tmp_path):
    """Fabrique de services, arrêtés à la fin du test."""
    lances: list[Service] = []

    def lancer(**env: str) -> Service:
        lances.append(Service(tmp_path, **env))
        lances[-1].lancer()
        return lances[-1]

    yield lancer
    for service in lances:
        service.tuer()


@pytest.fixture
def serveur_mlflow(ailleurs, tmp_path):
    """Un vrai serveur MLflow devant la même base ; ``adresse`` est la sienne."""
    port = processus.port_libre()
    url = base.url_avec_schema(base.SCHEMA_MLFLOW).render_as_string(hide_password=False)
    serveur = Programme(
        [sys.executable, "-m", "mlflow", "server", "--workers", "1", "--port", str(port)],
        tmp_path / "mlflow.journal",
        {"MLFLOW_BACKEND_STORE_URI": url, "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin"},
    )
    serveur.adresse = f"http://127.0.0.1:{port}"
    serveur.lancer()
    yield serveur
    serveur.tuer()


@pytest.fixture(scope="session")
def vols(annee) -> list[dict]:
    """Deux mille vrais vols, sous la forme qu’attend le service."""
    from mlops_demo import service

    return service.en_json(annee.sample(2000, random_state=1))


@pytest.fixture(scope="session")
def exemple() -> dict:
    """Un vol du contrat."""
    return dict(EXEMPLE)
