"""Scores of predictions on a finite test set: accuracy, and accuracy with all classes weighing the same, with intervals."""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np
import torch
from torch import Tensor

from ..errors import DataError, UsageError

__all__ = ["accuracy_interval", "balanced_accuracy", "balanced_accuracy_interval"]


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
    """Mean over the classes in ``labels`` of the fraction of their rows predicted right; in [0, 1], larger is better.

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
    right, count = _recalls(predictions, labels)
    return float((right / count).mean())


def balanced_accuracy_interval(
    predictions: Tensor | np.ndarray, labels: Tensor | np.ndarray, level: float = 0.95
) -> tuple[float, float]:
    """Interval of the balanced accuracy, from the Wilson intervals of the recalls of the K classes in ``labels``.

    With recalls r_k and their intervals [l_k, u_k], its ends are b − √Σ (r_k − l_k)² / K and b + √Σ (u_k − r_k)² / K
    about the balanced accuracy b: variances of independent estimates, recovered from their intervals. It has width above 0
    even where every recall is 0 or 1, and for a single class it is Wilson's. The number of images of each class is taken
    as given.

    Args:
        predictions: Predicted classes, integers of shape ``(N,)``.
        labels: True classes, integers of shape ``(N,)``, N at least 1.
        level: Coverage, in (0, 1).

    Returns:
        Lower and upper end, fractions.

    Raises:
        DataError: shapes that differ, no row, or values that are no integers.
        UsageError: a level outside (0, 1).

    Source: Zou and Donner, Statistics in Medicine 27 (2008), 1693-1702.

    Example:
        >>> labels = torch.tensor([0] * 90 + [1] * 10)
        >>> [round(end, 3) for end in balanced_accuracy_interval(torch.zeros(100, dtype=torch.int64), labels)]
        [0.48, 0.639]
    """
    right, count = _recalls(predictions, labels)
    recalls = right / count
    ends = [accuracy_interval(int(hits), int(size), level) for hits, size in zip(right, count, strict=True)]
    low, high = torch.tensor(ends, dtype=torch.float64).T
    middle, classes = float(recalls.mean()), len(count)
    return (
        max(0.0, middle - float((recalls - low).square().sum().sqrt()) / classes),
        min(1.0, middle + float((high - recalls).square().sum().sqrt()) / classes),
    )


def _recalls(predictions: Tensor | np.ndarray, labels: Tensor | np.ndarray) -> tuple[Tensor, Tensor]:
    """By class in ``labels``: the number of its rows that are predicted right, and of its rows."""
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
    return right, count
