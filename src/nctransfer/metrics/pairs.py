"""How much samples vary within their class, against how far apart the classes lie in pairs: CDNV."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ..errors import DataError
from .inputs import exact_products
from .metric import Metric, Number, register
from .moments import Moments, moments_of, resolve
from .variability import check_spread
from .words import without_structure

__all__ = ["cdnv"]


def cdnv(features: Any, labels: Any = None, *, num_classes: int | None = None) -> float:
    """Class-distance normalised variance: the mean over pairs i≠j of (Var_i + Var_j) / (2 ‖μ_i − μ_j‖²).

    Range [0, ∞); smaller is more collapsed. Linear in D. Unchanged by rotation, shift and scale. Var_i is the mean
    squared distance of class i's samples from their mean.

    Args:
        features: Features of shape (N, D), or ``ClassStatistics``.
        labels: Class numbers of shape (N,).
        num_classes: Number of classes; the largest label plus one if left out.

    Raises:
        DataError: two class means coincide, every class has one sample, or the input is bad.

    Source:
        Galanti, György and Hutter (2022), arXiv:2112.15121; eq. 5 and 6 of Li et al. (2022), arXiv:2212.12206.

    Example:
        >>> import torch
        >>> cdnv(torch.tensor([[1.0], [-1.0], [5.0], [3.0]]), torch.tensor([0, 0, 1, 1]))  # (1 + 1) / (2 · 4²)
        0.0625
    """
    source = resolve(features, labels, num_classes)
    with exact_products():
        return cdnv_of(moments_of(source))


def cdnv_of(moments: Moments) -> float:
    """CDNV from class moments."""
    check_spread(moments.counts)
    assert moments.squares is not None
    variances = moments.squares / moments.counts
    distances = squared_distances(moments.means)
    classes = len(variances)
    first, second = torch.triu_indices(classes, classes, 1, device=distances.device)
    between = distances[first, second]
    near = moments.means.abs().amax() * torch.finfo(torch.float64).eps * 4
    if not bool((between > near.square()).all()):
        pair = int(between.argmin())
        raise DataError(
            f"the means of present classes {int(first[pair])} and {int(second[pair])} coincide, so CDNV is undefined",
            where="features",
            remedy="merge the two classes, or check their labels",
        )
    return float(((variances[first] + variances[second]) / (2 * between)).mean())


def squared_distances(points: Tensor) -> Tensor:
    """Squared distances (K, K) in float64, through one product where that is accurate and directly where it is not."""
    centred = points - points.mean(0)
    norms = centred.square().sum(1)
    scale = norms[:, None] + norms
    distances = (scale - 2 * centred @ centred.T).clamp_min_(0)
    close = (distances < 1e-4 * scale).triu(1).nonzero()
    for pairs in close.split(max(1, (16 << 20) // (points.shape[1] * 8))):
        direct = (points[pairs[:, 0]] - points[pairs[:, 1]]).square().sum(1)
        distances[pairs[:, 0], pairs[:, 1]] = direct
        distances[pairs[:, 1], pairs[:, 0]] = direct
    return distances.fill_diagonal_(0)


register(
    Metric(
        "cdnv",
        lambda work: cdnv_of(work.moments),
        (
            Number(
                "cdnv",
                "spread over distance, averaged over pairs of classes, 0 when collapsed",
                ((0.1, "classes far apart"), (0.5, "classes apart"), (float("inf"), "classes overlap")),
                without_structure,
                "CDNV",
            ),
        ),
        by_layer=True,
        collapsed="down",
        needs=frozenset({"deviations"}),
        streamed=True,
        position=30,
    )
)
