"""How well an order foretells another: weighted τ and regret."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np

from ..errors import DataError

__all__ = ["regret", "tau_interval", "weighted_tau"]


def weighted_tau(scores: Sequence[float], accuracies: Sequence[float]) -> float | None:
    """Kendall's τ in which an exchange counts by the ranks that it touches: 1/(r+1) + 1/(s+1) from
    rank 0 on, averaged over the ranks of both.

    Range [−1, 1]; 1 is the same order. None where there are fewer than two candidates, or all scores or all accuracies are
    equal.

    Args:
        scores: Larger promises better, shape (M,).
        accuracies: What came of it, shape (M,).

    Source:
        Vigna (2015), "A weighted correlation index for rankings with ties", WWW; as used by LogME's authors.

    Example:
        >>> [round(weighted_tau(scores, [0.5, 0.6, 0.7]), 6) for scores in ([1, 2, 3], [3, 2, 1])]
        [1.0, -1.0]
    """
    from scipy.stats import weightedtau

    one, other = _pair(scores, accuracies)
    if len(one) < 2 or np.ptp(one) == 0 or np.ptp(other) == 0:
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        value = float(weightedtau(one, other).statistic)
    return value if np.isfinite(value) else None


def regret(scores: Sequence[float], accuracies: Sequence[float]) -> float:
    """The loss from taking the candidate of the largest score: best accuracy − its accuracy; smaller is better, at best 0.

    Of candidates with equal scores their mean accuracy counts.

    Example:
        >>> round(regret([0.2, 0.9, 0.1], [0.7, 0.6, 0.5]), 3)
        0.1
    """
    one, other = _pair(scores, accuracies)
    if len(one) == 0:
        raise DataError("regret needs at least one candidate", where="scores")
    return float(other.max() - other[one == one.max()].mean())


def tau_interval(
    scores: Sequence[float], accuracies: Sequence[float], *, draws: int = 500, seed: int = 0
) -> tuple[float, float] | None:
    """95 % interval of weighted τ over candidates drawn anew; None with fewer than four of them."""
    one, other = _pair(scores, accuracies)
    if len(one) < 4:
        return None
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(draws):
        rows = rng.integers(len(one), size=len(one))
        value = weighted_tau(one[rows].tolist(), other[rows].tolist())
        if value is not None:
            found.append(value)
    if len(found) < draws // 2:
        return None
    low, high = np.percentile(found, [2.5, 97.5])
    return float(low), float(high)


def _pair(scores: Sequence[float], accuracies: Sequence[float]) -> tuple[np.ndarray, np.ndarray]:
    one, other = np.asarray(scores, dtype=np.float64), np.asarray(accuracies, dtype=np.float64)
    if one.shape != other.shape or one.ndim != 1:
        raise DataError(
            f"scores and accuracies must be one number a candidate, got shapes {one.shape} and {other.shape}",
            where="scores",
        )
    if not (np.isfinite(one).all() and np.isfinite(other).all()):
        raise DataError("scores and accuracies must be finite", where="scores", remedy="leave the candidate out")
    return one, other
