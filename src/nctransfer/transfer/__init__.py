"""Transfer: features of every layer, linear probes, the four tuning methods, the choice among them, and the main job."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..fronts import lazy_front

if TYPE_CHECKING:
    from ..engine import Watch
    from .api import auto, probe, tune
    from .grid import run_grid
    from .handover import load_classifier, save_classifier
    from .layer_collapse import layer_collapse
    from .methods import METHODS, TuningMethod, find_method, register
    from .plan import plan_run
    from .predict import Prediction, predict
    from .protocol import PROTOCOLS, Protocol, get_protocol
    from .result import RunResult
    from .settings import METHOD_NAMES, TransferSettings, settings_from
    from .tuned import TunedNetwork

__all__ = lazy_front(
    __name__,
    {
        "api": ["Watch", "auto", "probe", "tune"],
        "grid": ["run_grid"],
        "handover": ["load_classifier", "save_classifier"],
        "layer_collapse": ["layer_collapse"],
        "methods": ["METHODS", "TuningMethod", "find_method", "register"],
        "plan": ["plan_run"],
        "predict": ["Prediction", "predict"],
        "protocol": ["PROTOCOLS", "Protocol", "get_protocol"],
        "result": ["RunResult"],
        "settings": ["METHOD_NAMES", "TransferSettings", "settings_from"],
        "tuned": ["TunedNetwork"],
    },
)
