"""How far the handed-over model's probabilities can be trusted: reliability diagram, calibration error, Brier score."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.figure import Figure as Canvas

from ..runs import Calibration, ReliabilityBin, Result
from .blocks import Columns, Figure, Section, Table
from .figures import WIDTH, drawable
from .headline import best_method
from .svg import ACCENT, INK, MUTED, PAPER, draw, percentages
from .text import count, percent, significant

__all__ = ["CALIBRATION_TERMS", "trust_section"]

CALIBRATION_TERMS = {
    "Calibration error": "How far the model's confidence is from how often it is right, averaged over images in groups of "
    "like confidence (ECE, 15 groups). 0\u00a0% is perfect.",
    "Brier score": "Squared distance of the probabilities from the truth, summed over classes and averaged over images: 0 "
    "is perfect, 2 the worst.",
    "Temperature": "One number by which the model's outputs are divided before they become probabilities. Above 1 it makes "
    "the model less sure, below 1 surer; it never changes which class is named.",
}


def trust_section(record: Result) -> Section:
    """The temperature of the handed-over model and what it changes; empty for runs without one."""
    title = "How far to trust its probabilities"
    best = best_method(record)
    found = record.methods[best].calibration if best else None
    if found is None:
        return Section(title, [])
    if found.temperature is None:
        why = f" ({found.note})" if found.note else ""
        return Section(title, [], f"The probabilities are not calibrated: no temperature could be fitted{why}.")
    blocks = []
    if drawing := reliability_diagram(found.bins_before, found.bins_after):
        text = (
            "Test images in groups of like confidence: on the diagonal the model is right as often as it says. Above it, it "
            "is too modest, below it too sure. A larger mark stands for more images."
        )
        blocks.append(Columns([Figure(drawing, text, f"Reliability diagram. {_verdict(found)}"), _table(found)]))
    return Section(title, blocks, _lead(found))


def reliability_diagram(before: Sequence[ReliabilityBin], after: Sequence[ReliabilityBin]) -> str:
    """Accuracy against confidence, raw (hollow squares) and calibrated (full dots); empty without bins."""
    if not before and not after:
        return ""

    def paint(canvas: Canvas) -> None:
        axes = canvas.add_subplot()
        axes.plot([0, 1], [0, 1], color=MUTED, linewidth=1, linestyle=":")
        for bins, name, marker, face, colour in (
            (before, "raw", "s", PAPER, INK),
            (after, "calibrated", "o", ACCENT, ACCENT),
        ):
            known = [item for item in bins if None not in drawable([item.confidence, item.accuracy])]
            total = sum(item.images or 0 for item in known) or 1
            places = [item.confidence or 0.0 for item in known]
            heights = [item.accuracy or 0.0 for item in known]
            sizes = [16 + 130 * (item.images or 0) / total for item in known]
            axes.scatter(
                places, heights, sizes, marker=marker, facecolor=face, edgecolor=colour, linewidth=1.3, zorder=3
            )
            axes.plot([], [], marker, color=colour, markerfacecolor=face, label=name)
        axes.set(xlim=(-0.03, 1.04), ylim=(-0.04, 1.05), aspect="equal")
        percentages(axes.xaxis)
        percentages(axes.yaxis)
        axes.set_xlabel("confidence: the largest probability (%)")
        axes.set_ylabel("right (%)")
        axes.legend(loc="upper left")

    return draw("reliability", WIDTH, 3.9, paint)


def _mean(bins: Sequence[ReliabilityBin], field: str) -> float | None:
    total = sum(item.images or 0 for item in bins)
    return sum((item.images or 0) * (getattr(item, field) or 0.0) for item in bins) / total if total else None


def _lead(found: Calibration) -> str:
    many = f" on {count(found.images)} held-out images" if found.images else ""
    before, after, right = (
        _mean(found.bins_before, "confidence"),
        _mean(found.bins_after, "confidence"),
        _mean(found.bins_after, "accuracy"),
    )
    text = (
        f"Before they become probabilities, the model's outputs are divided by a temperature of "
        f"{significant(found.temperature)}, fitted{many}. The predicted classes stay the same. "
    )
    if None not in (before, after, right):
        text += (
            f"On the test images it says to be {percent(after)} sure on average ({percent(before)} without the temperature) "
            f"and is right on {percent(right)}. "
        )
    return text + _verdict(found)


def _verdict(found: Calibration) -> str:
    before, after, chance = found.ece_before, found.ece_after, found.ece_by_chance
    if before is None or after is None:
        return ""
    if after < before - 0.0005:
        text = f"The calibration error fell from {percent(before)} to {percent(after)}"
    elif after > before + 0.0005:
        text = (
            f"The calibration error rose from {percent(before)} to {percent(after)}: here the temperature did not help"
        )
    else:
        text = f"The calibration error stayed at {percent(after)}"
    if chance is None:
        return f"{text}."
    return f"{text}; on so few images, perfect probabilities would show {percent(chance)} by chance."


def _table(found: Calibration) -> Table:
    rows = [
        [
            "Mean confidence",
            percent(_mean(found.bins_before, "confidence")),
            percent(_mean(found.bins_after, "confidence")),
        ],
        ["Calibration error", percent(found.ece_before), percent(found.ece_after)],
        ["The same by chance", "", percent(found.ece_by_chance)],
        ["Brier score", significant(found.brier_before), significant(found.brier_after)],
    ]
    return Table(["On the test images", "Raw", "Calibrated"], rows, "Before and after the temperature")
