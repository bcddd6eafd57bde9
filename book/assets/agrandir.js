// Une figure, et un tableau plus large que la page, s’ouvrent en grand dans un cadre qui défile : leurs
// textes s’y lisent aussi au téléphone. Sans JavaScript, le lien de la figure ouvre l’image seule ; rien n’est demandé au réseau.
(() => {
  "use strict";

  function cadreVide() {
    const cadre = document.createElement("dialog");
    cadre.className = "agrandi";
    const fermer = document.createElement("button");
    fermer.type = "button";
    fermer.textContent = "Fermer";
    fermer.addEventListener("click", () => cadre.close());
    const vue = document.createElement("div");
    vue.tabIndex = 0;
    vue.setAttribute("role", "region");
    cadre.append(fermer, vue);
    cadre.addEventListener("click", (clic) => clic.target === cadre && cadre.close());
    document.body.append(cadre);
    return { cadre, vue };
  }

  function ouvrir(figure, image, { cadre, vue }) {
    const numero = figure.querySelector(".caption-number");
    const nom = numero ? numero.textContent.trim() : "Figure";
    cadre.setAttribute("aria-label", `${nom} en grand`);
    vue.setAttribute("aria-label", `${nom}, à faire défiler`);
    const grande = new Image();
    grande.src = image.src;
    grande.alt = image.alt;
    vue.replaceChildren(grande);
    cadre.showModal();
  }

  function ouvrirTableau(tableau, { cadre, vue }) {
    const copie = tableau.cloneNode(true);
    for (const element of [copie, ...copie.querySelectorAll("[id]")]) element.removeAttribute("id");
    const nom = tableau.caption ? tableau.caption.textContent.trim() : "Tableau";
    cadre.setAttribute("aria-label", `${nom} en grand`);
    vue.setAttribute("aria-label", `${nom}, à faire défiler`);
    vue.replaceChildren(copie);
    cadre.showModal();
  }

  // Devant un tableau que la page coupe, un bouton.
  function proposerLesTableaux(partage) {
    for (const tableau of document.querySelectorAll("article table")) {
      const boite = tableau.parentElement;
      if (Math.max(tableau.scrollWidth, boite.scrollWidth) <= boite.clientWidth + 4) continue;
      const bouton = document.createElement("button");
      bouton.type = "button";
      bouton.className = "voir-en-grand";
      bouton.textContent = "Voir le tableau en grand";
      bouton.addEventListener("click", () => ouvrirTableau(tableau, partage()));
      boite.before(bouton);
    }
  }

  function preparer() {
    if (!window.HTMLDialogElement) return;
    let unique = null;
    proposerLesTableaux(() => (unique ??= cadreVide()));
    const liens = document.querySelectorAll("figure a.image-reference");
    if (!liens.length) return;
    const partage = (unique ??= cadreVide());
    liens.forEach((lien) =>
      lien.addEventListener("click", (clic) => {
        clic.preventDefault();
        ouvrir(lien.closest("figure"), lien.querySelector("img"), partage);
      }),
    );
  }

  document.addEventListener("DOMContentLoaded", preparer);
})();
