"""Ce que le chapitre 3 lit de la démonstration, et la façon dont il le montre.

Rien n’est écrit dans la base : la démonstration a déjà eu lieu.
"""

import json
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from mlops_demo import (
    ErreurUtilisateur,
    base,
    graphiques,
    journal,
    livraison,
    registre,
    resultats,
    simulation,
    supervision,
)
from mlops_demo.textes import nombre

from publication.depot import RACINE, lire_yaml
from publication.score import Note, lignes_des_tests, par_section
from publication.tableaux import Tableau, charger, tableau

# Ce qu’un essai a laissé dans MLflow, et le nom court que le chapitre lui donne.
LAISSE = {
    "modele": "modele",
    "donnees.fin": "fin",
    "donnees.vols": "vols",
    "donnees.empreinte": "empreinte",
    "auc": "auc",
    "log_loss": "log_loss",
    "biais": "biais",
}
# Les noms de scikit-learn, en français.
MODELES = {
    "DummyClassifier": "taux moyen",
    "LogisticRegression": "régression logistique",
    "HistGradientBoostingClassifier": "gradient boosting",
}
CM, CT, CD = "CM : une alarme", "CT : un réentraînement", "CD : une mise en service"


def derniere_histoire() -> pd.DataFrame:
    """Le journal de la dernière année rejouée.

    Raises:
        ErreurUtilisateur: si la démonstration n’a pas encore tourné sur cette base.
    """
    lignes = livraison.derniere_histoire(journal.tout(), simulation.MISE_EN_SERVICE)
    if lignes.empty:
        raise ErreurUtilisateur(
            "ce chapitre lit ce que la démonstration a laissé en base, et elle n’a rien laissé : "
            "lancez d’abord « make demo »."
        )
    return lignes


def resultat(
    table: pd.DataFrame, titres: Mapping[str, str], legende: str, nom: str, decimales: int = 3
) -> Tableau:
    """Compose un tableau du livre avec un résultat calculé, nombres à la française."""
    montre = table[list(titres)].astype(object).map(lambda v: _texte(v, decimales))
    return tableau(montre.to_dict("records"), titres, legende, nom)


def _texte(valeur: object, decimales: int) -> str:
    if isinstance(valeur, list | tuple | np.ndarray):
        return ", ".join(map(str, valeur)) or "aucune"
    if pd.isna(valeur):
        return "—"
    if isinstance(valeur, pd.Timestamp):
        return f"{valeur:%d/%m/%Y}"
    if isinstance(valeur, bool):
        return "oui" if valeur else "non"
    if isinstance(valeur, int | float):
        return nombre(valeur, 0 if isinstance(valeur, int) else decimales)
    return str(valeur)


def outils(n: int) -> Tableau:
    """Les outils du principe ``n`` : les libres, puis ceux des nuages."""
    principe = charger("principes")[n - 1]
    legende = f"{principe['principe']} : les outils, les libres d’abord"
    return tableau(principe["outils"], {"ou": "Où", "noms": "Outils"}, legende, f"tab-outils-{n}")


def essais(prefixe: str = "") -> pd.DataFrame:
    """Les essais notés dans MLflow, le dernier de chaque nom, du plus ancien au plus récent."""
    lignes = []
    for essai in registre.client().search_runs([registre.experience()]):
        note = essai.data.params | essai.data.tags | essai.data.metrics
        garde = {court: note.get(cle) for cle, court in LAISSE.items()}
        garde["modele"] = MODELES.get(garde["modele"], garde["modele"])
        lignes.append({"essai": essai.info.run_name, "lance": essai.info.start_time} | garde)
    table = pd.DataFrame(lignes).sort_values("lance").drop_duplicates("essai", keep="last")
    table = table.assign(vols=table["vols"].astype(int), fin=pd.to_datetime(table["fin"]))
    return table[table["essai"].str.startswith(prefixe)].reset_index(drop=True)


def decisions(mesures: pd.DataFrame, histoire: pd.DataFrame) -> pd.DataFrame:
    """Ce qu’a déclenché chaque mois : ses alarmes, et ce que le journal dit de la suite.

    Returns:
        Une ligne par mois : ``mois``, ``alertes``, ``declenche``, ``suite``.
    """
    suites = {
        pd.Timestamp(ligne.date_simulee): ligne.action
        for ligne in histoire.itertuples()
        if ligne.action in ("promotion", "refus")
    }
    lignes = []
    for mois, alertes in zip(mesures["mois"], mesures["alertes"], strict=True):
        declenche = bool(set(alertes) & set(supervision.DECLENCHEURS))
        suivant = pd.Timestamp(mois) + pd.offsets.MonthBegin(1)
        suite = suites.get(suivant, "attente") if declenche else "rien"
        lignes.append((mois, list(alertes), declenche, suite))
    table = pd.DataFrame(lignes, columns=["mois", "alertes", "declenche", "suite"])
    return table.assign(nom=graphiques.noms_de_mois(table["mois"]))


def cadran(table: pd.DataFrame, histoire: pd.DataFrame) -> Axes:
    """Trace, mois par mois, ce que surveillance, entraînement et livraison continus ont fait."""
    mises = histoire[~histoire["action"].isin(("refus", "reprise"))]
    mois_mis = pd.to_datetime(mises["date_simulee"]).dt.to_period("M")
    dates = pd.to_datetime(table["mois"]).dt.to_period("M")
    rangs = {
        CM: np.flatnonzero(table["declenche"]),
        CT: np.flatnonzero(table["suite"].isin(("promotion", "refus"))),
        CD: np.flatnonzero(dates.isin(mois_mis)),
    }
    repere = graphiques.axe("Ce que l’année a déclenché", "mois de 2013", "", "")
    for (nom, places), couleur, marque in zip(
        rangs.items(), (graphiques.ROUGE, graphiques.ORANGE, graphiques.BLEU), "^so", strict=True
    ):
        repere.scatter(places, [nom] * len(places), color=couleur, marker=marque, s=170, ec="black")
    repere.set_xticks(range(len(table)), table["nom"])
    repere.set_xlim(-0.5, len(table) - 0.5)
    repere.margins(y=0.25)
    repere.invert_yaxis()
    return repere


def derive_et_panne(fige: pd.DataFrame, reentraine: pd.DataFrame) -> Axes:
    """Trace le Brier skill des deux scénarios et ombre les mois où les entrées ont dérivé."""
    courbes = {"modèle figé": fige, "modèle réentraîné": reentraine}
    repere = graphiques.comparer(
        courbes, "brier_skill", "Dérive des entrées et qualité du modèle", "Brier skill", (0,)
    )
    ombre = "alarme de dérive, modèle figé"
    for rang in np.flatnonzero(fige["alertes"].map(lambda a: supervision.ENTREES in a)):
        graphiques.ombrer(repere, rang - 0.5, rang + 0.5, ombre)
        ombre = None
    graphiques.legender(repere)
    return repere


def croiser(fige: pd.DataFrame) -> tuple[list[str], list[str]]:
    """Mois où l’alarme de drift des entrées a sonné sans panne, et mois de panne sans alarme.

    Une panne est un Brier skill négatif : mieux vaudrait annoncer la moyenne.
    """
    alarme = fige["alertes"].map(lambda alertes: supervision.ENTREES in alertes)
    panne = fige["brier_skill"] < 0
    mois = pd.Series(graphiques.noms_de_mois(fige["mois"]), fige.index)
    return mois[alarme & ~panne].tolist(), mois[panne & ~alarme].tolist()


def jauges(notes: list[Note]) -> Axes:
    """Trace le total de chaque section sur sept ; la plus basse, qui fait le score, est cernée."""
    totaux = pd.Series(par_section(notes)).iloc[::-1]
    repere = graphiques.axe("ML Test Score de ce projet", "points sur sept", "", "x")
    repere.barh(totaux.index, 7, color="#eeeeee")
    barres = repere.barh(totaux.index, totaux, color=graphiques.BLEU)
    repere.bar_label(barres, [nombre(v, 1) for v in totaux], padding=4)
    for barre, total in zip(barres, totaux, strict=True):
        if total == totaux.min():
            barre.set(facecolor=graphiques.ORANGE, edgecolor="black", linewidth=2.5, hatch="//")
            barre.set_label("la plus basse fait le score")
    graphiques.legender(repere)
    return repere


def preuves(notes: Iterable[Note]) -> list[dict[str, Any]]:
    """Chaque ligne de la grille : ses points, la mesure faite, et le test, lié à sa ligne."""
    lignes = lignes_des_tests()
    return [
        {
            "n": note.n,
            "exigence": note.exigence,
            "points": nombre(note.points, 0),
            "mesure": note.mesure,
            "test": [
                _preuve(note.n, rang, test, lignes[test]) for rang, test in enumerate(note.tests, 1)
            ],
        }
        for note in notes
    ]


def _preuve(n: str, rang: int, test: str, ligne: int) -> dict[str, str]:
    depot = lire_yaml(RACINE / "_config.yml")["repository"]
    fichier, _ = test.split("::")
    dit = f"test {n}" if rang == 1 else f"test {n}, suite {rang}"
    return {"texte": dit, "adresse": f"{depot['url']}/blob/{depot['branch']}/{fichier}#L{ligne}"}


def indicateurs(histoire: pd.DataFrame, campagne: int) -> list[dict[str, str]]:
    """Les indicateurs de livraison de l’histoire, et ce que chacun ne dit pas ici."""
    predits = base.lire(
        "SELECT DISTINCT predit_le FROM predictions WHERE campagne_id = $1", campagne
    )
    delais = livraison.delais(histoire, predits["predit_le"])
    frequence = livraison.frequence(histoire, simulation.MISE_EN_SERVICE, simulation.FIN)
    valeurs = {
        "Fréquence de déploiement": f"{nombre(frequence, 2)} par mois",
        "Délai de changement": f"{nombre(delais.median(), 1)} s" if len(delais) else "—",
        "Taux d’échec": _part(livraison.taux_d_echec(histoire)),
        "Temps de rétablissement": _jours(livraison.retablissement_en_jours(histoire)),
        "Taux de reprise": _part(livraison.taux_de_reprise(histoire)),
        "Challengers refusés": _part(livraison.taux_de_refus(histoire)),
    }
    return [fiche | {"valeur": valeurs[fiche["indicateur"]]} for fiche in charger("indicateurs")]


def _part(valeur: float | None) -> str:
    return "—" if valeur is None else f"{nombre(100 * valeur, 0)} %"


def _jours(valeur: float | None) -> str:
    return "—" if valeur is None else f"{nombre(valeur, 0)} jours"


def resultat_de(etape: str) -> dict:
    """Le résultat qu’une étape de la démonstration a écrit."""
    return json.loads((resultats.dossier() / f"{etape}.json").read_text(encoding="utf-8"))
