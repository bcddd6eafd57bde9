"""JupyterHub pour la séance : une carte, un serveur et des données par participant."""

import os
import sys

import cartes
from jupyterhub.auth import Authenticator
from participants import CLE, ServeurDeParticipant, reglages
from traduction import EnFrancais

PROJET = os.environ["PROJET"]
NOMS = cartes.noms(int(os.environ["PARTICIPANTS"]))


class ParCarte(Authenticator):
    """Admet qui recopie le nom et le mot de passe d’une carte."""

    async def authenticate(self, handler, data):
        """Rend le nom si le mot de passe est le sien, rien sinon."""
        nom = self.normalize_username(data["username"].strip())
        return nom if nom in NOMS and cartes.reconnu(CLE, nom, data["password"]) else None


c = get_config()  # noqa: F821 — fourni par traitlets

c.JupyterHub.authenticator_class = ParCarte
c.Authenticator.allowed_users = set(NOMS)
c.Authenticator.admin_users = {cartes.ORATEUR}

c.JupyterHub.spawner_class = ServeurDeParticipant
for nom, valeur in reglages(PROJET).items():
    setattr(c.ServeurDeParticipant, nom, valeur)

c.JupyterHub.bind_url = "http://:8000"
c.JupyterHub.hub_ip = "0.0.0.0"
c.JupyterHub.hub_connect_ip = "hub"
c.JupyterHub.db_url = "sqlite:////srv/hub/jupyterhub.sqlite"
c.JupyterHub.cookie_secret_file = "/srv/hub/cle_des_cookies"
c.ConfigurableHTTPProxy.pid_file = "/tmp/proxy.pid"
# Le hub peut redémarrer sans interrompre personne.
c.JupyterHub.cleanup_servers = False
# Trente personnes arrivent ensemble : plus de deux démarrages par cœur les retarderaient tous.
c.JupyterHub.concurrent_spawn_limit = 2 * os.cpu_count()
c.JupyterHub.jinja_environment_options = {"extensions": [EnFrancais]}

c.JupyterHub.services = [
    {
        "name": "inactivite",
        "command": [
            sys.executable,
            *("-m", "jupyterhub_idle_culler"),
            f"--timeout={os.environ['INACTIVITE_S']}",
        ],
    }
]
c.JupyterHub.load_roles = [
    {
        "name": "inactivite",
        "scopes": ["list:users", "read:users:activity", "read:servers", "delete:servers"],
        "services": ["inactivite"],
    }
]
