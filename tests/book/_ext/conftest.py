"""L’extension du livre s’importe depuis son dossier, comme le fait Sphinx."""

import sys

from publication.depot import RACINE

sys.path.insert(0, str(RACINE / "book" / "_ext"))
