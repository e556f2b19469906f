"""The metrics that a run writes down about each layer, whichever verb measures it."""

from __future__ import annotations

from torch import Tensor

from .measure import Collapse, measure
from .statistics import ClassStatistics

__all__ = ["measure_layer"]

_MEASURED = ("nc1", "nc1_null", "nc1_calibrated", "cdnv", "numerical_rank", "class_separation")


def measure_layer(
    features: Tensor | ClassStatistics,
    labels: Tensor | None,
    *,
    num_classes: int,
    permutations: int = 20,
    seed: int = 0,
) -> Collapse:
    """NC1 with its value under permuted labels and its calibration, CDNV, numerical rank and class separation.

    A number that is undefined, or needs samples where only statistics are there, is None, with the reason in ``notes``.

    Example:
        >>> import torch
        >>> features = torch.tensor([[0.0, 1.0], [0.5, 1.0], [4.0, 1.0], [4.5, 1.0]])
        >>> measure_layer(features, torch.tensor([0, 0, 1, 1]), num_classes=2).nc1
        0.0078125
    """
    return measure(features, labels, num_classes=num_classes, permutations=permutations, seed=seed, only=_MEASURED)
