"""Ce que montre une diapositive : un dessin, un grand nombre, un petit tableau, du code, un écran.

Chaque planche se dit de deux façons, en HTML pour les diapositives et en Markdown pour
``presentation_mlops.md`` ; dans un notebook, elle voyage sous la forme de données (``MIME``).
"""

import base64
import re
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from io import BytesIO, StringIO
from typing import Any

import mistune

from publication.depot import RACINE, ErreurPublication, lire_yaml
from publication.reference import remplir, valeur
from publication.typographie import insecables

__all__ = [
    "cote_a_cote",
    "courbe",
    "ecran",
    "extrait",
    "figure",
    "nombres",
    "pile",
    "principe",
    "qr",
    "table",
    "texte",
    "valeur",
]

MIME = "application/vnd.presentation+json"
FIGURES = "book/figures"
DEPOT = "https://github.com/SoufieneCHR/presentation_mlops"
LANGAGES = {".py": "python", ".yaml": "yaml", ".yml": "yaml", ".sql": "sql", "": "dockerfile"}
# Ce qui réunit d’autres planches.
COMPOSEES = {"deux", "pile"}
BALISE = re.compile(r"<[^>]+>")


@dataclass(frozen=True)
class Planche:
    """Une planche, en données : ``genre``, et ce que ce genre demande."""

    donnees: dict[str, Any]

    def _repr_mimebundle_(self, **_: Any) -> dict[str, Any]:
        return {MIME: self.donnees, "text/html": html(self.donnees, incorporer=True)}


def figure(dessin: Any) -> Planche:
    """Montre un schéma : un objet qui a ``nom``, ``description`` et ``svg``."""
    return _figure(dessin.nom, dessin.description, dessin.svg)


def _figure(nom: str, alternatif: str, svg: str) -> Planche:
    if not alternatif.strip():
        raise ErreurPublication(f"la figure « {nom} » n’a pas de texte de remplacement.")
    donnees = {"genre": "figure", "nom": f"fig-{nom}", "svg": svg}
    return Planche(donnees | {"alt": " ".join(insecables(alternatif).split())})


def courbe(nom: str, etroite: bool = False) -> Planche:
    """Trace une courbe de l’exposé, d’après la référence ; étroite, pour un demi-écran."""
    from publication.courbes import COURBES, tracer

    if nom not in COURBES:
        raise ErreurPublication(f"la courbe « {nom} » n’existe pas.")
    dessin = StringIO()
    alternatif = tracer(nom, dessin, etroite)
    return _figure(f"expose-{nom.replace('_', '-')}", remplir(alternatif), dessin.getvalue())


def nombres(*paires: tuple[str, str]) -> Planche:
    """Montre d’un à quatre nombres, en très grand, chacun avec son libellé."""
    if not 1 <= len(paires) <= 4:
        raise ErreurPublication("une diapositive montre d’un à quatre grands nombres.")
    return Planche({"genre": "nombres", "paires": [list(map(_soigner, p)) for p in paires]})


def table(colonnes: Sequence[str], lignes: Sequence[Sequence[str]]) -> Planche:
    """Montre un petit tableau ; une case peut contenir du gras ou un lien, en Markdown."""
    for ligne in lignes:
        if len(ligne) != len(colonnes):
            raise ErreurPublication(f"ce tableau a {len(colonnes)} colonnes, pas {len(ligne)}.")
    propres = [list(map(_soigner, ligne)) for ligne in lignes]
    return Planche({"genre": "table", "colonnes": list(map(_soigner, colonnes)), "lignes": propres})


def texte(markdown: str) -> Planche:
    """Montre un texte court, à côté d’une image ; il ne va pas dans le document Markdown."""
    return Planche({"genre": "texte", "texte": _soigner(markdown)})


def extrait(fichier: str, debut: str, lignes: int = 0, fin: str = "") -> Planche:
    """Montre des lignes d’un fichier du dépôt, telles qu’elles y sont.

    Args:
        fichier: son chemin, depuis la racine.
        debut: l’expression que satisfait la première ligne montrée.
        lignes: combien en montrer ; ou bien
        fin: l’expression que satisfait la dernière.

    Raises:
        ErreurPublication: si le fichier ou une de ces lignes manque.
    """
    source = RACINE / fichier
    if not source.is_file():
        raise ErreurPublication(f"l’extrait cite « {fichier} », qui n’existe pas.")
    toutes = source.read_text(encoding="utf-8").splitlines()
    premiere = next((i for i, ligne in enumerate(toutes) if re.search(debut, ligne)), None)
    if premiere is None:
        raise ErreurPublication(f"« {fichier} » n’a pas de ligne qui satisfasse « {debut} ».")
    suite = toutes[premiere:]
    if fin:
        derniere = next((i for i, x in enumerate(suite) if i and re.search(fin, x)), None)
        if derniere is None:
            raise ErreurPublication(f"« {fichier} » n’a pas de ligne qui satisfasse « {fin} ».")
        lignes = derniere + 1
    if not lignes:
        raise ErreurPublication(
            f"l’extrait de « {fichier} » : dites combien de lignes, ou laquelle est la dernière."
        )
    code = _desindenter(suite[:lignes])
    langage = LANGAGES.get(source.suffix, "text")
    return Planche({"genre": "code", "fichier": fichier, "langage": langage, "code": code})


def _desindenter(lignes: list[str]) -> str:
    marge = min((len(x) - len(x.lstrip()) for x in lignes if x.strip()), default=0)
    return "\n".join(x[marge:].rstrip() for x in lignes).rstrip()


def ecran(nom: str) -> Planche:
    """Montre la capture d’un outil, prise par ``make captures``."""
    from publication.captures import ecran as capture

    vue = capture(nom)
    legende = f"{vue.outil} {vue.version}, {vue.date}"
    chemin = vue.fichier.relative_to(RACINE).as_posix()
    return Planche({"genre": "ecran", "fichier": chemin, "alt": vue.alternatif, "legende": legende})


def principe(numero: int) -> Planche:
    """Montre un principe : son image, ce qu’il donne chez nous, ses outils."""
    from publication.schemas import schema

    reglages = lire_yaml(RACINE / "book" / "donnees" / "principes.yaml")[numero - 1]["expose"]
    lignes = [
        f"**Chez nous.** {reglages['chez_nous']}",
        f"**Outils libres.** {', '.join(reglages['libres'])}",
        f"**Nuages.** {', '.join(reglages['nuages'])}",
    ]
    droite = Planche(texte("\n\n".join(lignes)).donnees | {"classe": "principe"})
    # Le principe 8 est une note : la nôtre, plutôt qu’un exemple.
    gauche = courbe("ml_test_score", True) if numero == 8 else figure(schema(f"principe_{numero}"))
    return cote_a_cote(gauche, droite, (3, 2))


def cote_a_cote(gauche: Planche, droite: Planche, parts: tuple[int, int] = (1, 1)) -> Planche:
    """Met deux planches côte à côte, dans ces proportions."""
    deux = [gauche.donnees, droite.donnees]
    return Planche({"genre": "deux", "planches": deux, "parts": list(parts)})


def pile(*planches: Planche) -> Planche:
    """Montre des planches l’une après l’autre, à la même place ; imprimées, elles se suivent."""
    return Planche({"genre": "pile", "planches": [p.donnees for p in planches]})


def qr(adresse: str = DEPOT) -> Planche:
    """Montre une adresse, en code QR et en toutes lettres."""
    import segno

    dessin = BytesIO()
    segno.make(adresse, error="m").save(
        dessin, kind="svg", scale=8, border=4, dark="#14263a", light="#ffffff", xmldecl=False
    )
    svg = re.sub(r'width="(\d+)" height="\1"', r'viewBox="0 0 \1 \1"', dessin.getvalue().decode())
    alternatif = f"Code QR qui mène à {adresse.removeprefix('https://')}."
    return Planche(_figure("qr", alternatif, svg).donnees | {"adresse": adresse})


def _soigner(markdown: str) -> str:
    return insecables(remplir(markdown))


def html(planche: dict[str, Any], incorporer: bool = False) -> str:
    """Dit une planche en HTML.

    Args:
        planche: ses données.
        incorporer: vrai pour un notebook : les images y sont dans la page, pas à côté.
    """
    genre = planche["genre"]
    if genre == "deux":
        a, b = planche["parts"]
        deux = "".join(f"<div>{html(p, incorporer)}</div>" for p in planche["planches"])
        return f'<div class="deux" style="grid-template-columns: {a}fr {b}fr">{deux}</div>'
    if genre == "pile":
        # Chacune s’efface quand la suivante paraît ; la dernière reste.
        n = len(planche["planches"])
        classes = ["fade-out", *["current-visible"] * (n - 2), ""][:n]
        empilees = "".join(
            f'<div class="fragment {classe}" data-fragment-index="{max(rang - 1, 0)}">'
            f"{html(p, incorporer)}</div>"
            for rang, (p, classe) in enumerate(zip(planche["planches"], classes, strict=True))
        )
        return f'<div class="pile">{empilees}</div>'
    if genre == "figure":
        adresse = f"figures/{planche['nom']}.svg"
        if incorporer:
            adresse = _incorporer(planche["svg"].encode(), "image/svg+xml")
        image = f'<img src="{adresse}" alt="{escape(planche["alt"])}">'
        if lien := planche.get("adresse"):
            court = escape(lien.removeprefix("https://"))
            return f'<figure class="qr">{image}<a href="{escape(lien)}">{court}</a></figure>'
        return f"<figure>{image}</figure>"
    if genre == "ecran":
        adresse = f"captures/{planche['fichier'].rsplit('/', 1)[1]}"
        if incorporer:
            octets = (RACINE / planche["fichier"]).read_bytes()
            adresse = _incorporer(octets, f"image/{planche['fichier'].rsplit('.', 1)[1]}")
        image = f'<img src="{adresse}" alt="{escape(planche["alt"])}">'
        legende = escape(insecables(planche["legende"]))
        return f'<figure class="ecran">{image}<figcaption>{legende}</figcaption></figure>'
    if genre == "nombres":
        paires = "".join(
            f"<div><dd>{escape(n)}</dd><dt>{escape(libelle)}</dt></div>"
            for n, libelle in planche["paires"]
        )
        return f'<dl class="nombres">{paires}</dl>'
    if genre == "table":
        tete = "".join(f'<th scope="col">{_en_ligne(c)}</th>' for c in planche["colonnes"])
        corps = "".join(
            f'<tr><th scope="row">{_en_ligne(premiere)}</th>'
            + "".join(f"<td>{_en_ligne(case)}</td>" for case in suite)
            + "</tr>"
            for premiere, *suite in planche["lignes"]
        )
        return f"<table><thead><tr>{tete}</tr></thead><tbody>{corps}</tbody></table>"
    if genre == "code":
        code, fichier = escape(planche["code"], quote=False), escape(planche["fichier"])
        return f'<figure class="code"><figcaption>{fichier}</figcaption><pre>{code}</pre></figure>'
    classes = " ".join(filter(None, ["texte", planche.get("classe")]))
    return f'<div class="{classes}">{mistune.html(planche["texte"])}</div>'


def _incorporer(octets: bytes, genre: str) -> str:
    return f"data:{genre};base64,{base64.b64encode(octets).decode()}"


def _en_ligne(markdown: str) -> str:
    return mistune.html(markdown).strip().removeprefix("<p>").removesuffix("</p>")


def markdown(planche: dict[str, Any]) -> str:
    """Dit une planche en Markdown, tel que GitHub le rend ; vide si elle ne va qu’à l’écran."""
    genre = planche["genre"]
    if genre in COMPOSEES:
        return "\n\n".join(filter(None, map(markdown, planche["planches"])))
    if genre == "figure":
        image = f"![{_sans_crochets(planche['alt'])}]({FIGURES}/{planche['nom']}.svg)"
        return f"{image}\n\n<{planche['adresse']}>" if "adresse" in planche else image
    if genre == "ecran":
        legende = insecables(planche["legende"])
        return f"![{_sans_crochets(planche['alt'])}]({planche['fichier']})\n\n*{legende}*"
    if genre == "nombres":
        return "\n".join(f"- **{n}** {libelle}" for n, libelle in planche["paires"])
    if genre == "table":
        rangees = [planche["colonnes"], ["---"] * len(planche["colonnes"]), *planche["lignes"]]
        return "\n".join(
            f"| {' | '.join(c.replace('|', chr(92) + '|') for c in r)} |" for r in rangees
        )
    if genre == "code":
        entete = f"[`{planche['fichier']}`]({planche['fichier']}) :"
        return f"{entete}\n\n```{planche['langage']}\n{planche['code']}\n```"
    return ""


def _sans_crochets(alternatif: str) -> str:
    return alternatif.replace("[", "(").replace("]", ")")


def figures(planche: dict[str, Any]) -> list[dict[str, Any]]:
    """Donne les dessins et les captures d’une planche, où qu’ils soient."""
    if planche["genre"] in COMPOSEES:
        return [f for p in planche["planches"] for f in figures(p)]
    return [planche] if planche["genre"] in {"figure", "ecran"} else []


def mots(planche: dict[str, Any]) -> str:
    """Donne le texte qu’une planche fait lire, code et dessins exclus."""
    if planche["genre"] in COMPOSEES:
        return " ".join(map(mots, planche["planches"]))
    if planche["genre"] in {"code", "figure"}:
        return planche.get("adresse", "")
    return BALISE.sub(" ", html(planche))
