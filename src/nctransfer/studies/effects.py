"""Effects of which claims are made: differences over seeds that noise alone does not push to either side.

A comparison with "the best of the others" is lost by noise, since the best of many is lucky. So what to compare with is picked
on the other seeds (:func:`elsewhere`), on validation, or not at all (a mean over the others).
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from .verdicts import spearman

__all__ = ["averaged", "contrast", "elsewhere", "gaps", "log_ratios", "strengths"]

Values = Sequence[float | None]


def gaps(high: Values, low: Values) -> list[float | None]:
    """Differences, seed by seed.

    Example:
        >>> gaps([3.0, None], [1.0, 1.0])
        [2.0, None]
    """
    return [None if a is None or b is None else a - b for a, b in zip(high, low, strict=True)]


def log_ratios(high: Values, low: Values) -> list[float | None]:
    """Logarithms of ratios of positive quantities, seed by seed."""
    return [
        math.log(a / b) if a is not None and b is not None and a > 0 and b > 0 else None
        for a, b in zip(high, low, strict=True)
    ]


def averaged(rows: Sequence[Values]) -> list[float | None]:
    """For each seed the mean over rows; None where one is missing.

    Example:
        >>> averaged([[1.0, 2.0], [3.0, None]])
        [2.0, None]
    """
    return [
        statistics.fmean([value for value in column if value is not None]) if None not in column else None
        for column in zip(*rows, strict=True)
    ]


def contrast(values: Mapping[str, Values], first: Sequence[str], second: Sequence[str]) -> list[float | None]:
    """For each seed the mean over some labels less the mean over others."""
    return gaps(averaged([values[label] for label in first]), averaged([values[label] for label in second]))


def elsewhere(values: Mapping[str, Values], pick: Callable[..., float]) -> list[float | None]:
    """For each seed the value of the label that is largest (``max``) or smallest (``min``) on average over the *other* seeds.

    Picked on the same seed, the best of several would be lucky and the comparison with it lost by noise alone.

    Example:
        >>> elsewhere({"a": [1.0, 5.0, 1.0], "b": [2.0, 2.0, 2.0]}, max)
        [1.0, 2.0, 1.0]
    """
    num = len(next(iter(values.values()), []))
    found: list[float | None] = []
    for seed in range(num):
        others = {
            label: statistics.fmean(known)
            for label, row in values.items()
            if (known := [value for place, value in enumerate(row) if place != seed and value is not None])
            and row[seed] is not None
        }
        if not others:  # a single seed: there is no other to pick on
            known_now = [row[seed] for row in values.values() if row[seed] is not None]
            found.append(pick(known_now) if known_now and num == 1 else None)
            continue
        label = pick(others, key=lambda name: others[name])
        found.append(values[str(label)][seed])
    return found


def strengths(points: Sequence[Sequence[tuple[Any, Any]]]) -> list[float | None]:
    """For each seed |Spearman's ρ| over its points."""
    return [None if (rho := spearman(seed)) is None else abs(rho) for seed in points]
