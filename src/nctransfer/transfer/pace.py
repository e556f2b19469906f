"""Time as a limit: which steps of a run its budget allows. Decided between steps, written down, and followed on resume."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable

from ..engine import Runtime
from ..errors import UsageError
from ..runs import Decision, Ledger

__all__ = ["Pace"]

_MARGIN = 1.1
_ENDING = 3.0
"""Seconds kept for the page and the hand-over, on an idle core."""
_SLOWEST = 3.0

_PREFIX = "budget/"


@dataclasses.dataclass
class Pace:
    """The clock of a run.

    Without a budget it allows everything, asks no clock and writes nothing, so that no result depends on time.

    Args:
        budget: Seconds for the whole run; None for no limit.
        ledger: Keeps each decision; one that stands there is followed.
        runtime: The main process decides for all.
        spent: Seconds that were gone before this object was made.
        seconds_per_image: Of a pass, measured at the beginning.
        pass_seconds: What the features of training and validation images took.
        probe_seconds: What the probes of all layers took.
        reserve: Seconds kept for the probe that is tested in any case, until it is.
        expected: Seconds expected of one rate of the method in progress.
        error: How far estimates were off so far, a factor.
        clock: Seconds from some moment on.
        work: Seconds that this process has computed.

    Example:
        >>> pace = Pace(60.0, Ledger(None), Runtime("cpu"))
        >>> pace.allows("a", "the first step", lambda: 20.0), pace.allows("b", "the second step", lambda: 70.0)
        (True, False)
        >>> [decision.what for decision in pace.decisions if not decision.done]
        ['the second step']
    """

    budget: float | None
    ledger: Ledger
    runtime: Runtime
    spent: float = 0.0
    seconds_per_image: float = 0.0
    pass_seconds: float = 0.0
    probe_seconds: float = 0.0
    reserve: float = 0.0
    expected: float = 0.0
    error: float = 1.0
    clock: Callable[[], float] = lambda: time.perf_counter()
    work: Callable[[], float] = lambda: time.process_time()

    def __post_init__(self) -> None:
        self._began, self._worked = self.clock(), self.work()
        self._decided: dict[str, Decision] = {}
        earlier = self.ledger.entries(_PREFIX).values()
        self._earlier = max((float(entry["spent"]) for entry in earlier), default=0.0)

    @property
    def decisions(self) -> list[Decision]:
        """Every decision so far, in the order of the steps."""
        return list(self._decided.values())

    @property
    def elapsed(self) -> float:
        """Seconds spent so far, those before a kill included."""
        return self._earlier + self.spent + self.clock() - self._began

    @property
    def ending(self) -> float:
        """Seconds kept for what comes after the last step; more on a core that is shared, where all takes longer."""
        passed, worked = self.clock() - self._began, self.work() - self._worked
        slowness = passed / worked if worked > 0 and passed > 1.0 else 1.0
        return _ENDING * min(_SLOWEST, max(1.0, slowness))

    def has(self, seconds: float) -> bool:
        """Whether so many seconds are left at all; nothing is written down."""
        return self.budget is None or self.elapsed + seconds + self.reserve + self.ending <= self.budget

    def allows(self, key: str, what: str, seconds: Callable[[], float]) -> bool:
        """Whether a step that takes about ``seconds`` is taken.

        Args:
            key: Of the decision in the ledger.
            what: The step in words, with an article.
            seconds: Estimates its duration from what this run has measured.
        """
        if self.budget is None:
            return True
        stored = self.ledger.once(_PREFIX + key, lambda: self._decide(what, _MARGIN * self.error * seconds()))
        decision = Decision.model_validate(stored)
        self._decided[key] = decision
        return decision.done

    @property
    def why(self) -> str:
        """Why the last step that was not taken was not."""
        last = [one for one in self.decisions if not one.done][-1]
        left = max(0.0, (self.budget or 0.0) - (last.spent or 0.0))
        return f"{last.what} needs about {last.needs or 0.0:.0f} s, and {left:.0f} s of {self.budget:g} s were left"

    @property
    def missed(self) -> list[str]:
        """A sentence for each step that there was no time for, beside the probes of layers."""
        assert self.budget is not None or not self.decisions
        return [
            f"left out for want of time: {one.what} (about {one.needs or 0.0:.0f} s, after {one.spent or 0.0:.0f} s of "
            f"{self.budget:g} s)"
            for key, one in self._decided.items()
            if not one.done and not key.startswith("probe/")  # the layers' rows say so
        ]

    def learn(self, seconds: float) -> None:
        """Correct what comes next by how far the estimate of the last rate was off."""
        if self.expected > 0:
            self.error = min(3.0, max(0.7, seconds / self.expected))
            self.expected = 0.0

    def note(self, key: str) -> None:
        """Write down the time at the end of a step, so that it counts after a kill."""
        if self.budget is not None:
            self.ledger.once(f"{_PREFIX}after/{key}", lambda: {"spent": self.elapsed})

    def require(self, what: str, seconds: float) -> None:
        """Refuse a budget under which not even this fits.

        Raises:
            UsageError: with the budget that is needed.
        """
        needed = self.elapsed + seconds + self.ending
        if self.budget is not None and needed > self.budget:
            raise UsageError(
                f"{self.budget:g} s are not enough for {what}, which takes until about {needed:.0f} s",
                where="--budget",
                remedy=f"use --budget {_round(1.5 * needed)}, or fewer or smaller images: --limit, --image-size",
            )

    def _decide(self, what: str, needs: float) -> dict[str, object]:
        assert self.budget is not None
        elapsed = self.elapsed
        done = elapsed + needs + self.reserve + self.ending <= self.budget
        # Clocks differ, and all processes must take the same steps.
        (done,) = self.runtime.any(done and self.runtime.is_main)
        return {"what": what, "needs": needs, "spent": elapsed, "done": done}


def _round(seconds: float) -> str:
    """A time span as an option takes it, rounded up.

    Example:
        >>> _round(41.2), _round(130.0)
        ('50s', '3m')
    """
    return f"{10 * math.ceil(seconds / 10)}s" if seconds <= 100 else f"{math.ceil(seconds / 60)}m"
