#!/bin/sh
# Sert le volume comme S3 à qui a la clé, ou (« sante ») lit la liste des objets comme un client.
set -eu
if [ "$1" = servir ]; then
  mkdir -p "$DEPOT"
  # rclone attend du CSV, d’où les guillemets.
  export RCLONE_AUTH_KEY="\"$AWS_ACCESS_KEY_ID,$AWS_SECRET_ACCESS_KEY\""
  exec rclone serve s3 --config /dev/null --addr :9000 --vfs-cache-mode off .
fi
export RCLONE_S3_ENV_AUTH=true RCLONE_S3_PROVIDER=Rclone RCLONE_S3_ENDPOINT=http://127.0.0.1:9000
exec rclone --config /dev/null --retries 1 lsf --max-depth 1 ":s3:$DEPOT" > /dev/null
