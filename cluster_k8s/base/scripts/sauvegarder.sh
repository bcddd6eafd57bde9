#!/bin/sh
# Sauvegarde les bases, les rôles et les fichiers des modèles : en entier, ou pas du tout.
# Une sauvegarde se fait dans « .en-cours » et ne prend son nom qu’une fois relue ; les plus vieilles
# ne sont effacées qu’ensuite.
set -eu
PGPASSWORD=$(cat "$PGPASSWORD_FICHIER")
export PGPASSWORD
renoncer() { echo "Sauvegarde abandonnée : $1. Les précédentes sont intactes." >&2; exit 1; }
attendre() { # un pod peut démarrer avant que le réseau lui ouvre la base
  reste=${ATTENTE_S:-60}
  until pg_isready --quiet --timeout=2; do
    [ "$reste" -gt 0 ] || renoncer "Postgres ne répond pas"
    sleep 2
    reste=$((reste - 2))
  done
}

cd "$SAUVEGARDES" || renoncer "le volume « $SAUVEGARDES » ne s’ouvre pas"
attendre
rm -rf .en-cours
mkdir .en-cours || renoncer "le volume « $SAUVEGARDES » n’est pas inscriptible par $(id -u)"
cd .en-cours
# Les mots de passe n’y sont pas : ils restent ceux des Secrets.
pg_dumpall --no-password --roles-only --no-role-passwords --file roles.sql || renoncer "les rôles ne se lisent pas"
for base in $BASES; do
  pg_dump --no-password --format custom --file "$base.dump" "$base" || renoncer "la base « $base » ne se lit pas"
  pg_restore --list "$base.dump" > /dev/null || renoncer "la sauvegarde de « $base » ne se relit pas"
done
# Après la base de MLflow : chaque version qu’elle nomme a déjà ses fichiers.
if [ -d "$ARTEFACTS" ]; then
  code=0
  tar --create --file artefacts.tar --directory "$ARTEFACTS" . || code=$?
  # 1 : un fichier écrit pendant la lecture, celui d’un essai en cours.
  [ "$code" -le 1 ] || renoncer "les fichiers des modèles ne se lisent pas"
fi
sha256sum -- * > SHA256SUMS
sync
cd ..
nom=$(date -u +%Y-%m-%dT%H-%M-%SZ)
mv .en-cours "$nom"
echo "Sauvegarde $nom : $(du -sh "$nom" | cut -f 1)."
for vieille in $(ls -1d 20*Z | sort -r | tail -n "+$((GARDER + 1))"); do
  rm -rf "$vieille"
  echo "Effacée : $vieille."
done
