"""The figures of a run: methods side by side, collapse against accuracy, runs, curves over epochs.

Every function takes plain lists and returns an SVG, or an empty string when there is nothing to draw. Accuracies are
fractions, None marks what is missing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.figure import Figure as Canvas
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from ..runs import Mark
from .svg import ACCENT, INK, MUTED, PAPER, draw, logarithmic, percentages
from .text import percent, shorten, visible

__all__ = [
    "OTHERS",
    "WIDTH",
    "Group",
    "Method",
    "Series",
    "Values",
    "curves",
    "drawable",
    "methods",
    "positive",
    "scatter",
    "seeds",
    "style",
]

Values = Sequence[float | None]
# Inches. Figures are this narrow so that their text stays readable on a phone.
WIDTH = 4.0
_COLOURS = {"accent": ACCENT, "ink": INK, "muted": MUTED}
OTHERS = (
    ("o", ACCENT, "-"),
    ("s", INK, "--"),
    ("^", MUTED, "-."),
    ("D", INK, ":"),
    ("v", MUTED, "-"),
    ("P", INK, "-"),
)


@dataclass(frozen=True)
class Method:
    """One point with whiskers: a tuning method's name, mark, accuracy on the test images, interval, and final NC1."""

    key: str
    title: str
    mark: Mark
    accuracy: float | None
    interval: tuple[float, float] | None = None
    nc1: float | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "accuracy", drawable([self.accuracy])[0])
        object.__setattr__(self, "nc1", drawable([self.nc1])[0])
        if self.interval and None in drawable(self.interval):
            object.__setattr__(self, "interval", None)


@dataclass(frozen=True)
class Series:
    """One line of a plot: its title, its values, and the mark of the method it belongs to, if any."""

    title: str
    values: Values
    mark: Mark | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "values", drawable(self.values))


@dataclass(frozen=True)
class Group:
    """The test accuracies of several runs of one method; ``heading`` is what the groups stand under."""

    title: str
    values: Values
    mark: Mark | None = None
    heading: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "values", drawable(self.values))


def style(mark: Mark | None, otherwise: tuple[str, str, str] = OTHERS[0]) -> tuple[str, str, str]:
    """Marker, colour and dash of a mark; a marker, colour or dash that cannot be drawn gives way to the other style's.

    Example:
        >>> style(Mark(marker="s", colour="muted", dash="--")) == ("s", MUTED, "--")
        True
        >>> style(Mark(marker="nonsense"))[0], style(None)[0]
        ('o', 'o')
    """
    if mark is None:
        return otherwise
    marker = mark.marker if mark.marker in (*Line2D.filled_markers, "x", "+") else otherwise[0]
    dash = mark.dash if mark.dash in ("-", "--", "-.", ":") else otherwise[2]
    return marker, _COLOURS.get(mark.colour, otherwise[1]), dash


def methods(items: Sequence[Method], best: str | None, label: str = "test accuracy") -> str:
    """Accuracy of each method as a dot with its interval; ``label`` says which accuracy."""
    shown = [item for item in items if item.accuracy is not None]
    if not shown:
        return ""

    def paint(canvas: Canvas) -> None:
        axes = canvas.add_subplot()
        for row, item in enumerate(shown):
            assert item.accuracy is not None
            colour = ACCENT if item.key == best else INK
            low, high = item.interval or (item.accuracy, item.accuracy)
            axes.plot([low, high], [row, row], color=colour, linewidth=2, solid_capstyle="butt")
            for end in (low, high) if item.interval else ():
                axes.plot([end, end], [row - 0.11, row + 0.11], color=colour, linewidth=1.4)
            marker = style(item.mark)[0]
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
        axes.set_xlabel(f"{label} (%)")

    return draw("methods", WIDTH, 0.85 + 0.44 * len(shown), paint)


def seeds(groups: Sequence[Group], label: str = "test accuracy") -> str:
    """Accuracy of every run as a dot, with a bar at each group's mean, under the groups' headings."""
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

    def paint(canvas: Canvas) -> None:
        axes = canvas.add_subplot()
        for row, group in enumerate(lines):
            if isinstance(group, str):
                continue
            known = [float(value) for value in group.values if value is not None]
            marker, colour, _ = style(group.mark, OTHERS[row % 6])
            axes.plot(known, [row] * len(known), marker, color=colour, alpha=0.75, markersize=6, markeredgecolor=PAPER)
            axes.plot([sum(known) / len(known)] * 2, [row - 0.3, row + 0.3], color=colour, linewidth=2)
        titles = [shorten(visible(line if isinstance(line, str) else line.title), 26) for line in lines]
        labels = axes.set_yticks(range(len(lines)), titles)
        for line, tick in zip(lines, labels, strict=True):
            tick.label1.set_fontweight("bold" if isinstance(line, str) else "normal")
        axes.set_ylim(len(lines) - 0.5, -0.5)
        axes.margins(x=0.08)
        axes.grid(axis="y", visible=False)
        axes.tick_params(axis="y", length=0)
        percentages(axes.xaxis)
        axes.set_xlabel(f"{label} (%)")

    return draw("seeds", WIDTH, 0.8 + 0.3 * len(lines), paint)


def scatter(items: Sequence[Method], best: str | None, label: str = "test accuracy") -> str:
    """Accuracy against the penultimate NC1, one point a method; ``label`` says which accuracy."""
    shown = [
        (item, item.nc1, item.accuracy)
        for item in items
        if item.accuracy is not None and item.nc1 is not None and item.nc1 > 0
    ]
    if len(shown) < 2:
        return ""

    def paint(canvas: Canvas) -> None:
        axes = canvas.add_subplot()
        sizes = [nc1 for _, nc1, _ in shown]
        if max(sizes) / min(sizes) > 8:
            axes.set_xscale("log")
        for item, nc1, accuracy in shown:
            marker, own, _ = style(item.mark)
            colour = ACCENT if item.key == best else INK if own == ACCENT else own
            if item.interval:
                axes.plot([nc1] * 2, item.interval, color=colour, linewidth=1.2, alpha=0.7)
            axes.plot(
                [nc1],
                [accuracy],
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
        axes.set_ylabel(f"{label} (%)")
        canvas.legend(loc="outside upper left", ncols=2)

    return draw("scatter", WIDTH, 3.0, paint)


def curves(
    series: Sequence[Series], name: str, *, steps: Sequence[float] = (), log: bool = False, label: str = "accuracy (%)"
) -> str:
    """Values over epochs, one line each; ``steps`` are the epochs, counted from 1 when not given."""
    shown = [item for item in series if (positive(item.values) if log else any(v is not None for v in item.values))]
    if not shown:
        return ""

    def paint(canvas: Canvas) -> None:
        axes = canvas.add_subplot()
        for index, item in enumerate(shown):
            marker, colour, dash = style(item.mark, OTHERS[index % 6])
            # What was measured every few epochs is joined across those in between.
            epochs = steps or range(1, len(item.values) + 1)
            known = [(epoch, value) for epoch, value in zip(epochs, item.values, strict=False) if value is not None]
            few = marker if len(known) <= 15 else None
            title = shorten(visible(item.title), 28)
            axes.plot(*zip(*known, strict=True), dash, color=colour, marker=few, markersize=4, label=title)
        if log:
            axes.set_yscale("log")
            logarithmic(axes.yaxis)
        elif "%" in label:
            percentages(axes.yaxis)
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
        axes.set_xlabel("epoch")
        axes.set_ylabel(label)
        canvas.legend(loc="outside upper left", ncols=2)

    return draw(name, WIDTH, 2.8, paint)


def drawable(values: Values) -> list[float | None]:
    """The values, without those so large or small that the arithmetic of an axis would overflow.

    Example:
        >>> drawable([0.0, 1e300, None, 2.0])
        [0.0, None, None, 2.0]
    """
    return [value if value is not None and (value == 0 or 1e-30 < abs(value) < 1e30) else None for value in values]


def positive(values: Values) -> bool:
    """Whether there is something for a logarithmic axis to show."""
    return any(value is not None and value > 0 for value in values)
