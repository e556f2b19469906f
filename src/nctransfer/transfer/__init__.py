"""Transfer: features of every layer, linear probes, the four tuning methods, the choice among them, and the main job."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..fronts import lazy_front

if TYPE_CHECKING:
    from ..engine import Watch
    from .api import auto, probe, tune
    from .handover import load_classifier, save_classifier
    from .methods import METHODS, TuningMethod, register
    from .predict import Prediction, predict
    from .protocol import PROTOCOLS, Protocol, get_protocol
    from .result import RunResult
    from .settings import METHOD_NAMES, TransferSettings
    from .tuned import TunedNetwork

__all__ = lazy_front(
    __name__,
    {
        "api": ["Watch", "auto", "probe", "tune"],
        "handover": ["load_classifier", "save_classifier"],
        "methods": ["METHODS", "TuningMethod", "register"],
        "predict": ["Prediction", "predict"],
        "protocol": ["PROTOCOLS", "Protocol", "get_protocol"],
        "result": ["RunResult"],
        "settings": ["METHOD_NAMES", "TransferSettings"],
        "tuned": ["TunedNetwork"],
    },
)
