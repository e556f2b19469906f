"""Baselines that every ranking shows beside the scores: a cross-validated linear probe and nearest neighbours."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold
from sklearn.neighbors import NearestNeighbors

from ..arrays import whole_number
from ..errors import DataError
from .inputs import FeatureMatrix, prepare

__all__ = ["linear_probe", "nearest_neighbours"]


def linear_probe(features: Any, labels: Any, *, folds: int = 5, seed: int = 0) -> float:
    """Accuracy of a linear classifier, cross-validated.

    Logistic regression with a bias and scikit-learn's penalty (C = 1), on centred features that share one scale: a
    mean variance of 1 a dimension. Folds keep the classes' shares; a class with a single sample is never known to the
    fold that holds it, and counts as missed.

    Range [0, 1]; larger is better. Unchanged by rotation, shift, scale and relabelling.

    Args:
        features: Features of shape (N, D), any float type, NumPy or torch.
        labels: Class numbers of shape (N,); classes without samples take no part.
        folds: Parts of the cross-validation; the size of the largest class if that is smaller.
        seed: Seed of the folds.

    Raises:
        TypeError: features that are not floats, labels that are not integers.
        DataError: every class has one sample, fewer than two classes, NaN, a negative label, features all alike.
        UsageError: folds below 2.

    Source:
        Kornblith, Shlens and Le (2019), "Do better ImageNet models transfer better?", arXiv:1805.08974.

    Example:
        >>> import numpy as np
        >>> features = np.array([[0.0, 1.0], [0.3, 0.8], [4.0, 1.1], [4.2, 0.9]])
        >>> linear_probe(features, np.array([0, 0, 1, 1]))
        1.0
    """
    whole_number(folds, "folds", 2)
    samples = prepare(features, labels)
    _check_repeats(samples)
    # Neither the rotation into fewer coordinates nor the common scale knows a label, so no fold learns of another.
    rows = samples.coordinates / np.sqrt((samples.coordinates**2).sum() / (samples.num_samples * samples.dim))
    splitter = StratifiedKFold(min(folds, int(samples.counts.max())), shuffle=True, random_state=seed)
    right = 0
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The least populated class", UserWarning)
        parts = list(splitter.split(rows, samples.labels))
    for train, held in parts:
        right += int((_fitted(rows[train], samples.labels[train], rows[held]) == samples.labels[held]).sum())
    return right / samples.num_samples


def nearest_neighbours(features: Any, labels: Any, *, neighbours: int = 5) -> float:
    """Accuracy of a vote among each sample's nearest other samples, leave-one-out.

    Euclidean distance; of classes with equal votes the one with the nearer sample wins. Range [0, 1]; larger is
    better. Unchanged by rotation, shift, scale and relabelling.

    Args:
        features: Features of shape (N, D), any float type, NumPy or torch.
        labels: Class numbers of shape (N,); classes without samples take no part.
        neighbours: Votes for each sample; all others if there are fewer.

    Raises:
        TypeError: features that are not floats, labels that are not integers.
        DataError: every class has one sample, fewer than two classes, NaN, a negative label, features all alike.
        UsageError: neighbours below 1.

    Source:
        Sorkhei et al. (2025), "k-NN as a simple and effective estimator of transferability", arXiv:2503.18528.

    Example:
        >>> import numpy as np
        >>> features = np.array([[0.0, 1.0], [0.3, 0.8], [4.0, 1.1], [4.2, 0.9]])
        >>> nearest_neighbours(features, np.array([0, 0, 1, 1]), neighbours=1)
        1.0
    """
    whole_number(neighbours, "neighbours", 1)
    samples = prepare(features, labels)
    _check_repeats(samples)
    most = min(neighbours, samples.num_samples - 1)
    # Asked without points, scikit-learn leaves each sample out of its own neighbours.
    found = NearestNeighbors(n_neighbors=most).fit(samples.coordinates).kneighbors(return_distance=False)
    votes = samples.labels[found]
    counts = (votes[:, :, None] == votes[:, None, :]).sum(2)
    # Neighbours come nearest first, and the first of the largest counts is taken.
    chosen = votes[np.arange(len(votes)), counts.argmax(1)]
    return float((chosen == samples.labels).mean())


def _fitted(rows: np.ndarray, labels: np.ndarray, held: np.ndarray) -> np.ndarray:
    """Labels that a probe fitted to ``rows`` gives to ``held``."""
    if len(np.unique(labels)) == 1:
        return np.full(len(held), labels[0])
    with warnings.catch_warnings():
        # The accuracy settles long before the weights do.
        warnings.simplefilter("ignore", ConvergenceWarning)
        return LogisticRegression(max_iter=500).fit(rows, labels).predict(held)


def _check_repeats(samples: FeatureMatrix) -> None:
    if samples.counts.max() < 2:
        raise DataError(
            "every class has a single sample, so none can be recognised from the others",
            where="labels",
            remedy="score at least two samples of some class",
        )
