"""Transferability scores of the literature on a feature matrix: larger promises better transfer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..fronts import lazy_front

if TYPE_CHECKING:
    from .baselines import linear_probe, nearest_neighbours
    from .collapse import NCTIParts, ncti, ncti_parts
    from .discriminant import h_score, regularised_h_score, sfda
    from .evidence import log_me
    from .geometry import gbc, parc, transrate
    from .inputs import FeatureMatrix, prepare
    from .likelihood import leep, nce, nleep
    from .table import NEEDS_SOURCE, SCORES, Scores, score_all

__all__ = lazy_front(
    __name__,
    {
        "baselines": ["linear_probe", "nearest_neighbours"],
        "collapse": ["NCTIParts", "ncti", "ncti_parts"],
        "discriminant": ["h_score", "regularised_h_score", "sfda"],
        "evidence": ["log_me"],
        "geometry": ["gbc", "parc", "transrate"],
        "inputs": ["FeatureMatrix", "prepare"],
        "likelihood": ["leep", "nce", "nleep"],
        "table": ["NEEDS_SOURCE", "SCORES", "Scores", "score_all"],
    },
)
