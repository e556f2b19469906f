"""Collapse of features: class statistics, NC1 to NC4, CDNV, ranks, noise floor and calibration.

Needs torch and NumPy, and nothing else but for saving statistics (safetensors) and the adapters of `training`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..fronts import lazy_front

if TYPE_CHECKING:
    from .calibration import nc1_calibrated
    from .classifier import ncc_agreement, self_duality
    from .geometry import equiangularity, equinorm, etf_angle_error, etf_error
    from .layers import layer_numbers, measure_layer
    from .measure import METRICS, Collapse, meanings, measure, verdict
    from .metric import REGISTRY, Metric, Number, register, registered
    from .noise_floor import NoiseFloor, nc1_null
    from .pairs import cdnv
    from .plane import CollapsePlane, SimplexPlane, collapse_plane, hardest_classes, simplex_plane
    from .rank import numerical_rank
    from .statistics import ClassStatistics
    from .trainer import collapse_trainer_callback
    from .training import CollapseLogger, collapse_callback, collapse_metric
    from .variability import class_separation, nc1, vci

__all__ = lazy_front(
    __name__,
    {
        "calibration": ["nc1_calibrated"],
        "classifier": ["ncc_agreement", "self_duality"],
        "geometry": ["equiangularity", "equinorm", "etf_angle_error", "etf_error"],
        "layers": ["layer_numbers", "measure_layer"],
        "measure": ["METRICS", "Collapse", "meanings", "measure", "verdict"],
        "metric": ["REGISTRY", "Metric", "Number", "register", "registered"],
        "pairs": ["cdnv"],
        "noise_floor": ["NoiseFloor", "nc1_null"],
        "plane": ["CollapsePlane", "SimplexPlane", "collapse_plane", "hardest_classes", "simplex_plane"],
        "rank": ["numerical_rank"],
        "statistics": ["ClassStatistics"],
        "trainer": ["collapse_trainer_callback"],
        "training": ["CollapseLogger", "collapse_callback", "collapse_metric"],
        "variability": ["class_separation", "nc1", "vci"],
    },
)
