#!/bin/sh
# Le serveur d’un participant : ses notebooks sont prêts à sa première venue, et restent les siens.
set -eu
dossier="$HOME/demonstration"
mkdir -p "$dossier" "$MLOPS_TRAVAIL"
for notebook in /opt/demo/notebooks/*.ipynb; do
  [ -e "$dossier/${notebook##*/}" ] || cp "$notebook" "$dossier/"
done
exec jupyterhub-singleuser "$@"
