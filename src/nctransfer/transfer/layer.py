"""Layer fine-tuning: one unit and the classifier learn (section 3.3 of the paper)."""

from __future__ import annotations

from .methods import TuningMethod

__all__ = ["LAYER"]

LAYER = TuningMethod("layer", "layer fine-tuning", needs_unit=True)
