"""Full fine-tuning: every parameter learns."""

from __future__ import annotations

from ...runs import Mark
from .base import TuningMethod, register

__all__ = ["FULL"]

FULL = register(
    TuningMethod(
        name="full",
        title="full fine-tuning",
        tunes="every parameter",
        mark=Mark(marker="^", colour="ink", dash="-."),
        short="Full FT",
        whole=True,
        step_share=1.0,
        trial_share=1.0,
    )
)
