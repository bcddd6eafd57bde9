"""Ce que le service accepte : des vols conformes au contrat de données, sinon un motif."""

import json
import re
from collections.abc import Callable
from types import UnionType
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    FailFast,
    Field,
    ValidationError,
    create_model,
    model_validator,
)
from pydantic_core import PydanticCustomError

from mlops_demo.contrat import contrat
from mlops_demo.features import FEATURES

VOLS_MAX = 10_000
MOTIFS_MAX = 20
CLES_MAX = 40  # d’un vol : le double de celles du contrat
CARACTERES_MAX = 4096  # d’un vol écrit en JSON : cinq fois le plus long
# Les règles du contrat entre deux colonnes d’un vol. Comme pour un CHECK, ce que l’on ne sait pas
# ne les enfreint pas.
REGLES: dict[str, tuple[str, str, Callable[[Any, Any], bool]]] = {
    "rosée au plus égale à la température": ("dewp", "temp", lambda r, t: r <= t + 0.1),
    "rafales au moins égales au vent": ("wind_gust", "wind_speed", lambda r, v: r >= v),
    "origine différente de la destination": ("origin", "dest", lambda o, d: o != d),
}


def _colonne(nom: str) -> dict:
    """Ce que le contrat dit d’une colonne de la demande, ou de celle dont elle est la copie."""
    propre = contrat("demande")["colonnes"][nom]
    if "comme" not in propre:
        return propre
    copie = contrat(propre["comme"])["colonnes"][nom]
    return {**copie, "requis": False, **propre}


COLONNES = {nom: _colonne(nom) for nom in ["flight_id", *FEATURES]}
EXEMPLE = {nom: colonne["exemple"] for nom, colonne in COLONNES.items()}


def _champ(colonne: dict) -> tuple[type | UnionType, Any]:
    """Type et bornes d’une colonne, pour pydantic et pour la page de l’API."""
    if "valeurs" in colonne:
        genre = Literal[tuple(colonne["valeurs"])]
    else:
        genre = {"text": str, "bigint": int}.get(colonne["type"], float)
    unite = f" ({colonne['unite']})" if "unite" in colonne else ""
    bornes = {"ge": colonne.get("min"), "le": colonne.get("max"), "pattern": colonne.get("motif")}
    if colonne["type"] == "smallint":  # 5.0 est entier, 5.5 ne l’est pas
        bornes["multiple_of"] = 1
    return genre if colonne.get("requis") else genre | None, Field(
        description=colonne["sens"] + unite, **{n: b for n, b in bornes.items() if b is not None}
    )


class _Conforme(BaseModel):
    # Pas de conversion : « 12 » n’est pas un nombre. Ni NaN ni infini, que JSON n’a pas.
    model_config = ConfigDict(
        extra="forbid", strict=True, allow_inf_nan=False, json_schema_extra={"example": EXEMPLE}
    )

    @model_validator(mode="before")
    @classmethod
    def _borner(cls, brut: object) -> object:
        """Refuse d’un mot ce qui a bien trop de clés, plutôt que de dire chacune inconnue."""
        if isinstance(brut, dict) and len(brut) > CLES_MAX:
            raise PydanticCustomError("trop_de_cles", "trop de clés")
        return brut

    @model_validator(mode="after")
    def _respecter_les_regles(self) -> "_Conforme":
        valeurs = self.__dict__
        for intitule, (a, b, respectee) in REGLES.items():
            x, y = valeurs[a], valeurs[b]
            if x is not None and y is not None and not respectee(x, y):
                raise ValueError(intitule)
        return self


Vol = create_model(
    "Vol", __base__=_Conforme, **{nom: _champ(colonne) for nom, colonne in COLONNES.items()}
)


class Demande(BaseModel):
    """Des vols à juger, avec leurs variables ; une valeur inconnue vaut ``null``.

    Le premier vol refusé arrête la lecture : dix mille vols vides ne valent pas mieux qu’un.
    """

    model_config = ConfigDict(extra="forbid")
    vols: Annotated[list[Vol], FailFast()] = Field(min_length=1, max_length=VOLS_MAX)


OUVERTURE = re.compile(r'\s*+\{\s*+"vols"\s*+:\s*+\[\s*+')
SUITE = re.compile(r"\s*+,\s*+")
FERMETURE = re.compile(r"\s*+\]\s*+\}\s*+\Z")


def lire(corps: bytes) -> dict:
    """Lit une longue demande vol par vol, jusqu’au premier qui n’est pas conforme.

    Lire le JSON d’un trait, puis le valider d’un trait, priverait du verrou de Python, des dixièmes
    de seconde durant, la boucle d’événements : ``/health`` ne répondrait plus.

    Returns:
        Les vols déjà validés, et tel quel celui qui ne peut pas l’être : la validation redira
        pourquoi, sans reprendre les autres.

    Raises:
        json.JSONDecodeError: JSON illisible, ou vol de plus de ``CARACTERES_MAX`` caractères.
        UnicodeDecodeError: le corps n’est pas en UTF-8.
    """
    texte = corps.decode()
    ouverture = OUVERTURE.match(texte)
    if ouverture is None:
        raise json.JSONDecodeError("« vols » attendu", texte, 0)
    vols, place, decodeur = [], ouverture.end(), json.JSONDecoder()
    while len(vols) <= VOLS_MAX:
        try:
            brut, longueur = decodeur.raw_decode(texte[place : place + CARACTERES_MAX])
        except json.JSONDecodeError as erreur:
            raise json.JSONDecodeError(erreur.msg, texte, place + erreur.pos) from erreur
        try:
            vols.append(Vol.model_validate(brut))
        except ValidationError:
            return {"vols": [*vols, brut]}
        place += longueur
        if FERMETURE.match(texte, place):
            return {"vols": vols}
        if (suite := SUITE.match(texte, place)) is None:
            raise json.JSONDecodeError("virgule attendue", texte, place)
        place = suite.end()
    return {"vols": vols}  # un de trop : refusé sans lire les suivants


class Prediction(BaseModel):
    """La probabilité qu’un vol arrive en retard."""

    flight_id: int
    version: int
    probabilite: float


class Reponse(BaseModel):
    """Une prédiction par vol, dans l’ordre ; ``demande`` les retrouve dans le journal."""

    demande: str
    version: int
    predictions: list[Prediction]


class Refus(BaseModel):
    """Pourquoi une demande n’est pas servie."""

    erreur: str
    motifs: list[str]


GENRES = {
    "missing": "manquant",
    "extra_forbidden": "inconnu",
    "string_pattern_mismatch": "mal formé",
    "finite_number": "doit être un nombre fini",
    "float_type": "nombre attendu",
    "int_type": "nombre entier attendu",
    "list_type": "liste attendue",
    "too_short": "aucun vol",
    "too_long": f"plus de {VOLS_MAX} vols",
    "multiple_of": "nombre entier attendu",
    "trop_de_cles": f"plus de {CLES_MAX} clés",
    "json_invalid": f"JSON illisible, ou vol de plus de {CARACTERES_MAX} caractères",
}


def motifs(erreurs: list[dict]) -> list[str]:
    """Traduit des erreurs de validation : où, et ce qui ne va pas."""
    dits = [f"{_lieu(e)} : {_motif(e)}" for e in erreurs[:MOTIFS_MAX]]
    if len(erreurs) > MOTIFS_MAX:
        dits.append(f"et {len(erreurs) - MOTIFS_MAX} autres")
    return dits


def champ(erreur: dict) -> str:
    """Le champ en cause, s’il est du contrat (« demande » sinon) : pour compter les refus."""
    nom = erreur["loc"][-1]
    return nom if nom in COLONNES else "demande"


def _lieu(erreur: dict) -> str:
    """Le chemin jusqu’à l’erreur ; un nom inventé par le client peut être long ou illisible."""
    if erreur["type"] == "json_invalid":
        return f"corps, caractère {erreur['loc'][1]}"
    noms = [str(nom)[:60].encode(errors="replace").decode() for nom in erreur["loc"][1:]]
    return " → ".join(noms) or "corps"


def _motif(erreur: dict) -> str:
    genre, colonne = erreur["type"], COLONNES.get(erreur["loc"][-1], {})
    if genre in ("greater_than_equal", "less_than_equal"):
        unite = f" {colonne['unite']}" if "unite" in colonne else ""
        return f"hors de [{colonne['min']} ; {colonne['max']}]{unite}"
    if genre == "literal_error":
        return f"hors de {', '.join(colonne['valeurs'])}"
    if genre == "value_error":
        return f"règle enfreinte, {erreur['ctx']['error']}"
    if genre in GENRES:
        return GENRES[genre]
    return "texte attendu" if genre.startswith("string") else "objet JSON attendu"
