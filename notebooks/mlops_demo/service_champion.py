"""Le modèle que sert le service : celui du registre, suivi de près, et sa copie sur disque."""

import json
import logging
import os
import shutil
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from sklearn.pipeline import Pipeline

from mlops_demo import confiance, entrainement, registre
from mlops_demo.configuration import ErreurUtilisateur
from mlops_demo.service_demande import EXEMPLE

PERIODE_S = 0.5
PATIENCE_S = 30  # au plus, entre deux essais d’une version qui ne se charge pas
RELECTURE_S = 30  # les fichiers de la version servie sont relus : ils ont pu être échangés
MUET_S = 10  # un tour plus long dit une base ou un registre figé
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
    pipeline = confiance.ouvrir(dossier)
    champion = Champion(fiche, pipeline, entrainement.pour_un_vol(pipeline))
    jugements = {*champion.juger([EXEMPLE]), *champion.juger([EXEMPLE, EXEMPLE])}
    if len(jugements) != 1 or not 0 <= jugements.pop() <= 1:
        raise ErreurUtilisateur(
            f"la version {fiche.version} ne rend pas une probabilité : elle n’est pas servie."
        )
    return champion


@dataclass(frozen=True)
class Echec:
    """Une version qui ne se charge pas, et quand la réessayer."""

    tenue: confiance.Acceptee
    motif: str
    refuse: bool
    attente_s: float
    reprise: float


class Suivi(threading.Thread):
    """Tient ``servi`` au champion que dit le journal ; les demandes en cours gardent le leur.

    L’alias propose une version ; s’il contredit le journal, ``contredit`` dit en quoi.
    """

    def __init__(self, dossier: Path) -> None:
        """Prépare le suivi ; ``dossier`` garde la copie du champion."""
        super().__init__(daemon=True)
        self.dossier = dossier
        self.alias = alias_suivi()
        self.servi: Champion | None = None
        self._etat = DEMARRE
        self._debut: float | None = None  # du tour en cours
        self._relus = 0.0
        self.contredit: str | None = None
        self._vient_du_registre = False
        self._journal: tuple[confiance.Acceptee | None] | None = None  # rien : pas encore lu
        self._deplace = False
        self._echec: Echec | None = None
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

    @property
    def etat(self) -> str:
        """Où en est le suivi, en une phrase."""
        debut = self._debut
        if debut is not None and time.monotonic() - debut > MUET_S:
            return f"registre ou base muets depuis plus de {MUET_S} s"
        return self._etat

    def _essayer(self) -> None:
        self._debut = time.monotonic()
        try:
            etat = self._suivre()
        except Exception as erreur:  # MLflow lève de tout ; ce fil doit survivre à tout
            etat = f"registre injoignable : {_en_une_ligne(erreur)}"
        if self.servi is None and etat != SANS_ALIAS:
            self._reprendre_la_copie()
        self._debut = None
        if etat != self._etat and (self._etat, etat) != (DEMARRE, SUIVI):
            journal.warning("Champion : %s", etat)
        self._etat = etat

    def _suivre(self) -> str:
        """Sert la version que dit le journal et rend l’état du suivi."""
        registre.verifier_joignable()
        propose = registre.version_de(self.alias)
        tenue = self._tenue(propose)
        self._journal = (tenue,)
        if propose is None and tenue is None:
            self.contredit = None
            return SANS_ALIAS
        echec = self._prendre(tenue) if tenue else None
        # Une promotion déplace l’alias juste avant de valider le journal : on regarde deux fois.
        deplace = propose != (tenue and tenue.version)
        confirme, self._deplace = deplace and self._deplace, deplace
        if echec is not None:
            self.contredit = echec.motif if echec.refuse else None
            return echec.motif
        if confirme:
            self.contredit = _desaccord(self.alias, propose, tenue)
            return self.contredit
        if not deplace:
            self.contredit = None
            return SUIVI
        return self._etat

    def _tenue(self, propose: int | None) -> confiance.Acceptee | None:
        """Ce que ce service doit servir.

        Un réplica canari sert ce que personne n’a encore accepté : la version proposée, lue sans
        rien en exécuter.
        """
        if self.alias == registre.CHAMPION:
            return confiance.en_service()
        return None if propose is None else confiance.Acceptee(propose, None)

    def _prendre(self, tenue: confiance.Acceptee) -> Echec | None:
        """Sert une version, si ce n’est déjà fait ; rend pourquoi elle ne peut pas l’être.

        Celle qui est déjà servie se relit de loin en loin : ses fichiers ont pu être échangés.
        """
        passe = self._echec if self._echec and self._echec.tenue == tenue else None
        deja = self._vient_du_registre and self._est(tenue, self.servi.fiche)
        if deja and passe is None and time.monotonic() - self._relus < RELECTURE_S:
            self._echec = None
            return None
        if passe and time.monotonic() < passe.reprise:
            return passe
        try:
            with tempfile.TemporaryDirectory() as dossier:
                fiche = registre.telecharger(tenue.version, Path(dossier))
                if self.alias == registre.CHAMPION:
                    prise = confiance.exiger(tenue, tenue.version, Path(dossier))
                    fiche = replace(fiche, empreinte=prise)
                if not deja:
                    champion = ouvrir(Path(dossier), fiche)
                    self._copier(Path(dossier), fiche)
        except Exception as erreur:  # fichiers perdus, modèle étranger : on garde l’autre
            refuse = isinstance(erreur, confiance.Refus)
            attente = min(PATIENCE_S, 2 * passe.attente_s if passe else PERIODE_S)
            motif = f"la version {tenue.version} ne se charge pas : "
            motif += str(erreur) if refuse else _en_une_ligne(erreur)
            if deja:
                motif = (
                    f"les fichiers de la version {tenue.version} ont changé ou disparu depuis "
                    "qu’elle est servie ; elle l’est encore, de mémoire"
                )
            self._echec = Echec(
                tenue,
                motif,
                refuse,
                attente,
                time.monotonic() + attente,
            )
            return self._echec
        if not deja:
            self.servi, self._vient_du_registre = champion, True
        self._echec, self._relus = None, time.monotonic()
        return None

    def _est(self, tenue: confiance.Acceptee, fiche: registre.Fiche) -> bool:
        return fiche.version == tenue.version and (
            self.alias != registre.CHAMPION or fiche.empreinte == tenue.empreinte
        )

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
            if fiche.modele != registre.nom_du_modele():
                return
            if self.alias == registre.CHAMPION:
                # Sans journal, la copie vaut par l’empreinte que le journal avait acceptée.
                tenue = confiance.Acceptee(fiche.version, fiche.empreinte)
                if self._journal not in (None, (tenue,)):
                    return
                confiance.exiger(tenue, fiche.version, dossier)
            self.servi = ouvrir(dossier, fiche)
        except FileNotFoundError:
            pass  # rien n’a encore été servi d’ici
        except Exception as erreur:  # une copie abîmée ne doit pas empêcher d’attendre le registre
            journal.warning("Champion : copie inutilisable (%s)", erreur)


def _desaccord(alias: str, propose: int | None, tenue: confiance.Acceptee | None) -> str:
    """En quoi l’alias contredit le journal, et ce qui est servi."""
    dit = f"la version {propose}" if propose else "rien"
    if tenue is None:
        return (
            f"l’alias « {alias} » désigne {dit}, que le journal n’a pas acceptée : "
            "elle n’est pas servie"
        )
    return (
        f"l’alias « {alias} » désigne {dit}, le journal la version {tenue.version} : "
        "l’alias n’est pas suivi"
    )


def _en_une_ligne(erreur: Exception) -> str:
    return f"{type(erreur).__name__} {erreur}".splitlines()[0]
