"""Le journal et le registre restent d’accord, quelle que soit la suite des décisions.

Hypothesis tire des histoires et les joue sur un vrai Postgres et le vrai registre. En face, deux
listes tiennent lieu de modèle : les faits, et les champions empilés, du premier à celui en service.
"""

import itertools
import os

import pandas as pd
import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from mlops_demo import base, confiance, entrainement, journal, registre
from mlops_demo.configuration import ErreurUtilisateur
from mlops_demo.features import etiquetes

# Une histoire coûte une à deux secondes. En échec, celle qui a été tirée se lit telle quelle : la
# réduire prendrait des minutes.
REGLAGES = settings(
    deadline=None,
    max_examples=12,
    stateful_step_count=15,
    phases=[Phase.generate],
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
JOUR = "2013-05-01"
PERSONNES = (f"histoire_{numero}" for numero in itertools.count(1))
ALIAS = "SELECT version FROM mlflow.registered_model_aliases WHERE name = $1 AND alias = $2"


@pytest.fixture(scope="module")
def essai(demo, annee):
    """Un essai dont l’on peut inscrire autant de versions que l’on veut."""
    with pytest.MonkeyPatch.context() as reglages:
        reglages.setenv("MLOPS_UTILISATEUR", "histoire")
        base.oublier()
        vols = etiquetes(annee[annee["flight_date"] < "2013-01-08"])
        modele = entrainement.apprendre(entrainement.lineaire(), vols)
        yield registre.enregistrer_essai("histoire", modele, vols, {})
    base.oublier()


class Histoire(RuleBasedStateMachine):
    """Une personne neuve, et tout ce qu’elle peut décider."""

    versions = Bundle("versions")

    def __init__(self, essai):
        super().__init__()
        os.environ["MLOPS_UTILISATEUR"] = next(PERSONNES)
        base.oublier()
        self.essai = essai
        self.inscrites = 0
        self.pile = []
        self.faits = []
        self.dernier = None

    @property
    def en_service(self):
        return self.pile[-1] if self.pile else None

    @rule(target=versions)
    def inscrire(self):
        """Le même essai à chaque fois : le rejouer n’écrit rien au journal."""
        version = registre.inscrire_challenger(self.essai)
        self.inscrites += 1
        assert version == self.inscrites
        assert self.alias(registre.CHALLENGER) == [version]
        return version

    @rule(version=versions, action=st.sampled_from(["promotion", "promotion forcée"]))
    def promouvoir(self, version, action):
        self.changer(action, version)
        if version != self.en_service:
            self.pile.append(version)

    @rule(version=versions)
    def reprendre(self, version):
        """La reprise d’un ancien champion oublie les suivants ; jamais elle n’en fait un neuf."""
        if not any(a in journal.ACCEPTATIONS and v == version for a, v, _ in self.faits):
            with pytest.raises(confiance.Refus, match="n’a pas accepté"):
                self.mettre_en_service("reprise", version, JOUR, "essai", self.en_service)
            return
        self.changer("reprise", version)
        if version in self.pile:
            while self.pile[-1] != version:
                self.pile.pop()
        else:
            self.pile.append(version)

    def changer(self, action, version):
        self.dernier = (action, version, JOUR, f"fait {len(self.faits) + 1}", self.en_service)
        self.mettre_en_service(*self.dernier)
        self.faits.append((action, version, self.en_service))

    def mettre_en_service(self, action, version, jour, raison, attendu):
        registre.mettre_en_service(action, version, jour, raison, attendu=attendu)

    @rule(version=versions)
    def refuser(self, version):
        registre.refuser(version, JOUR, "condition non tenue", {})
        self.faits.append(("refus", version, self.en_service))

    @precondition(lambda self: len(self.pile) > 1)
    @rule()
    def revenir(self):
        quittee, remise = self.pile[-1], self.pile[-2]
        assert registre.retour_arriere("essai", JOUR)[:2] == (quittee, remise)
        self.faits.append(("retour arrière", remise, quittee))
        self.pile.pop()

    @precondition(lambda self: len(self.pile) <= 1)
    @rule()
    def revenir_du_premier(self):
        with pytest.raises(ErreurUtilisateur, match="rien à quoi revenir"):
            registre.retour_arriere("essai", JOUR)

    @precondition(lambda self: self.dernier and self.dernier[-1] != self.en_service)
    @rule()
    def rejouer_le_dernier_changement(self):
        with pytest.raises(ErreurUtilisateur, match="quelqu’un l’a changé entre-temps"):
            self.mettre_en_service(*self.dernier)

    @precondition(lambda self: self.inscrites)
    @rule()
    def promouvoir_une_version_qui_n_existe_pas(self):
        with pytest.raises(ErreurUtilisateur, match="le journal ne l’a pas inscrit"):
            self.mettre_en_service(
                "promotion", self.inscrites + 1, JOUR, "inconnue", self.en_service
            )

    @rule(version=versions)
    def promouvoir_sans_raison(self, version):
        with pytest.raises(sa.exc.IntegrityError, match="raison"):
            self.mettre_en_service("promotion", version, JOUR, "", self.en_service)

    @precondition(lambda self: self.pile)
    @rule(version=versions)
    def deplacer_l_alias_a_la_main(self, version):
        nom = registre.nom_du_modele()
        registre.client().set_registered_model_alias(nom, registre.CHAMPION, str(version))
        registre.accorder()

    @precondition(lambda self: self.pile)
    @rule()
    def retirer_l_alias_a_la_main(self):
        registre.client().delete_registered_model_alias(registre.nom_du_modele(), registre.CHAMPION)
        registre.accorder()

    def alias(self, nom):
        """Les versions que désigne un alias, lues dans la base de MLflow."""
        return base.lire(ALIAS, registre.nom_du_modele(), nom)["version"].tolist()

    @invariant()
    def le_journal_raconte_exactement_l_histoire(self):
        lignes = journal.tout()
        precedentes = [None if pd.isna(v) else int(v) for v in lignes["version_precedente"]]
        racontes = list(zip(lignes["action"], lignes["version"], precedentes, strict=True))
        assert racontes == self.faits

    @invariant()
    def un_seul_champion_le_meme_partout(self):
        attendus = self.pile[-1:]
        assert self.alias(registre.CHAMPION) == attendus
        assert [v for v in (registre.version_de(registre.CHAMPION),) if v] == attendus
        assert [v for v in (journal.champion(),) if v] == attendus

    @invariant()
    def aucune_version_n_est_perdue_ni_doublee(self):
        numeros = base.lire(
            "SELECT version FROM mlflow.model_versions WHERE name = $1 ORDER BY version",
            registre.nom_du_modele(),
        )
        assert numeros["version"].tolist() == list(range(1, self.inscrites + 1))


def test_une_histoire_quelconque_laisse_le_journal_et_le_registre_d_accord(essai):
    run_state_machine_as_test(lambda: Histoire(essai), settings=REGLAGES)


def test_une_reprise_oublie_les_champions_qui_l_ont_suivie(essai, monkeypatch):
    monkeypatch.setenv("MLOPS_UTILISATEUR", next(PERSONNES))
    base.oublier()
    un, deux, trois = (registre.inscrire_challenger(essai) for _ in range(3))
    faits = [("promotion", un), ("promotion", deux), ("promotion", trois), ("reprise", deux)]
    for action, version in faits:
        registre.mettre_en_service(
            action, version, JOUR, "essai", attendu=registre.version_de(registre.CHAMPION)
        )
    assert registre.retour_arriere("essai", JOUR)[:2] == (deux, un), "et non à la troisième"


def test_des_retours_arriere_ne_ramenent_pas_une_version_deja_retiree(essai, monkeypatch):
    monkeypatch.setenv("MLOPS_UTILISATEUR", next(PERSONNES))
    base.oublier()
    un, deux, trois = (registre.inscrire_challenger(essai) for _ in range(3))
    for version in (un, deux, trois, deux, deux):
        registre.mettre_en_service(
            "promotion", version, JOUR, "essai", attendu=registre.version_de(registre.CHAMPION)
        )
    remises = [registre.retour_arriere("essai", JOUR)[1] for _ in range(3)]
    assert remises == [trois, deux, un], "les champions, du plus récent au premier"
    with pytest.raises(ErreurUtilisateur, match="rien à quoi revenir"):
        registre.retour_arriere("essai", JOUR)
