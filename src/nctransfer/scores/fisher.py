"""Discriminant analysis with a shrunk covariance, which SFDA and NCTI build on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.linalg import cholesky, solve_triangular
from scipy.special import softmax

from ..errors import DataError
from .inputs import FeatureMatrix

__all__ = ["Discriminant", "discriminant", "within_covariance"]


class Within(NamedTuple):
    """The pooled covariance within classes, shape (d, d), and the class means, shape (K, d)."""

    covariance: np.ndarray
    means: np.ndarray


@dataclass(frozen=True)
class Discriminant:
    """Samples and class means in coordinates where the shrunk covariance within classes is the identity.

    Attributes:
        rows: Samples, (N, d).
        means: Class means, (K, d).
        priors: Fraction of each class, (K,).
    """

    rows: np.ndarray
    means: np.ndarray
    priors: np.ndarray

    def posterior(self) -> np.ndarray:
        """Probability of each class for each sample, (N, K)."""
        scores = self.rows @ self.means.T - 0.5 * (self.means**2).sum(1) + np.log(self.priors)
        return softmax(scores, axis=1)

    def projected(self) -> np.ndarray:
        """Samples along the directions that separate the classes, centred, (N, min(K-1, d))."""
        centred = self.means - self.priors @ self.means
        _, _, directions = np.linalg.svd(np.sqrt(self.priors)[:, None] * centred, full_matrices=False)
        rows = self.rows - self.rows.mean(0)
        return rows @ directions[: len(self.priors) - 1].T


def within_covariance(rows: np.ndarray, samples: FeatureMatrix) -> Within:
    """Covariance within classes of rows (N, d) that carry the labels of ``samples``."""
    means = samples.class_means(rows)
    residuals = rows - means[samples.labels]
    return Within(residuals.T @ residuals / len(rows), means)


def discriminant(rows: np.ndarray, samples: FeatureMatrix, within: Within, shrinkage: float, dim: int) -> Discriminant:
    """Whiten by (1−λ)S_W + λ tr(S_W)/D·I, where ``dim`` is D: rows may be given in fewer coordinates than features.

    Raises:
        DataError: no class has any variance.
    """
    level = float(np.trace(within.covariance)) / dim
    if not level > (np.finfo(np.float64).eps * float(np.abs(rows).max())) ** 2:
        raise DataError(
            "no class has any variance, so its discriminant is undefined",
            where="features",
            remedy="score at least two different samples of some class",
        )
    shrunk = (1 - shrinkage) * within.covariance
    # The least shrinkage, over very many dimensions, would vanish in the covariance's own rounding.
    shrunk.flat[:: len(shrunk) + 1] += max(shrinkage * level, 4 * np.finfo(np.float64).eps * level * dim)
    factor = cholesky(shrunk, lower=True)
    return Discriminant(
        rows=solve_triangular(factor, rows.T, lower=True).T,
        means=solve_triangular(factor, within.means.T, lower=True).T,
        priors=samples.counts / samples.num_samples,
    )
