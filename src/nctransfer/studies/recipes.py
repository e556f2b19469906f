"""The version of the recipe that each kind of cell is computed by.

A cell is known by its configuration and by the versions here of its own kind and of the kinds it stands on. Raise a version by
hand when the *meaning* of a result changes (another definition, split, schedule, or a fixed error), and only then: finished
cells of that kind, and those that stand on them, are computed again. A refactoring that keeps the values keeps the version;
``tests/studies/test_golden.py`` tells the two apart.
"""

from __future__ import annotations

from .cells import Cell

__all__ = ["RECIPES", "recipe_of"]

RECIPES: dict[str, int] = {
    "encoder": 1,
    "transfer": 1,
    "tuning": 1,
    # What `tune` does, beside the tuning itself. 2: skip connections from all layers, mixtures of start and end.
    "practical": 2,
}


def recipe_of(cell: Cell) -> dict[str, int]:
    """The versions that a cell's result follows from: that of its own kind and those of the cells it needs.

    Example:
        >>> from nctransfer.studies.cells import encoder, transfer, tuning
        >>> recipe_of(transfer(encoder({"name": "digits"}, 0, arch="mlp"), {"name": "digits"}, 0))
        {'encoder': 1, 'transfer': 1}
        >>> recipe_of(tuning("resnet18", {"name": "digits"}, 0, method="scl"))
        {'practical': 2, 'tuning': 1}
    """
    kinds = {*_own(cell), *(kind for needed in cell.needs for kind in recipe_of(needed))}
    return {kind: RECIPES[kind] for kind in sorted(kinds)}


def _own(cell: Cell) -> set[str]:
    if cell.kind != "tuning":
        return {cell.kind}
    protocol = cell.config.get("protocol")
    return {"tuning"} if protocol and protocol["name"] != "practical" else {"tuning", "practical"}
