"""Linear probe: the network is frozen whole, only a new classifier learns (fixed-feature training in the paper)."""

from __future__ import annotations

from ...runs import Mark
from .base import TuningMethod, register

__all__ = ["LINEAR"]

LINEAR = register(
    TuningMethod(
        name="linear",
        title="linear probe",
        tunes="a new classifier on the frozen network",
        mark=Mark(marker="o", colour="muted", dash=":"),
        phrase="the linear probe",
        short="Linear probe",
        step_share=0.0,
        trial_share=0.02,
    )
)
