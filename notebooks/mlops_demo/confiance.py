"""La chaîne de confiance : l’alias propose, le journal dispose, et charger n’exécute rien.

Une version n’est servie que si le journal la nomme, acceptée par le gate ou forcée, avec
l’empreinte de ses fichiers prise à ce moment-là ; les octets chargés sont ceux de l’empreinte. Le
journal lu est celui du schéma de ce compte, où nul autre n’écrit.
"""

import hashlib
import stat
import zipfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import skops.io
import yaml
from sklearn.pipeline import Pipeline

from mlops_demo import journal
from mlops_demo.configuration import ErreurUtilisateur

# La seule borne de taille d’un modèle, sur le disque comme décompressé : le double tiendrait
# encore en mémoire, pas dans chaque réplica.
OCTETS_MAX = 50 * 1024**2
PIECES_MAX = 5000  # celles d’un fichier skops
MODELE = "model.skops"
FICHIERS = {"MLmodel", MODELE, "conda.yaml", "python_env.yaml", "requirements.txt"}
# Le format skops n’exécute aucun code à la lecture : il faut nommer un à un les types de nos
# pipelines qu’il ne connaît pas. MLflow relirait cette liste dans le modèle, qui dirait donc
# lui-même ce qu’il a le droit d’exécuter : la nôtre seule compte.
TYPES_ADMIS = [
    "functools.partial",
    "numpy.dtype",
    "sklearn.compose._column_transformer._RemainderColsList",
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
    "sklearn.utils.validation.check_array",
]
SKLEARN = {"pickled_model": MODELE, "serialization_format": "skops", "code": None}
PYFUNC = {"loader_module": "mlflow.sklearn", "model_path": MODELE, "predict_fn": "predict_proba"}
LIBRES = {"env", "python_version", "sklearn_version", "skops_trusted_types"}  # jamais suivis
ADRESSES = ("://", "git+", " @ ", "--")  # ce qui installerait autre chose qu’un paquet nommé


class Refus(ErreurUtilisateur):
    """Ce modèle ne peut pas être servi ; rien n’en a été exécuté."""


@dataclass(frozen=True)
class Acceptee:
    """Une version que le journal a acceptée, et l’empreinte qu’elle avait alors."""

    version: int
    empreinte: str | None


def en_service() -> Acceptee | None:
    """La version que le journal dit en service ; rien s’il n’en a jamais nommé."""
    version = journal.champion()
    return None if version is None else acceptee(version) or Acceptee(version, None)


def acceptee(version: int) -> Acceptee | None:
    """La dernière acceptation d’une version ; rien si le journal n’en a pas."""
    connue, empreinte_ = journal.acceptation(version)
    return Acceptee(version, empreinte_) if connue else None


def exiger(tenue: Acceptee | None, version: int, dossier: Path) -> str:
    """La porte : la copie d’une version peut être servie, ou l’on dit pourquoi elle ne l’est pas.

    Args:
        tenue: ce que le journal a accepté.
        version: version proposée.
        dossier: sa copie, où nul autre n’écrit.

    Returns:
        L’empreinte de cette copie.

    Raises:
        Refus: si le journal ne l’a pas acceptée, ou pas avec ces octets.
    """
    if tenue is None or tenue.version != version:
        raise Refus(
            f"le journal n’a pas accepté la version {version} : elle n’est pas servie. Faites-la "
            "passer par le gate (notebook 42), ou par une promotion forcée et signée."
        )
    if tenue.empreinte is None:
        raise Refus(
            f"le journal ne garde pas l’empreinte de la version {version} : elle n’est pas servie. "
            "Relancez l’entraînement (notebook 42)."
        )
    controler(dossier)
    if (trouvee := empreinte(dossier)) != tenue.empreinte:
        raise Refus(
            f"les fichiers de la version {version} ne sont plus ceux que le journal a acceptés "
            f"(empreinte {trouvee[:12]}…, acceptée {tenue.empreinte[:12]}…) : elle n’est pas "
            "servie. Cherchez qui les a changés, puis relancez l’entraînement (notebook 42)."
        )
    return trouvee


def empreinte(dossier: Path) -> str:
    """SHA-256 des fichiers d’un modèle : leurs noms, leurs longueurs et leurs octets."""
    somme = hashlib.sha256()
    for nom in sorted(FICHIERS):
        octets = (dossier / nom).read_bytes()
        somme.update(f"{nom}\0{len(octets)}\0".encode())
        somme.update(octets)
    return somme.hexdigest()


# --- Charger un modèle n’exécute rien ------------------------------------------------------


def ouvrir(dossier: Path) -> Pipeline:
    """Contrôle un dossier de modèle, puis en lit le pipeline avec notre liste de types.

    Raises:
        Refus: si ce n’est pas un de nos modèles ; rien n’en est alors importé.
    """
    controler(dossier)
    try:
        pipeline = skops.io.load(dossier / MODELE, trusted=TYPES_ADMIS)
    except Exception as erreur:  # un fichier étranger peut lever n’importe quoi
        raise Refus(f"le modèle ne se lit pas : {type(erreur).__name__} {erreur}") from erreur
    if not isinstance(pipeline, Pipeline):
        raise Refus(f"le modèle est un {type(pipeline).__name__}, et non un pipeline scikit-learn")
    return pipeline


def controler(dossier: Path) -> None:
    """Vérifie, sans rien importer ni décompresser, qu’un dossier est un modèle de ce projet.

    Raises:
        Refus: fichier de trop ou absent, lien, taille, format, code, dépendances.
    """
    try:
        etats = {fichier.name: fichier.lstat() for fichier in sorted(dossier.iterdir())}
    except OSError as erreur:
        raise Refus(f"les fichiers du modèle ne se lisent pas ({erreur})") from erreur
    for nom, etat in etats.items():
        if not stat.S_ISREG(etat.st_mode):
            raise Refus(f"« {nom} » n’est pas un fichier ordinaire : modèle refusé")
    controler_liste({nom: etat.st_size for nom, etat in etats.items()})
    _controler_mlmodel(dossier / "MLmodel")
    _controler_zip(dossier / MODELE)
    for nom in FICHIERS - {"MLmodel", MODELE}:
        texte = (dossier / nom).read_text(encoding="utf-8", errors="replace")
        if adresse := next((a for a in ADRESSES if a in texte), None):
            raise Refus(f"« {nom} » demande d’installer d’ailleurs (« {adresse} ») : modèle refusé")


def controler_liste(octets: dict[str, int]) -> None:
    """Vérifie les noms et les tailles des fichiers d’un modèle, avant même de les copier."""
    if surprises := sorted(octets.keys() ^ FICHIERS):
        raise Refus(f"fichiers absents ou de trop : {', '.join(surprises[:5])} ; modèle refusé")
    if (total := sum(octets.values())) > OCTETS_MAX:
        raise Refus(f"{total // 1024**2} Mio de fichiers, {OCTETS_MAX // 1024**2} au plus")


def _controler_mlmodel(fichier: Path) -> None:
    try:
        saveurs = yaml.safe_load(fichier.read_bytes())["flavors"]
        ecrits = {nom: dict(saveur) for nom, saveur in saveurs.items()}
    except Exception as erreur:  # abîmé, ou étranger
        raise Refus("« MLmodel » ne se lit pas : modèle refusé") from erreur
    permis = {"sklearn": SKLEARN, "python_function": PYFUNC}
    if ecrits.keys() != permis.keys():
        raise Refus(f"modèle de genre {', '.join(map(str, ecrits))} : il faut sklearn, et lui seul")
    for genre, attendu in permis.items():
        for nom in ecrits[genre].keys() | attendu.keys():
            valeur = ecrits[genre].get(nom)
            if nom not in LIBRES and valeur != attendu.get(nom):
                raise Refus(f"« MLmodel » dit {genre}.{nom} = « {valeur} » : modèle refusé")


def _controler_zip(fichier: Path) -> None:
    """Un fichier skops est un zip : sans chemin qui sort, et borné une fois décompressé."""
    try:
        with zipfile.ZipFile(fichier) as archive:
            pieces = archive.infolist()
    except (zipfile.BadZipFile, OSError, ValueError) as erreur:
        raise Refus(f"« {MODELE} » n’est pas au format skops : modèle refusé") from erreur
    if len(pieces) > PIECES_MAX or sum(p.file_size for p in pieces) > OCTETS_MAX:
        raise Refus(
            f"« {MODELE} » dépasse {PIECES_MAX} pièces ou {OCTETS_MAX // 1024**2} Mio une fois "
            "décompressé : modèle refusé"
        )
    for piece in pieces:
        chemin = PurePosixPath(piece.filename)
        lien = stat.S_ISLNK(piece.external_attr >> 16)
        if chemin.is_absolute() or ".." in chemin.parts or "\\" in piece.filename or lien:
            raise Refus(f"« {MODELE} » contient « {piece.filename} », qui en sort : modèle refusé")
