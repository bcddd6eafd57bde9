import socket
import threading
from urllib.request import urlopen

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
