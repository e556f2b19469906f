"""The directions that tell classes apart: how many there are, and how unequal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .metric import Metric, Number, register
from .words import without_structure

__all__: list[str] = []


def _of_at_most(value: Any, numbers: Mapping[str, Any]) -> str:
    return f"of at most {sum(count > 0 for count in numbers['counts']) - 1}"


register(
    Metric(
        "rank_between",
        lambda work: work.spectrum.rank,
        (Number("rank_between", "directions that tell classes apart", say=_of_at_most),),
        collapsed="neither",
        position=130,
    )
)
register(
    Metric(
        "condition_between",
        lambda work: work.spectrum.condition,
        (
            Number(
                "condition_between",
                "longest of them over shortest, squared",
                ((100, "even"), (1e6, "uneven"), (float("inf"), "some directions nearly missing")),
                without_structure,
            ),
        ),
        collapsed="down",
        position=131,
    )
)
