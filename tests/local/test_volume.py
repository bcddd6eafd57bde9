"""Le volume de Postgres est plein : le service répond, et tout est livré quand la place revient."""

import time

import psycopg
import pytest

pytestmark = [pytest.mark.local, pytest.mark.lent]

TAILLE = "1200m"


@pytest.fixture(scope="module")
def etroite(pile, fabriquer_pile):
    """Postgres, MLflow et le service, sur un volume borné ; les images sont celles de la pile."""
    etroite = fabriquer_pile("mlops-etroite")
    volume, gardien = "mlops-etroite_postgres", "mlops-etroite-gardien"
    fait = etroite.lancer("python3", "-c", "import lancer; lancer.preparer()", cwd=etroite.local)
    assert fait.returncode == 0, fait.stderr
    options = ("--opt", "type=tmpfs", "--opt", "device=tmpfs", "--opt", f"o=size={TAILLE}")
    try:
        etroite.lancer("docker", "volume", "create", *options, volume)
        # Un volume en mémoire s’efface quand plus personne ne le tient.
        tenir = (
            "--no-healthcheck",
            "--user",
            "0",
            "--entrypoint",
            "sleep",
            "--volume",
            f"{volume}:/plein",
        )
        fait = etroite.lancer(
            *("docker", "run", "--detach", "--name", gardien, *tenir),
            *(etroite.reglages["DEMO_IMAGE"], "86400"),
        )
        assert fait.returncode == 0, fait.stderr
        etroite.compose("up", "--detach", "--wait", "postgres", "mlflow", "api")
        etroite.remplir = lambda: etroite.lancer(
            *("docker", "exec", gardien, "dd", "if=/dev/zero", "of=/plein/lest", "bs=1M")
        )
        etroite.vider = lambda: etroite.lancer("docker", "exec", gardien, "rm", "/plein/lest")
        yield etroite
    finally:
        etroite.lancer("docker", "rm", "--force", gardien)
        etroite.make("down", "DATA=1", limite_s=180)


def ecrire_jusqu_au_refus(pile):
    """Écrit ligne après ligne ; rend le nombre de lignes confirmées, et le refus."""
    requete = (
        "INSERT INTO demo_production.ecritures"
        " SELECT %s, string_agg(md5(random()::text), '') FROM generate_series(1, 1000)"
    )
    confirmees = 0
    try:
        with pile.base("production", pile.secret("mot_de_passe_production")) as connexion:
            for n in range(100_000):
                connexion.execute(requete, [n])
                confirmees += 1
    except psycopg.OperationalError as refus:  # DiskFull en est une
        return confirmees, refus
    return confirmees, None


def test_un_volume_plein_n_arrete_pas_le_service_et_ne_perd_rien(etroite, charger, attendre):
    with etroite.base("production", etroite.secret("mot_de_passe_production")) as connexion:
        connexion.execute("CREATE TABLE demo_production.ecritures (n int, texte text)")
    charge = charger(etroite)
    debut = time.time()
    assert "No space left" in etroite.remplir().stderr

    confirmees, erreur = ecrire_jusqu_au_refus(etroite)
    assert erreur, "le volume n’a jamais été plein"

    avant = len(charge.servies)
    attendre(lambda: len(charge.servies) > avant + 200, "des réponses, le volume plein")
    assert etroite.vider().returncode == 0
    attendre(lambda: etroite.lire("SELECT 1"), "le retour de Postgres")
    charge.exiger_une_fois()
    assert [quoi for instant, quoi in charge.refusees if instant >= debut] == []
    ((relues,),) = etroite.lire("SELECT count(*) FROM demo_production.ecritures")
    assert relues >= confirmees, f"{confirmees - relues} écritures confirmées sont perdues"
    print(f"\n{confirmees} écritures confirmées, {len(charge.servies)} prédictions, rien de perdu")
