"""The figures of a run: methods, layers along depth, collapse against accuracy, the confusion matrix.

Every function takes plain lists and returns an SVG, or an empty string when there is nothing to draw. Accuracies are
fractions, None marks what is missing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .svg import ACCENT, GRID, INK, MUTED, PAPER, draw, logarithmic, percentages
from .text import percent, shorten, visible

__all__ = [
    "Group",
    "Line",
    "Method",
    "Series",
    "confusion",
    "correlation",
    "curves",
    "depth",
    "depths",
    "describe",
    "fit",
    "methods",
    "scatter",
    "seeds",
]

Values = Sequence[float | None]
_WIDTH = 4.0
_STYLES = {
    "linear": ("o", MUTED, ":"),
    "layer": ("s", INK, "--"),
    "scl": ("D", ACCENT, "-"),
    "full": ("^", INK, "-."),
}
_OTHERS = (
    ("o", ACCENT, "-"),
    ("s", INK, "--"),
    ("^", MUTED, "-."),
    ("D", INK, ":"),
    ("v", MUTED, "-"),
    ("P", INK, "-"),
)


@dataclass(frozen=True)
class Method:
    """One point with whiskers: a tuning method's name, test accuracy, interval, and final NC1."""

    key: str
    title: str
    accuracy: float | None
    interval: tuple[float, float] | None = None
    nc1: float | None = None


@dataclass(frozen=True)
class Series:
    """One line of a plot: its title, its values, and the method it belongs to, if any."""

    title: str
    values: Values
    key: str = ""


@dataclass(frozen=True)
class Group:
    """The test accuracies of several runs of one method; ``heading`` is what the groups stand under."""

    title: str
    values: Values
    key: str = ""
    heading: str = ""


@dataclass(frozen=True)
class Line:
    """A straight line through points: slope, intercept, share of variance explained, and number of points."""

    slope: float
    intercept: float
    r2: float
    num_points: int


def fit(x: Values, y: Values) -> Line | None:
    """The least-squares line through the points where both values stand, or None for fewer than three or for a constant.

    Example:
        >>> fit([1, 2, 3, None], [2, 4, 6, 1]).r2
        1.0
    """
    pairs = [(a, b) for a, b in zip(x, y, strict=True) if a is not None and b is not None]
    if len(pairs) < 3:
        return None
    a, b = np.array(pairs, dtype=np.float64).T
    # Sizes of 1e300 would overflow when squared; the line is drawn, and R² said, in scaled values.
    scale = float(np.abs(a).max()) or 1.0
    da, db = a / scale - (a / scale).mean(), b - b.mean()
    saa, sbb, sab = float(da @ da), float(db @ db), float(da @ db)
    if saa <= 1e-24 or sbb <= 1e-24:
        return None
    slope = sab / saa / scale
    return Line(slope, float(b.mean() - slope * a.mean()), min(1.0, sab**2 / (saa * sbb)), len(pairs))


def methods(items: Sequence[Method], best: str | None) -> str:
    """Test accuracy of each method as a dot with its interval."""
    shown = [item for item in items if item.accuracy is not None]
    if not shown:
        return ""

    def paint(canvas) -> None:
        axes = canvas.add_subplot()
        for row, item in enumerate(shown):
            assert item.accuracy is not None
            colour = ACCENT if item.key == best else INK
            low, high = item.interval or (item.accuracy, item.accuracy)
            axes.plot([low, high], [row, row], color=colour, linewidth=2, solid_capstyle="butt")
            for end in (low, high) if item.interval else ():
                axes.plot([end, end], [row - 0.11, row + 0.11], color=colour, linewidth=1.4)
            marker = _STYLES.get(item.key, _OTHERS[0])[0]
            axes.plot([item.accuracy], [row], marker, color=colour, markersize=6.5, markeredgecolor=PAPER)
            axes.annotate(
                percent(item.accuracy),
                (item.accuracy, row),
                xytext=(0, 7),
                textcoords="offset points",
                ha="center",
                color=colour,
                weight="bold" if item.key == best else "normal",
            )
        axes.set_yticks(range(len(shown)), [shorten(visible(item.title), 26) for item in shown])
        axes.set_ylim(len(shown) - 0.5, -0.7)
        axes.margins(x=0.12)
        axes.grid(axis="y", visible=False)
        axes.tick_params(axis="y", length=0)
        percentages(axes.xaxis)
        axes.set_xlabel("test accuracy (%)")

    return draw("methods", _WIDTH, 0.85 + 0.44 * len(shown), paint)


def seeds(groups: Sequence[Group]) -> str:
    """Test accuracy of every run as a dot, with a bar at each group's mean, under the groups' headings."""
    lines: list[Group | str] = []
    for group in groups:
        if all(value is None for value in group.values):
            continue
        before = lines[-1].heading if lines and isinstance(lines[-1], Group) else ""
        if group.heading != before:
            lines.append(group.heading)
        lines.append(group)
    if not lines:
        return ""

    def paint(canvas) -> None:
        axes = canvas.add_subplot()
        for row, group in enumerate(lines):
            if isinstance(group, str):
                continue
            known = [value for value in group.values if value is not None]
            marker, colour, _ = _STYLES.get(group.key, _OTHERS[row % 6])
            axes.plot(known, [row] * len(known), marker, color=colour, alpha=0.75, markersize=6, markeredgecolor=PAPER)
            axes.plot([sum(known) / len(known)] * 2, [row - 0.3, row + 0.3], color=colour, linewidth=2)
        titles = [shorten(visible(line if isinstance(line, str) else line.title), 26) for line in lines]
        labels = axes.set_yticks(range(len(lines)), titles)
        for line, label in zip(lines, labels, strict=True):
            label.label1.set_fontweight("bold" if isinstance(line, str) else "normal")
        axes.set_ylim(len(lines) - 0.5, -0.5)
        axes.margins(x=0.08)
        axes.grid(axis="y", visible=False)
        axes.tick_params(axis="y", length=0)
        percentages(axes.xaxis)
        axes.set_xlabel("test accuracy (%)")

    return draw("seeds", _WIDTH, 0.8 + 0.3 * len(lines), paint)


def depth(names: Sequence[str], nc1: Values, accuracy: Values, floor: Values = (), *, panel: float = 2.0) -> str:
    """NC1 (log) above probe accuracy, along depth; ``floor`` is NC1 under permuted labels, ``panel`` a height in inches."""
    has_nc1, has_accuracy = _positive(nc1), any(value is not None for value in accuracy)
    if not (has_nc1 or has_accuracy):
        return ""

    def paint(canvas) -> None:
        panels = has_nc1 + has_accuracy
        axes = canvas.subplots(panels, 1, sharex=True, squeeze=False)[:, 0]
        if has_nc1:
            if _positive(floor):
                _line(axes[0], floor, None, MUTED, ":", "under permuted labels")
            _line(axes[0], nc1, "o", ACCENT, "-", "NC1")
            axes[0].set_yscale("log")
            logarithmic(axes[0].yaxis)
            axes[0].set_title("NC1 of the training features (log scale)")
            if _positive(floor):
                axes[0].legend(loc="best")
        if has_accuracy:
            _line(axes[-1], accuracy, "s", INK, "-", "probe")
            percentages(axes[-1].yaxis)
            axes[-1].set_title("Linear probe, validation accuracy (%)")
        _name_layers(axes[-1], names)

    return draw("depth", _WIDTH, panel * (has_nc1 + has_accuracy) + _room(names), paint)


def depths(names: Sequence[str], series: Sequence[Series]) -> str:
    """NC1 (log) of every layer along depth, one line for each state of the network."""
    shown = [item for item in series if _positive(item.values)]
    if not shown:
        return ""

    def paint(canvas) -> None:
        axes = canvas.add_subplot()
        for index, item in enumerate(shown):
            marker, colour, dash = _STYLES.get(item.key, ("o", MUTED, ":") if not item.key else _OTHERS[index % 6])
            _line(axes, item.values, marker, colour, dash, shorten(visible(item.title), 28))
        axes.set_yscale("log")
        logarithmic(axes.yaxis)
        axes.set_ylabel("NC1 (log scale)")
        _name_layers(axes, names)
        canvas.legend(loc="outside upper left", ncols=2)

    return draw("depths", _WIDTH, 2.5 + _room(names), paint)


def correlation(names: Sequence[str], nc1: Values, accuracy: Values) -> str:
    """Probe accuracy against NC1, one point a layer, shaded by depth, with the line and its R²."""
    points = [
        (position, a, b)
        for position, (a, b) in enumerate(zip(nc1, accuracy, strict=True))
        if a is not None and b is not None and a > 0
    ]
    if len(points) < 2:
        return ""
    steps, a, b = (list(column) for column in zip(*points, strict=True))
    wide = max(a) / min(a) > 30
    line = fit([math.log10(value) for value in a] if wide else a, b)

    def paint(canvas) -> None:
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

    return draw("correlation", _WIDTH, 2.9, paint)


def scatter(items: Sequence[Method], best: str | None) -> str:
    """Test accuracy against the penultimate NC1, one point a method."""
    shown = [item for item in items if item.accuracy is not None and item.nc1 is not None and item.nc1 > 0]
    if len(shown) < 2:
        return ""

    def paint(canvas) -> None:
        axes = canvas.add_subplot()
        sizes = [item.nc1 for item in shown if item.nc1]
        if max(sizes) / min(sizes) > 8:
            axes.set_xscale("log")
        for index, item in enumerate(shown):
            marker = _STYLES.get(item.key, _OTHERS[index % 6])[0]
            colour = ACCENT if item.key == best else INK if item.key != "linear" else MUTED
            if item.interval:
                axes.plot([item.nc1] * 2, item.interval, color=colour, linewidth=1.2, alpha=0.7)
            axes.plot(
                [item.nc1],
                [item.accuracy],
                marker,
                color=colour,
                markersize=7,
                markeredgecolor=PAPER,
                label=shorten(visible(item.title), 28),
            )
        axes.margins(0.1)
        if axes.get_xscale() == "log":
            logarithmic(axes.xaxis)
        percentages(axes.yaxis)
        axes.set_xlabel("NC1 of the penultimate features, training images")
        axes.set_ylabel("test accuracy (%)")
        canvas.legend(loc="outside upper left", ncols=2)

    return draw("scatter", _WIDTH, 3.0, paint)


def confusion(matrix: np.ndarray, names: Sequence[str]) -> str:
    """Counts (K, K), rows true: numbers up to 12 classes, names up to 25, a bare heat map above."""
    num_classes = len(matrix)
    sums = matrix.sum(axis=1, keepdims=True)
    shares = np.divide(matrix, sums, out=np.zeros(matrix.shape), where=sums > 0)

    def paint(canvas) -> None:
        axes = canvas.add_subplot()
        image = np.empty((num_classes, num_classes, 4))
        image[..., :3] = [int(ACCENT[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        # The square root lifts rare confusions out of the background.
        image[..., 3] = np.sqrt(shares)
        axes.imshow(image, interpolation="none", aspect="equal")
        axes.grid(visible=False)
        for side in ("top", "right"):
            axes.spines[side].set_visible(True)
        for spine in axes.spines.values():
            spine.set_edgecolor(GRID)
        if num_classes <= 12:
            for i, j in np.argwhere(matrix > 0):
                colour = PAPER if shares[i, j] > 0.35 else INK
                size = 8.5 if num_classes <= 6 else 7
                axes.text(j, i, f"{matrix[i, j]:g}", ha="center", va="center", color=colour, fontsize=size)
        if num_classes <= 25:
            short = [shorten(visible(name), 14) for name in names]
            size = 8 if num_classes <= 12 else 6
            upright = max(map(len, short)) * num_classes > 40
            axes.set_xticks(range(num_classes), short, rotation=90 if upright else 0, fontsize=size)
            axes.set_yticks(range(num_classes), short, fontsize=size)
            axes.tick_params(length=0)
        axes.set_xlabel("predicted class" + ("" if num_classes <= 25 else ", in the order of the class list"))
        axes.set_ylabel("true class")

    return draw("confusion", _WIDTH, 3.9, paint)


def curves(
    series: Sequence[Series], name: str, *, steps: Sequence[float] = (), log: bool = False, label: str = "accuracy (%)"
) -> str:
    """Values over epochs, one line each; ``steps`` are the epochs, counted from 1 when not given."""
    shown = [item for item in series if (_positive(item.values) if log else any(v is not None for v in item.values))]
    if not shown:
        return ""

    def paint(canvas) -> None:
        axes = canvas.add_subplot()
        for index, item in enumerate(shown):
            marker, colour, dash = _STYLES.get(item.key, _OTHERS[index % 6])
            epochs = steps or range(1, len(item.values) + 1)
            heights = [math.nan if value is None else value for value in item.values]
            known = sum(value is not None for value in item.values)
            few = marker if known <= 15 else None
            title = shorten(visible(item.title), 28)
            axes.plot(epochs, heights, dash, color=colour, marker=few, markersize=4, label=title)
        if log:
            axes.set_yscale("log")
            logarithmic(axes.yaxis)
        elif "%" in label:
            percentages(axes.yaxis)
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.set_xlabel("epoch")
        axes.set_ylabel(label)
        canvas.legend(loc="outside upper left", ncols=2)

    return draw(name, _WIDTH, 2.8, paint)


def _positive(values: Values) -> bool:
    return any(value is not None and value > 0 for value in values)


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


def describe(line: Line | None) -> str:
    """R² in words.

    Example:
        >>> describe(Line(-1.0, 0.0, 0.934, 12))
        'R² = 0.93 over 12 layers'
    """
    return "" if line is None else f"R² = {line.r2:.2f} over {line.num_points} layers"
