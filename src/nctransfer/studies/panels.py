"""Tables and plots of a study as plain values, which the page draws.

A number of a table is a plain number, or ``values`` over seeds of which the page shows mean ± spread.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

__all__ = ["axis", "over_seeds", "plot", "series", "table"]


def over_seeds(values: Sequence[float | None], *, percent: bool = False) -> dict[str, Any]:
    """A number for each seed, of which mean ± spread is shown; missing ones are left out."""
    return {"values": [float(value) for value in values if value is not None], "percent": percent}


def table(
    caption: str, columns: Sequence[str], rows: Sequence[Sequence[Any]], *, notes: Sequence[str] = ()
) -> dict[str, Any]:
    """A table; the first cell of each row is its name, the others are strings, numbers, ``over_seeds`` or None."""
    return {
        "kind": "table",
        "caption": caption,
        "columns": list(columns),
        "rows": [list(row) for row in rows],
        "notes": list(notes),
    }


def axis(label: str, *, log: bool = False, percent: bool = False, names: Sequence[str] = ()) -> dict[str, Any]:
    """An axis: its label with the unit, its scale, and the names of its positions where they are names."""
    return {"label": label, "log": log, "percent": percent, "names": list(names)}


def series(
    name: str,
    x: Sequence[float | None],
    y: Sequence[Sequence[float | None]],
    *,
    line: bool = True,
    labels: Sequence[str] = (),
) -> dict[str, Any]:
    """Points of a plot.

    Args:
        name: For the legend.
        x: One value a point, or for each point its values over seeds averaged already.
        y: For each point its values over seeds.
        line: Whether the points are joined.
        labels: A word at each point.
    """
    means, spreads = [], []
    for values in y:
        known = [value for value in values if value is not None]
        means.append(float(np.mean(known)) if known else None)
        spreads.append(float(np.std(known, ddof=1)) if len(known) > 1 else None)
    return {"name": name, "x": list(x), "y": means, "spread": spreads, "line": line, "labels": list(labels)}


def mean(values: Sequence[float | None]) -> float | None:
    """The mean of what is known.

    Example:
        >>> mean([1.0, None, 3.0])
        2.0
    """
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None


def plot(
    caption: str,
    alt: str,
    x: dict[str, Any],
    y: dict[str, Any],
    drawn: Sequence[dict[str, Any]],
    *,
    fit: tuple[float, float, float] | None = None,
) -> dict[str, Any]:
    """A plot of some series; ``fit`` draws a line (slope, intercept) with its R²."""
    return {
        "kind": "plot",
        "caption": caption,
        "alt": alt,
        "x": x,
        "y": y,
        "series": list(drawn),
        "fit": None if fit is None else list(fit),
    }
