"""Counts, means, squared deviations and pooled scatter of each class: what every streaming metric is a function of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import Tensor

from ..errors import DataError, UsageError
from .inputs import Samples, exact_products, prepare
from .reads import class_means, read_deviations
from .statistics import ClassStatistics

__all__ = ["Moments", "moments_of", "resolve"]


@dataclass(frozen=True)
class Moments:
    """First and second moments of the present classes, in float64.

    Attributes:
        counts: Samples of each class, (K,).
        means: Class means, (K, D).
        squares: Sum of squared deviations of each class from its mean, (K,); None where it was not needed.
        scatter: Sum over all samples of outer products of deviations, (D, D), or None.
    """

    counts: Tensor
    means: Tensor
    squares: Tensor | None
    scatter: Tensor | None = None


def resolve(features: Any, labels: Any = None, num_classes: int | None = None) -> Samples | ClassStatistics:
    """Checked ``Samples`` of a feature matrix, or the ``ClassStatistics`` that was passed in its place."""
    if isinstance(features, Samples):
        return features
    if not isinstance(features, ClassStatistics):
        return prepare(features, labels, num_classes)
    if labels is not None:
        raise UsageError("labels were passed with a ClassStatistics, which has its own", where="labels")
    present = int((features.counts > 0).sum())
    if present < 2:
        raise DataError(
            f"collapse needs at least 2 classes with samples, got {present}",
            where="ClassStatistics",
            remedy="update it with samples of several classes first",
        )
    return features


def moments_of(source: Samples | ClassStatistics, *, squares: bool = True) -> Moments:
    """Moments of the present classes of a feature matrix or of accumulated statistics."""
    if isinstance(source, ClassStatistics):
        present = source.counts > 0
        return Moments(source.counts[present], source.means[present], source.squares[present], source.scatter)
    with exact_products():
        means = class_means(source)
        if squares and "squares" not in source.cache:
            source.cache["squares"] = read_deviations(source).squares
    return Moments(source.counts.to(means.device), means, source.cache.get("squares"))


def needs_samples(name: str) -> DataError:
    """The error of a metric that cannot be had from accumulated statistics."""
    return DataError(
        f"{name} needs the samples themselves",
        where="ClassStatistics",
        remedy="pass the feature matrix and labels",
    )
