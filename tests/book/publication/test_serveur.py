import gzip
import socket
import threading
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
from publication.depot import ErreurPublication, ecrire
from publication.serveur import preparer


def test_livre_servi(tmp_path):
    # Étant donné un livre construit
    ecrire(tmp_path / "_build" / "html" / "index.html", "le livre")
    serveur = preparer(tmp_path, 0)
    threading.Thread(target=serveur.serve_forever, daemon=True).start()
    # Alors on le lit sur 127.0.0.1
    assert serveur.server_address[0] == "127.0.0.1", "Le livre ne s’offre qu’à cette machine."
    with urlopen(f"http://127.0.0.1:{serveur.server_port}/") as reponse:
        assert reponse.read() == b"le livre"
    serveur.shutdown()
    serveur.server_close()


@pytest.fixture
def servi(tmp_path):
    """L’adresse d’un livre servi, qui a une page d’erreur."""
    ecrire(tmp_path / "_build" / "html" / "index.html", "le livre " * 100)
    ecrire(tmp_path / "_build" / "html" / "404.html", "perdu")
    serveur = preparer(tmp_path, 0)
    threading.Thread(target=serveur.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{serveur.server_port}/"
    serveur.shutdown()
    serveur.server_close()


def test_pages_compressees(servi):
    # Quand un navigateur, qui sait décompresser, demande une page
    with urlopen(Request(servi, headers={"Accept-Encoding": "gzip"})) as reponse:
        recu = reponse.read()
    # Alors elle voyage compressée, et sa longueur annoncée est la vraie
    assert reponse.headers["Content-Encoding"] == "gzip"
    assert int(reponse.headers["Content-Length"]) == len(recu) < 100
    assert gzip.decompress(recu).startswith(b"le livre")


def test_page_d_erreur(servi):
    with pytest.raises(HTTPError, match="404") as erreur:
        urlopen(f"{servi}absente/page.html")
    assert erreur.value.read() == b"perdu", "La page d’erreur du livre n’est pas servie."


def test_livre_absent(tmp_path):
    with pytest.raises(ErreurPublication, match="make book"):
        preparer(tmp_path, 0)


def test_port_pris(tmp_path):
    ecrire(tmp_path / "_build" / "html" / "index.html", "le livre")
    with socket.create_server(("127.0.0.1", 0)) as occupant:
        port = occupant.getsockname()[1]
        with pytest.raises(ErreurPublication, match=f"le port {port} est déjà pris"):
            preparer(tmp_path, port)


def test_port_impossible(tmp_path):
    ecrire(tmp_path / "_build" / "html" / "index.html", "le livre")
    with pytest.raises(ErreurPublication, match="le port 70000 n’est pas permis"):
        preparer(tmp_path, 70000)
