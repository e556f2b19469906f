"""The order of a ranking: one documented rule, and which differences it cannot tell.

The cross-validated probe leads. Two networks are *told apart* if their accuracies differ by more than twice the standard
error of the difference, image by image (both probes saw the same images in the same folds). From the best on, all that
cannot be told from a group's first form the group. Within a group the known accuracy decides, as a constant order is the
hardest to beat on public tables; without a file of known accuracies, the number of parameters.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np

__all__ = ["RULE", "Place", "order_candidates", "told_apart"]

RULE = (
    "Cross-validated probe accuracy leads; networks whose difference is within two standard errors of the paired "
    "difference form a group; within a group the known accuracy decides, else the number of parameters."
)


@dataclasses.dataclass(frozen=True)
class Place:
    """Where a candidate stands.

    Attributes:
        name: The candidate.
        position: From 1.
        first, last: Positions between which its place cannot be told.
    """

    name: str
    position: int
    first: int
    last: int


def told_apart(one: np.ndarray, other: np.ndarray) -> bool:
    """Whether two probes' accuracies differ by more than two standard errors of their paired difference.

    Args:
        one, other: Right (1) or wrong (0) for each image, NaN where unknown; shape (N,).

    Example:
        >>> good, poor = np.tile([1.0, 1, 1, 1, 0], 20), np.tile([1.0, 0, 0, 1, 0], 20)
        >>> told_apart(good, poor), told_apart(good, good)
        (True, False)
    """
    both = np.isfinite(one) & np.isfinite(other)
    difference = (one - other)[both]
    if len(difference) < 2:
        return False
    error = float(difference.std(ddof=1)) / len(difference) ** 0.5
    return abs(float(difference.mean())) > 2 * error


def order_candidates(
    correct: Mapping[str, np.ndarray],
    *,
    known: Mapping[str, float | None] | None = None,
    parameters: Mapping[str, int] | None = None,
) -> list[Place]:
    """The candidates in order.

    Args:
        correct: Right or wrong for each image, by candidate.
        known: Known accuracies.
        parameters: Numbers of parameters.

    Example:
        >>> right = np.tile([1.0, 1, 1, 0], 25)
        >>> places = order_candidates({"a": 1 - right, "b": right, "c": right}, parameters={"a": 9, "b": 1, "c": 2})
        >>> [(place.name, place.first, place.last) for place in places]
        [('c', 1, 2), ('b', 1, 2), ('a', 3, 3)]
    """
    known, parameters = known or {}, parameters or {}
    rest = sorted(correct, key=lambda name: (-float(np.nanmean(correct[name])), name))
    places: list[Place] = []
    while rest:
        group = [rest[0], *(name for name in rest[1:] if not told_apart(correct[rest[0]], correct[name]))]
        group.sort(key=lambda name: _static(name, known, parameters))
        first = len(places) + 1
        places += [Place(name, first + number, first, first + len(group) - 1) for number, name in enumerate(group)]
        rest = [name for name in rest if name not in group]
    return places


def _static(name: str, known: Mapping[str, float | None], parameters: Mapping[str, int]) -> tuple[bool, float, int]:
    accuracy = known.get(name)
    return (accuracy is None, -(accuracy or 0.0), -parameters.get(name, 0))
