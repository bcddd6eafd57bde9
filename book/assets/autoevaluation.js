// L’auto-évaluation du chapitre 2 : une case à cocher par question, le niveau calculé et annoncé aux
// lecteurs d’écran. Sans JavaScript, le tableau reste une liste de questions, avec la règle au-dessus.
// Rien n’est demandé au réseau ni gardé : recharger la page efface les réponses.
(() => {
  "use strict";

  const texteDe = (cellule) => cellule.textContent.trim();

  const enClair = (questions) =>
    questions.length > 1 ? `il reste ${questions.length} questions` : "il reste une question";

  function evaluer(table) {
    const questions = [...table.tBodies[0].rows].map((rangee) => {
      const [enTete, niveau] = rangee.cells;
      const coche = document.createElement("input");
      coche.type = "checkbox";
      // Sans cela, Firefox recoche les cases quand on recharge la page.
      coche.autocomplete = "off";
      coche.style.cssText = "inline-size:1.5rem;block-size:1.5rem;flex:none;margin:0";
      const etiquette = document.createElement("label");
      etiquette.style.cssText = "display:flex;gap:.75rem;align-items:center;min-height:2.75rem";
      etiquette.append(coche, ...enTete.childNodes);
      enTete.append(etiquette);
      return { coche, niveau: Number(texteDe(niveau)) };
    });
    const dernier = Math.max(...questions.map(({ niveau }) => niveau));

    const barre = document.createElement("form");
    barre.className = "filtre";
    const effacer = document.createElement("button");
    effacer.type = "button";
    effacer.textContent = "Tout décocher";
    const resultat = document.createElement("output");
    resultat.setAttribute("aria-live", "polite");
    barre.append(effacer, resultat);

    const calculer = () => {
      let atteint = 0;
      const manquent = (niveau) => questions.filter((q) => q.niveau === niveau && !q.coche.checked);
      while (atteint < dernier && manquent(atteint + 1).length === 0) atteint += 1;
      const suite =
        atteint === dernier
          ? "toutes les réponses sont oui"
          : `pour le niveau ${atteint + 1}, ${enClair(manquent(atteint + 1))}`;
      resultat.textContent = `Votre niveau : ${atteint} ; ${suite}.`;
    };

    table.addEventListener("change", calculer);
    effacer.addEventListener("click", () => {
      questions.forEach(({ coche }) => (coche.checked = false));
      calculer();
    });
    table.after(barre);
    calculer();
  }

  document.addEventListener("DOMContentLoaded", () =>
    document.querySelectorAll("table#tab-autoevaluation").forEach(evaluer));
})();
