"""Le tampon du service : rien de perdu, rien d’inventé, même à plusieurs et sans place."""

import errno
import fcntl
import multiprocessing
import os
import resource
import signal
import subprocess
import sys
import threading

import pytest
from mlops_demo import service_tampon
from mlops_demo.configuration import ErreurUtilisateur, dossier_tampon
from mlops_demo.service_tampon import Tampon


def vider(dossier):
    """Lit et efface les segments finis, comme le fait la livraison."""
    lues = []
    for segment in Tampon(dossier).segments():
        with service_tampon.lire(segment) as lignes:
            if lignes is not None:
                lues += lignes
                segment.unlink(missing_ok=True)
    return lues


def test_ce_qui_est_ajoute_se_relit_dans_l_ordre(tmp_path):
    tampon = Tampon(tmp_path)
    for n in range(100):
        tampon.ajouter(b"%d" % n)
    assert tampon.lignes() == 100
    assert vider(tampon.dossier) == [], "un segment en cours n’est pas livré"
    tampon.tourner()
    assert vider(tampon.dossier) == [b"%d" % n for n in range(100)]
    assert (tampon.lignes(), tampon.octets()) == (0, 0)


def test_les_segments_les_plus_anciens_viennent_d_abord(tmp_path):
    for rang, nom in enumerate("bac"):
        (tmp_path / f"{nom}.lignes").touch()
        os.utime(tmp_path / f"{nom}.lignes", (rang, rang))
    assert [segment.stem for segment in Tampon(tmp_path).segments()] == ["b", "a", "c"]


def test_deux_livreurs_ne_reservent_pas_le_meme_segment(tmp_path):
    segment = tmp_path / "x.lignes"
    segment.write_bytes(b"une\n")
    with service_tampon.lire(segment) as un, service_tampon.lire(segment) as deux:
        assert (un, deux) == ([b"une"], None)


def test_un_segment_trop_gros_se_finit_de_lui_meme(tmp_path, monkeypatch):
    monkeypatch.setattr(service_tampon, "OCTETS_PAR_SEGMENT", 1000)
    tampon = Tampon(tmp_path)
    for n in range(1000):
        tampon.ajouter(b"%d" % n)
    assert len(tampon.segments()) > 3
    assert (tampon.lignes(), tampon.octets()) == (1000, 10 * 2 + 90 * 3 + 900 * 4)
    tampon.tourner()
    assert sorted(map(int, vider(tmp_path))) == list(range(1000))


def test_une_ligne_coupee_par_un_arret_brutal_est_ignoree(tmp_path):
    (tmp_path / "x.lignes").write_bytes(b"entiere\ncoup")
    assert vider(tmp_path) == [b"entiere"]


ECRIRE = """
import sys
from pathlib import Path
from mlops_demo.service_tampon import Tampon
tampon = Tampon(Path(sys.argv[1]))
n = 0
while True:
    tampon.ajouter(b"%d" % n)
    sys.stdout.buffer.write(b"%d\\n" % n)
    sys.stdout.buffer.flush()
    n += 1
"""


def test_un_sigkill_ne_perd_aucune_ligne_annoncee(tmp_path):
    ecrivain = subprocess.Popen([sys.executable, "-c", ECRIRE, tmp_path], stdout=subprocess.PIPE)
    for _ in range(3000):
        ecrivain.stdout.readline()
    ecrivain.send_signal(signal.SIGKILL)
    annoncees = 3000 + ecrivain.stdout.read().count(b"\n")
    ecrivain.wait()
    lues = [int(ligne) for ligne in vider(tmp_path)]
    assert lues == list(range(len(lues))), "sans trou ni doublon"
    assert annoncees <= len(lues) <= annoncees + 1


def test_un_segment_que_tient_un_autre_processus_est_laisse(tmp_path):
    ecrivain = subprocess.Popen([sys.executable, "-c", ECRIRE, tmp_path], stdout=subprocess.PIPE)
    ecrivain.stdout.readline()
    assert vider(tmp_path) == []
    ecrivain.kill()
    ecrivain.communicate()
    assert vider(tmp_path)


def test_livrer_pendant_qu_on_ecrit_ne_perd_rien(tmp_path):
    tampon, lues = Tampon(tmp_path), []
    fini = threading.Event()

    def livrer():
        while not fini.is_set():
            tampon.tourner()
            lues.extend(vider(tmp_path))

    livreurs = [threading.Thread(target=livrer) for _ in range(2)]
    ecrivains = [
        threading.Thread(target=lambda d=d: [tampon.ajouter(b"%d" % n) for n in range(d, d + 3000)])
        for d in (0, 3000)
    ]
    for fil in livreurs + ecrivains:
        fil.start()
    for fil in ecrivains:
        fil.join()
    fini.set()
    for fil in livreurs:
        fil.join()
    tampon.tourner()
    lues += vider(tmp_path)
    assert set(map(int, lues)) == set(range(6000)), "rien n’est perdu ; un doublon est permis ici"


def _remplir(dossier, limite, sortie):
    _, sans_limite = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limite, sans_limite))
    tampon, ecrites, refus = Tampon(dossier), [], 0
    for n in range(500):
        try:
            tampon.ajouter(b"%03d" % n + b"x" * (n % 50))
            ecrites.append(n)
        except OSError:
            refus += 1
    resource.setrlimit(resource.RLIMIT_FSIZE, (sans_limite, sans_limite))
    tampon.ajouter(b"la place est revenue")
    sortie.put((ecrites, refus))


def test_sans_place_la_ligne_est_refusee_et_les_autres_restent_entieres(tmp_path):
    # Étant donné un disque qui n’écrit que 5 000 octets, donc une ligne coupée en son milieu
    contexte = multiprocessing.get_context("spawn")
    sortie = contexte.Queue()
    enfant = contexte.Process(target=_remplir, args=(tmp_path, 5000, sortie))
    enfant.start()
    ecrites, refus = sortie.get(timeout=60)
    enfant.join()
    assert refus
    assert len(list(tmp_path.iterdir())) == 1, "un refus ne sème pas de fichiers"
    attendues = [b"%03d" % n + b"x" * (n % 50) for n in ecrites]
    assert vider(tmp_path) == [*attendues, b"la place est revenue"]


def test_une_ligne_que_l_on_ne_peut_pas_retirer_finit_son_segment(tmp_path):
    # Étant donné un volume qui n’écrit que la moitié d’une ligne, puis refuse de la retirer
    tampon = Tampon(tmp_path)
    tampon.ajouter(b"avant")

    class EnPanne:
        tell, close = tampon._segment.tell, tampon._segment.close

        def write(self, octets, vrai=tampon._segment):
            return vrai.write(octets[:3])

        def truncate(self, taille):
            raise OSError(errno.EIO, "le volume ne répond plus")

    tampon._segment = EnPanne()
    with pytest.raises(OSError, match="volume plein"):
        tampon.ajouter(b"refusee")
    # Alors la suivante va dans un autre segment, et la moitié écrite ne se lit pas
    tampon.ajouter(b"apres")
    tampon.tourner()
    assert vider(tmp_path) == [b"avant", b"apres"]


def test_synchroniser_demande_au_disque_chaque_segment_change(tmp_path, monkeypatch):
    demandes = []
    monkeypatch.setattr(os, "fsync", lambda d: demandes.append(os.fstat(d).st_ino))
    tampon = Tampon(tmp_path)
    tampon.ajouter(b"un")
    tampon.synchroniser()
    segment, dossier = tampon.segments()[0].stat().st_ino, tmp_path.stat().st_ino
    assert demandes == [segment, dossier]
    tampon.synchroniser()
    assert demandes.count(segment) == 1, "rien de neuf : rien à attendre"
    tampon.ajouter(b"deux")
    tampon.synchroniser()
    assert demandes.count(segment) == 2


def test_un_segment_efface_avant_son_verrou_est_refait(tmp_path, monkeypatch):
    # Étant donné un livreur qui passe entre la création d’un segment et son verrou
    vrai, passages = fcntl.flock, []

    def trop_tard(fichier, mode):
        if not passages:
            passages.append(1)
            os.unlink(fichier.name)
        vrai(fichier, mode)

    monkeypatch.setattr(fcntl, "flock", trop_tard)
    tampon = Tampon(tmp_path)
    tampon.ajouter(b"gardee")
    tampon.tourner()
    assert passages
    assert vider(tmp_path) == [b"gardee"]


@pytest.mark.parametrize("absent", ["efface", "jamais vu"])
def test_un_segment_disparu_se_lit_comme_rien(tmp_path, absent):
    with service_tampon.lire(tmp_path / f"{absent}.lignes") as lignes:
        assert lignes is None


def test_un_dossier_impossible_est_dit(tmp_path, monkeypatch):
    (tmp_path / "fichier").touch()
    monkeypatch.setenv("MLOPS_TAMPON", str(tmp_path / "fichier" / "dedans"))
    with pytest.raises(
        ErreurUtilisateur, match="donnez un dossier .* dans la variable MLOPS_TAMPON"
    ):
        dossier_tampon()
