"""Une page d’essai : du HTML, un script du livre, ouverte depuis le disque."""

import pytest
from publication.depot import RACINE


@pytest.fixture
def page_avec(navigateur, tmp_path):
    """Rend de quoi ouvrir une page faite d’un morceau de HTML, d’un script et du style du livre."""
    assets = RACINE / "book" / "assets"

    def composer(html, script):
        tete = '<html lang="fr"><meta charset="utf-8"><title>Essai</title>'
        tete += f'<link rel="stylesheet" href="{(assets / "mlops.css").as_uri()}">'
        tete += f'<script src="{(assets / script).as_uri()}"></script>'
        fichier = tmp_path / "page.html"
        fichier.write_text(f"<!DOCTYPE html>{tete}{html}", encoding="utf-8")

        def ouvrir(**options):
            page = navigateur.new_context(**options).new_page()
            page.goto(fichier.as_uri())
            return page

        return ouvrir

    return composer
