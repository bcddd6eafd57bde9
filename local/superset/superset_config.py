"""Réglages de Superset : tout ce qui est secret vient de l’environnement, posé par entree.sh."""

import os
from copy import deepcopy

from superset.config import TALISMAN_CONFIG as D_ORIGINE

SECRET_KEY = os.environ["SUPERSET_CLE"]
SQLALCHEMY_DATABASE_URI = (
    f"postgresql+psycopg2://superset:{os.environ['SUPERSET_MOT_DE_PASSE_BASE']}"
    f"@{os.environ['POSTGRES_HOTE']}/superset"
)

BABEL_DEFAULT_LOCALE = "fr"
LANGUAGES = {"fr": {"flag": "fr", "name": "Français"}, "en": {"flag": "us", "name": "English"}}
# Les nombres à la française : espace des milliers, virgule décimale.
D3_FORMAT = {"decimal": ",", "thousands": "\u202f", "grouping": [3], "currency": ["", "\u00a0€"]}

# Un seul processus gunicorn : la mémoire suffit pour compter les requêtes.
RATELIMIT_STORAGE_URI = "memory://"
# En HTTP simple sur un poste, un témoin « secure » ne reviendrait jamais.
SESSION_COOKIE_SECURE = False
SESSION_COOKIE_SAMESITE = "Lax"

# Superset envoie ses visites à un service de mesure d’audience : le navigateur ne l’appellera pas.
TALISMAN_CONFIG = deepcopy(D_ORIGINE)
for regles in TALISMAN_CONFIG["content_security_policy"].values():
    if isinstance(regles, list):
        regles[:] = [source for source in regles if "scarf.sh" not in source]
