"""Le livre vu de loin : la carte que montre un lien partagé, la page d’une adresse perdue."""

import json
from html import escape
from pathlib import Path

CARTE = "_static/carte.png"
# Ce que demandent les réseaux, en pixels.
LARGEUR, HAUTEUR = 1200, 630
BANDE = ("#0a6fa8", "#c2500a", "#3f7d20")

BALISES = """
<meta property="og:type" content="{genre}">
<meta property="og:site_name" content="{livre}">
<meta property="og:locale" content="fr_FR">
<meta property="og:title" content="{titre}">
<meta property="og:description" content="{description}">
<meta property="og:url" content="{adresse}">
<meta property="og:image" content="{racine}/{carte}">
<meta property="og:image:width" content="{largeur}">
<meta property="og:image:height" content="{hauteur}">
<meta property="og:image:alt" content="{livre}">
<meta name="twitter:card" content="summary_large_image">
"""

# Sans feuille de style ni image : rien de ce qu’une adresse relative trouverait n’est sûr d’ici.
PERDUE = """<!DOCTYPE html>
<html lang="fr">
  <head>
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <meta name="robots" content="noindex">
    <meta name="description" content="Cette adresse ne mène à aucune page du livre.">
    <meta name="color-scheme" content="light dark">
    <title>Page introuvable — {livre}</title>
    <link rel="icon" href="data:,">
    <style>
      :root {{ --texte: #1d2530; --fond: white; --lien: #0a5a87; --filet: #49535f; }}
      @media (prefers-color-scheme: dark) {{
        :root {{ --texte: #e6ebf0; --fond: #14181e; --lien: #7cc4ee; --filet: #b4bec9; }}
      }}
      body {{ max-width: 42rem; margin: 10vh auto; padding: 0 1.25rem; color: var(--texte);
        background: var(--fond); font: 1.1rem/1.6 system-ui, "Segoe UI", Roboto, sans-serif; }}
      h1 {{ padding-bottom: 0.6rem; line-height: 1.2; border-bottom: 4px solid;
        border-image: linear-gradient(90deg, {bande}) 1; }}
      a {{ color: var(--lien); }}
      li {{ margin-block: 0.4rem; }}
      form {{ display: flex; flex-wrap: wrap; gap: 0.6rem; align-items: end; margin: 1.5rem 0; }}
      label {{ display: grid; gap: 0.2rem; font-weight: 600; }}
      input, button {{ min-height: 2.75rem; padding: 0.3rem 0.7rem; font: inherit; font-weight: 400;
        color: inherit; background: none; border: 1px solid var(--filet); border-radius: 6px; }}
      :focus-visible {{ outline: 3px solid var(--lien); outline-offset: 2px; }}
    </style>
  </head>
  <body>
    <main>
      <h1>Page introuvable</h1>
      <p>Cette adresse ne mène à aucune page du livre : elle a peut-être changé, ou une lettre
        y manque.</p>
      <form action="{racine}/search.html" role="search">
        <label>Rechercher dans le livre <input type="search" name="q"></label>
        <button>Rechercher</button>
      </form>
      <ul>
        {liens}
      </ul>
    </main>
    <script>
      // Le livre est servi sous une adresse que cette page ne connaît pas : elle remonte les
      // dossiers de l’adresse demandée jusqu’à celui où il se trouve, et y fait mener ses liens.
      (async () => {{
        const publie = {publie};
        const dossiers = location.pathname.split("/").slice(0, -1);
        for (; dossiers.length; dossiers.pop()) {{
          const racine = `${{dossiers.join("/")}}/`;
          const reponse = await fetch(`${{racine}}searchindex.js`, {{ method: "HEAD" }});
          if (!reponse.ok) continue;
          const situer = (adresse) => adresse.replace(publie, location.origin + racine);
          document.querySelectorAll("a").forEach((lien) => (lien.href = situer(lien.href)));
          document.querySelector("form").action = `${{racine}}search.html`;
          return;
        }}
      }})();
    </script>
  </body>
</html>
"""


def baliser(livre: str, titre: str, description: str, racine: str, page: str) -> str:
    """Donne les balises que lisent les réseaux quand on y partage l’adresse d’une page."""
    return BALISES.format(
        genre="website" if titre == livre else "article",
        livre=escape(livre),
        titre=escape(titre),
        description=escape(description),
        adresse=f"{racine}/{page}",
        racine=racine,
        carte=CARTE,
        largeur=LARGEUR,
        hauteur=HAUTEUR,
    )


def dessiner_la_carte(fichier: Path, livre: str, description: str) -> None:
    """Dessine la carte du livre : son titre, sa phrase, les trois couleurs du logo."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(LARGEUR / 100, HAUTEUR / 100), dpi=100, facecolor="white")
    figure.text(0.07, 0.66, livre, size=54, weight="bold", color="#1d2530", va="center")
    figure.text(0.07, 0.36, description, size=27, color="#49535f", va="center", linespacing=1.5)
    bande = figure.add_axes((0, 0, 1, 0.045))
    bande.set_axis_off()
    bande.set(xlim=(0, len(BANDE)), ylim=(0, 1))
    for rang, couleur in enumerate(BANDE):
        bande.axvspan(rang, rang + 1, color=couleur, linewidth=0)
    figure.savefig(fichier, metadata={"Software": None})


def ecrire_la_page_perdue(fichier: Path, livre: str, racine: str, pages: dict[str, str]) -> None:
    """Écrit ``404.html``, que les serveurs de pages montrent à une adresse qui n’existe pas."""
    liens = "\n        ".join(
        f'<li><a href="{racine}/{page}">{escape(titre)}</a></li>' for page, titre in pages.items()
    )
    tiers = ", ".join(f"{c} {i * 33}% {(i + 1) * 33 + i // 2}%" for i, c in enumerate(BANDE))
    fichier.write_text(
        PERDUE.format(
            livre=escape(livre),
            racine=racine,
            publie=json.dumps(f"{racine}/"),
            liens=liens,
            bande=tiers,
        ),
        encoding="utf-8",
    )
