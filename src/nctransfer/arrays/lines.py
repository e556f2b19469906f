"""The least-squares line through points."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

__all__ = ["Line", "line_through"]


class Line(NamedTuple):
    """y = slope · x + intercept, and the fraction R² of y's variance that it explains, in [0, 1]."""

    slope: float
    intercept: float
    r2: float


def line_through(x: Sequence[float], y: Sequence[float]) -> Line | None:
    """The least-squares line; None for fewer than three points or constant ``x``. Through constant ``y`` R² is 1.

    Example:
        >>> line_through([0, 1, 2], [1, 3, 5])
        Line(slope=2.0, intercept=1.0, r2=1.0)
    """
    a, b = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    if len(a) < 3:
        return None
    da, db = a - a.mean(), b - b.mean()
    saa, sbb, sab = float(da @ da), float(db @ db), float(da @ db)
    # What rounding of the mean leaves of a constant is no spread.
    if saa <= 1e-24 * float(a @ a):
        return None
    if sbb <= 1e-24 * float(b @ b):
        return Line(0.0, float(b.mean()), 1.0)
    slope = sab / saa
    return Line(slope, float(b.mean() - slope * a.mean()), min(1.0, sab**2 / (saa * sbb)))
