#!/bin/sh
# Prépare ce qu’Airflow attend d’un fichier ou de sa base, puis lance le composant demandé.
set -eu
umask 077
# Un compte, celui de l’administration, dont le mot de passe est dans un fichier en mémoire.
export AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS=admin:admin
export AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE=/tmp/comptes.json
# printf est interne au shell : le mot de passe ne passe par aucune ligne de commande.
printf '{"admin": "%s"}' "$AIRFLOW_MOT_DE_PASSE_ADMIN" \
  > "$AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE"
unset AIRFLOW_MOT_DE_PASSE_ADMIN
AIRFLOW__CORE__FERNET_KEY=$(python -c 'import base64, hashlib, os
print(base64.urlsafe_b64encode(hashlib.sha256(os.environ["AIRFLOW__API__SECRET_KEY"].encode()).digest()).decode())')
export AIRFLOW__CORE__FERNET_KEY
if [ "$1" = api-server ]; then
  /opt/airflow/bin/airflow db migrate
else
  /opt/airflow/bin/airflow db check-migrations --migration-wait-timeout 300
fi
exec /opt/airflow/bin/airflow "$@"
