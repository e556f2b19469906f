"""Every study by name, and what each costs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ..errors import UsageError, near_names
from . import (
    figure1,
    figure2,
    figure3,
    figure5,
    figure6,
    figure9,
    figure10,
    figure11,
    layers,
    skip,
    sources,
    table1,
    table2,
)
from .cells import Cell, in_order
from .costs import minutes
from .scale import Scale
from .study import Study

__all__ = ["STUDIES", "cells_of", "get_studies", "minutes"]

STUDIES: dict[str, Study] = {
    module.STUDY.name: module.STUDY
    for module in (
        table1,
        figure1,
        figure2,
        figure3,
        figure10,
        figure5,
        figure6,
        table2,
        skip,
        figure9,
        figure11,
        sources,
        layers,
    )
}
"""In the order of the paper's argument."""

_ALIASES = {"table3": "table2", "table4": "table2", "table5": "table2"}
_DIAGRAMS = ("figure4", "figure7", "figure8")


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


def cells_of(studies: Iterable[Study], scale: Scale, seeds: Iterable[int] | None = None) -> list[Cell]:
    """Every cell of these studies once, in an order that can be run.

    Args:
        studies: The studies.
        scale: The scale.
        seeds: Of every study; as many as the scale plans for each where None.
    """
    asked = None if seeds is None else list(seeds)
    wanted = [(study, range(study.seeds_at(scale)) if asked is None else asked) for study in studies]
    last = max((seed for _, own in wanted for seed in own), default=-1)
    return in_order(
        cell
        for seed in range(last + 1)
        for study, own in wanted
        if seed in own
        for cell in study.cells(scale, seed).values()
    )
