#!/bin/sh
# Restaure une sauvegarde : SAUVEGARDE, ou la dernière. Rien n’est perdu : chaque base en place est
# gardée sous un autre nom, et reprend le sien si la restauration échoue.
set -eu
PGPASSWORD=$(cat "$PGPASSWORD_FICHIER")
export PGPASSWORD
renoncer() { echo "Restauration abandonnée : $1." >&2; exit 1; }
sql() { psql --no-password --no-psqlrc --quiet --tuples-only --no-align --set ON_ERROR_STOP=1 --dbname postgres "$@"; }
attendre() { # un pod peut démarrer avant que le réseau lui ouvre la base
  reste=${ATTENTE_S:-60}
  until pg_isready --quiet --timeout=2; do
    [ "$reste" -gt 0 ] || renoncer "Postgres ne répond pas"
    sleep 2
    reste=$((reste - 2))
  done
}
existe() { [ "$(sql --command "SELECT 1 FROM pg_database WHERE datname = '$1'")" = 1 ]; }

cd "$SAUVEGARDES" || renoncer "le volume « $SAUVEGARDES » ne s’ouvre pas"
choix=${SAUVEGARDE:-$(ls -1d 20*Z 2> /dev/null | sort | tail -n 1)}
[ -n "$choix" ] || renoncer "aucune sauvegarde dans « $SAUVEGARDES »"
[ -d "$choix" ] || renoncer "pas de sauvegarde « $choix » ; il y a : $(ls -1d 20*Z 2> /dev/null | tr '\n' ' ')"
cd "$choix"
sha256sum --check --quiet SHA256SUMS || renoncer "la sauvegarde « $choix » est abîmée, choisissez-en une autre"
attendre
marque=$(date -u +%Y%m%d%H%M%S)

# Les rôles déjà là le restent, avec le mot de passe de leur Secret.
psql --no-password --no-psqlrc --quiet --dbname postgres --file roles.sql 2>&1 > /dev/null | grep -v 'already exists' >&2 || true

mettre_de_cote() { # ferme une base à tous, puis lui donne un autre nom
  sql << SQL
ALTER DATABASE "$1" ALLOW_CONNECTIONS false;
SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '$1' \g /dev/null
ALTER DATABASE "$1" RENAME TO "$1_avant_$marque";
SQL
}
remettre() {
  sql --command "DROP DATABASE IF EXISTS \"$1\" WITH (FORCE)"
  sql --command "ALTER DATABASE \"$1_avant_$marque\" RENAME TO \"$1\""
  sql --command "ALTER DATABASE \"$1\" ALLOW_CONNECTIONS true"
}
restaurees=
tout_remettre() {
  for faite in $restaurees; do
    existe "${faite}_avant_$marque" && remettre "$faite"
  done
  renoncer "$1 ; les bases sont comme avant"
}

for base in $BASES; do
  [ -f "$base.dump" ] || tout_remettre "la sauvegarde « $choix » n’a pas la base « $base »"
  restaurees="$restaurees $base"
  if existe "$base"; then mettre_de_cote "$base" || tout_remettre "la base « $base » ne se met pas de côté"; fi
  pg_restore --no-password --exit-on-error --create --dbname postgres "$base.dump" \
    || tout_remettre "la base « $base » ne se restaure pas"
done

if [ -f artefacts.tar ]; then
  rm -rf "$ARTEFACTS.restaures"
  { mkdir -p "$ARTEFACTS.restaures" && tar --extract --file artefacts.tar --directory "$ARTEFACTS.restaures"; } \
    || tout_remettre "les fichiers des modèles ne se restaurent pas"
  if [ -e "$ARTEFACTS" ]; then mv "$ARTEFACTS" "$ARTEFACTS.avant_$marque"; fi
  mv "$ARTEFACTS.restaures" "$ARTEFACTS"
fi
echo "Sauvegarde $choix restaurée. Ce qu’elle remplace est gardé sous « …_avant_$marque »."
