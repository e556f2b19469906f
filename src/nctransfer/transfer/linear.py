"""Linear probe: the network is frozen whole, only a new classifier learns (fixed-feature training in the paper)."""

from __future__ import annotations

from ..runs import Mark
from .methods import TuningMethod

__all__ = ["LINEAR"]

LINEAR = TuningMethod(
    "linear",
    "linear probe",
    tunes="a new classifier on the frozen network",
    mark=Mark(marker="o", colour="muted", dash=":"),
    phrase="the linear probe",
)
