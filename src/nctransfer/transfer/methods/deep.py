"""Methods that learn nothing but a classifier and fit it in closed form: the deep probe, and the probe of one layer."""

from __future__ import annotations

from ...runs import Mark
from .base import TuningMethod, register

__all__ = ["DEEP"]

DEEP = register(
    TuningMethod(
        name="deep",
        title="deep probe",
        tunes="a linear classifier over the features of all layers, on the frozen network",
        mark=Mark(marker="P", colour="muted", dash="-"),
        phrase="the deep probe",
        short="Deep probe",
        layered=True,
        fitted=True,
        step_share=0.01,
        trial_share=0.001,
    )
)
