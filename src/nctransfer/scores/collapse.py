"""How near features are to neural collapse on the downstream classes, compared over candidates: NCTI."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import DataError, UsageError
from .components import principal_components
from .fisher import discriminant, within_covariance
from .inputs import prepare

__all__ = ["NCTIParts", "ncti", "ncti_parts"]


@dataclass(frozen=True)
class NCTIParts:
    """The three measurements of one candidate that NCTI compares.

    Attributes:
        ncc: Mean posterior of the own class, (0, 1]; larger is nearer to deciding by the nearest class centre.
        seli: Nuclear norm of the features in the Fisher space; larger is farther apart, in more directions.
        vc: Log of the sum over classes of the posteriors' nuclear norms; *smaller* is less variance within classes.
    """

    ncc: float
    seli: float
    vc: float


def ncti(candidates: Mapping[str, Any], labels: Any) -> dict[str, float]:
    """NCTI of each candidate: NCC + SELI − VC, each scaled to [0, 1] over the candidates.

    Range [−1, 2]; larger is better. The number means nothing beside those of another set of candidates. A part on
    which all candidates agree tells them apart no further and counts 0 (it would be 0/0). VC is small where posteriors
    are certain, and smaller still where all are undecided: a candidate that is pure noise can pass a weak one.

    Args:
        candidates: For each candidate's name its features of shape (N, D), of the same samples; D may differ.
        labels: Class numbers of shape (N,).

    Raises:
        TypeError: features that are not floats, labels that are not integers.
        DataError: as for ``ncti_parts``, naming the candidate.
        UsageError: fewer than two candidates.

    Source:
        Wang et al. (2023), "How far pre-trained models are from neural collapse on the target dataset informs their
        transferability", ICCV 2023, pages 5549 to 5558.

    Example:
        >>> import numpy as np
        >>> noise, labels = np.random.default_rng(0).normal(size=(30, 4)), np.arange(30) % 3
        >>> scores = ncti({"near": noise + np.eye(3, 4)[labels], "far": noise + 5 * np.eye(3, 4)[labels]}, labels)
        >>> scores["far"] > scores["near"]
        True
    """
    if len(candidates) < 2:
        raise UsageError(
            f"NCTI compares candidates, got {len(candidates)}",
            where="candidates",
            remedy="pass the features of at least two networks or layers, or read ncti_parts",
        )
    parts = []
    for name, features in candidates.items():
        try:
            parts.append(ncti_parts(features, labels))
        except DataError as error:
            raise DataError(error.what, where=f"candidate {name!r}, {error.where}", remedy=error.remedy) from error
    table = np.array([(part.ncc, part.seli, part.vc) for part in parts])
    spans = np.ptp(table, axis=0)
    told_apart = spans > 1e-12 * np.abs(table).max(0)
    scaled = np.where(told_apart, (table - table.min(0)) / np.where(told_apart, spans, 1), 0)
    return dict(zip(candidates, (scaled @ [1, 1, -1]).tolist(), strict=True))


def ncti_parts(features: Any, labels: Any, *, dimensions: int = 64) -> NCTIParts:
    """NCC, SELI and VC of one candidate: what ``ncti`` compares.

    Features are reduced to 64 principal components. A Fisher discriminant with covariance (1−λ)S_W + λ tr(S_W)/d·I,
    λ = exp(−variance of the first 32 components) and at least 1e-10, gives posteriors P (N, K) and coordinates Z
    (N, K−1). NCC = mean P[i, y_i], SELI = ‖Z‖_*, VC = ln Σ_c ‖P_c‖_* over the rows of each class. Unchanged by
    rotation, shift and relabelling, not by scale: λ feels it.

    Args:
        features: Features of shape (N, D), any float type, NumPy or torch.
        labels: Class numbers of shape (N,); classes without samples take no part.
        dimensions: Most principal components.

    Raises:
        TypeError: features that are not floats, labels that are not integers.
        DataError: no class has any variance, fewer than two classes, NaN, a negative label, features all alike.

    Source:
        Wang et al. (2023), ICCV 2023, pages 5549 to 5558.

    Example:
        >>> import numpy as np
        >>> features = np.array([[0.0, 1.0], [0.3, 0.8], [4.0, 1.1], [4.2, 0.9]])
        >>> parts = ncti_parts(features, np.array([0, 0, 1, 1]))
        >>> parts.ncc > 0.9, round(parts.vc, 2)  # posteriors of rank one and length √2 in each class
        (True, 1.04)
    """
    samples = prepare(features, labels)
    rows = principal_components(samples, most=dimensions)
    # Of one sample less, as in the original, where λ comes from scikit-learn's explained variance.
    variance = float((rows[:, :32] ** 2).sum()) / (samples.num_samples - 1)
    shrinkage = max(float(np.exp(-variance)), 1e-10)
    fitted = discriminant(rows, samples, within_covariance(rows, samples), shrinkage, rows.shape[1])
    posterior = fitted.posterior()
    norms = [np.linalg.norm(posterior[samples.labels == number], ord="nuc") for number in range(samples.num_classes)]
    return NCTIParts(
        ncc=float(posterior[np.arange(samples.num_samples), samples.labels].mean()),
        seli=float(np.linalg.norm(fitted.projected(), ord="nuc")),
        vc=float(np.log(np.sum(norms))),
    )
