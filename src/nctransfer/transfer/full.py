"""Full fine-tuning: every parameter learns."""

from __future__ import annotations

from .methods import TuningMethod

__all__ = ["FULL"]

FULL = TuningMethod("full", "full fine-tuning", whole=True)
