"""Linear probes of frozen features: the certified solver, the path of strengths, standardising and scoring."""

from __future__ import annotations

from .linear_probe import DEFAULT_STRENGTHS, ChosenProbe, LinearProbe, choose_probe, fit_probe_path
from .scoring import accuracy_interval, balanced_accuracy
from .softmax_regression import Fit, SoftmaxRegression
from .standardise import standardise

__all__ = [
    "DEFAULT_STRENGTHS",
    "ChosenProbe",
    "Fit",
    "LinearProbe",
    "SoftmaxRegression",
    "accuracy_interval",
    "balanced_accuracy",
    "choose_probe",
    "fit_probe_path",
    "standardise",
]
