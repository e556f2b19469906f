"""Collapse of features: class statistics, NC1 to NC4, CDNV, ranks, noise floor and calibration.

Needs torch and NumPy, and nothing else but for saving statistics (safetensors) and the adapters of `training`.
"""

from __future__ import annotations

from .calibration import nc1_calibrated
from .classifier import ncc_agreement, self_duality
from .geometry import equiangularity, equinorm, etf_angle_error, etf_error
from .measure import METRICS, Collapse, measure
from .noise_floor import NoiseFloor, nc1_null
from .plane import CollapsePlane, collapse_plane
from .rank import numerical_rank
from .statistics import ClassStatistics
from .training import CollapseLogger, collapse_callback, collapse_metric
from .variability import cdnv, class_separation, nc1, vci

__all__ = [
    "METRICS",
    "ClassStatistics",
    "Collapse",
    "CollapseLogger",
    "CollapsePlane",
    "NoiseFloor",
    "cdnv",
    "class_separation",
    "collapse_callback",
    "collapse_metric",
    "collapse_plane",
    "equiangularity",
    "equinorm",
    "etf_angle_error",
    "etf_error",
    "measure",
    "nc1",
    "nc1_calibrated",
    "nc1_null",
    "ncc_agreement",
    "numerical_rank",
    "self_duality",
    "vci",
]
