"""The paper's tables and figures, one file each: claim, cells, published values, verdicts."""

from __future__ import annotations

from .catalogue import STUDIES, get_studies
from .runner import report_studies, run_studies
from .scales import SCALES, get_scale

__all__ = ["SCALES", "STUDIES", "get_scale", "get_studies", "report_studies", "run_studies"]
