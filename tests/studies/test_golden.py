"""The smoke cells keep their values: a refactoring moves none, and what moves one on purpose raises a recipe's version.

``PYTHONPATH=src python tests/studies/test_golden.py`` renews ``golden.json``.
"""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path

from nctransfer.studies import STUDIES, run_studies
from nctransfer.studies.catalogue import cells_of
from nctransfer.studies.recipes import RECIPES, recipe_of
from nctransfer.studies.scales import SMOKE
from nctransfer.studies.store import Store

GOLDEN = Path(__file__).with_name("golden.json")
RELATIVE = 1e-3
IMAGES = {"train_accuracy": 200, "val_accuracy": 40, "robust_accuracy": 20, "robust_test_accuracy": 20}
"""Of how many images a fraction is taken; 100 test images for every other accuracy."""
FREE = ("seconds", "peak_memory_bytes", "images_per_second", "nc1_null")
"""Time and memory; and the noise floor of NC1, which on a hundred images hangs on single permutations and their rounding."""


def golden_values(folder: Path) -> dict[str, dict]:
    """For each smoke cell its kind, title and numbers."""
    store, found = Store(folder), {}
    for cell in cells_of(STUDIES.values(), SMOKE, [0]):
        record = store.read(cell)
        assert record is not None, cell.title()
        found[cell.key] = {"kind": _recipe(cell), "title": cell.title(), "values": dict(numbers(record["value"]))}
    return found


def _recipe(cell) -> str:
    """The version to raise when the cell moves: of what it alone follows."""
    own = recipe_of(cell)
    return "practical" if "practical" in own else cell.kind


def numbers(value, path=""):
    """Every number below ``value`` with its path; what is free is left out."""
    if isinstance(value, dict):
        for name, part in value.items():
            if not any(word in name for word in FREE):
                yield from numbers(part, f"{path}.{name}" if path else name)
    elif isinstance(value, list):
        for place, part in enumerate(value):
            yield from numbers(part, f"{path}.{place}")
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield path, float(f"{value:.6g}")


def moved(path: str, before: float, after: float) -> bool:
    name = path.rsplit(".", 1)[-1]
    if name.endswith("accuracy"):
        return abs(before - after) > 1.001 / IMAGES.get(name, 100)
    return not math.isclose(before, after, rel_tol=RELATIVE, abs_tol=1e-5)


def test_smoke_cells_keep_their_values(smoke):
    kept, now = json.loads(GOLDEN.read_text(encoding="utf-8")), golden_values(smoke[0])
    assert set(now) == set(kept["cells"]), f"other smoke cells: renew {GOLDEN.name} (see the top of this file)"
    seen: dict[str, list[str]] = {}
    for key, cell in kept["cells"].items():
        assert set(now[key]["values"]) == set(cell["values"]), (
            f"{cell['title']} has other values: {_remedy(cell['kind'])}"
        )
        for path, value in cell["values"].items():
            if moved(path, value, now[key]["values"][path]):
                seen.setdefault(cell["kind"], []).append(
                    f"{cell['title']}, {path}: {value:g}, now {now[key]['values'][path]:g}"
                )
    first = next((kind for kind in RECIPES if kind in seen), None)  # what stands on a moved encoder moves with it
    assert not seen, f"{sum(map(len, seen.values()))} values moved, first {seen[first][0]}: {_remedy(first)}"
    assert kept["recipes"] == RECIPES, f"a version was raised: renew {GOLDEN.name} (see the top of this file)"


def _remedy(kind: str) -> str:
    return (
        f"if the meaning of a result changed on purpose, raise {kind!r} in studies/recipes.py from {RECIPES[kind]} and "
        f"renew {GOLDEN.name} (see the top of this file); otherwise the change is a fault"
    )


def test_a_moved_value_is_seen():
    assert moved("layers.0.nc1", 1.0, 1.002)
    assert not moved("layers.0.nc1", 1.0, 1.0005)
    assert moved("test_accuracy", 0.50, 0.52)
    assert not moved("test_accuracy", 0.50, 0.51)


if __name__ == "__main__":
    import tempfile

    import torch

    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(sys.argv[1]) if sys.argv[1:] else Path(place) / "smoke"
        run_studies(["all"], scale="smoke", out=folder, seeds=[0])
        made = {"recipes": RECIPES, "cells": golden_values(folder)}
        GOLDEN.write_text(json.dumps(made, indent=1) + "\n", encoding="utf-8")
