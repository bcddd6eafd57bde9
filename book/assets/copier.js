// Les boutons « Copier » viennent au premier geste du lecteur : les deux scripts qui les posent
// faisaient attendre une longue page, sur un téléphone, pour des boutons que personne ne voit encore.
(() => {
  "use strict";
  const GESTES = ["pointermove", "pointerdown", "keydown", "focusin"];
  const dossier = new URL(".", document.currentScript.src);
  // L’un après l’autre : le second se sert du premier.
  const scripts = ["clipboard.min.js", "copybutton.js"];

  function attendre() {
    GESTES.forEach((geste) => addEventListener(geste, charger));
  }

  function charger() {
    GESTES.forEach((geste) => removeEventListener(geste, charger));
    const script = document.createElement("script");
    script.src = new URL(scripts[0], dossier);
    script.addEventListener("load", () => {
      scripts.shift();
      if (scripts.length) charger();
    });
    // Le réseau a manqué : le prochain geste réessaie.
    script.addEventListener("error", attendre);
    document.head.append(script);
  }

  attendre();
})();
