"""Trois nœuds de Swarm sur cette machine : vider un nœud ne perd aucune demande."""

import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

import pytest

pytestmark = [pytest.mark.local, pytest.mark.lent]

PROJET = RESEAU = "mlops-trois"


class Noeud:
    """Un moteur Docker de plus, dans l’espace réseau d’un conteneur qui ne fait que le tenir."""

    def __init__(self, pile, nom):
        self.pile, self.nom = pile, nom
        # Hors du dossier de pytest, trop long pour l’adresse d’une socket.
        self.dossier = Path(tempfile.mkdtemp(prefix=f"{nom}-"))
        self.hote = ("--host", f"unix://{self.dossier}/docker.sock")
        tenir = ("--no-healthcheck", "--entrypoint", "sleep", pile.reglages["DEMO_IMAGE"], "86400")
        self._faire("run", "--detach", "--name", nom, "--network", RESEAU, *tenir, ici=True)
        pid = self._faire("inspect", "--format", "{{.State.Pid}}", nom, ici=True)
        options = [f"--{o}={self.dossier}/{o}" for o in ("data-root", "exec-root", "pidfile")]
        with (self.dossier / "journal").open("w") as journal:
            self.moteur = subprocess.Popen(
                ["nsenter", f"--net=/proc/{pid}/ns/net", "dockerd", *self.hote, *options],
                stdout=journal,
                stderr=subprocess.STDOUT,
            )

    def _faire(self, *commande, ici=False):
        fait = self.pile.lancer("docker", *(() if ici else self.hote), *commande)
        assert fait.returncode == 0, f"{' '.join(commande[:3])} : {fait.stderr}"
        return fait.stdout.strip()

    def repond(self):
        """Dit si le moteur répond."""
        return self.pile.lancer("docker", *self.hote, "info").returncode == 0

    def journal(self):
        """La fin de ce que dit le moteur."""
        return (self.dossier / "journal").read_text()[-3000:]

    def recevoir(self, image):
        """Prend une image du moteur d’ici, à défaut d’un registre."""
        donne = subprocess.Popen(["docker", "save", image], stdout=subprocess.PIPE)
        fait = self.pile.lancer("docker", *self.hote, "load", stdin=donne.stdout)
        assert donne.wait() == 0, image
        assert fait.returncode == 0, fait.stderr

    def rejoindre(self, jeton, adresse):
        """Entre dans le Swarm comme simple nœud ; garde le nom qu’il y prend."""
        self._faire("swarm", "join", "--advertise-addr", "eth0", "--token", jeton, adresse)
        self.identifiant = self._faire("info", "--format", "{{.Swarm.NodeID}}")

    def finir(self):
        """Arrête le moteur, ce qu’il tient et ce qu’il a écrit."""
        self.pile.lancer("docker", *self.hote, "swarm", "leave", "--force")
        self.moteur.terminate()
        try:
            self.moteur.wait(120)
        finally:
            self.moteur.kill()
            self.pile.lancer("docker", "rm", "--force", self.nom)
            montes = Path("/proc/self/mounts").read_text().split("\n")
            points = [m.split()[1] for m in montes if f" {self.dossier}/" in m]
            for point in sorted(points, reverse=True):
                self.pile.lancer("umount", "--lazy", point)
            shutil.rmtree(self.dossier, ignore_errors=True)


@pytest.fixture(scope="module")
def trois(moteur, fabriquer_pile, attendre):
    """Le cœur, déployé par « make swarm » sur ce nœud et deux autres."""
    assert os.geteuid() == 0, "ajouter des moteurs demande root : « sudo make test-local »"
    pile, noeuds = fabriquer_pile(PROJET), []
    actif = pile.lancer("docker", "info", "--format", "{{.Swarm.LocalNodeState}}").stdout.strip()
    assert actif == "inactive", "cette machine est déjà d’un Swarm : quittez-le pour ce test"
    try:
        fait = pile.lancer("python3", "-c", "import lancer; lancer.preparer()", cwd=pile.local)
        assert fait.returncode == 0, fait.stderr
        pile.compose("build", "--quiet", "preparation")
        fait = pile.lancer("docker", "network", "create", RESEAU)
        assert fait.returncode == 0, fait.stderr
        passerelle = ("--format", "{{(index .IPAM.Config 0).Gateway}}", RESEAU)
        ici = pile.lancer("docker", "network", "inspect", *passerelle).stdout.strip()
        ecoute = ("--advertise-addr", ici, "--listen-addr", f"{ici}:2377")
        fait = pile.lancer("docker", "swarm", "init", *ecoute)
        assert fait.returncode == 0, fait.stderr
        jeton = pile.lancer("docker", "swarm", "join-token", "--quiet", "worker").stdout.strip()
        for rang in (2, 3):
            noeud = Noeud(pile, f"{PROJET}-n{rang}")
            noeuds.append(noeud)
            attendre(noeud.repond, f"le moteur {rang}", 60, noeud.journal)
            noeud.recevoir(pile.reglages["DEMO_IMAGE"])
            noeud.rejoindre(jeton, f"{ici}:2377")
            pile.moteurs.append(noeud.hote)
        lance = pile.make("swarm", limite_s=1200)
        assert lance.returncode == 0, (lance.stdout + lance.stderr)[-6000:]
        yield pile, noeuds
    finally:
        pile.make("down", "DATA=1", limite_s=300)
        for noeud in noeuds:
            noeud.finir()
        pile.lancer("docker", "swarm", "leave", "--force")
        pile.lancer("docker", "network", "rm", RESEAU)


def repliques_sur(pile, noeud):
    """Le nombre de répliques saines du service sur un nœud."""
    filtres = ("--filter", f"name={PROJET}_api", "--filter", "desired-state=running")
    etats = pile.lancer("docker", "node", "ps", noeud, *filtres, "--format", "{{.CurrentState}}")
    return sum(etat.startswith("Running") for etat in etats.stdout.splitlines())


def ecrites(pile, dans_un_service):
    """Combien de fois Postgres a chaque demande."""
    requete = "SELECT demande, count(*) FROM demo_production.predictions GROUP BY 1"
    lire = f"psql -h 127.0.0.1 -U postgres -d demo -AtF ' ' -c \"{requete}\""
    secret = "PGPASSWORD=$(cat /run/secrets/mot_de_passe_postgres)"
    lignes = dans_un_service(pile, "postgres", "sh", "-c", f"{secret} {lire}").splitlines()
    couples = (ligne.split() for ligne in lignes)
    return {couple[0]: int(couple[1]) for couple in couples if len(couple) == 2}


def test_les_repliques_sont_sur_deux_noeuds(trois):
    pile, noeuds = trois
    tous = ["self", *(noeud.identifiant for noeud in noeuds)]
    comptes = sorted(repliques_sur(pile, noeud) for noeud in tous)
    assert comptes == [0, 1, 1], "les deux répliques sont sur le même nœud"


def test_un_noeud_vide_ne_perd_aucune_demande(trois, appeler, dans_un_service, attendre):
    pile, noeuds = trois
    finir = appeler(pile)
    vide = next(n.identifiant for n in noeuds if repliques_sur(pile, n.identifiant))
    restants = ["self", *(n.identifiant for n in noeuds if n.identifiant != vide)]
    debut = time.monotonic()
    fait = pile.lancer("docker", "node", "update", "--availability", "drain", vide)
    assert fait.returncode == 0, fait.stderr
    attendre(
        lambda: (
            repliques_sur(pile, vide) == 0
            and sum(repliques_sur(pile, noeud) for noeud in restants) == 2
        ),
        "la réplique de remplacement",
    )
    duree = time.monotonic() - debut
    bons, mauvais = finir()
    assert mauvais == [], "des demandes sont restées sans réponse"
    assert len(bons) > 50, f"{len(bons)} demandes seulement"
    attendre(
        lambda: set(bons) <= ecrites(pile, dans_un_service).keys(),
        "toutes les prédictions en base",
        60,
    )
    vues = ecrites(pile, dans_un_service)
    plusieurs = {demande: vues[demande] for demande in bons if vues[demande] != 1}
    assert plusieurs == {}, "des prédictions sont écrites plusieurs fois"
    print(f"\nnœud vidé en {duree:.0f} s, {len(bons)} demandes servies, rien de perdu")
