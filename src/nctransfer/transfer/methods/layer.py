"""Layer fine-tuning: one block and the classifier learn (section 3.3 of the paper)."""

from __future__ import annotations

from ...runs import Mark
from .base import TuningMethod, register

__all__ = ["LAYER"]

LAYER = register(
    TuningMethod(
        name="layer",
        title="layer fine-tuning",
        tunes="one block and the classifier",
        mark=Mark(marker="s", colour="ink", dash="--"),
        short="Layer FT",
        needs_unit=True,
    )
)
