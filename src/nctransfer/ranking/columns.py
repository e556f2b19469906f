"""The columns of a ranking's table: words, direction and bounds of each, and the value that they make of a measurement.

A value alone says little: 0.76 of what? Beside it stand an interval, the value that the same features have under permuted
labels, and a flag where it says nothing: *at noise* where the interval holds the permuted value or lies on its wrong
side, *at ceiling* where 98 % of the way from the permuted value to the column's bound is gone.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Literal

__all__ = ["COLUMNS", "Column", "flag_of"]

Flag = Literal["at noise", "at ceiling"]
_CEILING = 0.98


@dataclasses.dataclass(frozen=True)
class Column:
    """One column.

    Attributes:
        name: Key in the record.
        title: Words at its head.
        words: What it says, in a sentence.
        larger: Whether larger promises better transfer.
        bound: The best value that it can take, of the number of classes; None where there is none.
        accuracy: Whether it is a fraction of images.
    """

    name: str
    title: str
    words: str
    larger: bool = True
    bound: Callable[[int], float] | None = None
    accuracy: bool = False


def _constant(value: float) -> Callable[[int], float]:
    return lambda num_classes: value


COLUMNS: dict[str, Column] = {
    column.name: column
    for column in (
        Column(
            "probe",
            "Probe",
            "Cross-validated accuracy of a linear probe of the last features.",
            True,
            _constant(1),
            True,
        ),
        Column(
            "deep",
            "Deep probe",
            "Cross-validated accuracy of one linear head over all layers.",
            True,
            _constant(1),
            True,
        ),
        Column(
            "nearest_neighbours",
            "Neighbours",
            "Leave-one-out accuracy of a vote of 5 neighbours.",
            True,
            _constant(1),
            True,
        ),
        Column("nc1", "NC1", "Scatter within classes in units of that between them.", False, _constant(0)),
        Column(
            "nc1_calibrated", "NC1, calibrated", "NC1 of the population, comparable across widths.", False, _constant(0)
        ),
        Column(
            "cdnv", "CDNV", "Variance within two classes over their distance, mean over pairs.", False, _constant(0)
        ),
        Column("log_me", "LogME", "Evidence of a Bayesian linear model."),
        Column("h_score", "H-score", "Variance between classes over all.", True, lambda k: k - 1.0),
        Column("regularised_h_score", "H-score, reg.", "The same with a shrunk covariance.", True, lambda k: k - 1.0),
        Column("sfda", "SFDA", "Fisher posterior after the easy samples were made harder.", True, _constant(1)),
        Column("transrate", "TransRate", "Bits of all features beyond those of one class."),
        Column("gbc", "GBC", "Overlap of the classes as Gaussians.", True, _constant(0)),
        Column("parc", "PARC", "Rank correlation of distances in features and labels.", True, _constant(100)),
        Column("nleep", "NLEEP", "Likelihood of the labels given a Gaussian mixture.", True, _constant(0)),
        Column("leep", "LEEP", "Likelihood of the labels given the source classifier's classes.", True, _constant(0)),
        Column("nce", "NCE", "What the source classifier's decision leaves open.", True, _constant(0)),
        Column("ncti", "NCTI", "Nearness to neural collapse among these candidates."),
        Column("known", "Known accuracy", "From the file that was named; knows nothing of these images.", True),
        Column("parameters", "Parameters", "Of the backbone; knows nothing of these images.", True),
    )
}
"""By name, in the order of the table."""


def flag_of(
    column: Column, value: float, low: float | None, high: float | None, null: float | None, num_classes: int
) -> Flag | None:
    """``at noise``, ``at ceiling`` or None.

    Example:
        >>> flag_of(COLUMNS["probe"], 0.31, 0.25, 0.37, 0.33, 3), flag_of(COLUMNS["probe"], 0.999, 0.99, 1.0, 0.33, 3)
        ('at noise', 'at ceiling')
        >>> flag_of(COLUMNS["nc1"], 0.5, 0.4, 0.6, 9.0, 3) is None
        True
    """
    if null is None or not math.isfinite(value) or not math.isfinite(null):
        return None
    sign = 1 if column.larger else -1
    worst = (low if column.larger else high) if low is not None and high is not None else value
    assert worst is not None
    if sign * (worst - null) <= 0:
        return "at noise"
    if column.bound is not None:
        way = sign * (column.bound(num_classes) - null)
        if way > 0 and sign * (value - null) >= _CEILING * way:
            return "at ceiling"
    return None
