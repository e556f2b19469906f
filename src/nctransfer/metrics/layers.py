"""What a run writes down about one layer: the row of its ``layers``, whichever verb measured it."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from .measure import measure
from .statistics import ClassStatistics

__all__ = ["layer_row"]

_MEASURED = ("nc1", "nc1_null", "nc1_calibrated", "cdnv", "numerical_rank", "class_separation")


def layer_row(
    name: str,
    features: Tensor | ClassStatistics,
    labels: Tensor | None,
    *,
    num_classes: int,
    permutations: int = 20,
    seed: int = 0,
    penultimate: bool = False,
) -> dict[str, Any]:
    """Collapse of a layer as plain values: ``name``, ``dim``, ``nc1``, its null mean and spread, ``cdnv``, ranks.

    What is undefined, or needs samples where only statistics are there, is None, with the reason under ``notes``.

    Example:
        >>> import torch
        >>> features = torch.tensor([[0.0, 1.0], [0.5, 1.0], [4.0, 1.0], [4.5, 1.0]])
        >>> row = layer_row("fc", features, torch.tensor([0, 0, 1, 1]), num_classes=2)
        >>> row["name"], row["dim"], row["nc1"]
        ('fc', 2, 0.0078125)
    """
    collapse = measure(features, labels, num_classes=num_classes, permutations=permutations, seed=seed, only=_MEASURED)
    return {
        "name": name,
        "dim": features.dim if isinstance(features, ClassStatistics) else int(features.shape[1]),
        "nc1": collapse.nc1,
        "nc1_null_mean": collapse.nc1_null_mean,
        "nc1_null_std": collapse.nc1_null_std,
        "nc1_calibrated": collapse.nc1_calibrated,
        "cdnv": collapse.cdnv,
        "numerical_rank": collapse.numerical_rank,
        "class_separation": collapse.class_separation,
        "notes": {field: note for field, note in collapse.notes.items() if note != "not asked for"},
        "penultimate": penultimate,
    }
