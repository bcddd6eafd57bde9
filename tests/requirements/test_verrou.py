"""Le verrou, pyproject.toml et environment.yml disent les mêmes versions."""

import re
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

RACINE = Path(__file__).resolve().parents[2]
PROJET = tomllib.loads((RACINE / "pyproject.toml").read_text(encoding="utf-8"))["project"]
DIRECTES = [
    Requirement(texte) for texte in PROJET["dependencies"] + PROJET["optional-dependencies"]["dev"]
]


def entrees_du_verrou():
    """Rend chaque entrée du verrou avec le nombre de ses empreintes."""
    texte = (RACINE / "requirements" / "lock.txt").read_text(encoding="utf-8")
    for bloc in re.split(r"^(?=[A-Za-z0-9])", texte, flags=re.MULTILINE)[1:]:
        exigence = Requirement(bloc.split("\\")[0].strip())
        yield exigence, len(re.findall(r"--hash=sha256:[0-9a-f]{64}\b", bloc))


def test_chaque_paquet_du_verrou_a_une_version_et_une_empreinte():
    entrees = list(entrees_du_verrou())
    assert len(entrees) > len(DIRECTES)
    for exigence, empreintes in entrees:
        assert re.fullmatch(r"==[^,*]+", str(exigence.specifier)), f"{exigence} n’est pas figé"
        assert empreintes, f"{exigence} n’a pas d’empreinte"


@pytest.mark.parametrize("directe", DIRECTES, ids=str)
def test_le_verrou_respecte_pyproject(directe):
    figees = [
        exigence
        for exigence, _ in entrees_du_verrou()
        if canonicalize_name(exigence.name) == canonicalize_name(directe.name)
    ]
    assert figees, f"{directe.name} n’est pas dans le verrou : lancez make lock"
    for figee in figees:
        version = next(iter(figee.specifier)).version
        assert directe.specifier.contains(version, prereleases=True), (
            f"{directe} : le verrou dit {version}, lancez make lock"
        )
        assert directe.extras <= figee.extras, f"{directe} : il manque un extra au verrou"


def test_conda_installe_les_versions_du_verrou():
    environnement = yaml.safe_load((RACINE / "environment.yml").read_text(encoding="utf-8"))
    de_conda = [d for d in environnement["dependencies"] if isinstance(d, str)]
    de_pip = [d for d in environnement["dependencies"] if not isinstance(d, str)]
    # De conda, rien que Python et pip : tout le reste vient du verrou, vérifié.
    assert sorted(re.split("[=<>]", d)[0] for d in de_conda) == ["pip", "python"]
    assert de_pip == [{"pip": ["-r requirements/lock.txt"]}]


def test_conda_installe_un_python_accepte_et_celui_qui_est_teste():
    environnement = yaml.safe_load((RACINE / "environment.yml").read_text(encoding="utf-8"))
    (python,) = (d for d in environnement["dependencies"] if str(d).startswith("python="))
    version = python.removeprefix("python=")
    assert version in SpecifierSet(PROJET["requires-python"])
    verifications = yaml.safe_load(
        (RACINE / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8")
    )
    testees = [
        etape["with"]["python-version"]
        for tache in verifications["jobs"].values()
        for etape in tache["steps"]
        if "setup-python" in etape.get("uses", "")
    ]
    assert set(testees) == {version}, "la CI teste un autre Python que celui de conda"
