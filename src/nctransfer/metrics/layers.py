"""The metrics that a run writes down about each layer, whichever verb measures it."""

from __future__ import annotations

from torch import Tensor

from .measure import Collapse, measure
from .metric import REGISTRY, Metric, Number
from .statistics import ClassStatistics

__all__ = ["layer_numbers", "measure_layer"]


def layer_numbers() -> list[tuple[Metric, Number]]:
    """The numbers that runs write down about each layer, with their metrics, in the order of tables.

    Example:
        >>> [number.title for _, number in layer_numbers()][:2]
        ['NC1', 'NC1, shuffled labels']
    """
    return [(metric, number) for metric in REGISTRY.values() if metric.by_layer for number in metric.numbers]


def measure_layer(
    features: Tensor | ClassStatistics,
    labels: Tensor | None,
    *,
    num_classes: int,
    permutations: int = 20,
    seed: int = 0,
) -> Collapse:
    """Every metric that is registered for layers: NC1, its value under permuted labels, CDNV and others.

    A number that is undefined, or needs samples where only statistics are there, is None, with the reason in ``notes``.

    Example:
        >>> import torch
        >>> features = torch.tensor([[0.0, 1.0], [0.5, 1.0], [4.0, 1.0], [4.5, 1.0]])
        >>> measure_layer(features, torch.tensor([0, 0, 1, 1]), num_classes=2).nc1
        0.0078125
    """
    wanted = [metric.name for metric in REGISTRY.values() if metric.by_layer]
    return measure(features, labels, num_classes=num_classes, permutations=permutations, seed=seed, only=wanted)
