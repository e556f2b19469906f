"""Claims that rest on other claims: over several parts that must all hold, and over the mean of several parts."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import replace

from .verdicts import PLAIN, Unit, Verdict, Word, decide

__all__ = ["both", "pooled"]


def both(statement: str, parts: Sequence[Verdict]) -> list[Verdict]:
    """A claim that holds where all its parts do, and does not where any does not; the parts refer to it."""
    words = [part.verdict for part in parts]
    word: Word = "undecided"
    if "does not hold" in words:
        word = "does not hold"
    elif all(each == "holds" for each in words):
        word = "holds"
    elif "no difference" in words:
        word = "no difference"
    leanings = {part.leaning or part.verdict for part in parts}
    leaning: Word | None = None
    if word == "undecided" and None not in leanings:
        leaning = "holds" if leanings <= {"holds"} else "does not hold" if "does not hold" in leanings else None
    said = "; ".join(f"({place + 1}) {part.verdict}" for place, part in enumerate(parts))
    fewest = min((part.effects for part in parts), key=len)
    return [
        Verdict(statement, word, f"its parts: {said}", fewest, leaning, rule="both"),
        *(replace(part, part_of=statement) for part in parts),
    ]


def pooled(
    statement: str,
    parts: Sequence[Verdict],
    effects: Sequence[Sequence[float | None]],
    name: str,
    *,
    margin: float,
    unit: Unit = PLAIN,
    least_mean: float = 0.0,
) -> list[Verdict]:
    """A claim over several parts (blocks, data sets): the mean of their effects, seed by seed; the parts refer to it.

    Args:
        statement: The claim over all parts.
        parts: The claims of each part.
        effects: For each part its effect for every seed, None where missing.
        name: What the effect is.
        margin, unit, least_mean: As for :func:`decide`.

    Returns:
        The whole and then its parts; a single part stands alone.
    """
    if len(parts) == 1:
        return [parts[0]]
    rows = zip(*effects, strict=True)
    means = [
        statistics.fmean(known) if len(known := [v for v in row if v is not None]) == len(row) else None for row in rows
    ]
    whole = decide(statement, means, name, margin=margin, unit=unit, least_mean=least_mean)
    return [whole, *(replace(part, part_of=statement) for part in parts)]
