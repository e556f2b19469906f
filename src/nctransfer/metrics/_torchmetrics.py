"""Collapse as a torchmetrics Metric. Apart from the rest because torchmetrics is an extra."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric

from .statistics import ClassStatistics
from .streamed import streamed_numbers

__all__ = ["CollapseMetric"]


class CollapseMetric(Metric):
    """See ``collapse_metric``."""

    is_differentiable = False
    higher_is_better = None
    full_state_update = True

    counts: Any
    means: Any
    squares: Any
    scatter: Any

    def __init__(self, num_classes: int, dim: int, *, scatter: bool = True, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.empty = ClassStatistics(num_classes, dim, scatter=scatter)
        self.num_classes, self.dim, self.keeps_scatter = num_classes, dim, scatter
        for name, value in self.empty.state_dict().items():
            # Without a reduction, states arrive stacked by process; they are merged, not summed.
            self.add_state(name, default=value, dist_reduce_fx=None)
        self._running = ClassStatistics(num_classes, dim, scatter=scatter)
        self._last: Any = None

    def update(self, features: Tensor, labels: Tensor) -> None:
        """Take in features (B, D) with labels (B,)."""
        # The base class swaps states behind our back (reset, forward, sync, load); the tensor's identity tells.
        if self.counts is not self._last:
            self._running = self._from_states()
        self._running.update(features, labels)
        for name, value in self._running.state_dict().items():
            setattr(self, name, value)
        self._last = self.counts

    def compute(self) -> dict[str, Tensor]:
        """The defined numbers by name."""
        return {
            name: torch.tensor(value, dtype=torch.float64)
            for name, value in streamed_numbers(self._from_states()).items()
        }

    def _from_states(self) -> ClassStatistics:
        names = list(self.empty.state_dict())
        states = {name: getattr(self, name) for name in names}
        stacked = states["counts"].ndim > 1
        total = ClassStatistics(self.num_classes, self.dim, scatter=self.keeps_scatter, device=self.device)
        for part in range(len(states["counts"]) if stacked else 1):
            one = ClassStatistics(self.num_classes, self.dim, scatter=self.keeps_scatter, device=self.device)
            one.load_state_dict({name: value[part] if stacked else value for name, value in states.items()})
            total.merge(one)
        return total

    def set_dtype(self, dst_type: Any) -> CollapseMetric:
        """States stay float64."""
        return self
