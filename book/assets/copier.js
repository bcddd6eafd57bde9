// Les boutons « Copier » viennent au premier geste du lecteur : les deux scripts qui les posent
// faisaient attendre une longue page, sur un téléphone, pour des boutons que personne ne voit encore.
(() => {
  "use strict";
  const GESTES = ["pointermove", "pointerdown", "keydown", "focusin"];
  const SCRIPTS = ["clipboard.min.js", "copybutton.js"];
  const dossier = new URL(".", document.currentScript.src);

  function charger() {
    GESTES.forEach((geste) => removeEventListener(geste, charger));
    SCRIPTS.forEach((nom) => {
      const script = document.createElement("script");
      script.src = new URL(nom, dossier);
      // L’un après l’autre : le second se sert du premier.
      script.async = false;
      document.head.append(script);
    });
  }

  GESTES.forEach((geste) => addEventListener(geste, charger));
})();
