"""How well a Bayesian linear model explains the labels: LogME."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.optimize import minimize_scalar

from .inputs import FeatureMatrix, prepare

__all__ = ["log_me"]

# Bounds of α/β over the largest eigenvalue of FᵀF. Without them α runs away where the features tell nothing, and β
# where they fit the labels without error; float32 features carry no digits beyond them.
LEAST, MOST = 1e-12, 1e12
_CLASSES = 64  # columns at a time
GRID_STEP = 0.25  # decades; the evidence can have several peaks in α/β


def log_me(features: Any, labels: Any) -> float:
    """LogME: the largest log evidence of a linear model with Gaussian prior and noise, a sample, averaged over classes.

    For the one-hot column y of a class, prior precision α and noise precision β, with m = β(αI + βFᵀF)⁻¹Fᵀy,

        (1/N) [D/2 ln α + N/2 ln β − ½ ln det(αI + βFᵀF) − β/2 ‖Fm − y‖² − α/2 ‖m‖² − N/2 ln 2π]

    at its fixed point α = γ/‖m‖², β = (N − γ)/‖Fm − y‖², γ = Σ σ/(σ + α/β). Those are the stationary points of the
    evidence, which here is maximised over α/β alone, the best β being known; of several the highest is taken. Where
    N < D, the determinant's D − N eigenvalues α cancel D − N of the D/2 ln α.

    Range (−∞, ∞); larger is better. α/β is kept within 1e-12 and 1e12 times the largest σ, so that features which
    fit the labels exactly, or not at all, have a finite score. Unchanged by rotation, scale and relabelling; a shift
    changes it, since the model has no bias.

    Args:
        features: Features of shape (N, D), any float type, NumPy or torch.
        labels: Class numbers of shape (N,); classes without samples take no part.

    Raises:
        TypeError: features that are not floats, labels that are not integers.
        DataError: fewer than two classes, NaN, a negative label, features all alike.

    Source:
        You et al. (2021), arXiv:2102.11005; its fixed point: You et al. (2022), arXiv:2110.10545.

    Example:
        >>> import numpy as np
        >>> features = np.array([[1.0, 0.1], [1.1, 0.0], [-1.0, 0.2], [-0.9, 0.1]])
        >>> log_me(features, np.array([0, 0, 1, 1])) > log_me(features, np.array([0, 1, 0, 1]))
        True
    """
    samples = prepare(features, labels)
    sigma = (samples.raw_spectrum.values / samples.raw_spectrum.values[0]) ** 2
    return float(_best_evidence(sigma, *_columns(samples), samples.num_samples).mean())


def _columns(samples: FeatureMatrix) -> tuple[np.ndarray, np.ndarray]:
    """Of each class's one-hot column: its squared coordinates in the features' span (K, r), the squared rest (K,).

    The rest by subtraction of vectors, since squared lengths would lose its small digits.
    """
    values, right = samples.raw_spectrum
    rows = samples.raw_coordinates
    along = (samples.members @ rows) @ right / values
    weights = right @ (along / values).T
    rest = []
    for start in range(0, samples.num_classes, _CLASSES):
        part = slice(start, start + _CLASSES)
        rest.append(((samples.members[part].toarray().T - rows @ weights[:, part]) ** 2).sum(0))
    return along**2, np.concatenate(rest)


def _best_evidence(sigma: np.ndarray, along: np.ndarray, rest: np.ndarray, rows: int) -> np.ndarray:
    """The largest evidence a sample of columns y with squared coordinates ``along`` (K, r) and ``rest`` (K,): (K,).

    With t = α/β, y is Gaussian with covariance (I + FFᵀ/t)/β, whose best 1/β is yᵀ(I + FFᵀ/t)⁻¹y/N.
    """

    def losses(log_ratios: np.ndarray, along: np.ndarray, rest: np.ndarray) -> np.ndarray:
        ratios = 10.0 ** log_ratios[:, None]
        noise = ((ratios / (sigma + ratios)) @ along.T + rest) / rows
        return 0.5 * (np.log(2 * np.pi * noise) + 1 + np.log1p(sigma / ratios).sum(1, keepdims=True) / rows)

    least, most = np.log10(LEAST), np.log10(MOST)
    grid = np.arange(least, most + GRID_STEP / 2, GRID_STEP)
    coarse = losses(grid, along, rest)
    best = []
    for number, start in enumerate(coarse.argmin(0)):
        own = along[number : number + 1], rest[number : number + 1]
        bounds = (max(least, grid[start] - GRID_STEP), min(most, grid[start] + GRID_STEP))
        found = minimize_scalar(
            lambda point, own=own: float(losses(np.array([point]), *own)[0, 0]),
            bounds=bounds,
            method="bounded",
            options={"xatol": 1e-9},
        )
        best.append(-min(float(found.fun), float(coarse[start, number])))
    return np.array(best)
