import pytest
from publication.typographie import insecables


@pytest.mark.parametrize(
    ("tape", "lu"),
    [
        ("Pourquoi ? Parce que ; voilà !", "Pourquoi\u202f? Parce que\u202f; voilà\u202f!"),
        ("Le but : « lire »", "Le but\u00a0: «\u00a0lire\u00a0»"),
        ("45 minutes, 21 h, 36 %", "45\u00a0minutes, 21\u00a0h, 36\u00a0%"),
        ("Licence : CC BY 4.0.", "Licence\u00a0: CC\u00a0BY\u00a04.0."),
        ("3 hommes", "3 hommes"),
        ("http://a.fr/?q=1", "http://a.fr/?q=1"),
    ],
)
def test_insecables(tape, lu):
    assert insecables(tape) == lu
