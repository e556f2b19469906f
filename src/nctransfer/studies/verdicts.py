"""The verdict on a claim: a mean effect over seeds with a 95 % interval, and one of four answers.

An effect above 0 speaks for the claim. With m the mean over n seeds, s their sample standard deviation and t Student's
quantile with n − 1 degrees of freedom:

- *holds*: the 95 % interval m ± t₀.₉₇₅ s/√n lies above 0;
- *does not hold*: it lies below 0;
- *no difference* larger than X: the 90 % interval lies within ±X (two one-sided tests at 5 %; Schuirmann 1987);
- *undecided*: none of these, or fewer than three seeds.

So noise alone is decided in 5 % of claims, and a true effect of X passes for none in at most 5 %, whatever n. X is committed
with each claim: at most half the paper's effect where it prints one, else 1 point of accuracy or 20 % of NC1.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cache
from typing import Any, Literal

import numpy as np

__all__ = [
    "NC1_MARGIN",
    "PLAIN",
    "POINT",
    "POINTS",
    "RATIO",
    "RHO",
    "RHO_MARGIN",
    "Unit",
    "Verdict",
    "above",
    "alike",
    "at_least",
    "correlation",
    "decide",
    "half_of",
    "interval",
    "larger",
    "no_worse",
    "spearman",
]

LEAST_SEEDS = 3
TIE = 1e-6
"""Effects smaller than this, whatever their unit, are none: float32 accuracies differ by less in their last digits."""

POINT = 0.01
"""X of a difference of accuracies of which the paper prints no value."""
NC1_MARGIN = math.log(1.2)
"""X of a ratio of NC1, as a logarithm."""
RHO_MARGIN = 0.4
"""X of a rank correlation; the paper's are near ±0.9 where its figures let them be guessed."""
_CAP = 0.02

Word = Literal["holds", "does not hold", "no difference", "undecided"]
Rule = Literal["difference", "at least", "alike", "no worse", "both"]


@dataclass(frozen=True)
class Unit:
    """How an effect is printed.

    Attributes:
        title: After the effect's name.
        show: A value in words.
    """

    title: str
    show: Callable[[float], str]


def _number(digits: int, times: float = 1.0, sign: str = "") -> Callable[[float], str]:
    return lambda value: f"{times * value:{sign}.{digits}g}".replace("-", "−")


PLAIN = Unit("", _number(3))
POINTS = Unit(", in points,", _number(3, 100))
RATIO = Unit(" as a factor", lambda value: f"{math.exp(value):.3g}")
RHO = Unit("", lambda value: f"{value:+.2f}".replace("-", "−"))


@dataclass(frozen=True)
class Verdict:
    """A claim, what became of it, and the numbers.

    Attributes:
        statement: The claim in a sentence.
        verdict: ``holds``, ``does not hold``, ``no difference`` (larger than ``margin``) or ``undecided``.
        statistic: What was computed, for every seed, in words and numbers.
        effects: The effect of each seed that has one; above 0 speaks for the claim.
        leaning: What the mean effect points to, where the claim is undecided.
        mean: Of the effects; None without any.
        interval: 95 % interval of the mean; None for fewer than two seeds.
        margin: X: smaller effects are none. In the unit of the effects.
        part_of: The statement of the claim that this one is a part of (a block, a data set); None where it stands alone.
            Parts share their cells with the whole and are not counted beside it.
        rule: ``difference`` claims an effect; ``at least`` that a quantity exceeds a bound; ``alike`` that there is no effect;
            ``no worse`` that it is above −X; ``both`` several at once.
    """

    statement: str
    verdict: Word
    statistic: str
    effects: tuple[float, ...]
    leaning: Word | None = None
    mean: float | None = None
    interval: tuple[float, float] | None = None
    margin: float | None = None
    part_of: str | None = None
    rule: Rule = "difference"

    def plain(self) -> dict[str, Any]:
        """JSON-able."""
        made = asdict(self) | {"effects": list(self.effects)}
        return made | {"interval": None if self.interval is None else list(self.interval)}


def half_of(effect: float) -> float:
    """X of a difference of accuracies of which the paper prints the value: half of it, at most 2 points.

    Example:
        >>> half_of(0.0283), half_of(0.1724)
        (0.01415, 0.02)
    """
    return min(abs(effect) / 2, _CAP)


def interval(effects: Sequence[float], level: float = 0.95) -> tuple[float, float]:
    """Student's interval of the mean of at least two effects.

    Example:
        >>> [round(end, 2) for end in interval([2.9, 3.8, 5.4])]
        [0.89, 7.18]
    """
    reach = _quantile(level, len(effects) - 1) * statistics.stdev(effects) / math.sqrt(len(effects))
    mean = statistics.fmean(effects)
    return mean - reach, mean + reach


@cache
def _quantile(level: float, freedom: int) -> float:
    from scipy.stats import t

    return float(t.ppf(0.5 + level / 2, freedom))


def decide(
    statement: str,
    effects: Sequence[float | None],
    name: str,
    *,
    margin: float,
    unit: Unit = PLAIN,
    least_mean: float = 0.0,
    each: str = "seed",
) -> Verdict:
    """A verdict from one effect a seed, where an effect above 0 speaks for the claim.

    Args:
        statement: The claim.
        effects: One a seed; None for a seed whose cells failed, which is printed as a dash.
        name: What the effect is, for the statistic.
        margin: X, in the unit of the effects.
        unit: How an effect is printed.
        least_mean: The claim holds only if the mean reaches this as well.
        each: What has an effect each, where it is not a seed.

    Example:
        >>> decide("a is larger", [0.5, 0.6, 0.55], "difference", margin=0.1).verdict
        'holds'
        >>> decide("a is larger", [0.01, -0.02, 0.015], "difference", margin=0.1).verdict
        'no difference'
        >>> decide("a is larger", [0.5, 0.6, -0.1], "difference", margin=0.1).verdict
        'undecided'
        >>> decide("a is larger", [0.5], "difference", margin=0.1).leaning
        'holds'
        >>> decide("a is larger", [0.5, None], "difference", margin=0.1).statistic
        'difference by seed: 0.5, –'
    """
    seen = [None if effect is None or not np.isfinite(effect) else _but_for_ties(effect) for effect in effects]
    known = [effect for effect in seen if effect is not None]
    if not known:
        return Verdict(statement, "undecided", f"{name}: not computed", (), margin=margin)
    shown = ", ".join("–" if effect is None else unit.show(effect) for effect in seen)
    said = f"{name}{unit.title} by {each}: {shown}"
    mean = _but_for_ties(statistics.fmean(known))
    towards: Word | None = "holds" if mean > 0 else "does not hold" if mean < 0 else None
    if len(known) == 1:
        return Verdict(statement, "undecided", said, tuple(known), towards, mean, None, margin)
    low, high = interval(known)
    said += f"; mean {unit.show(mean)}, 95 % interval {unit.show(low)} to {unit.show(high)}"
    word = _word(known, low, high, mean, margin, least_mean)
    if word == "no difference":
        said += f"; X = {unit.show(margin)}"
    leaning = towards if word == "undecided" else None
    return Verdict(statement, word, said, tuple(known), leaning, mean, (low, high), margin)


def _word(known: list[float], low: float, high: float, mean: float, margin: float, least_mean: float) -> Word:
    if len(known) < LEAST_SEEDS:
        return "undecided"
    if low > 0 and mean >= least_mean:
        return "holds"
    if high < 0:
        return "does not hold"
    inner = interval(known, 0.9)
    return "no difference" if -margin < inner[0] and inner[1] < margin else "undecided"


def _but_for_ties(effect: float) -> float:
    return float(effect) if abs(effect) > TIE else 0.0


def above(
    statement: str,
    high: Sequence[float | None],
    low: Sequence[float | None],
    name: str,
    *,
    margin: float = POINT,
) -> Verdict:
    """Whether the accuracies ``high`` lie above ``low``, seed by seed.

    Example:
        >>> above("more is more", [0.52, 0.521, 0.52], [0.50, 0.50, 0.501], "gain").verdict
        'holds'
    """
    effects = [None if a is None or b is None else a - b for a, b in zip(high, low, strict=True)]
    return decide(statement, effects, name, margin=margin, unit=POINTS)


def larger(
    statement: str,
    high: Sequence[float | None],
    low: Sequence[float | None],
    name: str,
    *,
    margin: float = NC1_MARGIN,
) -> Verdict:
    """Whether the positive quantities ``high`` exceed ``low``, by the logarithm of their ratio, seed by seed.

    Example:
        >>> larger("less collapsed", [2.0, 2.2, 2.1], [1.0, 1.0, 1.1], "NC1").statistic
        'NC1 as a factor by seed: 2, 2.2, 1.91; mean 2.03, 95 % interval 1.7 to 2.43'
    """
    effects = [
        math.log(a / b) if a is not None and b is not None and a > 0 and b > 0 else None
        for a, b in zip(high, low, strict=True)
    ]
    return decide(statement, effects, name, margin=margin, unit=RATIO)


def at_least(
    statement: str, values: Sequence[float | None], least: float, name: str, *, margin: float, unit: Unit = PLAIN
) -> Verdict:
    """Whether a quantity exceeds ``least``.

    Example:
        >>> at_least("straight", [0.95, 0.97, 0.96], 0.8, "R²", margin=0.1).verdict
        'holds'
    """
    effects = [None if value is None else value - least for value in values]
    return replace(decide(statement, effects, f"{name} − {least:g}", margin=margin, unit=unit), rule="at least")


def correlation(
    statement: str,
    points: Sequence[Sequence[tuple[float | None, float | None]]],
    sign: int,
    name: str,
    least: float = 0.5,
) -> Verdict:
    """Whether two quantities go together: Spearman's ρ over each seed's points has this sign, and |mean ρ| reaches ``least``.

    Args:
        statement: The claim.
        points: For each seed the (x, y) of every model or layer.
        sign: +1 or −1.
        name: What is correlated.
        least: The smallest mean |ρ| that counts as going together.

    Example:
        >>> rising = [[(1, 1), (2, 3), (3, 4)]] * 2 + [[(1, 2), (2, 3), (3, 9)]]
        >>> correlation("together", rising, +1, "x and y").verdict
        'holds'
    """
    rhos = [spearman(seed) for seed in points]
    effects = [None if rho is None else sign * rho for rho in rhos]
    made = decide(statement, effects, f"Spearman's ρ of {name}", margin=RHO_MARGIN, unit=RHO, least_mean=least)
    if sign > 0 or not made.effects:
        return made
    # What is printed is ρ itself; what decides is its agreement with the claimed sign.
    printed = decide(statement, rhos, f"Spearman's ρ of {name}", margin=RHO_MARGIN, unit=RHO)
    return replace(made, statistic=printed.statistic)


def spearman(points: Sequence[tuple[float | None, float | None]]) -> float | None:
    """Spearman's rank correlation; None for fewer than three points, or where one of the two does not vary.

    Example:
        >>> spearman([(1, 10), (2, 20), (3, 5), (4, None)])
        -0.5
    """
    from scipy.stats import rankdata

    known = [(x, y) for x, y in points if x is not None and y is not None]
    if len(known) < 3 or len({x for x, _ in known}) < 2 or len({y for _, y in known}) < 2:
        return None
    ranks = [rankdata(side) for side in zip(*known, strict=True)]
    return round(float(np.corrcoef(*ranks)[0, 1]), 12)


def alike(made: Verdict) -> Verdict:
    """The claim that there is no difference larger than X, from the verdict on the difference.

    Example:
        >>> alike(above("as good", [0.5, 0.501, 0.502], [0.501, 0.5, 0.502], "difference")).verdict
        'holds'
    """
    turned: dict[Word, Word] = {"no difference": "holds", "holds": "does not hold", "does not hold": "does not hold"}
    return replace(made, verdict=turned.get(made.verdict, "undecided"), leaning=None, rule="alike")


def no_worse(
    statement: str, effects: Sequence[float | None], name: str, *, margin: float, unit: Unit, each: str = "seed"
) -> Verdict:
    """The claim that an effect is above −X: it holds where the 95 % interval is, and does not where all of it is below.

    Example:
        >>> no_worse("not behind", [-0.001, 0.002, 0.0], "difference", margin=POINT, unit=POINTS).verdict
        'holds'
    """
    made = decide(statement, effects, name, margin=margin, unit=unit, each=each)
    word: Word = "undecided"
    if made.interval is not None and len(made.effects) >= LEAST_SEEDS:
        low, high = made.interval
        word = "holds" if low > -margin else "does not hold" if high < -margin else "undecided"
    towards: Word = "holds" if (made.mean or 0.0) > -margin else "does not hold"
    statistic = made.statistic.split("; X =")[0] + f"; X = {unit.show(margin)}"
    leaning = towards if word == "undecided" and made.effects else None
    return replace(made, verdict=word, statistic=statistic, leaning=leaning, rule="no worse")
