"""How long and in what batches a network is tuned, by the size of its training split."""

from __future__ import annotations

import math

__all__ = ["batch_for", "epochs_for"]

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
    """Passes over the training images: 20 at 300 images, fewer the more there are (by the power −0.4), 4 to 30.

    Where the probe that tuning starts from is nearly always right already there is little to learn: under a held-out
    error of 8 % passes shrink in proportion, to half at the least.

    Args:
        num_train: Training images.
        error: Held-out error of the deep probe, in [0, 1]; None where it is not known.

    Example:
        >>> [epochs_for(number) for number in (96, 300, 480, 1_150, 2_000, 10_000, 50_000)]
        [30, 20, 17, 12, 9, 5, 4]
        >>> epochs_for(1_150, error=0.015), epochs_for(1_150, error=0.06)
        (6, 9)
    """
    passes = min(30.0, max(4.0, 20.0 * (300.0 / num_train) ** 0.4))
    ease = 1.0 if error is None else min(1.0, max(0.5, error / _EASY))
    return max(2, math.floor(passes * ease + 0.5))
