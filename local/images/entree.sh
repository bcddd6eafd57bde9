#!/bin/sh
# Donne à X le contenu du fichier que nomme X_FICHIER : un secret n’est ainsi ni dans l’image, ni
# dans « docker inspect », ni sur une ligne de commande.
set -eu
for nom in $(env | sed -n 's/^\([A-Z_]*\)_FICHIER=.*/\1/p'); do
  fichier=$(printenv "${nom}_FICHIER")
  export "$nom=$(cat "$fichier")"
  unset "${nom}_FICHIER"
done
exec "$@"
