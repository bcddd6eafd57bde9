"""JupyterHub en français : les phrases de ses pages, traduites à la lecture de ses gabarits."""

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


class EnFrancais(Extension):
    """Remplace les phrases anglaises des gabarits livrés avec JupyterHub."""

    def preprocess(self, source: str, name: str | None, filename: str | None = None) -> str:
        """Traduit un gabarit ; une phrase introuvable dirait que JupyterHub a changé."""
        for anglais, francais in PHRASES.get(name or "", {}).items():
            if anglais not in source:
                raise ValueError(f"{name} ne contient plus « {anglais} » : revoir traduction.py")
            source = source.replace(anglais, francais)
        return source
