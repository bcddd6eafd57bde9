"""JupyterHub en français : ses gabarits traduits à leur lecture, sa page d’administration aussi.

Cette page est un script tout fait, que « python traduction.py <script> » traduit sur place à la
construction de l’image.
"""

import sys
from pathlib import Path

from jinja2.ext import Extension

PHRASES = {
    "login.html": {
        "<h1>Sign in</h1>": "<h1>Entrez avec votre carte</h1>",
        "Username:": "Nom sur la carte :",
        "Password:": "Mot de passe de la carte :",
        "value='Sign in'": "value='Entrer'",
        'title="Show password"': 'title="Montrer le mot de passe"',
        '"Hide password" : "Show password"': (
            '"Cacher le mot de passe" : "Montrer le mot de passe"'
        ),
        "{{ login_error }}": (
            "Ce nom et ce mot de passe ne vont pas ensemble : relisez votre carte."
        ),
        "Warning: JupyterHub seems to be served over an unsecured HTTP connection.": (
            "Cette page n’est pas chiffrée (HTTP) :"
        ),
        "We strongly recommend enabling HTTPS for JupyterHub.": (
            "elle convient à une salle, non à Internet."
        ),
    },
    "page.html": {
        '<html lang="en">': '<html lang="fr">',
        "JupyterHub requires JavaScript.": "JupyterHub a besoin de JavaScript.",
        "Please enable it to proceed.": "Activez-le pour continuer.",
        'alt="JupyterHub logo"': 'alt="Logo de JupyterHub"',
        'title="Home"': 'title="Accueil"',
        ">Home</a>": ">Accueil</a>",
        ">Token</a>": ">Jetons</a>",
        ">Admin</a>": ">Administration</a>",
        "</i>Logout</a>": "</i>Sortir</a>",
        ">Login</a>": ">Entrer</a>",
        'aria-label="Toggle navigation"': 'aria-label="Ouvrir le menu"',
        'aria-label="Toggle dark mode"': 'aria-label="Thème sombre"',
        'title="Toggle dark mode"': 'title="Thème sombre"',
        'aria-label="Close"': 'aria-label="Fermer"',
        "modal('Error', btn_label='OK')": "modal('Erreur', btn_label='Compris')",
    },
    "home.html": {
        "JupyterHub home page": "Accueil",
        "Stop My Server": "Arrêter mon serveur",
        """{% if not default_server.active %}Start{% endif %}
          My Server""": (
            "{% if default_server.active %}Ouvrir{% else %}Lancer{% endif %} mon serveur"
        ),
    },
    "spawn_pending.html": {
        "Your server is starting up.": "Votre serveur démarre.",
        "You will be redirected automatically when it's ready for you.": (
            "La page s’ouvrira d’elle-même dès qu’il sera prêt."
        ),
        "Complete</span>": "fait</span>",
        "<summary>Event log</summary>": "<summary>Détail</summary>",
        "'Stopping...'": "'Arrêt…'",
        "'Stopping server...'": "'Arrêt du serveur…'",
        "'Server stopped successfully!'": "'Le serveur est arrêté.'",
        "var errorMessage = 'Error stopping server'": "var errorMessage = 'Le serveur résiste'",
        "text('Stop Server')": "text('Arrêter le serveur')",
        ">Stop Server</button>": ">Arrêter le serveur</button>",
    },
    "stop_pending.html": {
        "Your server is stopping.": "Votre serveur s’arrête.",
        "You will be able to start it again once it has finished stopping.": (
            "Vous pourrez le relancer quand il sera arrêté."
        ),
        ">refresh</a>": ">actualiser</a>",
    },
    "not_running.html": {
        "Spawn failed": "Le serveur n’a pas démarré",
        "Server not running": "Le serveur est arrêté",
        "The latest attempt to start your server {{ server_name }} has failed.": (
            "Votre serveur n’a pas pu démarrer."
        ),
        "Would you like to retry starting it?": "Voulez-vous essayer de nouveau ?",
        "Your server {{ server_name }} is not running.": "Votre serveur est arrêté.",
        "It will be restarted automatically.": "Il va redémarrer de lui-même.",
        """If you are not redirected in a few seconds,
                click below to launch your server.""": (
            "Si rien ne se passe dans quelques secondes, cliquez ci-dessous."
        ),
        "Would you like to start it?": "Voulez-vous le lancer ?",
        "Relaunch": "Relancer",
        """              Launch
            {% endif %}
            Server {{ server_name }}""": """              Lancer
            {% endif %}
            mon serveur""",
    },
}

# Les phrases de admin-react.js, chaînes de JavaScript comprises.
ADMINISTRATION = {
    '" seconds ago"': '" s"',
    '" minutes ago"': '" min"',
    '" hours ago"': '" h"',
    '" days ago"': '" jours"',
    '" months ago"': '" mois"',
    '" years ago"': '" ans"',
    '"Displaying "': '"Lignes "',
    '"of ".concat(a)': '"sur ".concat(a)',
    '"Previous")': '"Précédents")',
    '"Next")': '"Suivants")',
    '"Items per page:"': '"Lignes par page : "',
    '"aria-label":"Close"': '"aria-label":"Fermer"',
    # La page des participants.
    '"Stop Server"': '"Arrêter le serveur"',
    '"Delete Server"': '"Effacer le serveur"',
    '"Server is pending":"Start Server"': '"Le serveur démarre":"Lancer le serveur"',
    '"Spawn Page"': '"Page de lancement"',
    '"Access Server"': '"Ouvrir le serveur"',
    '"Edit User"': '"Modifier la personne"',
    '"Never"': '"Jamais"',
    'Title,null,"User")': 'Title,null,"Personne")',
    'Title,null,"Server")': 'Title,null,"Serveur")',
    '"Start All"': '"Tout lancer"',
    '"Stop All"': '"Tout arrêter"',
    '"Shutdown Hub"': '"Éteindre le hub"',
    '"Start all default servers on the current page"': '"Lance les serveurs de cette page"',
    '"Stop all servers including named servers on the current page"': (
        '"Arrête tous les serveurs de cette page"'
    ),
    '"Search Users"': '"Chercher quelqu’un"',
    '"aria-label":"user-search"': '"aria-label":"Chercher quelqu’un"',
    '"check to only show running servers, otherwise show all"': (
        '"Cochez pour ne voir que les serveurs en marche"'
    ),
    '"Only Active Servers"': '"En marche seulement"',
    '"Manage Groups"': '"Groupes"',
    '{id:"user-header"},"User"': '{id:"user-header"},"Personne"',
    '{id:"server-header"},"Server"': '{id:"server-header"},"Serveur"',
    '"Last Activity"': '"Dernière activité"',
    '"Server Start Time"': '"Démarré depuis"',
    '"profile-used-header"},"Profile"': '"profile-used-header"},"Profil"',
    '"Actions"': '"Gestes"',
    '"servers":"server",". "': '"serveurs":"serveur",". "',
    '"Are they ":"Is it "," already running?"': '"Tournent-ils ":"Tourne-t-il "," déjà ?"',
    '"Are they ":"Is it "," already stopped?"': '"Sont-ils ":"Est-il "," déjà à l’arrêt ?"',
    '"Failed to start "': '"N’ont pas démarré : "',
    '"Failed to stop "': '"Ne se sont pas arrêtés : "',
    '"Failed to start servers."': '"Les serveurs n’ont pas démarré."',
    '"Failed to stop servers."': '"Les serveurs ne se sont pas arrêtés."',
    '"Failed to ".concat': '"Sans succès : ".concat',
    '"Failed to update user list."': '"La liste n’a pas pu être relue."',
    '"Failed to update group list."': '"La liste des groupes n’a pas pu être relue."',
    '"Could not update users list."': '"La liste n’a pas pu être relue."',
    # Les pages d’une personne et des groupes.
    '"Add Users"': '"Ajouter des personnes"',
    '"usernames separated by line"': '"un nom par ligne"',
    '"form-check-label"},"Admin")': '"form-check-label"},"Administre le hub")',
    '"Back")': '"Retour")',
    '"Apply")': '"Enregistrer")',
    '"Editing user "': '"Modifier "',
    '"updated username"': '"nouveau nom"',
    '"Delete user"': '"Effacer cette personne"',
    '"Failed to update users."': '"La liste n’a pas pu être enregistrée."',
    '"Failed to create user. "': '"Cette personne n’a pas pu être ajoutée. "',
    '"Failed to create user."': '"Cette personne n’a pas pu être ajoutée."',
    '"User already exists."': '"Ce nom est déjà pris."',
    '"Failed to edit user."': '"Cette personne n’a pas pu être modifiée."',
    'null,"Groups")': 'null,"Groupes")',
    '" users"': '" personnes"',
    '"no groups created..."': '"Aucun groupe."',
    '"New Group"': '"Nouveau groupe"',
    '"Create Group"': '"Créer un groupe"',
    '"group name..."': '"nom du groupe"',
    '"Create")': '"Créer")',
    '"Group already exists."': '"Ce groupe existe déjà."',
    '"Failed to create group. "': '"Le groupe n’a pas pu être créé. "',
    '"Failed to create group."': '"Le groupe n’a pas pu être créé."',
    '"Could not update groups list."': '"La liste des groupes n’a pas pu être relue."',
    '"Editing Group "': '"Modifier le groupe "',
    '"Manage group members"': '"Ses membres"',
    '"Manage group properties"': '"Ses propriétés"',
    '"Add by username"': '"Nom à ajouter"',
    '"Add user")': '"Ajouter")',
    "\" is not a valid JupyterHub user.'": "\" n’est personne de ce hub.'",
    'null,"Key")': 'null,"Clé")',
    'null,"Value")': 'null,"Valeur")',
    '"Add Item"': '"Ajouter"',
    '"Delete")))}': '"Effacer")))}',
    '"Delete Group"': '"Effacer le groupe"',
    '"Duplicate keys found!"': '"Une clé est en double."',
    '"Failed to edit group."': '"Le groupe n’a pas pu être modifié."',
    '"Failed to delete group."': '"Le groupe n’a pas pu être effacé."',
}


def traduire(nom: str, texte: str, phrases: dict[str, str]) -> str:
    """Traduit un texte ; une phrase introuvable dirait que JupyterHub a changé."""
    for anglais, francais in phrases.items():
        if anglais not in texte:
            raise ValueError(f"{nom} ne contient plus « {anglais} » : revoir traduction.py")
        texte = texte.replace(anglais, francais)
    return texte


class EnFrancais(Extension):
    """Remplace les phrases anglaises des gabarits livrés avec JupyterHub."""

    def preprocess(self, source: str, name: str | None, filename: str | None = None) -> str:
        """Traduit un gabarit."""
        return traduire(name, source, PHRASES.get(name or "", {}))


if __name__ == "__main__":
    script = Path(sys.argv[1])
    traduit = traduire(script.name, script.read_text(encoding="utf-8"), ADMINISTRATION)
    script.write_text(traduit, encoding="utf-8")
