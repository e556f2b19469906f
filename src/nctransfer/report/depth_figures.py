"""The figures of a run's layers: along depth, before and after tuning, and collapse against accuracy."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from matplotlib.figure import Figure as Canvas

from .. import arrays
from .figures import OTHERS, WIDTH, Series, Values, drawable, positive, style
from .svg import ACCENT, INK, MUTED, PAPER, draw, logarithmic, percentages
from .text import shorten, visible

__all__ = ["Line", "correlation", "depth", "depths", "describe", "fit", "line_through"]


def depth(
    names: Sequence[str],
    nc1: Values,
    accuracy: Values,
    floor: Values = (),
    *,
    tested: Values = (),
    panel: float = 2.0,
) -> str:
    """NC1 (log) above probe accuracy, along depth.

    ``floor`` is NC1 under permuted labels, ``tested`` that of the test images, ``panel`` a panel's height in inches.
    """
    nc1, accuracy, floor, tested = drawable(nc1), drawable(accuracy), drawable(floor), drawable(tested)
    has_nc1, has_accuracy = positive(nc1), any(value is not None for value in accuracy)
    if not (has_nc1 or has_accuracy):
        return ""

    def paint(canvas: Canvas) -> None:
        panels = has_nc1 + has_accuracy
        axes = canvas.subplots(panels, 1, sharex=True, squeeze=False)[:, 0]
        if has_nc1:
            if positive(floor):
                _line(axes[0], floor, None, MUTED, ":", "under permuted labels")
            if positive(tested):
                _line(axes[0], tested, "s", INK, "--", "test images")
            _line(axes[0], nc1, "o", ACCENT, "-", "training images" if positive(tested) else "NC1")
            axes[0].set_yscale("log")
            logarithmic(axes[0].yaxis)
            axes[0].set_title("NC1 (log scale)" if positive(tested) else "NC1 of the training features (log scale)")
            if positive(floor) or positive(tested):
                canvas.legend(*axes[0].get_legend_handles_labels(), loc="outside upper left", ncols=2)
        if has_accuracy:
            _line(axes[-1], accuracy, "s", INK, "-", "probe")
            percentages(axes[-1].yaxis)
            axes[-1].set_title("Linear probe, held-out accuracy (%)")
        _name_layers(axes[-1], names)

    legend = 0.2 * (positive(floor) + positive(tested)) if has_nc1 else 0.0
    return draw("depth", WIDTH, panel * (has_nc1 + has_accuracy) + _room(names) + legend, paint)


def depths(names: Sequence[str], series: Sequence[Series]) -> str:
    """NC1 (log) of every layer along depth, one line for each state of the network."""
    shown = [item for item in series if positive(item.values)]
    if not shown:
        return ""

    def paint(canvas: Canvas) -> None:
        axes = canvas.add_subplot()
        for index, item in enumerate(shown):
            marker, colour, dash = style(item.mark, ("o", MUTED, ":") if index == 0 else OTHERS[index % 6])
            _line(axes, item.values, marker, colour, dash, shorten(visible(item.title), 28))
        axes.set_yscale("log")
        logarithmic(axes.yaxis)
        axes.set_ylabel("NC1 (log scale)")
        _name_layers(axes, names)
        canvas.legend(loc="outside upper left", ncols=2)

    return draw("depths", WIDTH, 2.5 + _room(names), paint)


def correlation(names: Sequence[str], nc1: Values, accuracy: Values) -> str:
    """Probe accuracy against NC1, one point a layer, shaded by depth, with the line and its R²."""
    nc1, accuracy = drawable(nc1), drawable(accuracy)
    points = [
        (position, a, b)
        for position, (a, b) in enumerate(zip(nc1, accuracy, strict=True))
        if a is not None and b is not None and a > 0
    ]
    if len(points) < 2:
        return ""
    steps, a, b = (list(column) for column in zip(*points, strict=True))
    line = line_through(a, b)
    wide = _is_wide(a)

    def paint(canvas: Canvas) -> None:
        axes = canvas.add_subplot()
        if wide:
            axes.set_xscale("log")
        if line:
            ends = np.array([min(a), max(a)])
            axes.plot(
                ends, line.intercept + line.slope * (np.log10(ends) if wide else ends), color=MUTED, linewidth=1.1
            )
        for step, x, y in zip(steps, a, b, strict=True):
            share = step / max(1, len(names) - 1)
            axes.plot([x], [y], "o", color=ACCENT, markersize=3.5 + 3.5 * share, markeredgecolor=PAPER)
        for index in dict.fromkeys((0, len(points) - 1)):
            left = a[index] > (math.sqrt(min(a) * max(a)) if wide else (min(a) + max(a)) / 2)
            axes.annotate(
                shorten(visible(names[steps[index]]), 20),
                (a[index], b[index]),
                xytext=(-7, -9) if left else (7, 3),
                textcoords="offset points",
                ha="right" if left else "left",
                fontsize=7.5,
                color=MUTED,
            )
        if line:
            axes.text(0.98, 0.98, f"R² = {line.r2:.2f}", transform=axes.transAxes, ha="right", va="top", weight="bold")
        if wide:
            logarithmic(axes.xaxis)
        axes.margins(0.08)
        percentages(axes.yaxis)
        axes.set_xlabel("NC1" + (" (log scale)" if wide else ""))
        axes.set_ylabel("probe accuracy (%)")

    return draw("correlation", WIDTH, 2.9, paint)


def describe(line: Line | None) -> str:
    """R² in words.

    Example:
        >>> describe(Line(-1.0, 0.0, 0.934, 12))
        'R² = 0.93 over 12 layers'
    """
    if line is None:
        return ""
    return f"R² = {line.r2:.2f} over {line.num_points} layers" + (", NC1 taken by its logarithm" if line.log else "")


def line_through(nc1: Values, accuracy: Values) -> Line | None:
    """The line that the scatter of layers shows: over the logarithm of NC1 where that spans more than a factor of 30.

    Example:
        >>> line_through([1, 10, 100], [0.9, 0.8, 0.7]).log, line_through([1, 2, 3], [0.9, 0.8, 0.7]).log
        (True, False)
    """
    nc1 = drawable(nc1)
    if not _is_wide(nc1):
        return fit(nc1, accuracy)
    line = fit([math.log10(value) if value is not None and value > 0 else None for value in nc1], accuracy)
    return None if line is None else replace(line, log=True)


def _is_wide(nc1: Values) -> bool:
    known = [value for value in nc1 if value is not None and value > 0]
    return bool(known) and max(known) / min(known) > 30


@dataclass(frozen=True)
class Line:
    """A straight line through points: slope, intercept, fraction of variance explained, number of points; over log10 x or x."""

    slope: float
    intercept: float
    r2: float
    num_points: int
    log: bool = False


def fit(x: Values, y: Values) -> Line | None:
    """The least-squares line through the points where both values stand; None for fewer than three, or a constant.

    Example:
        >>> fit([1, 2, 3, None], [2, 4, 6, 1]).r2
        1.0
    """
    pairs = [(a, b) for a, b in zip(drawable(x), drawable(y), strict=True) if a is not None and b is not None]
    found = arrays.line_through([a for a, _ in pairs], [b for _, b in pairs])
    # A level line through constant values says nothing of collapse.
    if found is None or (found.slope, found.r2) == (0.0, 1.0):
        return None
    return Line(*found, num_points=len(pairs))


def _line(axes: Any, values: Values, marker: str | None, colour: str, dash: str, label: str) -> None:
    heights = [math.nan if value is None else value for value in values]
    axes.plot(range(len(heights)), heights, color=colour, linestyle=dash, marker=marker, label=label, markersize=4)


def _name_layers(axes: Any, names: Sequence[str]) -> None:
    step = max(1, math.ceil(len(names) / 24))
    shown = sorted({*range(0, len(names), step), len(names) - 1})
    if len(shown) > 1 and shown[-1] - shown[-2] < step:
        shown.pop(-2)
    axes.set_xticks(shown, [shorten(visible(names[i]), 18) for i in shown], rotation=90, fontsize=7.5)
    axes.set_xlim(-0.5, len(names) - 0.5)
    axes.set_xlabel("layer, input to output")


def _room(names: Sequence[str]) -> float:
    return 0.3 + 0.06 * min(18, max((len(name) for name in names), default=0))
