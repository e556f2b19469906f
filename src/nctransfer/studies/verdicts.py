"""When a claim holds: every seed must agree, and the effect must exceed the spread between seeds.

Fewer than three seeds decide nothing; what they point to is said. Noise alone would be decided in 21 % of cases with three
seeds and in 5 % with five (two would decide 39 %).
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

__all__ = ["Verdict", "above", "correlation", "decide"]

LEAST_SEEDS = 3
TIE = 1e-6
"""Effects smaller than this, whatever their unit, are none: float32 accuracies differ by less in their last digits."""

Word = Literal["holds", "does not hold", "undecided"]


@dataclass(frozen=True)
class Verdict:
    """A claim, what became of it, and the numbers.

    Attributes:
        statement: The claim in a sentence.
        verdict: ``holds``, ``does not hold`` or ``undecided``.
        statistic: What was computed, for every seed, in words and numbers.
        effects: The effect of each seed that has one; above 0 speaks for the claim.
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


def decide(
    statement: str, effects: Sequence[float | None], name: str, *, digits: int = 3, points: bool = False
) -> Verdict:
    """A verdict from one effect a seed, where an effect above 0 speaks for the claim.

    Args:
        statement: The claim.
        effects: One a seed; None for a seed whose cells failed, which is printed as a dash.
        name: What the effect is, for the statistic.
        digits: Significant digits to print.
        points: Whether the effect is a difference of accuracies, printed in percentage points.

    Example:
        >>> decide("a is larger", [0.5, 0.6, 0.55], "difference").verdict
        'holds'
        >>> decide("a is larger", [0.5, 0.6, -0.1], "difference").verdict
        'undecided'
        >>> decide("a is larger", [0.5], "difference").leaning
        'holds'
        >>> decide("a is larger", [0.5, None], "difference").statistic
        'difference by seed: 0.5, –'
        >>> decide("a is larger", [0.0, 0.0, 0.0], "difference").leaning is None
        True
    """
    seen = [None if effect is None or not np.isfinite(effect) else _but_for_ties(effect) for effect in effects]
    known = [effect for effect in seen if effect is not None]
    if not known:
        return Verdict(statement, "undecided", f"{name}: not computed", ())
    times = 100 if points else 1
    shown = ", ".join("–" if effect is None else _signed(times * effect, digits) for effect in seen)
    said = f"{name}{', in points,' if points else ''} by seed: {shown}"
    mean = _but_for_ties(statistics.fmean(known))
    towards: Word | None = "holds" if mean > 0 else "does not hold" if mean < 0 else None
    if len(known) == 1:
        return Verdict(statement, "undecided", said, tuple(known), towards)
    spread = statistics.stdev(known)
    said += f"; mean {_signed(times * mean, digits)}, spread {times * spread:.2g}"
    agree = all(effect > 0 for effect in known) or all(effect < 0 for effect in known)
    if towards is not None and agree and abs(mean) > spread and len(known) >= LEAST_SEEDS:
        return Verdict(statement, towards, said, tuple(known))
    return Verdict(statement, "undecided", said, tuple(known), towards)


def _but_for_ties(effect: float) -> float:
    return float(effect) if abs(effect) > TIE else 0.0


def _signed(value: float, digits: int) -> str:
    return f"{value:.{digits}g}".replace("-", "−")


def above(
    statement: str,
    high: Sequence[float | None],
    low: Sequence[float | None],
    name: str,
    *,
    digits: int = 3,
    points: bool = False,
) -> Verdict:
    """Whether ``high`` lies above ``low``, seed by seed.

    Example:
        >>> above("more is more", [2.0, 2.1, 2.0], [1.0, 1.0, 1.1], "gain").verdict
        'holds'
    """
    effects = [None if a is None or b is None else a - b for a, b in zip(high, low, strict=True)]
    return decide(statement, effects, name, digits=digits, points=points)


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
        >>> correlation("together", [[(1, 1), (2, 3), (3, 4)]] * 2 + [[(1, 2), (2, 3), (3, 9)]], +1, "x and y").verdict
        'holds'
    """
    effects: list[float | None] = []
    shown = []
    for seed in points:
        rho = spearman(seed)
        shown.append("–" if rho is None else f"{rho:+.2f}".replace("-", "−"))
        if rho is None:
            effects.append(None)
            continue
        effects.append(least - abs(rho) if sign == 0 else sign * rho - least)
    made = decide(statement, effects, "")
    said = f"Spearman's ρ of {name} by seed: {', '.join(shown) if made.effects else 'not computed'}"
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
