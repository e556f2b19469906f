"""The numbers that accumulated statistics can give, without the samples: what every watcher of a training logs."""

from __future__ import annotations

from ..errors import NCTransferError
from .measure import measure
from .metric import REGISTRY
from .statistics import ClassStatistics

__all__ = ["streamed_numbers"]


def streamed_numbers(statistics: ClassStatistics) -> dict[str, float]:
    """The numbers that are defined for these statistics; none where fewer than two classes were seen."""
    try:
        names = [metric.name for metric in REGISTRY.values() if metric.streamed]
        collapse = measure(statistics, only=names)
    except NCTransferError:
        return {}
    values = {name: collapse.to_dict()[name] for name in names}
    return {name: value for name, value in values.items() if value is not None}
