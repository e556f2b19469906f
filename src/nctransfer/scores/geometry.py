"""How the classes lie in feature space: coding rates (TransRate), overlaps (GBC), pairwise distances (PARC)."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.spatial.distance import cdist
from scipy.stats import rankdata

from ..arrays import whole_number
from ..errors import DataError, UsageError
from .components import principal_components
from .inputs import FeatureMatrix, prepare

__all__ = ["gbc", "parc", "transrate"]

VARIANCE_FLOOR = 1e-4


def transrate(features: Any, labels: Any, *, epsilon: float = 1e-4) -> float:
    """TransRate: coding rate of all features less the mean coding rate of the classes, R(F) − (1/K) Σ_c R(F_c).

    R(Z) = ½ ln det(I + ZᵀZ/(nε)) for the n rows of Z; F is centred by the mean of all samples, and F_c are its rows
    of class c. Larger is better; at least 0 for classes of equal size. Unchanged by rotation, shift and relabelling,
    not by scale: ε is the squared precision at which features are told apart.

    Args:
        features: Features of shape (N, D), any float type, NumPy or torch.
        labels: Class numbers of shape (N,); classes without samples take no part.
        epsilon: The distortion ε.

    Raises:
        TypeError: features that are not floats, labels that are not integers.
        DataError: fewer than two classes, NaN, a negative label, features all alike.
        UsageError: epsilon that is not positive.

    Source:
        Huang et al. (2022), "Frustratingly easy transferability estimation", arXiv:2106.09362.

    Example:
        >>> import numpy as np
        >>> features = np.array([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]])
        >>> round(transrate(features, np.array([0, 0, 1, 1])), 3)  # ln(1 + ½/ε) − ½ ln(1 + 1/ε)
        3.912
    """
    if not 0 < epsilon < np.inf:
        raise UsageError(f"epsilon must be a positive number, got {epsilon!r}", where="epsilon")
    samples = prepare(features, labels)
    rows = samples.coordinates
    classes = [_coding_rate(rows[samples.labels == number], epsilon) for number in range(samples.num_classes)]
    return _coding_rate(rows, epsilon) - float(np.mean(classes))


def gbc(features: Any, labels: Any, *, covariance: str = "spherical") -> float:
    """GBC: the classes' overlap as Gaussians, negated: −Σ_{i≠j} exp(−D_B(i, j)) over ordered pairs.

    D_B = ⅛ Σ_d (μ_i−μ_j)²/σ̄² + ½ Σ_d ln(σ̄²/(σ_i σ_j)), σ̄² = (σ_i² + σ_j²)/2, is the Bhattacharyya distance of
    Gaussians with the classes' means and biased variances: one for each class (``"spherical"``: the mean over
    dimensions, so that both sums run over all D) or one for each dimension (``"diagonal"``). Variances below 1e-4
    count as 1e-4, which gives classes of one sample a meaning.

    Range [−K(K−1), 0]; larger is better. Unchanged by rotation (spherical), shift and relabelling, and by scale as
    long as variances stay above the floor. In many dimensions every overlap may round to 0.

    Args:
        features: Features of shape (N, D), any float type, NumPy or torch.
        labels: Class numbers of shape (N,); classes without samples take no part.
        covariance: ``"spherical"`` or ``"diagonal"``.

    Raises:
        TypeError: features that are not floats, labels that are not integers.
        DataError: fewer than two classes, NaN, a negative label, features all alike.
        UsageError: an unknown covariance.

    Source:
        Pándy et al. (2022), arXiv:2111.12780.

    Example:
        >>> import numpy as np
        >>> features = np.array([[1.0], [-1.0], [5.0], [3.0]])
        >>> round(gbc(features, np.array([0, 0, 1, 1])), 6)  # −2 exp(−4²/8)
        -0.270671
    """
    if covariance not in ("spherical", "diagonal"):
        raise UsageError(f"covariance must be 'spherical' or 'diagonal', got {covariance!r}", where="covariance")
    samples = prepare(features, labels)
    distances = _spherical(samples) if covariance == "spherical" else _diagonal(samples)
    overlaps = np.exp(-distances)
    np.fill_diagonal(overlaps, 0)
    return 0.0 - float(overlaps.sum())


def parc(features: Any, labels: Any, *, dimensions: int = 32, most_samples: int = 4000) -> float:
    """PARC: do samples that differ in features differ in label? 100 times Spearman's correlation over all pairs.

    Features are reduced to 32 principal components, each scaled to unit variance. A pair's distance in features is
    1 − the correlation of its two rows, in labels 1 − that of the two one-hot rows.

    Range [−100, 100]; larger is better. Unchanged by rotation, shift, scale and relabelling. The correlation feels the
    components' signs, which are free: here the sample farthest out is positive. Components that only rounding fills
    (there are at most N − 1 real ones) are left out, where scaling would have made them count in full.

    Args:
        features: Features of shape (N, D), any float type, NumPy or torch.
        labels: Class numbers of shape (N,); classes without samples take no part.
        dimensions: Most principal components.
        most_samples: Of more samples, that many are drawn, each class keeping its share: the pairs grow as N².

    Raises:
        TypeError: features that are not floats, labels that are not integers.
        DataError: every class has one sample, features span a single direction, fewer than two classes, NaN, a
            negative label, features all alike.
        UsageError: dimensions or most_samples below 2.

    Source:
        Bolya, Mittapalli and Hoffman (2021), arXiv:2111.06977.

    Example:
        >>> import numpy as np
        >>> features = np.random.default_rng(0).normal(size=(20, 4)) + 5 * np.eye(2, 4)[np.arange(20) % 2]
        >>> parc(features, np.arange(20) % 2) > parc(features, np.arange(20) // 10)
        True
    """
    whole_number(dimensions, "dimensions", 2)
    samples = _thinned(prepare(features, labels), whole_number(most_samples, "most_samples", 2))
    if samples.counts.max() < 2:
        raise DataError(
            "every class has a single sample, so all pairs differ alike in label",
            where="labels",
            remedy="score at least two samples of some class",
        )
    rows = principal_components(samples, most=dimensions)
    if rows.shape[1] < 2:
        raise DataError(
            "the features span a single direction, so the correlation of two samples is undefined",
            where="features",
            remedy="pass features of at least two dimensions and three samples that differ",
        )
    rows = rows / rows.std(0)
    rows = rows - rows.mean(1, keepdims=True)
    lengths = np.linalg.norm(rows, axis=1)
    if not lengths.min() > 1e-12 * lengths.max():
        raise DataError(
            f"all components of row {int(lengths.argmin())} are equal, so its correlations are undefined",
            where="features",
            remedy="leave the row out",
        )
    rows = rows / lengths[:, None]
    pairs = np.triu_indices(len(rows), 1)
    # Rounded, so that pairs which are equally far apart are so in their ranks too.
    ranks = rankdata(np.round(1 - (rows @ rows.T)[pairs], 12))
    # One-hot rows know two distances; ranks of two values differ from the values by a scale and a shift alone.
    differ = (samples.labels[pairs[0]] != samples.labels[pairs[1]]).astype(np.float64)
    if np.ptp(ranks) == 0:
        raise DataError(
            "all pairs of samples are equally far apart, so they cannot be ranked",
            where="features",
            remedy="pass more samples",
        )
    return 100 * float(np.corrcoef(ranks, differ)[0, 1])


def _coding_rate(rows: np.ndarray, epsilon: float) -> float:
    """½ ln det(I + ZᵀZ/(nε)) through the smaller of the two products."""
    gram = rows @ rows.T if len(rows) < rows.shape[1] else rows.T @ rows
    values = np.linalg.eigvalsh(gram / (len(rows) * epsilon))
    return 0.5 * float(np.log1p(values.clip(0)).sum())


def _spherical(samples: FeatureMatrix) -> np.ndarray:
    rows = samples.coordinates
    means = samples.class_means(rows)
    squares = ((rows - means[samples.labels]) ** 2).sum(1)
    own = np.maximum((samples.members @ squares) / samples.counts / samples.dim, VARIANCE_FLOOR)
    shared = (own[:, None] + own) / 2
    apart = cdist(means, means, "sqeuclidean")
    logs = np.log(own)
    return apart / (8 * shared) + samples.dim / 2 * (np.log(shared) - (logs[:, None] + logs) / 2)


def _diagonal(samples: FeatureMatrix) -> np.ndarray:
    means = samples.class_means(samples.centred)
    own = np.maximum(samples.class_means((samples.centred - means[samples.labels]) ** 2), VARIANCE_FLOOR)
    logs = np.log(own).sum(1)
    distances = np.zeros((len(own), len(own)))
    for number, (mean, variance) in enumerate(zip(means, own, strict=True)):
        shared = (variance + own) / 2
        apart = ((mean - means) ** 2 / shared).sum(1) / 8
        distances[number] = apart + 0.5 * (np.log(shared).sum(1) - (logs[number] + logs) / 2)
    return distances


def _thinned(samples: FeatureMatrix, most: int) -> FeatureMatrix:
    """At most that many samples, each class keeping its share, drawn by a fixed shuffle."""
    if samples.num_samples <= most:
        return samples
    shuffled = np.random.default_rng(0).permutation(samples.num_samples)
    order = shuffled[np.argsort(samples.labels[shuffled], kind="stable")]
    starts = np.repeat(np.cumsum(samples.counts) - samples.counts, samples.counts)
    places = (np.arange(samples.num_samples) - starts + 0.5) / np.repeat(samples.counts, samples.counts)
    keep = np.sort(order[np.argsort(places, kind="stable")[:most]])
    return prepare(samples.features[keep], samples.labels[keep])
