"""La démonstration du chapitre 4 : des vols réels, un modèle, et tout ce qui l’entoure."""

import warnings

from mlops_demo.configuration import ErreurUtilisateur, dossier_travail, poser_reglages

poser_reglages()
warnings.filterwarnings("ignore", message="IProgress not found")  # tqdm réclame des widgets

from mlops_demo.session import session  # noqa: E402 (les réglages précèdent tout import lourd)

__all__ = ["ErreurUtilisateur", "dossier_travail", "session"]
