"""One version, a changelog that keeps its form, and public names that nobody removes or adds unawares."""

import importlib
import json
import re
import tomllib
from pathlib import Path

import pytest

import nctransfer

ROOT = Path(__file__).parents[1]
FIRST_RELEASE = json.loads((ROOT / "tests" / "public_names_of_0.1.0.json").read_text())
CHANGELOG = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("room", FIRST_RELEASE)
def test_every_public_name_of_the_first_release_is_there(room):
    front = importlib.import_module(room)
    assert set(FIRST_RELEASE[room]) <= set(front.__all__)
    assert all(hasattr(front, name) for name in FIRST_RELEASE[room])


def test_the_version_is_written_once():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert project["project"]["dynamic"] == ["version"]
    assert project["tool"]["hatch"]["version"]["path"] == "src/nctransfer/version.py"
    assert re.fullmatch(r"\d+\.\d+\.\d+(\.dev\d+|rc\d+)?", nctransfer.__version__)
    assert f"version: {nctransfer.__version__}\n" in (ROOT / "CITATION.cff").read_text(encoding="utf-8")


def test_the_changelog_keeps_a_changelog():
    headings = re.findall(r"^## (.*)$", CHANGELOG, re.M)
    assert headings[0] == "[Unreleased]"
    for heading in headings[1:]:
        assert re.fullmatch(r"\[\d+\.\d+\.\d+\] (- \d{4}-\d{2}-\d{2}|\(not published\))", heading), heading
    kinds = set(re.findall(r"^### (.*)$", CHANGELOG, re.M))
    assert kinds <= {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}
    assert not re.search(r"^## .*\n+(?=## |\Z)", CHANGELOG, re.M), "a version without entries"


def test_constraints_pin_what_the_environment_takes():
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    names = [line.split("==")[0].lower().replace("_", "-") for line in lines]
    assert names == sorted(set(names))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    needed = [*project["dependencies"], *extras["dev"], *extras["offline"], *extras["onnx"], *extras["docs"]]
    wanted = {re.split(r"[>=<!\[; ]", entry)[0].lower().replace("_", "-") for entry in needed}
    assert wanted <= set(names)
