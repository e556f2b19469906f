"""Every study by name, and what each costs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ..errors import UsageError, near_names
from . import figure1, figure2, figure3, figure5, figure6, figure9, figure10, figure11, table1, table2
from .cells import Cell, in_order
from .scales import Scale
from .study import Study

__all__ = ["STUDIES", "cells_of", "get_studies", "minutes"]

STUDIES: dict[str, Study] = {
    module.STUDY.name: module.STUDY
    for module in (table1, figure1, figure2, figure3, figure10, figure5, figure6, table2, figure9, figure11)
}
"""In the order of the paper's argument."""

_ALIASES = {"table3": "table2", "table4": "table2", "table5": "table2"}
_DIAGRAMS = ("figure4", "figure7", "figure8")
_TRANSFER_IMAGES = 2_500  # what measuring a frozen network costs, in training images of a ResNet-20
_TUNING_IMAGES = 9_000


def get_studies(names: Sequence[str]) -> list[Study]:
    """Studies by name; ``all`` for every one. The order is that of the catalogue.

    Raises:
        UsageError: a name is unknown; the near ones are offered.

    Example:
        >>> [study.name for study in get_studies(["figure5", "table3"])]
        ['figure5', 'table2']
    """
    wanted = set()
    for name in map(str.lower, names):
        if name in _DIAGRAMS:
            raise UsageError(
                f"{name} is a diagram and has nothing to run", where="nctransfer paper", remedy="see docs/diagrams.md"
            )
        name = _ALIASES.get(name, name)
        if name != "all" and name not in STUDIES:
            raise UsageError(
                f"unknown study {name!r}", where="nctransfer paper", remedy=near_names(name, ["all", *STUDIES])
            )
        wanted |= set(STUDIES) if name == "all" else {name}
    return [study for name, study in STUDIES.items() if name in wanted]


def cells_of(studies: Iterable[Study], scale: Scale, seeds: Iterable[int]) -> list[Cell]:
    """Every cell of these studies once, in an order that can be run."""
    seeds = list(seeds)
    return in_order(cell for seed in seeds for study in studies for cell in study.cells(scale, seed).values())


def minutes(cells: Iterable[Cell], scale: Scale) -> float:
    """A rough estimate of what cells cost, in minutes on the hardware that the scale is meant for.

    Counted in training images of the scale's network: epochs × images, twice for SupCon's two views, and a pass more for
    each step of an attack.
    """
    return sum(_images(cell, scale) for cell in cells) / scale.images_per_second / 60


def _images(cell: Cell, scale: Scale) -> float:
    config = cell.config
    if cell.kind != "encoder":
        factor = 10.0 if scale.name == "paper" else 0.3 if scale.name == "smoke" else 1.0
        return factor * (_TRANSFER_IMAGES if cell.kind == "transfer" else _TUNING_IMAGES)
    settings, data = config["settings"], config["data"]
    classes = data.get("classes")
    whole = {"mini_imagenet": 60_000, "mnist": 60_000, "fashion_mnist": 60_000}.get(data["name"], 50_000)
    number = data["per_class"] * (classes[1] - classes[0] if classes else 10) if "per_class" in data else whole
    passes = 2 if settings["loss"] == "supcon" else 1
    passes += settings.get("attack_steps", 7) if settings.get("adversarial") else 0
    light = 0.2 if settings["arch"] == "mlp" else 1.0
    return number * settings["epochs"] * passes * light
