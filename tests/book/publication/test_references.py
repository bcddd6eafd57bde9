import pytest
from publication import references as module
from publication.depot import ErreurPublication
from publication.references import LECTURES, lien, references

ENTREE = "@misc{{ESSAI, author = {{Vela, D. and others}}, title = {{Titre}}, {champs}}}\n"


@pytest.fixture
def bibliographie(tmp_path, monkeypatch):
    """Remplace references.bib par un texte d’essai."""

    def ecrire(texte):
        fichier = tmp_path / "references.bib"
        fichier.write_text(texte, encoding="utf-8")
        monkeypatch.setattr(module, "FICHIER", fichier)
        references.cache_clear()

    yield ecrire
    references.cache_clear()


def test_entree_lisible(bibliographie):
    # Étant donné une entrée avec un titre protégé et des auteurs abrégés
    bibliographie(
        ENTREE.format(champs="court = {Vela}, lecture = {tierce}, licence = {CC0}, year = {2022}")
    )
    reference = references()["ESSAI"]
    # Alors elle se lit sans trace de BibTeX
    assert reference.auteurs == "D. Vela et al."
    assert reference.parution == "2022"
    assert reference.lecture == "lu chez un tiers", "On dit comment la source a été lue."


@pytest.mark.parametrize(
    ("champs", "message"),
    [
        ("court = {V}, lecture = {tierce}", "licence"),
        ("court = {V}, lecture = {vue}, licence = {CC0}", "lecture"),
    ],
)
def test_champ_manquant_ou_inconnu(bibliographie, champs, message):
    bibliographie(ENTREE.format(champs=champs))
    with pytest.raises(ErreurPublication, match=f"« ESSAI ».*{message}"):
        references()


def test_fichier_illisible(bibliographie):
    bibliographie("@misc{ESSAI, title = {sans fin")
    with pytest.raises(ErreurPublication, match="n’est pas du BibTeX"):
        references()


def test_cle_inconnue():
    with pytest.raises(ErreurPublication, match=r"« XX » n’est pas dans references\.bib"):
        lien("XX")


def test_les_references_du_livre_ont_une_adresse_ou_un_editeur():
    for cle, reference in references().items():
        assert reference.lecture in LECTURES.values(), f"{cle} : lecture non dite."
        assert reference.adresse.startswith("https://") or reference.parution, f"{cle} introuvable."


def test_rappi_n_est_pas_donne_pour_lu():
    # L’article n’a pas pu être lu : le livre le dit
    rappi = [r for r in references().values() if "rappi" in r.adresse]
    assert [r.lecture for r in rappi] == ["non lu"]
