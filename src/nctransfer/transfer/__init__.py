"""Transfer: features of every layer, linear probes, the four tuning methods, the choice among them, and the main job."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..fronts import lazy_front

if TYPE_CHECKING:
    from ..engine import Diverged, Watch
    from .api import auto, probe, tune
    from .choose import Choice, Chooser
    from .estimator import ImageClassifier
    from .evaluate import cached_accuracy, run_split
    from .features import LayerFeatures, extract_features, measure_features
    from .grid import run_grid
    from .handover import load_classifier, save_classifier
    from .layer_collapse import layer_collapse
    from .mechanism import model_mechanism, split_mechanism
    from .methods import METHODS, Adapter, TuningMethod, find_method, register
    from .opening import about_sides, open_data, seen_before
    from .plan import plan_run
    from .predict import predict
    from .prediction import Prediction, decoding_of, predict_paths, temperature_of
    from .protocol import PROTOCOLS, Protocol, get_protocol
    from .result import RunResult
    from .run import run_transfer
    from .settings import METHOD_NAMES, TransferSettings, settings_from
    from .task import FitOutcome
    from .tuned import TunedNetwork
    from .tuning import train_method
    from .workbench import Workbench

__all__ = lazy_front(
    __name__,
    {
        "api": ["Watch", "auto", "probe", "tune"],
        "choose": ["Choice", "Chooser", "Diverged"],
        "evaluate": ["cached_accuracy", "run_split"],
        "features": ["LayerFeatures", "extract_features", "measure_features"],
        "estimator": ["ImageClassifier"],
        "grid": ["run_grid"],
        "handover": ["load_classifier", "save_classifier"],
        "layer_collapse": ["layer_collapse"],
        "mechanism": ["model_mechanism", "split_mechanism"],
        "methods": ["METHODS", "Adapter", "TuningMethod", "find_method", "register"],
        "opening": ["about_sides", "open_data", "seen_before"],
        "plan": ["plan_run"],
        "predict": ["predict"],
        "prediction": ["Prediction", "decoding_of", "predict_paths", "temperature_of"],
        "protocol": ["PROTOCOLS", "Protocol", "get_protocol"],
        "result": ["RunResult"],
        "run": ["run_transfer"],
        "settings": ["METHOD_NAMES", "TransferSettings", "settings_from"],
        "task": ["FitOutcome"],
        "tuned": ["TunedNetwork"],
        "tuning": ["train_method"],
        "workbench": ["Workbench"],
    },
)
