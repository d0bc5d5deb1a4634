"""Do the files around the package agree with it?"""

import pathlib
import re
import tomllib

import pytest

ROOT = pathlib.Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def test_one_version():
    cited = re.search(r"^version: (.+)$", (ROOT / "CITATION.cff").read_text(), re.M)
    latest = re.search(r"^## ([\d.]+)", (ROOT / "CHANGELOG.md").read_text(), re.M)
    assert cited
    assert latest
    assert cited[1] == latest[1] == PROJECT["version"]


def test_one_licence():
    assert f"license: {PROJECT['license']}" in (ROOT / "CITATION.cff").read_text()
    assert "Apache License" in (ROOT / "LICENSE").read_text()
    assert (ROOT / "src" / "slowpoint" / "py.typed").exists()


def test_data_that_ships_is_named_in_the_notice():
    notice = (ROOT / "NOTICE").read_text()
    files = (ROOT / "src" / "slowpoint" / "recordings" / "data").iterdir()
    assert not [f.name for f in files if f.name not in notice]


@pytest.mark.parametrize("extra", PROJECT["optional-dependencies"])
def test_every_dependency_has_a_lowest_version(extra):
    for line in [*PROJECT["dependencies"], *PROJECT["optional-dependencies"][extra]]:
        assert re.fullmatch(r"[\w.-]+(\[\w+\])?>=[\d.]+", line), line


def test_contributing_is_one_page():
    assert len((ROOT / "CONTRIBUTING.md").read_text().split()) < 600
