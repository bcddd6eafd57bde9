#!/bin/sh
# À lire avant de télécharger pendant une construction (« . reseau.sh ») : l’autorité et les index
# d’une entreprise, donnés par CERTIFICATS, INDEX_PYPI et INDEX_NPM ; sans eux, rien ne change.
# L’autorité est un secret de construction : elle s’ajoute à celles de l’image de base, et aucune
# image ne la garde.
if [ -s /run/secrets/certificats ]; then
  cat "${SSL_CERT_FILE:-/etc/ssl/certs/ca-certificates.crt}" /run/secrets/certificats > /tmp/certificats.pem
  for nom in SSL_CERT_FILE PIP_CERT REQUESTS_CA_BUNDLE NODE_EXTRA_CA_CERTS; do export "$nom=/tmp/certificats.pem"; done
fi
if [ -n "${INDEX_PYPI:-}" ]; then export PIP_INDEX_URL="$INDEX_PYPI" UV_DEFAULT_INDEX="$INDEX_PYPI"; fi
if [ -n "${INDEX_NPM:-}" ]; then export npm_config_registry="$INDEX_NPM"; fi
