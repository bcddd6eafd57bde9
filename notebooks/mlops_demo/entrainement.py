"""Les modèles candidats et leur apprentissage, sur un découpage temporel."""

from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd
from scipy.sparse import csr_matrix
from sklearn.compose import make_column_transformer
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler

from mlops_demo import contrat
from mlops_demo.configuration import GRAINE, ErreurUtilisateur
from mlops_demo.features import CATEGORIES, FEATURES, NOMBRES, etiquetes


def naif() -> Pipeline:
    """Annonce à tous les vols le taux de retard de l’apprentissage : le plancher à battre."""
    return make_pipeline(DummyClassifier(strategy="prior"))


def lineaire(sans: tuple[str, ...] = ()) -> Pipeline:
    """Régression logistique : simple, lisible, rapide.

    Avec peu de variables et beaucoup de vols, ``newton-cholesky`` converge en quelques pas ; le
    réglage d’origine (``lbfgs``) n’y arrive pas en 300.

    Args:
        sans: variables numériques à ne pas utiliser.
    """
    nombres = [n for n in NOMBRES if n not in sans]
    preparation = make_column_transformer(
        (OneHotEncoder(handle_unknown="ignore"), CATEGORIES),
        (make_pipeline(SimpleImputer(), StandardScaler()), nombres),
        sparse_threshold=1,
    )
    return make_pipeline(preparation, LogisticRegression(solver="newton-cholesky"))


def boosting(
    learning_rate: float = 0.06,
    max_iter: int = 100,
    max_leaf_nodes: int = 15,
    min_samples_leaf: int = 200,
) -> Pipeline:
    """Gradient boosting, volontairement bridé : plus gros, il surapprend janvier à mars."""
    preparation = make_column_transformer(
        (OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1), CATEGORIES),
        ("passthrough", NOMBRES),
    )
    modele = HistGradientBoostingClassifier(
        learning_rate=learning_rate,
        max_iter=max_iter,
        max_leaf_nodes=max_leaf_nodes,
        min_samples_leaf=min_samples_leaf,
        l2_regularization=5,
        early_stopping=False,
        categorical_features=list(range(len(CATEGORIES))),
        random_state=GRAINE,
    )
    return make_pipeline(preparation, modele)


CANDIDATS = {"naïf": naif, "linéaire": lineaire, "boosting": boosting}


def verifier_colonnes(colonnes: list[str]) -> None:
    """Refuse d’apprendre sur ce que l’on ignore avant le départ.

    Raises:
        ErreurUtilisateur: colonne inconnue avant le départ, ou hors de la liste des variables.
    """
    interdites = sorted(set(colonnes) & (contrat.connues_apres_depart() | {"late"}))
    if interdites:
        raise ErreurUtilisateur(
            f"{', '.join(interdites)} : inconnu avant le départ, donc interdit au modèle. "
            "Retirez ces colonnes."
        )
    etrangeres = sorted(set(colonnes) - set(FEATURES))
    if etrangeres:
        raise ErreurUtilisateur(
            f"{', '.join(etrangeres)} : pas dans la liste des variables (features.py). "
            "Ajoutez-les au calcul des variables avant de s’en servir."
        )


def apprendre(
    modele: Pipeline, exemples: pd.DataFrame, colonnes: list[str] | None = None
) -> Pipeline:
    """Apprend sur les vols dont le retard est connu.

    Args:
        modele: pipeline neuf.
        exemples: ce que rend ``features.exemples``.
        colonnes: variables données au modèle (toutes par défaut).

    Raises:
        ErreurUtilisateur: colonne interdite, aucun vol étiqueté, une seule classe.
    """
    colonnes = colonnes or FEATURES
    verifier_colonnes(colonnes)
    connus = etiquetes(exemples)
    if connus["late"].nunique() < 2:
        raise ErreurUtilisateur(
            "il faut des vols à l’heure et des vols en retard pour apprendre : élargissez la "
            "période d’apprentissage."
        )
    return modele.fit(connus[colonnes], connus["late"].astype(int))


def probabilites(modele: Pipeline, exemples: pd.DataFrame) -> np.ndarray:
    """Probabilité de retard de chaque vol, dans [0 ; 1].

    Raises:
        ErreurUtilisateur: il n’y a aucun vol.
    """
    if exemples.empty:
        raise ErreurUtilisateur(
            "aucun vol à noter : recevez d’abord ceux de cette période (« mlops-demo recevoir »)."
        )
    return modele.predict_proba(exemples[FEATURES])[:, 1]


def pour_un_vol(modele: Pipeline) -> Callable[[Mapping[str, object]], float]:
    """Fabrique la fonction qui juge un seul vol, donné en dictionnaire (inconnu : ``None``).

    Pour une ligne, bâtir un DataFrame et traverser le ``ColumnTransformer`` coûte bien plus que
    le modèle : la ligne est ici préparée sans eux, puis donnée au même modèle. La probabilité est
    la même au bit près. Un pipeline d’une autre forme que les nôtres passe par le DataFrame.
    """
    if isinstance(modele[-1], HistGradientBoostingClassifier):
        preparer = _ligne_du_boosting(modele)
    elif isinstance(modele[-1], LogisticRegression) and _tout_s_impute(modele):
        preparer = _ligne_du_lineaire(modele)
    else:
        return lambda vol: float(probabilites(modele, table([vol]))[0])
    return lambda vol: float(modele[-1].predict_proba(preparer(vol))[0, 1])


def table(vols: list[Mapping[str, object]]) -> pd.DataFrame:
    """Des vols donnés en dictionnaires, sous la forme qu’attend ``probabilites``."""
    return pd.DataFrame(vols, columns=FEATURES).astype(dict.fromkeys(NOMBRES, "float64"))


def _ligne_du_boosting(modele: Pipeline) -> Callable[[Mapping[str, object]], np.ndarray]:
    encodeur = modele[0].transformers_[0][1]
    rangs = [{nom: rang for rang, nom in enumerate(noms)} for noms in encodeur.categories_]

    def preparer(vol: Mapping[str, object]) -> np.ndarray:
        codes = [connus.get(vol[c], -1) for c, connus in zip(CATEGORIES, rangs, strict=True)]
        return np.array([codes + [vol[n] for n in NOMBRES]], dtype="float64")

    return preparer


def _tout_s_impute(modele: Pipeline) -> bool:
    """Vrai si chaque variable a une moyenne ; sinon ``SimpleImputer`` retire des colonnes."""
    imputation, _ = modele[0].transformers_[1][1]
    return not np.isnan(imputation.statistics_).any()


def _ligne_du_lineaire(modele: Pipeline) -> Callable[[Mapping[str, object]], csr_matrix]:
    (_, encodeur, _), (_, (imputation, echelle), nombres) = modele[0].transformers_[:2]
    debuts = np.cumsum([0, *map(len, encodeur.categories_)])
    colonnes = [
        {nom: debut + rang for rang, nom in enumerate(noms)}
        for debut, noms in zip(debuts, encodeur.categories_, strict=False)
    ]
    fin = debuts[-1] + len(nombres)
    numeriques = list(range(debuts[-1], fin))

    def preparer(vol: Mapping[str, object]) -> csr_matrix:
        paires = zip(CATEGORIES, colonnes, strict=True)
        allumees = [connues[vol[c]] for c, connues in paires if vol[c] in connues]
        valeurs = np.array([vol[n] for n in nombres], dtype="float64")
        valeurs = np.where(np.isnan(valeurs), imputation.statistics_, valeurs)
        valeurs = (valeurs - echelle.mean_) / echelle.scale_
        valeurs = np.concatenate([np.ones(len(allumees)), valeurs])
        return csr_matrix((valeurs, allumees + numeriques, [0, len(valeurs)]), shape=(1, fin))

    return preparer


def expliquer(modele: Pipeline, vol: Mapping[str, object]) -> pd.DataFrame:
    """Décompose la probabilité d’un vol, pas à pas, pour le modèle linéaire.

    Args:
        modele: pipeline de ``lineaire``, appris.
        vol: les variables d’un vol (inconnue : ``None``).

    Returns:
        Une ligne par étape : ``etape`` (point de départ, puis chaque variable), ``valeur`` reçue,
        ``prepare`` (ce que le modèle en voit), ``poids``, ``contribution`` (poids × préparée) et
        ``probabilite`` après cette étape. La dernière est celle que rend le modèle.
    """
    preparation, regression = modele[0], modele[-1]
    ligne = preparation.transform(table([vol]))
    ligne = np.asarray(ligne.todense() if hasattr(ligne, "todense") else ligne)[0]
    noms = [n.split("__", 1)[1] for n in preparation.get_feature_names_out()]
    lignes = [("point de départ", None, 1.0, float(regression.intercept_[0]))]
    for nom, prepare, poids in zip(noms, ligne, regression.coef_[0], strict=True):
        categorie = next((c for c in CATEGORIES if nom.startswith(f"{c}_")), None)
        if nom in NOMBRES or (categorie and prepare):
            lignes.append((nom, vol[categorie or nom], float(prepare), float(poids)))
    etapes = pd.DataFrame(lignes, columns=["etape", "valeur", "prepare", "poids"])
    etapes["contribution"] = etapes["prepare"] * etapes["poids"]
    return etapes.assign(probabilite=1 / (1 + np.exp(-etapes["contribution"].cumsum())))


def influences(modele: Pipeline) -> pd.Series:
    """Coefficients du modèle linéaire, par écart-type de variable, les plus forts d’abord."""
    noms = modele[0].get_feature_names_out()
    coefficients = pd.Series(modele[-1].coef_[0], index=[n.split("__", 1)[1] for n in noms])
    return coefficients.reindex(coefficients.abs().sort_values(ascending=False).index)
