#!/bin/sh
# Le serveur MLflow. Avec un mot de passe d’administration, on n’y entre qu’avec un compte, et l’on
# n’y voit que ce que l’on y a mis.
set -eu
if [ -n "${MLFLOW_AUTH_ADMIN_PASSWORD:-}" ]; then
  # Les comptes sont dans la base de MLflow ; configparser double les « % » d’une adresse.
  base=$(printf %s "$MLFLOW_BACKEND_STORE_URI" | sed "s/%/%%/g")
  sed "s|BASE|$base|" /usr/local/lib/comptes.ini > /tmp/comptes.ini
  export MLFLOW_AUTH_CONFIG_PATH=/tmp/comptes.ini
  python /usr/local/lib/comptes.py
  unset MLFLOW_PRODUCTION_PASSWORD
  # Elle ne signe que les formulaires d’un navigateur : elle peut changer à chaque démarrage.
  MLFLOW_FLASK_SERVER_SECRET_KEY=$(python -c "import secrets; print(secrets.token_hex(32))")
  export MLFLOW_FLASK_SERVER_SECRET_KEY
  set -- --app-name basic-auth "$@"
fi
exec mlflow server --host 0.0.0.0 --port 5000 --workers 1 --serve-artifacts "$@"
