// Une figure s’ouvre en grand dans la page, dans un cadre qui défile : ses textes s’y lisent aussi au
// téléphone. Sans JavaScript, le lien de la figure ouvre l’image seule ; rien n’est demandé au réseau.
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

  function preparer() {
    const liens = document.querySelectorAll("figure a.image-reference");
    if (!liens.length || !window.HTMLDialogElement) return;
    const partage = cadreVide();
    liens.forEach((lien) =>
      lien.addEventListener("click", (clic) => {
        clic.preventDefault();
        ouvrir(lien.closest("figure"), lien.querySelector("img"), partage);
      }),
    );
  }

  document.addEventListener("DOMContentLoaded", preparer);
})();
