"""Measure how collapsed the features of a deep network are, and use that to transfer it better.

The names below are loaded on first use, so that ``import nctransfer`` and ``nctransfer --help`` answer without torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .fronts import lazy_front
from .version import __version__

if TYPE_CHECKING:
    from .metrics import ClassStatistics, measure
    from .ranking import rank
    from .runs import load_run
    from .training import pretrain
    from .transfer import ImageClassifier, auto, predict, probe, tune

__all__ = [
    "__version__",
    *lazy_front(
        __name__,
        {
            "metrics": ["ClassStatistics", "measure"],
            "ranking": ["rank"],
            "runs": ["load_run"],
            "training": ["pretrain"],
            "transfer": ["ImageClassifier", "auto", "predict", "probe", "tune"],
        },
    ),
]
