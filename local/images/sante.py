"""Dit si le conteneur est en bonne santé : l’adresse de la variable SANTE répond 200.

L’attente est longue exprès : Swarm tue ce qui n’est pas sain, et une machine occupée, une salle qui
entre d’un coup, ne doit pas lui faire tuer ce qui marche.
"""

import os
import sys
import urllib.request

# Docker met dans les conteneurs le proxy de l’entreprise, qui ne connaît pas cette adresse.
sans_proxy = urllib.request.build_opener(urllib.request.ProxyHandler({}))
try:
    sans_proxy.open(os.path.expandvars(os.environ["SANTE"]), timeout=25)
except OSError as erreur:
    sys.exit(f"{os.environ['SANTE']} : {erreur}")
