"""Le modèle que sert le service : celui du registre, suivi de près, et sa copie sur disque."""

import json
import logging
import os
import shutil
import tempfile
import threading
import uuid
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from sklearn.pipeline import Pipeline

from mlops_demo import entrainement, registre
from mlops_demo.configuration import ErreurUtilisateur
from mlops_demo.service_demande import EXEMPLE

PERIODE_S = 0.5
DEMARRE, SUIVI = "démarre", "suit le registre"
SANS_ALIAS = "aucun champion : lancez l’entraînement (notebook 42)"


def alias_suivi() -> str:
    """Alias que ce processus sert : ``champion``, ou ``challenger`` pour un réplica canari.

    Raises:
        ErreurUtilisateur: si ``MLOPS_ALIAS`` n’est ni l’un ni l’autre.
    """
    alias = os.environ.get("MLOPS_ALIAS") or registre.CHAMPION
    if alias not in (registre.CHAMPION, registre.CHALLENGER):
        raise ErreurUtilisateur(
            f"MLOPS_ALIAS vaut « {alias} » : donnez « champion », ou « challenger » pour un canari."
        )
    return alias


journal = logging.getLogger(__name__)


@dataclass(frozen=True)
class Champion:
    """Un modèle prêt à servir."""

    fiche: registre.Fiche
    pipeline: Pipeline
    juger_un: Callable[[Mapping[str, object]], float]

    def juger(self, vols: list[Mapping[str, object]]) -> list[float]:
        """Probabilité de retard de chaque vol."""
        if len(vols) == 1:
            return [self.juger_un(vols[0])]
        table = entrainement.table(vols)
        return entrainement.probabilites(self.pipeline, table).tolist()


def ouvrir(dossier: Path, fiche: registre.Fiche) -> Champion:
    """Ouvre un modèle copié dans un dossier, et l’essaie.

    Raises:
        ErreurUtilisateur: s’il ne juge pas le vol d’exemple.
    """
    pipeline = registre.relire(dossier)
    champion = Champion(fiche, pipeline, entrainement.pour_un_vol(pipeline))
    jugements = {*champion.juger([EXEMPLE]), *champion.juger([EXEMPLE, EXEMPLE])}
    if len(jugements) != 1 or not 0 <= jugements.pop() <= 1:
        raise ErreurUtilisateur(
            f"la version {fiche.version} ne rend pas une probabilité : elle n’est pas servie."
        )
    return champion


class Suivi(threading.Thread):
    """Tient ``servi`` au dernier champion connu ; les demandes en cours gardent le leur."""

    def __init__(self, dossier: Path) -> None:
        """Prépare le suivi ; ``dossier`` garde la copie du champion."""
        super().__init__(daemon=True)
        self.dossier = dossier
        self.alias = alias_suivi()
        self.servi: Champion | None = None
        self.etat = DEMARRE
        self._vient_du_registre = False
        self._fin = threading.Event()

    def run(self) -> None:
        """Suit l’alias jusqu’à l’arrêt."""
        while True:
            self._essayer()
            if self._fin.wait(PERIODE_S):
                return

    def finir(self) -> None:
        """Demande l’arrêt, sans l’attendre : rien n’est en cours qui compte."""
        self._fin.set()

    def _essayer(self) -> None:
        try:
            etat = self._suivre()
        except Exception as erreur:  # MLflow lève de tout ; ce fil doit survivre à tout
            etat = f"registre injoignable : {_en_une_ligne(erreur)}"
        if self.servi is None and etat != SANS_ALIAS:
            self._reprendre_la_copie()
        if etat != self.etat and (self.etat, etat) != (DEMARRE, SUIVI):
            journal.warning("Champion : %s", etat)
        self.etat = etat

    def _suivre(self) -> str:
        """Sert la version que désigne l’alias et rend l’état du suivi."""
        registre.verifier_joignable()
        version = registre.version_de(self.alias)
        if version is None:
            return SANS_ALIAS
        if not self._vient_du_registre or version != self.servi.fiche.version:
            try:
                self._prendre(version)
            except Exception as erreur:  # fichiers perdus, modèle étranger : on garde l’autre
                return f"la version {version} ne se charge pas : {_en_une_ligne(erreur)}"
        return SUIVI

    def _prendre(self, version: int) -> None:
        with tempfile.TemporaryDirectory() as dossier:
            fiche = registre.telecharger(version, Path(dossier))
            champion = ouvrir(Path(dossier), fiche)
            self._copier(Path(dossier), fiche)
        self.servi, self._vient_du_registre = champion, True

    # --- La copie sur disque, pour redémarrer sans le registre ------------------------------

    def _copier(self, source: Path, fiche: registre.Fiche) -> None:
        """Garde une copie du champion ; sans place pour elle, le service continue.

        Le fichier ``champion.json`` est remplacé en dernier, d’un coup : il ne désigne jamais
        une copie incomplète.
        """
        cible = self.dossier / f"version-{fiche.version}-{fiche.run_id}"
        provisoire = self.dossier / f"provisoire-{uuid.uuid4()}"
        try:
            self.dossier.mkdir(parents=True, exist_ok=True)
            if not cible.exists():
                shutil.copytree(source, provisoire)
                provisoire.rename(cible)
            provisoire.with_suffix(".json").write_text(json.dumps(asdict(fiche)))
            os.replace(provisoire.with_suffix(".json"), self.dossier / "champion.json")
        except OSError as erreur:
            journal.warning("Champion : pas de copie sur disque (%s)", erreur)
        for autre in self.dossier.glob("*-*"):
            if autre != cible:
                shutil.rmtree(autre, ignore_errors=True)

    def _reprendre_la_copie(self) -> None:
        try:
            fiche = registre.Fiche(**json.loads((self.dossier / "champion.json").read_text()))
            dossier = self.dossier / f"version-{fiche.version}-{fiche.run_id}"
            if fiche.modele == registre.nom_du_modele():
                self.servi = ouvrir(dossier, fiche)
        except FileNotFoundError:
            pass  # rien n’a encore été servi d’ici
        except Exception as erreur:  # une copie abîmée ne doit pas empêcher d’attendre le registre
            journal.warning("Champion : copie inutilisable (%s)", erreur)


def _en_une_ligne(erreur: Exception) -> str:
    return f"{type(erreur).__name__} {erreur}".splitlines()[0]
