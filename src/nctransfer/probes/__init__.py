"""Linear probes of frozen features: of one layer and of all, the certified solver, cross-validation and scoring."""

from __future__ import annotations

from .balance import FIT_BALANCES, FitBalance, class_shares, class_weights, log_prior
from .criteria import CRITERIA, Criterion, criterion_terms, macro_f1
from .cross_validation import CrossValidated, cross_validate, fit_head
from .deep import DeepProbe, fit_deep, probe_layers, trust_scales, usable_layers
from .folds import NEVER_HELD_OUT, assign_folds, held_out_folds
from .layered_head import LayeredHead
from .linear_probe import DEFAULT_STRENGTHS, ChosenProbe, LinearProbe, choose_probe, fit_probe_path
from .scoring import accuracy_interval, balanced_accuracy, balanced_accuracy_interval
from .softmax_regression import Fit, SoftmaxRegression
from .standardise import standardise
from .temperature import Reliability, brier_score, calibration_error, chance_error, fit_temperature, reliability

__all__ = [
    "CRITERIA",
    "DEFAULT_STRENGTHS",
    "FIT_BALANCES",
    "NEVER_HELD_OUT",
    "ChosenProbe",
    "Criterion",
    "CrossValidated",
    "DeepProbe",
    "Fit",
    "FitBalance",
    "LayeredHead",
    "LinearProbe",
    "Reliability",
    "SoftmaxRegression",
    "accuracy_interval",
    "assign_folds",
    "balanced_accuracy",
    "balanced_accuracy_interval",
    "brier_score",
    "calibration_error",
    "chance_error",
    "choose_probe",
    "class_shares",
    "class_weights",
    "criterion_terms",
    "cross_validate",
    "fit_deep",
    "fit_head",
    "fit_probe_path",
    "fit_temperature",
    "held_out_folds",
    "log_prior",
    "macro_f1",
    "probe_layers",
    "reliability",
    "standardise",
    "trust_scales",
    "usable_layers",
]
