"""Temperature scaling: one number that makes a classifier's probabilities match how often it is right.

Legend: ``logits (N, K)``, ``labels (N,)``. Guo et al., "On calibration of modern neural networks", ICML 2017.
"""

from __future__ import annotations

import dataclasses
import math

import torch
from torch import Tensor
from torch.nn import functional

from ..errors import DataError

__all__ = ["Reliability", "brier_score", "calibration_error", "chance_error", "fit_temperature", "reliability"]

_COLDEST, _HOTTEST = 1e-2, 1e2
_BINS = 15


def fit_temperature(logits: Tensor, labels: Tensor, *, prior: float | None = None) -> float:
    """T > 0 that minimises the mean log-loss of softmax(logits / T) on images that the logits were not fitted to.

    The log-loss is convex in 1/T, so its slope is bisected to a relative width of 1e-6. T lies in [0.01, 100]: where all
    images are right (or none is better than chance) the best 1/T is infinite (or not positive), and the end is taken.

    Args:
        logits: Shape (N, K).
        labels: Integers in [0, K), shape (N,).
        prior: Standard deviation of a normal prior on ln T around 0: few images move T less then, and images that are all
            right do not send it to an end. None is no prior.

    Raises:
        DataError: no row, or shapes that do not fit.

    Example:
        >>> generator = torch.Generator().manual_seed(0)
        >>> labels = torch.arange(3000) % 3
        >>> logits = torch.randn(3000, 3, generator=generator)
        >>> labels = torch.distributions.Categorical(logits=logits).probs.multinomial(1, generator=generator)[:, 0]
        >>> 1.8 < fit_temperature(2 * logits, labels) < 2.2
        True
    """
    logits, labels = _checked(logits, labels)
    picked = logits.gather(1, labels[:, None])[:, 0]
    pull = 0.0 if prior is None else 1.0 / (len(labels) * prior**2)

    def slope(inverse: float) -> float:
        """Derivative of the mean log-loss, and of the prior's share an image, by 1/T."""
        expected = (torch.softmax(logits * inverse, 1) * logits).sum(1)
        return float((expected - picked).mean()) + pull * math.log(inverse) / inverse

    low, high = 1.0 / _HOTTEST, 1.0 / _COLDEST
    if slope(high) <= 0.0:
        return _COLDEST
    if slope(low) >= 0.0:
        return _HOTTEST
    while high / low > 1 + 1e-6:
        middle = math.sqrt(low * high)
        low, high = (middle, high) if slope(middle) < 0.0 else (low, middle)
    return 1.0 / math.sqrt(low * high)


def calibration_error(logits: Tensor, labels: Tensor) -> float:
    """Expected calibration error over 15 bins of equal width: Σ_b (n_b/N) abs(accuracy_b − confidence_b), in [0, 1].

    Source: Naeini, Cooper and Hauskrecht, AAAI 2015.

    Example:
        >>> calibration_error(torch.tensor([[9.0, -9.0], [9.0, -9.0]]), torch.tensor([0, 0])) < 1e-6
        True
        >>> round(calibration_error(torch.tensor([[9.0, -9.0], [9.0, -9.0]]), torch.tensor([0, 1])), 3)
        0.5
    """
    return sum(part.count * abs(part.accuracy - part.confidence) for part in reliability(logits, labels)) / len(labels)


def chance_error(logits: Tensor, *, draws: int = 200, seed: int = 0) -> float:
    """Calibration error that perfectly calibrated logits (N, K) show on average, for N is finite; in [0, 1].

    Labels are drawn from the probabilities themselves. What a measured error has above this is miscalibration.

    Example:
        >>> logits = torch.zeros(4000, 2)
        >>> chance_error(logits[:40]) > 5 * chance_error(logits)
        True
    """
    logits, _ = _checked(logits, torch.zeros(len(logits), dtype=torch.int64))
    confidence = torch.softmax(logits, 1).max(1).values
    place = (confidence * _BINS).ceil().clamp(1, _BINS).long() - 1
    generator = torch.Generator().manual_seed(seed)
    right = (torch.rand(draws, len(logits), generator=generator, dtype=torch.float64) < confidence).double()
    gaps = torch.zeros(draws, _BINS, dtype=torch.float64).index_add_(1, place, right - confidence)
    return float(gaps.abs().sum(1).mean()) / len(logits)


@dataclasses.dataclass(frozen=True)
class Reliability:
    """One bin of a reliability diagram: images whose largest probability lies in ``(low, high]``."""

    low: float
    high: float
    count: int
    confidence: float
    accuracy: float


def reliability(logits: Tensor, labels: Tensor, *, bins: int = _BINS) -> list[Reliability]:
    """The bins of a reliability diagram that hold an image, by growing confidence."""
    logits, labels = _checked(logits, labels)
    confidence, predicted = torch.softmax(logits, 1).max(1)
    right = (predicted == labels).double()
    place = (confidence * bins).ceil().clamp(1, bins).long() - 1
    found = []
    for number in place.unique().tolist():
        rows = place == number
        confident, accurate = float(confidence[rows].mean()), float(right[rows].mean())
        found.append(Reliability(number / bins, (number + 1) / bins, int(rows.sum()), confident, accurate))
    return found


def brier_score(logits: Tensor, labels: Tensor) -> float:
    """Mean over images of Σ_k (p_k − 1[k = y])², in [0, 2]; smaller is better.

    Source: Brier, Monthly Weather Review, 1950.

    Example:
        >>> brier_score(torch.zeros(4, 2), torch.tensor([0, 1, 0, 1]))
        0.5
    """
    logits, labels = _checked(logits, labels)
    difference = torch.softmax(logits, 1) - functional.one_hot(labels, logits.shape[1])
    return float(difference.square().sum(1).mean())


def _checked(logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    logits, labels = torch.as_tensor(logits).detach().double().cpu(), torch.as_tensor(labels).detach().cpu().long()
    if logits.ndim != 2 or len(logits) == 0 or labels.shape != logits.shape[:1]:
        raise DataError(
            f"`logits` (N, K) and `labels` (N,) must have N ≥ 1 rows, got {tuple(logits.shape)} and {tuple(labels.shape)}",
            where="calibration",
            remedy="pass one row of logits and one label an image",
        )
    if not bool(torch.isfinite(logits).all()):
        rows = int((~torch.isfinite(logits).all(1)).sum())
        raise DataError(
            f"`logits` hold NaN or infinity in {rows} of {len(logits)} rows",
            where="calibration",
            remedy="leave out images that were never held out",
        )
    return logits, labels
