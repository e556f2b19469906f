"""The numbers that accumulated statistics can give, without the samples: what every watcher of a training logs."""

from __future__ import annotations

from ..errors import NCTransferError
from .measure import measure
from .statistics import ClassStatistics

__all__ = ["STREAMED", "streamed_numbers"]

STREAMED = ("nc1", "cdnv", "equinorm", "equiangularity", "etf_angle_error", "etf_error", "vci")


def streamed_numbers(statistics: ClassStatistics) -> dict[str, float]:
    """The numbers that are defined for these statistics; none where fewer than two classes were seen."""
    try:
        collapse = measure(statistics)
    except NCTransferError:
        return {}
    values = {name: getattr(collapse, name) for name in STREAMED}
    return {name: value for name, value in values.items() if value is not None}
