"""Scores of predictions on a finite test set: accuracy's interval, and accuracy with all classes weighing the same."""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np
import torch
from torch import Tensor

from ..errors import DataError, UsageError

__all__ = ["accuracy_interval", "balanced_accuracy"]


def accuracy_interval(correct: int, total: int, level: float = 0.95) -> tuple[float, float]:
    """Wilson score interval of an accuracy: the fractions p with abs(correct/total − p) ≤ z √(p (1 − p) / total).

    Lies in [0, 1] and has width above 0 even at 0 or ``total`` correct, unlike the interval of the normal
    approximation.

    Args:
        correct: Number of right predictions, in ``[0, total]``.
        total: Number of predictions, at least 1.
        level: Coverage, in (0, 1).

    Returns:
        Lower and upper end, fractions.

    Raises:
        UsageError: counts that cannot be, or a level outside (0, 1).

    Source: Wilson, JASA 22 (1927), 209–212.

    Example:
        >>> [round(end, 4) for end in accuracy_interval(719, 1000)]
        [0.6903, 0.746]
        >>> accuracy_interval(10, 10)[1]
        1.0
    """
    if not 0 <= correct <= total or total < 1:
        raise UsageError(
            f"`correct` must lie in [0, total] and `total` be at least 1, got {correct} of {total}",
            remedy="pass counts, not fractions",
        )
    if not 0.0 < level < 1.0:
        raise UsageError(f"`level` must lie in (0, 1), got {level}", remedy="pass 0.95 for 95 %")
    z = NormalDist().inv_cdf(0.5 + level / 2)
    share, spread = correct / total, z * z / total
    centre = (share + spread / 2) / (1 + spread)
    half = math.sqrt(spread * (share * (1 - share) + spread / 4)) / (1 + spread)
    # Where all or none are right an end is exact; rounding would put it a digit beside.
    low = 0.0 if correct == 0 else max(centre - half, 0.0)
    high = 1.0 if correct == total else min(centre + half, 1.0)
    return low, high


def balanced_accuracy(predictions: Tensor | np.ndarray, labels: Tensor | np.ndarray) -> float:
    """Mean over the classes in ``labels`` of the share of their rows predicted right; in [0, 1], larger is better.

    Args:
        predictions: Predicted classes, integers of shape ``(N,)``.
        labels: True classes, integers of shape ``(N,)``, N at least 1.

    Raises:
        DataError: shapes that differ, no row, or values that are no integers.

    Source: Brodersen et al., ICPR 2010.

    Example:
        >>> balanced_accuracy(torch.tensor([0, 0, 0, 0]), torch.tensor([0, 0, 0, 1]))
        0.5
    """
    predicted, true = torch.as_tensor(predictions).detach().cpu(), torch.as_tensor(labels).detach().cpu()
    if predicted.shape != true.shape or true.ndim != 1 or len(true) == 0:
        raise DataError(
            f"`predictions` and `labels` must have one shape (N,) with N ≥ 1, "
            f"got {tuple(predicted.shape)} and {tuple(true.shape)}",
            where="balanced accuracy",
            remedy="pass class indices, not logits: logits.argmax(1)",
        )
    if any(tensor.is_floating_point() or tensor.is_complex() for tensor in (predicted, true)):
        raise DataError(
            f"`predictions` and `labels` must be integers, got {predicted.dtype} and {true.dtype}",
            where="balanced accuracy",
            remedy="pass class indices, not logits: logits.argmax(1)",
        )
    _, index, count = torch.unique(true, return_inverse=True, return_counts=True)
    right = torch.zeros(len(count), dtype=torch.float64).index_add_(0, index, (predicted == true).double())
    return float((right / count).mean())
