"""Learning rates as pure functions of the step, so that resuming needs no scheduler restored."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

__all__ = ["SGDR", "Constant", "Schedule", "WarmupCosine", "cosine_factor", "sgdr"]


class Schedule(Protocol):
    """The learning rate as a function of the step."""

    def rate(self, step: int, per_epoch: int, epochs: int) -> float:
        """The rate of step number ``step`` (from 0) of ``epochs`` epochs of ``per_epoch`` steps each."""
        ...


@dataclass(frozen=True)
class Constant:
    """One rate for all steps."""

    lr: float

    def rate(self, step: int, per_epoch: int, epochs: int) -> float:
        return self.lr


@dataclass(frozen=True)
class SGDR:
    """Cosine annealing with warm restarts, as :func:`sgdr`."""

    lr: float
    min_lr: float = 0.0
    restart_every: float | None = None
    restart_factor: float = 1.0

    def rate(self, step: int, per_epoch: int, epochs: int) -> float:
        return sgdr(
            step / per_epoch,
            epochs,
            lr=self.lr,
            min_lr=self.min_lr,
            restart_every=self.restart_every,
            restart_factor=self.restart_factor,
        )


@dataclass(frozen=True)
class WarmupCosine:
    """A linear rise over the fraction ``warmup`` of all steps, then half a cosine down to the fraction ``floor`` of the rate.

    Example:
        >>> [round(WarmupCosine(0.1, 0.2).rate(step, 5, 2), 3) for step in (0, 1, 6)]
        [0.05, 0.1, 0.05]
    """

    lr: float
    warmup: float = 0.1
    floor: float = 0.0

    def rate(self, step: int, per_epoch: int, epochs: int) -> float:
        factor = cosine_factor(step, max(1, per_epoch * epochs), self.warmup)
        return self.lr * (self.floor + (1 - self.floor) * factor)


def sgdr(
    epoch: float,
    num_epochs: float,
    *,
    lr: float = 0.1,
    min_lr: float = 1e-4,
    restart_every: float | None = None,
    restart_factor: float = 1.0,
) -> float:
    """Cosine annealing with warm restarts, η = η_min + ½ (η_max − η_min)(1 + cos(π T_cur/T_i)).

    Args:
        epoch: Epochs done so far, fractions included: the rate changes with every batch.
        num_epochs: Length of the run, and of the only period where no restart is asked for.
        lr: η_max, the rate at the start of each period.
        min_lr: η_min, the rate that each period runs down to.
        restart_every: T_0, length of the first period in epochs.
        restart_factor: T_mult, by which each period is longer than the one before it.

    Source:
        Loshchilov and Hutter, "SGDR: Stochastic gradient descent with warm restarts", ICLR 2017, equation 5.

    Example:
        >>> sgdr(0, 200), round(sgdr(100, 200), 5), round(sgdr(200, 200), 5)
        (0.1, 0.05005, 0.0001)
        >>> round(sgdr(10, 200, restart_every=10), 5)
        0.1
    """
    period, start = restart_every or num_epochs, 0.0
    while restart_every and epoch >= start + period:
        start += period
        period *= restart_factor
    share = min(1.0, (epoch - start) / period)
    return min_lr + 0.5 * (lr - min_lr) * (1.0 + math.cos(math.pi * share))


def cosine_factor(step: int, total: int, warmup: float) -> float:
    """Fraction of the peak learning rate at ``step`` of ``total``: linear warm-up, then half a cosine down to 0.

    Example:
        >>> [round(cosine_factor(step, 10, 0.2), 2) for step in (0, 1, 2, 6, 10)]
        [0.5, 1.0, 1.0, 0.5, 0.0]
    """
    rising = max(1, round(warmup * total))
    if step < rising:
        return (step + 1) / rising
    return 0.5 * (1 + math.cos(math.pi * (step - rising) / max(1, total - rising)))
