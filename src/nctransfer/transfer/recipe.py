"""How long and in what batches a network is tuned, by the size of its training split."""

from __future__ import annotations

import math

__all__ = ["batch_for", "epochs_for", "leaves_little", "rates_for"]

_EASY = 0.08
"""Held-out error of the deep probe from which a set counts as not easy."""


def batch_for(num_train: int) -> int:
    """Images in a step: 32, fewer where that would be under 8 steps an epoch, 64 from 4,000 training images.

    Example:
        >>> batch_for(40), batch_for(96), batch_for(300), batch_for(2_000), batch_for(50_000)
        (8, 12, 32, 32, 64)
    """
    if num_train >= 4_000:
        return 64
    return max(8, min(32, num_train // 8))


def epochs_for(num_train: int, error: float | None = None) -> int:
    """Passes over the training images: 15 at 300 images, fewer the more there are (by the power −0.4), 4 to 25.

    Where the probe that tuning starts from is nearly always right already there is little to learn: under a held-out
    error of 8 % passes shrink in proportion, to half at the least.

    Args:
        num_train: Training images.
        error: Held-out error of the deep probe, in [0, 1]; None where it is not known.

    Example:
        >>> [epochs_for(number) for number in (96, 300, 480, 1_150, 2_000, 10_000, 50_000)]
        [24, 15, 12, 9, 7, 4, 4]
        >>> epochs_for(1_150, error=0.015), epochs_for(1_150, error=0.06)
        (4, 7)
    """
    passes = min(25.0, max(4.0, 15.0 * (300.0 / num_train) ** 0.4))
    ease = 1.0 if error is None else min(1.0, max(0.5, error / _EASY))
    return max(2, math.floor(passes * ease + 0.5))


def leaves_little(error: float | None) -> bool:
    """Whether a probe with this held-out error, under 4 %, leaves too little to be won for a second training.

    Example:
        >>> leaves_little(0.03), leaves_little(0.05), leaves_little(None)
        (True, False, False)
    """
    return error is not None and error < _EASY / 2


def rates_for(base: float, whole: bool, error: float | None = None) -> tuple[float, ...]:
    """Peak rates that are trained to the end: the base, and for full fine-tuning 0.3 of it as well.

    Which of the two is better depends on the set, and the mean of both ends is better than either more often than not.
    Where the deep probe errs on fewer than 4 % there is too little to win.

    Example:
        >>> rates_for(1e-3, whole=True), rates_for(1e-3, whole=False), rates_for(1e-3, whole=True, error=0.01)
        ((0.001, 0.0003), (0.001,), (0.001,))
    """
    return (base, round(0.3 * base, 12)) if whole and not leaves_little(error) else (base,)
