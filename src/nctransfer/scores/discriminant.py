"""How much of the features' variance lies between classes: H-score, its shrunk form, and SFDA."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.linalg import eigvalsh

from .fisher import discriminant, within_covariance
from .inputs import FeatureMatrix, prepare

__all__ = ["h_score", "regularised_h_score", "sfda"]


def h_score(features: Any, labels: Any) -> float:
    """H-score, tr(Σ_T† cov(E[f | y])): the fraction of variance that the classes explain, summed over directions.

    Range [0, K−1]; larger is better. Unchanged by any invertible linear map and by a shift. With N ≤ D it is K−1 for
    features in general position whatever the labels; the regularised form is not. With the centred features' left
    singular vectors u, it is Σ_k n_k ‖ū_k‖², which is how it is computed: neither Σ_T nor its inverse is formed.

    Args:
        features: Features of shape (N, D), any float type, NumPy or torch.
        labels: Class numbers of shape (N,); classes without samples take no part.

    Raises:
        TypeError: features that are not floats, labels that are not integers.
        DataError: fewer than two classes, NaN, a negative label, features all alike.

    Source:
        Bao et al. (2019), "An information-theoretic approach to transferability in task transfer learning",
        arXiv:2212.10082.

    Example:
        >>> import numpy as np
        >>> features = np.array([[1.0], [-1.0], [5.0], [3.0]])
        >>> round(h_score(features, np.array([0, 0, 1, 1])), 12)  # between 4, total 5
        0.8
    """
    return float(_explained(prepare(features, labels)).sum())


def regularised_h_score(features: Any, labels: Any) -> float:
    """H-score with a shrunk covariance: (1−α) tr(Σ_α⁻¹ cov(E[f | y])), Σ_α = (1−α)Σ_T + α tr(Σ_T)/D·I.

    α is Ledoit and Wolf's shrinkage. Range [0, K−1); larger is better. Unchanged by rotation, shift, scale and
    relabelling; informative where N ≤ D too.

    Args:
        features: Features of shape (N, D), any float type, NumPy or torch.
        labels: Class numbers of shape (N,); classes without samples take no part.

    Raises:
        TypeError: features that are not floats, labels that are not integers.
        DataError: fewer than two classes, NaN, a negative label, features all alike.

    Source:
        Ibrahim, Ponomareva and Mazumder (2021), "Newer is not always better", arXiv:2110.06893.

    Example:
        >>> import numpy as np
        >>> rng = np.random.default_rng(0)
        >>> features, labels = rng.normal(size=(6, 50)), np.arange(6) % 2
        >>> round(h_score(features, labels), 2), round(regularised_h_score(features, labels), 2)  # of noise
        (1.0, 0.81)
    """
    samples = prepare(features, labels)
    variances = samples.spectrum.values**2 / samples.num_samples
    shrinkage = _ledoit_wolf(samples)
    kept = (1 - shrinkage) * variances
    return float(kept / (kept + shrinkage * variances.sum() / samples.dim) @ _explained(samples))


def sfda(features: Any, labels: Any) -> float:
    """Self-challenging Fisher discriminant analysis: mean p(y_i | x_i) after the confident samples are made harder.

    A Fisher discriminant with covariance (1−λ)S_W + λ tr(S_W)/D·I, λ = exp(−5·largest eigenvalue of S_W) and at least
    1e-10, gives p(y_i | x_i). Each sample then moves towards the mean of the other classes' means,
    x̂_i = p x_i + (1−p) m, with p = p(y_i | x_i), and the discriminant is fitted again with the same λ.

    Range (0, 1]; larger is better. Unchanged by rotation, shift and relabelling, not by scale: λ feels it. Softmax is
    applied once; the authors' code softens the first p by a second softmax, and writes over the caller's features.

    Args:
        features: Features of shape (N, D), any float type, NumPy or torch.
        labels: Class numbers of shape (N,); classes without samples take no part.

    Raises:
        TypeError: features that are not floats, labels that are not integers.
        DataError: no class has any variance, fewer than two classes, NaN, a negative label, features all alike.

    Source:
        Shao et al. (2022), "Not all models are equal", arXiv:2207.03036.

    Example:
        >>> import numpy as np
        >>> features = np.array([[0.0, 1.0], [0.3, 0.8], [4.0, 1.1], [4.2, 0.9]])
        >>> sfda(features, np.array([0, 0, 1, 1])) > 0.9
        True
    """
    samples = prepare(features, labels)
    rows, labels = samples.coordinates, samples.labels
    index = np.arange(samples.num_samples)
    within = within_covariance(rows, samples)
    size = len(within.covariance)
    largest = float(eigvalsh(within.covariance, subset_by_index=(size - 1, size - 1))[0])
    shrinkage = max(float(np.exp(-5 * largest)), 1e-10)
    confidence = discriminant(rows, samples, within, shrinkage, samples.dim).posterior()[index, labels, None]
    others = (within.means.sum(0) - within.means) / (samples.num_classes - 1)
    mixed = confidence * rows + (1 - confidence) * others[labels]
    again = discriminant(mixed, samples, within_covariance(mixed, samples), shrinkage, samples.dim)
    return float(again.posterior()[index, labels].mean())


def _ledoit_wolf(samples: FeatureMatrix) -> float:
    """Ledoit and Wolf's shrinkage of the covariance, from the spectrum and the samples' lengths.

    Σ_ij (XᵀX)_ij² is Σ σ⁴ and Σ_ij (X²ᵀX²)_ij is Σ_n ‖x_n‖⁴, so that no D×D product is formed: O(ND) beside the spectrum.
    """
    if samples.dim == 1:
        return 0.0
    # One scale for all, so that no power of the features' size leaves float64.
    values, lengths = samples.spectrum.values, (samples.coordinates / samples.spectrum.values[0]) ** 2
    variances = (values / values[0]) ** 2
    spread = float((variances**2).sum())
    noise = float((lengths.sum(1) ** 2).sum()) - spread / samples.num_samples
    away = spread - float(variances.sum()) ** 2 / samples.dim
    return 1.0 if away <= 0 else float(np.clip(noise / away, 0.0, 1.0))


def _explained(samples: FeatureMatrix) -> np.ndarray:
    """Along each left singular vector (of unit variance in sum), the variance that the class means explain, (r,)."""
    values, right = samples.spectrum
    means = samples.class_means(samples.coordinates) @ right / values
    return samples.counts @ means**2
