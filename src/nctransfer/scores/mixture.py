"""A mixture of Gaussians with covariances of their own, as NLEEP fits it, where a Gaussian has few samples.

It is scikit-learn's ``GaussianMixture`` with its defaults: started by k-means, at most 100 rounds of expectation and
maximisation, 1e-6 added to the diagonals. With m samples in its support, a component's covariance is reg·I + AᵀA, A of shape
(m, d): in the m directions of A everything is that of A's singular values, and across them reg alone counts. That takes N·d·m
products where a factorised covariance takes N·d² and d³/3 beside. Where the support is large, the covariance is factorised as
usual. A component whose samples have not changed since the last round keeps its densities.

Legend: ``rows (N, d)``, C components, responsibilities ``(N, C)``.
"""

from __future__ import annotations

import warnings

import numpy as np
from scipy.linalg import cholesky, solve_triangular
from scipy.special import logsumexp
from sklearn.cluster import KMeans
from sklearn.exceptions import ConvergenceWarning

__all__ = ["mixture_posterior"]

_ROUNDS, _TOLERANCE, _REGULARISATION = 100, 1e-3, 1e-6
_NOTHING = 1e-20  # of a component's weight, which moves a covariance by less than its rounding
_FEW = 0.5  # of the dimensions: supports up to this take the short way
_NEAR = (
    0.01  # squared distance from the span over squared length, below which a difference of squares has too few digits
)


def mixture_posterior(rows: np.ndarray, components: int, seed: int) -> np.ndarray:
    """Posterior probability of each component for each row, shape (N, C), of a mixture fitted to these rows.

    Raises:
        numpy.linalg.LinAlgError: a covariance that is not positive definite.
    """
    with warnings.catch_warnings():
        # Rows that are alike leave fewer clusters than were asked for.
        warnings.simplefilter("ignore", ConvergenceWarning)
        start = KMeans(components, n_init=1, random_state=np.random.RandomState(seed)).fit(rows).labels_
    shares = np.zeros((len(rows), components))
    shares[np.arange(len(rows)), start] = 1.0
    squares = (rows**2).sum(1)
    logs = np.empty((len(rows), components))
    _densities(rows, squares, shares, None, logs)
    bound = -np.inf
    for _ in range(_ROUNDS):
        before, bound = bound, _expectation(logs, shares, changed := np.empty(components, dtype=bool))
        _densities(rows, squares, shares, changed, logs)
        if abs(bound - before) < _TOLERANCE:
            break
    _expectation(logs, shares, changed)
    return shares


def _expectation(logs: np.ndarray, shares: np.ndarray, changed: np.ndarray) -> float:
    """Responsibilities from log densities, into ``shares``; the mean log-likelihood; and whose have ``changed``."""
    weights = _sizes(shares)
    joint = logs + np.log(weights / weights.sum())
    norm = logsumexp(joint, axis=1)
    joint -= norm[:, None]
    np.exp(joint, out=joint)
    changed[:] = (joint != shares).any(0)
    shares[:] = joint
    return float(norm.mean())


def _sizes(shares: np.ndarray) -> np.ndarray:
    """Weight of each component, in samples."""
    return np.asarray(shares.sum(0) + 10 * np.finfo(np.float64).eps)


def _densities(
    rows: np.ndarray, squares: np.ndarray, shares: np.ndarray, changed: np.ndarray | None, logs: np.ndarray
) -> None:
    """Log density of each row under each component that these responsibilities give, into ``logs``."""
    dim = rows.shape[1]
    for number, size in enumerate(_sizes(shares)):
        if changed is not None and not changed[number]:
            continue
        support = np.flatnonzero(shares[:, number] > _NOTHING * size)
        share = shares[support, number] / size
        mean = share @ rows[support]
        spread = np.sqrt(share)[:, None] * (rows[support] - mean)
        far, scale = (_short if len(support) <= _FEW * dim else _factorised)(rows, squares, mean, spread)
        logs[:, number] = -0.5 * (dim * np.log(2 * np.pi) + scale + far)


def _short(rows: np.ndarray, squares: np.ndarray, mean: np.ndarray, spread: np.ndarray) -> tuple[np.ndarray, float]:
    """Squared Mahalanobis distances (N,) and log determinant by the singular values of A (m, d)."""
    _, values, across = np.linalg.svd(spread, full_matrices=False)
    variances = values**2 + _REGULARISATION
    along = rows @ across.T - across @ mean
    length = squares - 2 * (rows @ mean) + mean @ mean
    away = length - (along**2).sum(1)
    near = np.flatnonzero(away <= _NEAR * (squares + mean @ mean))
    centred = rows[near] - mean
    along[near] = centred @ across.T
    away[near] = ((centred - along[near] @ across) ** 2).sum(1)
    determinant = np.log(variances).sum() + (rows.shape[1] - len(values)) * np.log(_REGULARISATION)
    return (along**2 / variances).sum(1) + away / _REGULARISATION, float(determinant)


def _factorised(
    rows: np.ndarray, squares: np.ndarray, mean: np.ndarray, spread: np.ndarray
) -> tuple[np.ndarray, float]:
    """The same by a Cholesky factor of the covariance."""
    covariance = spread.T @ spread
    covariance.flat[:: len(covariance) + 1] += _REGULARISATION
    factor = cholesky(covariance, lower=True, overwrite_a=True)
    white = solve_triangular(factor, (rows - mean).T, lower=True, overwrite_b=True)
    return (white**2).sum(0), float(2 * np.log(np.diag(factor)).sum())
