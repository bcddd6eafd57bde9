#!/bin/sh
# Le serveur. PARTICIPANTS lui donne des comptes ; sans elle, il est ouvert à qui le joint.
set -eu
set -- --host 0.0.0.0 --port 5000 --workers 1 --serve-artifacts
if [ -n "${PARTICIPANTS:-}" ]; then
  export MLFLOW_AUTH_CONFIG_PATH=/tmp/comptes.ini
  python -m comptes
  set -- "$@" --app-name basic-auth
fi
exec mlflow server "$@"
