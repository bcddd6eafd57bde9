// Les filtres des tableaux « data-filtrable » : un champ de recherche, une liste par colonne
// « Catégorie » ou « Statut », et le compte des lignes, annoncé aux lecteurs d’écran.
// Sans JavaScript, le tableau reste entier ; rien n’est demandé au réseau ni gardé.
(() => {
  "use strict";

  const LISTES = ["Catégorie", "Statut"];

  const plier = (texte) =>
    texte.normalize("NFD").replace(/[\u0300-\u036f]/g, "").replace(/\s+/g, " ").trim().toLowerCase();

  const texteDe = (cellule) => cellule.textContent.trim();

  function champ(barre, intitule, controle) {
    const etiquette = document.createElement("label");
    etiquette.append(intitule, controle);
    barre.append(etiquette);
    return controle;
  }

  function liste(valeurs) {
    const choix = document.createElement("select");
    choix.add(new Option("Tout", ""));
    new Set(valeurs).forEach((valeur) => choix.add(new Option(valeur, valeur)));
    return choix;
  }

  function filtrer(table) {
    const rangees = [...table.tBodies[0].rows];
    const textes = rangees.map((rangee) => plier([...rangee.cells].map(texteDe).join(" ")));
    const titres = [...table.tHead.rows[0].cells].map(texteDe);

    const barre = document.createElement("form");
    barre.className = "filtre";
    barre.setAttribute("role", "search");
    barre.setAttribute("aria-label", `Filtrer le tableau : ${texteDe(table.caption)}`);

    const recherche = document.createElement("input");
    recherche.type = "search";
    champ(barre, "Chercher", recherche);
    const listes = LISTES.filter((titre) => titres.includes(titre)).map((titre) => {
      const colonne = titres.indexOf(titre);
      const valeurs = rangees.map((rangee) => texteDe(rangee.cells[colonne]));
      return { colonne, choix: champ(barre, titre, liste(valeurs)) };
    });

    const effacer = document.createElement("button");
    effacer.type = "reset";
    effacer.textContent = "Tout montrer";
    const compte = document.createElement("output");
    compte.setAttribute("aria-live", "polite");
    barre.append(effacer, compte);

    const appliquer = () => {
      const mots = plier(recherche.value).split(" ");
      let restent = 0;
      rangees.forEach((rangee, rang) => {
        const trouvee = mots.every((mot) => textes[rang].includes(mot));
        const choisie = listes.every(
          ({ colonne, choix }) => !choix.value || texteDe(rangee.cells[colonne]) === choix.value,
        );
        rangee.hidden = !(trouvee && choisie);
        restent += rangee.hidden ? 0 : 1;
      });
      compte.textContent = `${restent} ${restent > 1 ? "lignes" : "ligne"} sur ${rangees.length}`;
    };

    barre.addEventListener("input", appliquer);
    barre.addEventListener("submit", (evenement) => evenement.preventDefault());
    // Le formulaire ne se vide qu’après l’événement.
    barre.addEventListener("reset", () => setTimeout(appliquer));
    table.before(barre);
    appliquer();
  }

  document.addEventListener("DOMContentLoaded", () =>
    document.querySelectorAll("table[data-filtrable]").forEach(filtrer));
})();
