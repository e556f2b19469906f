"""Layer fine-tuning: one unit and the classifier learn (section 3.3 of the paper)."""

from __future__ import annotations

from ..runs import Mark
from .methods import TuningMethod

__all__ = ["LAYER"]

LAYER = TuningMethod(
    "layer",
    "layer fine-tuning",
    tunes="one block and the classifier",
    mark=Mark(marker="s", colour="ink", dash="--"),
    needs_unit=True,
)
