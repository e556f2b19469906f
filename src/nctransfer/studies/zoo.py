"""Cells of released networks on many data sets, every layer measured and probed. Data sets stand where others have seeds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .cells import Cell, transfer
from .families import by_loss
from .scale import Scale
from .study import Outcome

__all__ = ["mean_over", "rows_of", "zoo_cells"]


def zoo_cells(scale: Scale, seed: int) -> dict[str, Cell]:
    """Each network on each set, by ``network | set``."""
    zoo = scale.zoo
    if zoo is None:
        return {}
    made = {}
    for network, name in zoo.networks.items():
        trained = name.startswith("loss:")
        source = by_loss(scale, seed, scale.network, name.removeprefix("loss:"), 0) if trained else name
        size = None if trained else zoo.image_size
        for title, spec in zoo.sets.items():
            made[f"{network} | {title}"] = transfer(source, spec, seed, layers=True, image_size=size)
    return made


def rows_of(outcome: Outcome, network: str, title: str) -> list[dict[str, Any]]:
    """The layers of a network on a set, in order of depth, on the first seed; empty where the cell is missing."""
    found = outcome.each(f"{network} | {title}", "layers")
    return list(found[0] or []) if found else []


def mean_over(values: Sequence[float | None]) -> float | None:
    """The mean of what is known; None of nothing."""
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None
