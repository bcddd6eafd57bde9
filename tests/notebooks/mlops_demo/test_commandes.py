"""La ligne de commande dit, en français, ce qu’elle attend."""

import os
import subprocess
import sys

import pytest
from mlops_demo import journal
from mlops_demo.__main__ import analyseur, principal


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["recevoir"],
        ["inconnue"],
        ["lab", "--port", "x"],
        ["lignage", str(2**63)],
        ["fiche", "--version", "9" * 30],
    ],
)
def test_commande_mal_ecrite(arguments, capsys):
    with pytest.raises(SystemExit) as arret:
        analyseur().parse_args(arguments)
    assert arret.value.code == 2
    message = capsys.readouterr().err
    assert message.startswith("Erreur : "), message
    assert "--help" in message, message


@pytest.mark.parametrize("commande", [[], ["recevoir"], ["retour-arriere"]])
def test_aide_en_francais(commande, capsys):
    with pytest.raises(SystemExit) as arret:
        analyseur().parse_args([*commande, "--help"])
    assert arret.value.code == 0
    aide = capsys.readouterr().out
    assert "montrer cette aide" in aide
    assert "show this help" not in aide, aide
    assert "positional" not in aide, aide


def test_ctrl_c_se_dit_en_une_phrase(monkeypatch, capsys):
    def interrompre():
        raise KeyboardInterrupt

    monkeypatch.setattr(journal, "tout", interrompre)
    monkeypatch.setattr("sys.argv", ["mlops-demo", "journal"])
    assert principal() == 130
    message = capsys.readouterr().err
    assert message.strip().startswith("Interrompu : "), message


def test_un_terminal_en_latin_1_ne_fait_rien_echouer():
    """L’apostrophe typographique n’y existe pas : « ? », pas une pile d’appels."""
    refus = subprocess.run(
        [sys.executable, "-m", "mlops_demo", "executer", "inconnue"],
        env={**os.environ, "PYTHONIOENCODING": "latin-1", "PYTHONUTF8": "0"},
        capture_output=True,
        encoding="latin-1",
        check=False,
    )
    assert refus.stderr.startswith("Erreur : aucune étape ne s?appelle « inconnue »"), refus.stderr


def test_windows_a_une_phrase():
    """Ce Python-ci, privé du module que Windows n’a pas."""
    code = "import sys; sys.modules['fcntl'] = None; sys.argv = ['mlops-demo', 'journal'];"
    code += "from mlops_demo.__main__ import principal; sys.exit(principal())"
    refus = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert refus.returncode == 1
    assert refus.stderr.startswith("Erreur : Windows n’a pas ce qu’il faut"), refus.stderr
