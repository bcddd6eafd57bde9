"""Une séance de démonstration : la base prête, MLflow prêt, et personne d’autre à sa place."""

import os
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def session() -> Iterator[str]:
    """Ouvre une séance ; les processus lancés pendant celle-ci héritent de la base.

    Lance le Postgres embarqué si ``DATABASE_URL`` est absente, crée une fois le schéma de
    MLflow et celui de l’utilisateur, et tient un verrou : une séance à la fois par utilisateur.

    Yields:
        L’URL de la base.

    Raises:
        ErreurUtilisateur: base injoignable, droits manquants, séance déjà ouverte.
    """
    from mlops_demo import base  # import tardif : le superviseur de Postgres reste léger

    avant = os.environ.get("DATABASE_URL")
    os.environ["DATABASE_URL"] = base.url()
    try:
        with base.verrou_de_seance():
            base.preparer()
            yield os.environ["DATABASE_URL"]
    finally:
        if avant is None:
            del os.environ["DATABASE_URL"]
        else:
            os.environ["DATABASE_URL"] = avant
        base.oublier()
