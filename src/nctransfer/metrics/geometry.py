"""NC2, the shape of the class means: equal lengths, equal angles, and the distance from the simplex that has both.

A simplex equiangular tight frame (ETF) of K vectors has equal norms and every cosine equal to −1/(K−1), the widest that
K vectors can all keep from each other. It needs D ≥ K−1 dimensions; with fewer the errors below cannot reach 0.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor

from ..errors import DataError
from .inputs import exact_products
from .metric import Metric, Number, register
from .moments import moments_of, resolve
from .spectrum import centre_means
from .words import EQUAL, SIMPLEX, without_structure
from .work import Work

__all__ = ["equiangularity", "equinorm", "etf_angle_error", "etf_error"]


def equinorm(features: Any, labels: Any = None, *, num_classes: int | None = None) -> float:
    """Spread of the centred class means' lengths: the standard deviation of ‖h̄_k − h_G‖ over its mean.

    Range [0, ∞); 0 when all are equally long. Unchanged by rotation, shift and scale.

    Args:
        features: Features of shape (N, D), or ``ClassStatistics``.
        labels: Class numbers of shape (N,).
        num_classes: Number of classes; the largest label plus one if left out.

    Raises:
        DataError: all class means coincide, or the input is bad.

    Source:
        Papyan, Han and Donoho (2020), doi:10.1073/pnas.2015509117.

    Example:
        >>> import torch
        >>> equinorm(torch.tensor([[1.0], [3.0]]), torch.tensor([0, 1]))
        0.0
    """
    return equinorm_of(_means(features, labels, num_classes))


def equiangularity(features: Any, labels: Any = None, *, num_classes: int | None = None) -> float:
    """Standard deviation, over pairs of classes, of the cosine between their centred means.

    Range [0, 1]; 0 when all pairs keep the same angle, as K = 2 always does. Unchanged by rotation, shift and scale.

    Args:
        features: Features of shape (N, D), or ``ClassStatistics``.
        labels: Class numbers of shape (N,).
        num_classes: Number of classes; the largest label plus one if left out.

    Raises:
        DataError: a class mean coincides with their mean and so has no angle, or the input is bad.

    Source:
        Papyan, Han and Donoho (2020), doi:10.1073/pnas.2015509117.

    Example:
        >>> import torch
        >>> round(equiangularity(torch.tensor([[1.0], [2.0], [6.0]]), torch.tensor([0, 1, 2])), 6)  # cosines 1, -1, -1
        0.942809
    """
    return equiangularity_of(_means(features, labels, num_classes))


def etf_angle_error(features: Any, labels: Any = None, *, num_classes: int | None = None) -> float:
    """Mean over pairs of classes of abs(cosine + 1/(K−1)): how far the angles are from the simplex's.

    Range [0, 1 + 1/(K−1)]; 0 at a simplex ETF. Unchanged by rotation, shift and scale.

    Args:
        features: Features of shape (N, D), or ``ClassStatistics``.
        labels: Class numbers of shape (N,).
        num_classes: Number of classes; the largest label plus one if left out.

    Raises:
        DataError: a class mean coincides with their mean and so has no angle, or the input is bad.

    Source:
        Papyan, Han and Donoho (2020), doi:10.1073/pnas.2015509117.

    Example:
        >>> import torch
        >>> round(etf_angle_error(torch.eye(3), torch.tensor([0, 1, 2])), 12)
        0.0
    """
    return etf_angle_error_of(_means(features, labels, num_classes))


def etf_error(features: Any, labels: Any = None, *, num_classes: int | None = None) -> float:
    """Distance from the simplex ETF: ‖MMᵀ/‖MMᵀ‖_F − (I − 11ᵀ/K)/√(K−1)‖_F with M the centred class means (K, D).

    Range [0, √2); 0 at a simplex ETF of any size and orientation. Unchanged by rotation, shift and scale.

    Args:
        features: Features of shape (N, D), or ``ClassStatistics``.
        labels: Class numbers of shape (N,).
        num_classes: Number of classes; the largest label plus one if left out.

    Raises:
        DataError: all class means coincide, or the input is bad.

    Source:
        eq. 3 of Li et al. (2022), arXiv:2212.12206; Zhu et al. (2021), arXiv:2105.02375.

    Example:
        >>> import torch
        >>> round(etf_error(torch.eye(3), torch.tensor([0, 1, 2])), 12)
        0.0
    """
    return etf_error_of(_means(features, labels, num_classes))


def equinorm_of(centred: Tensor) -> float:
    """``equinorm`` of centred class means of shape (K, D)."""
    norms = torch.linalg.vector_norm(_unit_scale(centred), dim=1)
    return float(norms.std(correction=0) / norms.mean())


def equiangularity_of(centred: Tensor) -> float:
    """``equiangularity`` of centred class means of shape (K, D)."""
    return float(_cosines(centred).std(correction=0))


def etf_angle_error_of(centred: Tensor) -> float:
    """``etf_angle_error`` of centred class means of shape (K, D)."""
    return float((_cosines(centred) + 1 / (len(centred) - 1)).abs().mean())


def etf_error_of(centred: Tensor) -> float:
    """``etf_error`` of centred class means of shape (K, D)."""
    scaled = _unit_scale(centred)
    gram = scaled @ scaled.T
    classes = len(gram)
    simplex = torch.eye(classes, dtype=gram.dtype, device=gram.device) - 1 / classes
    return float(torch.linalg.norm(gram / torch.linalg.norm(gram) - simplex / (classes - 1) ** 0.5))


def _means(features: Any, labels: Any, num_classes: int | None) -> Tensor:
    with exact_products():
        return centred_means(moments_of(resolve(features, labels, num_classes), squares=False).means)


def centred_means(means: Tensor) -> Tensor:
    """Centred class means (K, D).

    Raises:
        DataError: they all coincide.
    """
    centred = centre_means(means)
    if not float(centred.abs().amax()) > 4 * torch.finfo(torch.float64).eps * float(means.abs().amax()):
        raise DataError(
            "all class means coincide, so their lengths and angles are undefined",
            where="features",
            remedy="check that the labels belong to these features",
        )
    return centred


def _unit_scale(centred: Tensor) -> Tensor:
    return centred / centred.abs().amax()


def _cosines(centred: Tensor) -> Tensor:
    scaled = _unit_scale(centred)
    norms = torch.linalg.vector_norm(scaled, dim=1)
    if not bool((norms > 1e-12 * norms.max()).all()):
        raise DataError(
            f"the mean of the {int(norms.argmin())}th present class coincides with the mean of all, so it has no angle",
            where="features",
            remedy="read equinorm and etf_error, which do not need angles",
        )
    units = scaled / norms[:, None]
    first, second = torch.triu_indices(len(units), len(units), 1, device=units.device)
    return (units @ units.T)[first, second]


def _shape_of_means(function: Callable[[Tensor], float], work: Work) -> float:
    return function(centred_means(work.means))


_SHAPE = (
    ("equinorm", equinorm_of, "how unequal the class means' lengths are, 0 when equal", EQUAL),
    ("equiangularity", equiangularity_of, "how unequal their angles are, 0 when equal", EQUAL),
    ("etf_angle_error", etf_angle_error_of, "how far their angles are from the widest possible, 0 at best", SIMPLEX),
    (
        "etf_error",
        etf_error_of,
        "distance of the class means from a simplex, 0 at best",
        ((0.2, "near the simplex"), (0.6, "on the way to it"), (float("inf"), "far from it")),
    ),
)
for _place, (_name, _function, _meaning, _scale) in enumerate(_SHAPE):
    register(
        Metric(
            _name,
            partial(_shape_of_means, _function),
            (Number(_name, _meaning, _scale, without_structure),),
            collapsed="down",
            streamed=True,
            position=60 + _place,
        )
    )
