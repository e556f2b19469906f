"""Full fine-tuning: every parameter learns."""

from __future__ import annotations

from ..runs import Mark
from .methods import TuningMethod

__all__ = ["FULL"]

FULL = TuningMethod(
    "full",
    "full fine-tuning",
    tunes="every parameter",
    mark=Mark(marker="^", colour="ink", dash="-."),
    whole=True,
)
