"""Le protocole du service : un en-tête sans fin, un envoi sans fin, et tout le reste qui passe."""

import socket
import threading
import time

import pytest
import uvicorn
from mlops_demo import service_http


async def echo(scope, receive, send):
    """Lit le corps entier et dit sa longueur."""
    total, encore = 0, True
    while encore:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        total, encore = total + len(message.get("body", b"")), message.get("more_body", False)
    corps = str(total).encode()
    entetes = [(b"content-length", str(len(corps)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": entetes})
    await send({"type": "http.response.body", "body": corps})


@pytest.fixture
def connecter(monkeypatch):
    """De quoi ouvrir des connexions à un serveur dont le délai d’envoi est d’une seconde."""
    monkeypatch.setattr(service_http, "DELAI_S", 1)
    reglages = uvicorn.Config(
        echo, port=0, http="mlops_demo.service_http:Protocole", lifespan="off", log_level="error"
    )
    serveur, ouvertes = uvicorn.Server(reglages), []
    fil = threading.Thread(target=serveur.run, daemon=True)
    fil.start()
    limite = time.monotonic() + 30
    while not serveur.started:
        assert time.monotonic() < limite, "le serveur ne démarre pas"
        time.sleep(0.01)
    port = serveur.servers[0].sockets[0].getsockname()[1]

    def connecter():
        ouvertes.append(socket.create_connection(("127.0.0.1", port), timeout=10))
        return ouvertes[-1]

    yield connecter
    for connexion in ouvertes:
        connexion.close()
    serveur.should_exit = True
    fil.join(30)


def envoyer(connexion, morceaux, pause=0.0):
    """Envoie des morceaux tant que le serveur les prend ; rend le nombre d’octets partis."""
    partis = 0
    try:
        for morceau in morceaux:
            connexion.sendall(morceau)
            partis += len(morceau)
            time.sleep(pause)
    except OSError:
        pass
    return partis


def lire(connexion):
    try:
        return connexion.recv(65536)
    except ConnectionError:
        return b""


@pytest.mark.parametrize(
    "debut",
    [
        b"GET / HTTP/1.1\r\nx: ",
        b"GET /",
        b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n0\r\nx: ",
    ],
    ids=["en-tête", "adresse", "après le corps"],
)
def test_un_en_tete_sans_fin_est_coupe(connecter, debut):
    connexion = connecter()
    partis = envoyer(connexion, [debut] + [b"a" * 65536] * 1000)
    assert partis < 20 * 2**20, "de quoi remplir les tampons du noyau, pas la mémoire"


@pytest.mark.parametrize("octets", [1000, service_http.ENTETE_MAX // 2])
def test_un_long_en_tete_qui_finit_passe(connecter, octets):
    connexion = connecter()
    connexion.sendall(b"GET / HTTP/1.1\r\nhost: x\r\nx: " + b"a" * octets + b"\r\n\r\n")
    assert lire(connexion).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize(
    "debut",
    [b"", b"GET / HTTP/1.1\r\nx: ", b"POST / HTTP/1.1\r\ncontent-length: 1000\r\n\r\n"],
    ids=["muet", "en-tête", "corps"],
)
def test_un_client_lent_est_coupe_apres_le_delai(connecter, debut):
    connexion, debute = connecter(), time.monotonic()
    envoyer(connexion, [debut] + [b"a"] * 100 if debut else [], pause=0.05)
    while lire(connexion):
        pass
    assert 0.9 < time.monotonic() - debute < 6


def test_plusieurs_requetes_et_un_gros_corps_passent_sur_une_connexion(connecter):
    connexion = connecter()
    morceau = b"1\r\na\r\n"
    corps = b"x" * 3_000_000
    for _ in range(3):
        connexion.sendall(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 3000000\r\n\r\n" + corps)
        assert lire(connexion).endswith(b"3000000")
        connexion.sendall(b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n")
        connexion.sendall(morceau * 1000 + b"0\r\n\r\n")
        assert lire(connexion).endswith(b"1000")
