"""Linear probe: the network is frozen whole, only a new classifier learns (fixed-feature training in the paper)."""

from __future__ import annotations

from .methods import TuningMethod

__all__ = ["LINEAR"]

LINEAR = TuningMethod("linear", "linear probe")
