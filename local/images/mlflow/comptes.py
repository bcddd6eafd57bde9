"""Donne à MLflow ses deux comptes de service : qui l’administre, et « production ».

Joué à chaque démarrage : un mot de passe changé dans les secrets l’est ici. Les comptes des
participants, eux, sont créés par le hub, à leur première venue.
"""

import os

from mlflow.server.auth.config import read_auth_config
from mlflow.server.auth.sqlalchemy_store import SqlAlchemyStore

COMPTES = (
    ("admin", "MLFLOW_AUTH_ADMIN_PASSWORD", True),
    ("production", "MLFLOW_PRODUCTION_PASSWORD", False),
)

magasin = SqlAlchemyStore()
magasin.init_db(read_auth_config().database_uri)
for nom, variable, administre in COMPTES:
    mot_de_passe = os.environ[variable]
    if magasin.has_user(nom):
        magasin.update_user(nom, mot_de_passe, administre)
    else:
        magasin.create_user(nom, mot_de_passe, administre)
