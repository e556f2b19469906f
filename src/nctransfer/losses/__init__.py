"""Losses of pre-training, each as a function and as a module: cross-entropy, rescaled squares, supervised contrast."""

from __future__ import annotations

from .classification import CrossEntropy, RescaledMSE, cross_entropy, rescaled_mse, rescaling
from .contrastive import SupCon, anchors_without_positive, supcon
from .gather import gather_with_gradient

__all__ = [
    "LOSSES",
    "CrossEntropy",
    "RescaledMSE",
    "SupCon",
    "anchors_without_positive",
    "cross_entropy",
    "gather_with_gradient",
    "rescaled_mse",
    "rescaling",
    "supcon",
]

LOSSES = ("ce", "mse", "supcon")
