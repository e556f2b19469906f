"""When a claim holds: every seed must agree, and the effect must exceed the spread between seeds.

One seed alone decides nothing, since there is no spread to hold the effect against; what it points to is said.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

__all__ = ["Verdict", "above", "correlation", "decide", "straightness"]

Word = Literal["holds", "does not hold", "undecided"]


@dataclass(frozen=True)
class Verdict:
    """A claim, what became of it, and the numbers.

    Attributes:
        statement: The claim in a sentence.
        verdict: ``holds``, ``does not hold`` or ``undecided``.
        statistic: What was computed, for every seed, in words and numbers.
        effects: The effect of each seed; above 0 speaks for the claim.
        leaning: What the mean effect points to, where the claim is undecided.
    """

    statement: str
    verdict: Word
    statistic: str
    effects: tuple[float, ...]
    leaning: Word | None = None

    def plain(self) -> dict[str, Any]:
        """JSON-able."""
        return asdict(self) | {"effects": list(self.effects)}


def decide(statement: str, effects: Sequence[float | None], name: str, *, digits: int = 3) -> Verdict:
    """A verdict from one effect a seed, where an effect above 0 speaks for the claim.

    Args:
        statement: The claim.
        effects: One a seed; None for a seed whose cells failed.
        name: What the effect is, for the statistic.
        digits: Significant digits to print.

    Example:
        >>> decide("a is larger", [0.5, 0.6, 0.55], "difference").verdict
        'holds'
        >>> decide("a is larger", [0.5, -0.1], "difference").verdict
        'undecided'
        >>> decide("a is larger", [0.5], "difference").leaning
        'holds'
        >>> decide("a is larger", [0.5], "difference").statistic
        'difference by seed: 0.5'
    """
    known = [float(effect) for effect in effects if effect is not None and np.isfinite(effect)]
    if not known:
        return Verdict(statement, "undecided", f"{name}: not computed", ())
    said = f"{name} by seed: {', '.join(_signed(effect, digits) for effect in known)}"
    towards: Word = "holds" if statistics.fmean(known) > 0 else "does not hold"
    if len(known) == 1:
        return Verdict(statement, "undecided", said, tuple(known), towards if known[0] else None)
    mean, spread = statistics.fmean(known), statistics.stdev(known)
    said += f"; mean {_signed(mean, digits)}, spread {spread:.2g}"
    agree = all(effect > 0 for effect in known) or all(effect < 0 for effect in known)
    word: Word = towards if agree and abs(mean) > spread else "undecided"
    return Verdict(statement, word, said, tuple(known), towards if word == "undecided" else None)


def _signed(value: float, digits: int) -> str:
    return f"{value:.{digits}g}".replace("-", "−")


def above(
    statement: str, high: Sequence[float | None], low: Sequence[float | None], name: str, digits: int = 3
) -> Verdict:
    """Whether ``high`` lies above ``low``, seed by seed.

    Example:
        >>> above("more is more", [2.0, 2.1], [1.0, 1.0], "gain").verdict
        'holds'
    """
    effects = [None if a is None or b is None else a - b for a, b in zip(high, low, strict=True)]
    return decide(statement, effects, name, digits=digits)


def correlation(
    statement: str,
    points: Sequence[Sequence[tuple[float | None, float | None]]],
    sign: int,
    name: str,
    least: float = 0.5,
) -> Verdict:
    """Whether two quantities go together: Spearman's ρ over the points of each seed, of this sign and at least ``least``.

    Args:
        statement: The claim.
        points: For each seed the (x, y) of every model or layer.
        sign: +1 or −1; 0 claims that |ρ| stays *below* ``least``.
        name: What is correlated.
        least: The smallest |ρ| that counts as going together.

    Example:
        >>> correlation("together", [[(1, 1), (2, 3), (3, 4)], [(1, 2), (2, 3), (3, 9)]], +1, "x and y").verdict
        'holds'
    """
    effects: list[float | None] = []
    shown = []
    for seed in points:
        rho = spearman(seed)
        if rho is None:
            effects.append(None)
            continue
        shown.append(rho)
        effects.append(least - abs(rho) if sign == 0 else sign * rho - least)
    made = decide(statement, effects, "")
    said = f"Spearman's ρ of {name} by seed: {', '.join(f'{rho:+.2f}'.replace('-', '−') for rho in shown) or 'not computed'}"
    bound = f"|ρ| below {least:g}" if sign == 0 else f"ρ of at {'least +' if sign > 0 else 'most −'}{least:g}"
    return Verdict(statement, made.verdict, f"{said} (claimed: {bound})", made.effects, made.leaning)


def spearman(points: Sequence[tuple[float | None, float | None]]) -> float | None:
    """Spearman's rank correlation; None for fewer than three points, or where one of the two does not vary.

    Example:
        >>> spearman([(1, 10), (2, 20), (3, 5), (4, None)])
        -0.5
    """
    from scipy.stats import spearmanr

    known = [(x, y) for x, y in points if x is not None and y is not None]
    if len(known) < 3 or len({x for x, _ in known}) < 2 or len({y for _, y in known}) < 2:
        return None
    x, y = zip(*known, strict=True)
    return round(float(spearmanr(x, y).statistic), 12)


def straightness(x: Sequence[float], y: Sequence[float]) -> tuple[float, float, float] | None:
    """(slope, intercept, R²) of the least-squares line; None for fewer than three points or constant ``x``.

    Example:
        >>> [round(value, 6) for value in straightness([0, 1, 2], [1, 3, 5])]
        [2.0, 1.0, 1.0]
    """
    a, b = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    if len(a) < 3 or np.ptp(a) == 0:
        return None
    slope, intercept = np.polyfit(a, b, 1)
    residual = b - (slope * a + intercept)
    total = float(((b - b.mean()) ** 2).sum())
    return float(slope), float(intercept), 1.0 if total == 0 else 1.0 - float((residual**2).sum()) / total
