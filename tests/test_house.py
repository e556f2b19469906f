"""The house: rooms use one another through their fronts, and no circle of imports lies within a room.

Which room may use which stands in pyproject.toml, where import-linter reads it.
"""

from __future__ import annotations

import ast
import importlib
import json
import re
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import nctransfer

PACKAGE = Path(nctransfer.__file__).parent
PUBLIC = json.loads((Path(__file__).parent / "public_names.json").read_text())
ROOMS = sorted(path.parent.name for path in PACKAGE.glob("*/__init__.py"))


def imported(path: Path, tree: ast.AST) -> list[tuple[int, str]]:
    """Line and absolute name of every import below ``tree``, relative ones resolved."""
    found = []
    home = ["nctransfer", *path.relative_to(PACKAGE).parts[:-1]]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [(node.lineno, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = home[: len(home) - node.level + 1] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            # `from . import x` may name a module.
            found += [(node.lineno, f"{module}.{alias.name}" if not node.module else module) for alias in node.names]
    return found


def test_there_are_rooms_to_look_at():
    assert {"cli", "data", "engine", "metrics", "models", "report", "runs", "studies", "transfer"} <= set(ROOMS)


@pytest.mark.parametrize("room", ROOMS)
def test_rooms_use_one_another_through_their_fronts(room):
    deep = []
    for path in sorted((PACKAGE / room).rglob("*.py")):
        for line, name in imported(path, ast.parse(path.read_text())):
            parts = name.split(".")
            if parts[0] == "nctransfer" and len(parts) > 2 and parts[1] in ROOMS and parts[1] != room:
                deep.append(f"{path.relative_to(PACKAGE)}:{line} imports {name}; use nctransfer.{parts[1]}")
    assert deep == []


@pytest.mark.parametrize("room", ROOMS)
def test_no_circle_within_a_room(room):
    modules = {path.stem for path in (PACKAGE / room).glob("*.py")} - {"__init__"}
    uses = {}
    for name in modules:
        path = PACKAGE / room / f"{name}.py"
        tree = ast.parse(path.read_text())
        # Those inside functions count: they hide a circle and do not open it. Those for type checkers alone do not.
        tree.body = [
            node for node in tree.body if not (isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test))
        ]
        asked = {full.removeprefix(f"nctransfer.{room}.").split(".")[0] for _, full in imported(path, tree)}
        uses[name] = asked & modules - {name}
    try:
        order = list(TopologicalSorter(uses).static_order())
    except CycleError as error:
        pytest.fail(f"a circle: {' → '.join(error.args[1])}")
    assert set(order) == modules


def test_the_architecture_page_names_what_is_there():
    root = PACKAGE.parent.parent
    text = (root / "docs" / "architecture.md").read_text()
    table = set(re.findall(r"^\| `(\w+)`", text, flags=re.MULTILINE))
    assert table - {"errors"} == set(ROOMS)
    assert set(re.findall(r"<b>(\w+)</b>", text)) >= set(ROOMS)
    named = set(re.findall(r"`((?:\w+/)*\w+\.(?:py|md|json|toml))`", text))
    missing = [
        name
        for name in named - {"config.json", "environment.json", "steps.json"}
        if not any((base / name).exists() for base in (root, PACKAGE, *(PACKAGE / room for room in ROOMS)))
        and not list((root / "tests").rglob(name))
    ]
    assert missing == []


@pytest.mark.parametrize("room", PUBLIC)
def test_the_public_names_are_those_of_the_list(room):
    added = set(importlib.import_module(room).__all__) ^ set(PUBLIC[room])
    assert not added, f"write {sorted(added)} into tests/public_names.json (or out of it) and into CHANGELOG.md"
