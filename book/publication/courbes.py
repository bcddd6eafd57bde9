"""Les courbes de l’exposé, tracées pour la salle d’après l’exécution de référence.

Une courbe porte son nom au bout de son trait, pas dans une légende ; l’essentiel est en couleur, le
reste se tait. Chaque fonction trace dans un repère et donne le texte de remplacement.
"""

from collections.abc import Callable
from io import StringIO
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from mlops_demo.graphiques import BLEU, GRIS, MOIS, ORANGE, ROUGE, VERT, Virgule, police
from mlops_demo.textes import nombre

from publication.reference import charger, valeur

ENCRE = "#14263a"
# La place d’un dessin sur une diapositive, en pouces : 1216 × 560 pixels, à 100 par pouce.
TAILLE, TAILLE_ETROITE = (12.16, 5.6), (7.0, 5.4)
# Le plus petit texte, en points : 18 pixels une fois le dessin à sa place.
CORPS = 15.5
REGLAGES = {
    "axes.axisbelow": True,
    "axes.edgecolor": GRIS,
    "axes.labelcolor": ENCRE,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "figure.constrained_layout.use": True,
    "figure.facecolor": "white",
    "font.size": CORPS,
    "svg.fonttype": "path",
    "svg.hashsalt": "mlops",
    "text.color": ENCRE,
    "xtick.color": ENCRE,
    "ytick.color": ENCRE,
}
METIERS = (("data scientist", BLEU), ("développeur", ORANGE), ("administrateur système", VERT))


def tracer(nom: str, sortie: StringIO, etroite: bool = False) -> str:
    """Écrit une courbe en SVG ; donne son texte de remplacement."""
    with mpl.rc_context(REGLAGES | {"font.family": police()}):
        dessin = Figure(figsize=TAILLE_ETROITE if etroite else TAILLE)
        alternatif = COURBES[nom](charger()["resultats"], dessin.subplots())
        dessin.savefig(sortie, format="svg", metadata={"Date": None})
    return alternatif


def _mois(lignes: list[dict[str, Any]]) -> list[str]:
    return [MOIS[int(ligne["mois"][5:7]) - 1] for ligne in lignes]


def _serie(lignes: list[dict[str, Any]], cle: str, fois: float = 1) -> list[float]:
    return [fois * ligne[cle] for ligne in lignes]


def _nommer(repere: Axes, x: float, y: float, texte: str, couleur: str, **ou: Any) -> None:
    """Écrit le nom d’une courbe près d’elle."""
    place = {"xytext": (10, 0), "va": "center", "fontsize": 19, "weight": "bold"} | ou
    repere.annotate(
        texte, (x, y), textcoords="offset points", color=couleur, annotation_clip=False, **place
    )


def _axe(repere: Axes, titre: str) -> None:
    repere.set_ylabel(titre)
    repere.yaxis.set_major_formatter(Virgule())
    repere.grid(axis="y", color="#dde3e9")
    repere.tick_params(length=0)


def retards_par_heure(r: dict[str, Any], repere: Axes) -> str:
    """La part des vols en retard, par heure de départ prévue."""
    parts = {int(h): 100 * p for h, p in r["1_definitions"]["retards_par_heure"].items()}
    couleurs = [ROUGE if h == 21 else "#b9c6d2" for h in parts]
    repere.bar(list(parts), list(parts.values()), color=couleurs, width=0.78)
    repere.annotate(
        f"{nombre(parts[21], 0)} %",
        (21, parts[21]),
        ha="center",
        va="bottom",
        fontsize=24,
        weight="bold",
        color=ROUGE,
    )
    repere.set_xticks([6, 9, 12, 15, 18, 21], ["6 h", "9 h", "12 h", "15 h", "18 h", "21 h"])
    _axe(repere, "vols en retard (%)")
    return (
        "Part des vols arrivés avec au moins 15 minutes de retard, par heure de départ prévue : "
        f"{nombre(parts[6], 0)} % à 6 h, {nombre(parts[21], 0)} % à 21 h."
    )


def annonce_observe(r: dict[str, Any], repere: Axes) -> str:
    """Ce que le modèle figé annonce, ce que l’on observe."""
    lignes = r["44_supervision"]["mois"]
    x, annonce = range(len(lignes)), _serie(lignes, "proba_moyenne", 100)
    observe = _serie(lignes, "taux_observe", 100)
    repere.fill_between(x, annonce, observe, color=ROUGE, alpha=0.12, lw=0)
    repere.plot(x, observe, color=ENCRE, marker="o", lw=3.5, ms=9)
    repere.plot(x, annonce, color=ROUGE, marker="s", lw=3.5, ms=9)
    juillet = next(i for i, ligne in enumerate(lignes) if ligne["mois"].endswith("-07"))
    for serie, couleur, haut in ((observe, ENCRE, 14), (annonce, ROUGE, -14)):
        repere.annotate(
            f"{nombre(serie[juillet], 0)} %",
            (juillet, serie[juillet]),
            xytext=(0, haut),
            textcoords="offset points",
            ha="center",
            va="bottom" if haut > 0 else "top",
            fontsize=26,
            weight="bold",
            color=couleur,
        )
    _nommer(repere, x[-1], observe[-1], "observé", ENCRE)
    _nommer(repere, x[-1], annonce[-1], "annoncé", ROUGE)
    repere.set_xticks(x, _mois(lignes))
    repere.set_ylim(0, 40)
    _axe(repere, "vols en retard (%)")
    return (
        "Modèle figé, d’avril à décembre : en juillet il annonce "
        f"{nombre(annonce[juillet], 0)} % de retards, on observe {nombre(observe[juillet], 0)} %."
    )


def fige_reentraine(r: dict[str, Any], repere: Axes) -> str:
    """La log-loss, figé et réentraîné ; en gris, les mois dont le gain est dans le bruit."""
    fige, neuf = r["44_supervision"]["mois"], r["45_reentrainement"]["mois"]
    x, a, b = range(len(fige)), _serie(fige, "log_loss"), _serie(neuf, "log_loss")
    repere.plot(x, a, color=ROUGE, marker="s", lw=3.5, ms=9)
    repere.plot(x, b, color=BLEU, marker="o", lw=3.5, ms=9)
    ecart = 14 if abs(a[-1] - b[-1]) < 0.08 * (max(a + b) - min(a + b)) else 0
    signe = 1 if a[-1] >= b[-1] else -1
    _nommer(repere, x[-1], a[-1], "figé", ROUGE, xytext=(10, signe * ecart))
    _nommer(repere, x[-1], b[-1], "réentraîné", BLEU, xytext=(10, -signe * ecart))
    repere.set_xticks(x, _mois(fige))
    _axe(repere, "log-loss par vol (plus bas est mieux)")
    gains = r["45_reentrainement"]["gains"]
    # Avril n’est pas du bruit : les deux modèles y sont le même.
    flous = [i for i, g in enumerate(gains) if i and g["bas"] <= 0 <= g["haut"]]
    repere.axvspan(flous[0] - 0.4, flous[-1] + 0.4, color="#eef1f5", lw=0, zorder=0)
    repere.text(
        (flous[0] + flous[-1]) / 2,
        max(a),
        "gain dans le bruit",
        ha="center",
        va="center",
        fontsize=19,
        weight="bold",
        color="#4a5868",
    )
    rang = max(range(len(a)), key=lambda i: a[i] - b[i])
    repere.annotate(
        "",
        (rang, b[rang] + 0.012),
        (rang, a[rang] - 0.012),
        arrowprops={"arrowstyle": "<->", "lw": 2, "color": GRIS},
    )
    repere.text(
        rang - 0.12,
        (a[rang] + b[rang]) / 2,
        nombre(a[rang] - b[rang], 2),
        ha="right",
        va="center",
        fontsize=22,
        weight="bold",
        color="#4a5868",
    )
    mois = _mois(gains)
    return (
        "Log-loss d’avril à décembre. L’écart le plus grand est en "
        f"{mois[rang]} : {nombre(a[rang], 2)} figé, {nombre(b[rang], 2)} réentraîné. De "
        f"{mois[flous[0]]} à {mois[flous[-1]]}, le gain est dans le bruit."
    )


def drift_et_erreur(r: dict[str, Any], repere: Axes) -> str:
    """La part des variables en dérive, et l’erreur de calibration, mois par mois."""
    lignes = r["44_supervision"]["mois"]
    x = list(range(len(lignes)))
    derive = _serie(lignes, "part_derive", 100)
    erreur = [abs(v) for v in _serie(lignes, "biais", 100)]
    repere.bar(x, derive, color="#b9c6d2", width=0.62)
    _axe(repere, "variables en dérive (%)")
    repere.set_ylim(0, 75)
    autre = repere.twinx()
    autre.plot(x, erreur, color=ROUGE, marker="o", lw=3.5, ms=9)
    autre.set_ylim(0, 30)
    autre.set_ylabel("erreur de calibration (points)", color=ROUGE)
    autre.tick_params(length=0, colors=ROUGE)
    repere.set_xticks(x, _mois(lignes))
    octobre = next(i for i, ligne in enumerate(lignes) if ligne["mois"].endswith("-10"))
    juillet = next(i for i, ligne in enumerate(lignes) if ligne["mois"].endswith("-07"))
    return (
        "Barres : part des variables en dérive ; courbe : erreur de calibration. En juillet, "
        f"{nombre(derive[juillet], 0)} % des variables dérivent et l’erreur est de "
        f"{nombre(erreur[juillet], 0)} points. En octobre, {nombre(derive[octobre], 0)} % dérivent "
        f"encore, et l’erreur n’est plus que de {nombre(erreur[octobre], 0)} points."
    )


def gestes(r: dict[str, Any], repere: Axes) -> str:
    """Les gestes faits à la main à chaque niveau, par métier."""
    niveaux = r["2_workflow"]["niveaux"]
    bas = [0] * len(niveaux)
    rangs = range(len(niveaux))
    for metier, couleur in METIERS:
        combien = [n["gestes_par_metier"][metier] for n in niveaux]
        repere.bar(rangs, combien, bottom=bas, color=couleur, edgecolor="white", lw=2, label=metier)
        bas = [a + b for a, b in zip(bas, combien, strict=True)]
    for rang, total in zip(rangs, bas, strict=True):
        repere.annotate(
            str(total), (rang, total), ha="center", va="bottom", fontsize=30, weight="bold"
        )
    repere.set_xticks(rangs, [f"niveau {n}" for n in rangs], fontsize=18)
    repere.set_yticks([])
    repere.set_ylim(0, max(bas) * 1.15)
    repere.spines["left"].set_visible(False)
    repere.tick_params(length=0)
    repere.legend(frameon=False, fontsize=18, loc="upper right")
    suite = ", ".join(f"{total} au niveau {n}" for n, total in enumerate(bas))
    return f"Gestes faits à la main pour remettre un modèle en service, par métier : {suite}."


def mauvais_lot_modele(r: dict[str, Any], repere: Axes) -> str:
    """Ce qu’un mauvais lot et un mauvais modèle deviennent à chaque niveau."""
    niveaux = r["2_workflow"]["niveaux"]
    lignes = (("mauvais lot", "mauvais_lot"), ("mauvais modèle", "mauvais_modele"))
    for rang, (nom, cle) in enumerate(lignes):
        repere.text(-0.75, 1 - rang, nom, ha="right", va="center", fontsize=21, weight="bold")
        for n, niveau in enumerate(niveaux):
            servi = niveau[cle].startswith("servi")
            couleur = "#b4460a" if servi else "#1c6b47"
            mot = "SERVI" if servi else "ARRÊTÉ"
            par = "" if servi else niveau[cle].split(",")[0].removeprefix("arrêté par ")
            par = {"le contrat de données": "contrat", "le gate": "gate"}.get(par, par)
            repere.add_patch(
                mpl.patches.FancyBboxPatch(
                    (n - 0.42, 1 - rang - 0.38),
                    0.84,
                    0.76,
                    facecolor=couleur,
                    lw=0,
                    boxstyle="round,pad=0,rounding_size=0.08",
                )
            )
            decale = 0.09 if par else 0
            repere.text(
                n,
                1 - rang + decale,
                mot,
                ha="center",
                va="center",
                color="white",
                fontsize=19,
                weight="bold",
            )
            repere.text(
                n, 1 - rang - 0.16, par, ha="center", va="center", color="white", fontsize=17
            )
    for n in range(len(niveaux)):
        repere.text(n, 1.58, f"niveau {n}", ha="center", va="center", fontsize=19)
    repere.set_xlim(-2.0, len(niveaux) - 0.5)
    repere.set_ylim(-0.5, 1.75)
    repere.axis("off")
    suite = " ; ".join(
        f"niveau {n} : lot {niveau['mauvais_lot'].split(',')[0].split(' ;')[0]}, modèle "
        f"{niveau['mauvais_modele'].split(',')[0].split(' ;')[0]}"
        for n, niveau in enumerate(niveaux)
    )
    return f"Grille de deux lignes et cinq niveaux. {suite}."


def candidats(r: dict[str, Any], repere: Axes) -> str:
    """La log-loss de mars des trois candidats."""
    mesures = r["42_entrainement"]["mesures"]
    noms, pertes = list(mesures), [m["log_loss"] for m in mesures.values()]
    couleurs = [BLEU if nom == "linéaire" else "#b9c6d2" for nom in noms]
    repere.barh(noms[::-1], pertes[::-1], color=couleurs[::-1], height=0.62)
    for rang, perte in enumerate(pertes[::-1]):
        repere.annotate(
            nombre(perte, 3),
            (perte, rang),
            xytext=(10, 0),
            textcoords="offset points",
            va="center",
            fontsize=26,
            weight="bold",
        )
    repere.set_xlim(0, max(pertes) * 1.18)
    repere.set_xticks([])
    repere.tick_params(length=0, labelsize=22)
    repere.spines["bottom"].set_visible(False)
    suite = ", ".join(f"{nom} {nombre(p, 3)}" for nom, p in zip(noms, pertes, strict=True))
    return f"Log-loss des trois candidats en mars, plus bas est mieux : {suite}."


def frise(r: dict[str, Any], repere: Axes) -> str:
    """L’année du modèle réentraîné : versions en service et décisions."""
    decisions = r["45_reentrainement"]["decisions"]
    x = range(len(decisions))
    mois = _mois(decisions)
    couleurs = {"promu": "#1c6b47", "refusé": "#b4460a"}
    repere.plot(
        [-0.5, len(decisions) + 0.3],
        [0, 0],
        color="#b9c6d2",
        lw=10,
        zorder=1,
        solid_capstyle="round",
    )
    for rang, d in zip(x, decisions, strict=True):
        if d["décision"] not in couleurs:
            repere.scatter([rang], [0], s=90, color=GRIS, zorder=3)
            continue
        couleur = couleurs[d["décision"]]
        repere.scatter([rang], [0], s=520, color=couleur, zorder=3)
        repere.annotate(
            d["décision"],
            (rang, 0),
            xytext=(0, 40),
            textcoords="offset points",
            ha="center",
            fontsize=22,
            weight="bold",
            color=couleur,
        )
    fin = len(decisions) - 0.1
    repere.scatter([fin], [0], s=520, color=ROUGE, marker="X", zorder=3)
    repere.annotate(
        f"forcée, puis\nretirée en\n{valeur('retour')}",
        (fin, 0),
        xytext=(0, 40),
        textcoords="offset points",
        ha="center",
        fontsize=20,
        weight="bold",
        color=ROUGE,
    )
    for rang, nom in zip(x, mois, strict=True):
        repere.text(rang, -0.16, nom, ha="center", va="top", fontsize=18)
    premiere, debut = decisions[0]["version"], 0
    for rang in [*x, len(decisions)]:
        version = decisions[rang]["version"] if rang < len(decisions) else None
        if version != decisions[debut]["version"]:
            repere.annotate(
                "",
                (debut - 0.42, -0.55),
                (rang - 0.58, -0.55),
                arrowprops={"arrowstyle": "-", "lw": 6, "color": BLEU},
            )
            repere.text(
                (debut + rang - 1) / 2,
                -0.62,
                f"version {decisions[debut]['version'] - premiere + 1}",
                ha="center",
                va="top",
                fontsize=20,
                weight="bold",
                color=BLEU,
            )
            debut = rang
    repere.set_xlim(-0.8, len(decisions) + 0.9)
    repere.set_ylim(-1.0, 0.9)
    repere.axis("off")
    promus = [m for m, d in zip(mois, decisions, strict=True) if d["décision"] == "promu"]
    refus = [m for m, d in zip(mois, decisions, strict=True) if d["décision"] == "refusé"]
    return (
        f"Frise d’avril à décembre : promotions en {' et '.join(promus)}, refus en "
        f"{' et '.join(refus)}, puis une promotion forcée en décembre, retirée en "
        f"{valeur('retour')}."
    )


def ml_test_score(r: dict[str, Any], repere: Axes) -> str:
    """Les quatre sections du ML Test Score ; la plus basse fait la note."""
    sections = r["3_principes"]["sections"]
    noms, points = list(sections)[::-1], list(sections.values())[::-1]
    note = min(points)
    repere.barh(noms, [7] * len(noms), color="#edf1f5", height=0.62)
    couleurs = [ROUGE if p == note else BLEU for p in points]
    repere.barh(noms, points, color=couleurs, height=0.62)
    for rang, p in enumerate(points):
        repere.annotate(
            nombre(p, 1), (p, rang), xytext=(-12, 0), textcoords="offset points", ha="right",
            va="center", fontsize=26, weight="bold", color="white",
        )  # fmt: skip
    repere.set_xlim(0, 7.05)
    repere.set_xticks([0, 7])
    repere.set_xlabel("points, sur sept par section")
    repere.tick_params(length=0, labelsize=19)
    repere.spines[["left", "bottom"]].set_visible(False)
    suite = ", ".join(f"{nom} {nombre(p, 1)}" for nom, p in sections.items())
    return f"Notre ML Test Score, sur sept par section : {suite}. La plus basse fait la note."


COURBES: dict[str, Callable[[dict[str, Any], Axes], str]] = {
    f.__name__: f
    for f in (
        retards_par_heure,
        annonce_observe,
        fige_reentraine,
        drift_et_erreur,
        gestes,
        mauvais_lot_modele,
        candidats,
        frise,
        ml_test_score,
    )
}
