"""Dit si le conteneur est en bonne santé : l’adresse de la variable SANTE répond 200."""

import os
import sys
import urllib.request

try:
    urllib.request.urlopen(os.path.expandvars(os.environ["SANTE"]), timeout=4)
except OSError as erreur:
    sys.exit(f"{os.environ['SANTE']} : {erreur}")
