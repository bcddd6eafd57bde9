"""Le journal des prédictions servies : sur disque d’abord, puis en base, une fois et une seule."""

import json
import logging
import threading
import time
import uuid
from datetime import UTC, datetime
from pathlib import Path

import sqlalchemy as sa

from mlops_demo import base, service_tampon
from mlops_demo.configuration import ErreurUtilisateur, utilisateur

PERIODE_S = 0.2
PERIODE_EN_PANNE_S = 1
PATIENCE_S = 2  # au-delà, une base qui ne répond pas est dite, et le tampon mis à l’abri du disque
ARRET_S = 5
SCENARIO = "service"
A_JOUR = "à jour"

# Une demande déjà livrée est ignorée : après une panne, on relivre sans compter. Celle dont la
# campagne a été effacée l’est aussi, comme l’ont été les prédictions de cette campagne.
# Une prédiction de demain, ou de plus d’un mois : l’horloge du service s’est trompée. On croit
# celle de la base, sans quoi la rétention effacerait une prédiction du jour.
LIVRAISON = """
INSERT INTO predictions
    (campagne_id, canal, flight_id, version_modele, probabilite, predit_le, demande, rang)
SELECT c.id, 'http', v.flight_id, d.version, v.probabilite,
    CASE WHEN d.predit_le BETWEEN now() - interval '1 month' AND now()
        THEN d.predit_le ELSE now() END, d.demande, v.rang
FROM jsonb_to_recordset(CAST(:demandes AS jsonb)) AS d(demande uuid, campagne bigint,
    version integer, predit_le timestamptz, vols bigint[], probabilites double precision[])
CROSS JOIN LATERAL unnest(d.vols, d.probabilites)
    WITH ORDINALITY AS v(flight_id, probabilite, rang)
JOIN campagnes AS c ON c.id = coalesce(d.campagne, :campagne)
ON CONFLICT (demande, rang) WHERE demande IS NOT NULL DO NOTHING
"""

journal = logging.getLogger(__name__)


class Livreur(threading.Thread):
    """Note chaque demande servie dans le tampon, et livre le tampon à Postgres."""

    def __init__(self, tampon: service_tampon.Tampon, campagne: int | None) -> None:
        """Prépare la livraison.

        Args:
            tampon: où noter avant de livrer.
            campagne: campagne des prédictions ; celle du service si ``None``.
        """
        super().__init__(daemon=True)
        self.tampon, self.campagne = tampon, campagne
        self._campagne_connue = campagne is None
        self.etat = A_JOUR
        self.panne: str | None = None  # ce qui empêche le tampon d’écrire
        self._debut: float | None = None  # de l’essai en cours
        self._fin = threading.Event()

    def noter(self, version: int, vols: list[int], probabilites: list[float]) -> str:
        """Écrit une demande sur disque ; au retour, la mort du service ne la perd plus.

        Returns:
            L’identifiant de la demande.

        Raises:
            OSError: le tampon ne peut rien écrire.
        """
        demande = str(uuid.uuid4())
        ligne = {
            "demande": demande,
            "campagne": self.campagne if self._campagne_connue else None,
            "version": version,
            "predit_le": datetime.fromtimestamp(time.time(), UTC).isoformat(),
            "vols": vols,
            "probabilites": probabilites,
        }
        try:
            self.tampon.ajouter(json.dumps(ligne).encode())
        except OSError as erreur:
            if self.panne is None:
                journal.error("Tampon : %s", erreur)
            self.panne = str(erreur)
            raise
        self.panne = None
        return demande

    def run(self) -> None:
        """Livre jusqu’à l’arrêt, puis une dernière fois."""
        threading.Thread(target=self._veiller, daemon=True).start()
        while not self._fin.wait(PERIODE_S if self.etat == A_JOUR else PERIODE_EN_PANNE_S):
            self._essayer()
        self._essayer()

    def finir(self) -> None:
        """Livre ce qui reste, si la base répond ; sinon le tampon le garde."""
        self._fin.set()
        self.join(ARRET_S)

    def _essayer(self) -> None:
        self._debut = time.monotonic()
        try:
            etat = self._livrer()
        except Exception as erreur:  # ce fil doit survivre à tout : lui seul vide le tampon
            etat = f"en attente : {type(erreur).__name__}, {erreur}"
        self._debut = None
        self._dire(etat)

    def _dire(self, etat: str) -> None:
        if etat != self.etat:
            journal.warning("Journal des prédictions %s", etat)
        self.etat = etat

    def _veiller(self) -> None:
        """Dit une base muette et met le tampon à l’abri, pendant que celui qui livre l’attend.

        Une base figée garde ses connexions ouvertes : rien ne lui dirait qu’elle l’est.
        """
        while not self._fin.wait(PERIODE_EN_PANNE_S):
            debut = self._debut
            if debut is not None and time.monotonic() - debut > PATIENCE_S:
                self._dire(f"en attente de Postgres : muet depuis plus de {PATIENCE_S} s")
                self.tampon.synchroniser()

    def _livrer(self) -> str:
        """Livre les segments finis et rend l’état du journal."""
        if self.etat != A_JOUR:
            self.tampon.synchroniser()
        if self._campagne_connue and not self.tampon.segments():
            return A_JOUR
        try:
            with base.transaction() as connexion:  # échoue tout de suite si la base est absente
                self._verifier_campagne(connexion)
                campagne = self.campagne or _campagne(connexion)
            self.tampon.tourner()
            for segment in self.tampon.segments():
                with service_tampon.lire(segment) as lignes:
                    if lignes is not None:
                        _livrer_segment(segment, lignes, campagne)
        except (ErreurUtilisateur, sa.exc.DBAPIError) as erreur:
            self.tampon.synchroniser()
            return f"en attente de Postgres : {str(erreur).splitlines()[0]}"
        return A_JOUR

    def _verifier_campagne(self, connexion: sa.Connection) -> None:
        """Refuse de livrer dans une campagne qui n’existe pas : ce serait jeter.

        Ce qui a été noté avant de la connaître ira à celle qui sera connue.
        """
        if not self._campagne_connue:
            cherche = sa.text("SELECT EXISTS (SELECT FROM campagnes WHERE id = :id)")
            self._campagne_connue = connexion.execute(cherche, {"id": self.campagne}).scalar_one()
            if not self._campagne_connue:
                raise ErreurUtilisateur(
                    f"la campagne {self.campagne} n’y est pas ; corrigez MLOPS_CAMPAGNE, ou "
                    "retirez-la pour celle du service"
                )


def _livrer_segment(segment: Path, lignes: list[bytes], campagne: int) -> None:
    """Livre les lignes d’un segment, puis l’efface ; met de côté celui dont une ligne est mauvaise.

    Une ligne que la base refuse, ou que le disque a abîmée, ne doit pas retenir les suivantes.
    """
    saines = [ligne for ligne in lignes if _lisible(ligne)]
    refusees = len(lignes) - len(saines)
    try:
        _inserer(saines, campagne)
    except (sa.exc.DataError, sa.exc.IntegrityError):
        for ligne in saines:
            try:
                _inserer([ligne], campagne)
            except (sa.exc.DataError, sa.exc.IntegrityError):
                refusees += 1
    if refusees:
        ecarte = segment.rename(segment.with_suffix(".ecarte"))
        journal.error("%d demandes illisibles ou refusées par la base : « %s »", refusees, ecarte)
    else:
        segment.unlink(missing_ok=True)


def _lisible(ligne: bytes) -> bool:
    try:
        return isinstance(json.loads(ligne), dict)
    except ValueError:
        return False


def _inserer(lignes: list[bytes], campagne: int) -> None:
    if not lignes:
        return
    demandes = b"[" + b",".join(lignes) + b"]"
    with base.transaction() as connexion:
        connexion.execute(sa.text(LIVRAISON), {"demandes": demandes.decode(), "campagne": campagne})


def _campagne(connexion: sa.Connection) -> int:
    """Campagne où va ce que le service prédit hors de la démonstration ; créée au besoin."""
    cherche = sa.text("SELECT id FROM campagnes WHERE scenario = :s ORDER BY id LIMIT 1")
    connue = connexion.execute(cherche, {"s": SCENARIO}).scalar()
    if connue is not None:
        return connue
    connexion.execute(sa.text("SELECT pg_advisory_xact_lock(hashtext('campagne du service'))"))
    ajoute = sa.text(
        "INSERT INTO campagnes (scenario, auteur) SELECT :s, :a"
        " WHERE NOT EXISTS (SELECT FROM campagnes WHERE scenario = :s)"
    )
    connexion.execute(ajoute, {"s": SCENARIO, "a": utilisateur()})
    return connexion.execute(cherche, {"s": SCENARIO}).scalar_one()
