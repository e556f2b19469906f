"""Accuracy against seconds for everything tried, with the frontier: what no quicker attempt matched."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.figure import Figure as Canvas

from ..runs import FrontierPoint, Result
from .blocks import Columns, Figure, Section
from .figures import WIDTH, drawable, style
from .headline import best_method
from .source import method_name, method_phrase
from .svg import ACCENT, INK, MUTED, PAPER, draw, logarithmic, percentages
from .text import count, duration, percent, shorten, visible

__all__ = ["frontier_of", "frontier_section", "frontier_sentence"]


def frontier_of(points: Sequence[FrontierPoint]) -> list[FrontierPoint]:
    """The points that no quicker or equally quick one matches in accuracy, from the quickest on.

    Example:
        >>> tried = [("a", 2.0, 0.7), ("b", 1.0, 0.6), ("c", 3.0, 0.7), ("d", 4.0, 0.9)]
        >>> points = [FrontierPoint(what=name, seconds=time, accuracy=value) for name, time, value in tried]
        >>> [point.what for point in frontier_of(points)]
        ['b', 'a', 'd']
    """
    known = [point for point in points if point.seconds is not None and point.accuracy is not None]
    found: list[FrontierPoint] = []
    for point in sorted(known, key=lambda one: (one.seconds or 0.0, -(one.accuracy or 0.0))):
        if not found or (point.accuracy or 0.0) > (found[-1].accuracy or 0.0):
            found.append(point)
    return found


def frontier_sentence(record: Result) -> str:
    """The frontier in words, from the quickest point on; empty where there are fewer than two attempts."""
    if len(record.tried) < 2:
        return ""
    steps = [
        f"{_phrase(record, point)} {percent(point.accuracy)} after {duration(point.seconds)}"
        for point in frontier_of(record.tried)
    ]
    return ", then ".join(steps)


def frontier_section(record: Result) -> Section:
    """The figure, with the frontier in words."""
    title = "Accuracy against time"
    drawing = _drawing(record)
    if not drawing:
        return Section(title, [])
    text = (
        "Accuracy on held-out images against the seconds that led to it: the pass over the images, the probes that a method "
        "needs, its trials and its training. Small dots are probes of single layers; the line is the frontier."
    )
    alt = f"Scatter of {len(record.tried)} attempts: seconds and held-out accuracy."
    said = frontier_sentence(record)
    lead = f"On the frontier: {said}.{_chosen_on(record)}" if said else ""
    return Section(title, [Columns([Figure(drawing, text, alt)])], lead)


def _chosen_on(record: Result) -> str:
    """The ground of the choice, where a point of the frontier lies above what was handed over."""
    best = best_method(record)
    row = record.methods[best] if best is not None else None
    top = frontier_of(record.tried)[-1].accuracy or 0.0
    if row is None or row.out_of_fold_images is None or row.val_accuracy is None or row.val_accuracy >= top:
        return ""
    if any(point.what == best and point.accuracy != row.val_accuracy for point in record.tried):
        return ""  # the figure shows what the choice went by
    phrase = method_phrase(best or "", row)
    return (
        f" These are the {count(record.splits.validation)} validation images. {phrase[:1].upper()}{phrase[1:]} was chosen on "
        f"{count(row.out_of_fold_images)}, of which it has {percent(row.out_of_fold_accuracy)} right without having seen them."
    )


def _phrase(record: Result, point: FrontierPoint) -> str:
    row = record.methods.get(point.what)
    return method_phrase(point.what, row) if row else point.what


def _drawing(record: Result) -> str:
    points = [
        (point, seconds, accuracy)
        for point in record.tried
        if (seconds := drawable([point.seconds])[0]) is not None
        and (accuracy := drawable([point.accuracy])[0]) is not None
        and seconds > 0
    ]
    if len(points) < 2 or not any(point.what in record.methods for point, _, _ in points):
        return ""
    best = best_method(record)

    def paint(canvas: Canvas) -> None:
        axes = canvas.add_subplot()
        times = [seconds for _, seconds, _ in points]
        if max(times) / min(times) > 4:
            axes.set_xscale("log")
        line = frontier_of([point for point, _, _ in points])
        corners = [(point.seconds, point.accuracy) for point in line]
        corners.append((max(times), line[-1].accuracy))
        axes.plot(*zip(*corners, strict=True), "-", color=MUTED, linewidth=1.2, drawstyle="steps-post", zorder=1)
        for point, seconds, accuracy in points:
            row = record.methods.get(point.what)
            if row is None:
                axes.plot([seconds], [accuracy], "o", color=MUTED, markersize=3, alpha=0.7)
                continue
            marker, own, _ = style(row.mark)
            colour = ACCENT if point.what == best else INK if own == ACCENT else own
            label = shorten(visible(method_name(point.what, row)), 28)
            axes.plot([seconds], [accuracy], marker, color=colour, markersize=7, markeredgecolor=PAPER, label=label)
        axes.margins(0.1)
        if axes.get_xscale() == "log":
            logarithmic(axes.xaxis)
        percentages(axes.yaxis)
        axes.set_xlabel("seconds")
        axes.set_ylabel("held-out accuracy (%)")
        canvas.legend(loc="outside upper left", ncols=2)

    return draw("frontier", WIDTH, 3.0, paint)
