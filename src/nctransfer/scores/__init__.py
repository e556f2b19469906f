"""Transferability scores of the literature on a feature matrix: larger promises better transfer."""

from __future__ import annotations

from .baselines import linear_probe, nearest_neighbours
from .collapse import NCTIParts, ncti, ncti_parts
from .discriminant import h_score, regularised_h_score, sfda
from .evidence import log_me
from .geometry import gbc, parc, transrate
from .likelihood import leep, nce, nleep
from .table import NEEDS_SOURCE, SCORES, Scores, score_all

__all__ = [
    "NEEDS_SOURCE",
    "SCORES",
    "NCTIParts",
    "Scores",
    "gbc",
    "h_score",
    "leep",
    "linear_probe",
    "log_me",
    "nce",
    "ncti",
    "ncti_parts",
    "nearest_neighbours",
    "nleep",
    "parc",
    "regularised_h_score",
    "score_all",
    "sfda",
    "transrate",
]
