#!/bin/sh
# Met Superset en l’état que décrivent les fichiers, puis le lance : un processus, huit fils.
set -eu
python /opt/superset/initialiser.py
exec gunicorn --bind 0.0.0.0:8088 --workers 1 --worker-class gthread --threads 8 --timeout 120 \
  --worker-tmp-dir /dev/shm "superset.app:create_app()"
