"""Measure how collapsed the features of a deep network are, and use that to transfer it better.

The names below are loaded on first use, so that ``import nctransfer`` and ``nctransfer --help`` answer without torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .metrics import ClassStatistics, measure
    from .training import pretrain
    from .transfer import auto, predict, probe, tune

__version__ = "0.1.0"

_HOMES = {
    "ClassStatistics": "metrics",
    "auto": "transfer",
    "measure": "metrics",
    "predict": "transfer",
    "pretrain": "training",
    "probe": "transfer",
    "tune": "transfer",
}

__all__ = ["ClassStatistics", "__version__", "auto", "measure", "predict", "pretrain", "probe", "tune"]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
