"""Prépare Superset avant de le lancer : ses tables, le compte admin, le tableau de bord.

Se relance sans risque : le compte et le tableau reprennent ce que disent le secret et les fichiers.
Les mots de passe ne sont ni sur une ligne de commande, ni dans le tableau de bord.
"""

import os
from pathlib import Path

import superset
from flask import g
from flask_migrate import upgrade
from superset.app import create_app

TABLEAU = Path(__file__).with_name("tableau")
BASE = "databases/demonstration.yaml"


def contenu() -> dict[str, str]:
    """Les fichiers du tableau, sous les noms qu’aurait une archive exportée de Superset."""
    textes = {
        str(fichier.relative_to(TABLEAU)): fichier.read_text(encoding="utf-8")
        for fichier in TABLEAU.rglob("*.yaml")
    }
    textes[BASE] = textes[BASE].replace("@postgres:5432/", f"@{os.environ['POSTGRES_HOTE']}/")
    return textes


def initialiser() -> None:
    """Crée ou met à jour tout ce dont Superset a besoin."""
    application = create_app()
    with application.app_context():
        upgrade(directory=str(Path(superset.__file__).parent / "migrations"))
    application = create_app()  # les tables existent : rôles et permissions peuvent s’y inscrire
    with application.app_context():
        from superset import appbuilder, security_manager
        from superset.commands.importers.v1.assets import ImportAssetsCommand

        appbuilder.add_permissions(update_perms=True)
        security_manager.sync_role_definitions()
        mot_de_passe = os.environ["SUPERSET_MOT_DE_PASSE_ADMIN"]
        admin = security_manager.find_user("admin")
        if admin:
            security_manager.reset_password(admin.id, mot_de_passe)
        else:
            role = security_manager.find_role("Admin")
            security_manager.add_user(
                "admin", "Administration", "Superset", "admin@localhost", role, mot_de_passe
            )
        g.user = security_manager.find_user("admin")
        secret = {BASE: os.environ["SUPERSET_MOT_DE_PASSE_BASE"]}
        # Et non ImportDashboardsCommand, qui laisserait tels quels les graphiques et jeux déjà là.
        ImportAssetsCommand(contenu(), passwords=secret).run()
    print("Superset est prêt.")


if __name__ == "__main__":
    initialiser()
