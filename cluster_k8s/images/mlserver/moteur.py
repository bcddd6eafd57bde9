"""Le moteur MLflow de MLServer, sauf qu’ouvrir un modèle n’exécute rien de ce qu’il contient.

``mlflow.pyfunc.load_model`` lirait dans le modèle la liste des types qu’il a le droit d’exécuter.
"""

from pathlib import Path

from mlflow.models import Model
from mlflow.pyfunc import PyFuncModel
from mlops_demo import confiance
from mlserver_mlflow import MLflowRuntime


class Moteur(MLflowRuntime):
    """Sert un de nos modèles, contrôlé puis lu avec notre liste de types."""

    async def load(self) -> bool:
        """Ouvre le modèle.

        Raises:
            Refus: si ce n’est pas un de nos modèles.
        """
        dossier = Path(self.settings.parameters.uri)
        pipeline = confiance.ouvrir(dossier)
        fiche = Model.load(dossier)
        self._model = PyFuncModel(fiche, pipeline, predict_fn="predict_proba")
        self._input_schema = fiche.get_input_schema()
        self._signature = fiche.signature
        self._sync_metadata()
        return True
