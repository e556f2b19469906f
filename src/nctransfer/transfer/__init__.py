"""Transfer: features of every layer, linear probes, the four tuning methods, the choice among them, and the main job."""

from __future__ import annotations

from .api import auto, probe, tune
from .handover import load_classifier, save_classifier
from .methods import TunedNetwork, TuningMethod
from .predict import Prediction, predict
from .result import RunResult
from .settings import METHOD_NAMES, TransferSettings
from .watch import Watch
from .workbench import METHODS

__all__ = [
    "METHODS",
    "METHOD_NAMES",
    "Prediction",
    "RunResult",
    "TransferSettings",
    "TunedNetwork",
    "TuningMethod",
    "Watch",
    "auto",
    "load_classifier",
    "predict",
    "probe",
    "save_classifier",
    "tune",
]
