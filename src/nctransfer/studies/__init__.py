"""The paper's tables and figures, one file each: claim, cells, published values, verdicts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..fronts import lazy_front

if TYPE_CHECKING:
    from .catalogue import STUDIES, cells_of, get_studies, minutes
    from .plan import plan_studies
    from .runner import report_studies, run_studies
    from .scales import SCALES, get_scale
    from .settings import PaperSettings

__all__ = lazy_front(
    __name__,
    {
        "catalogue": ["STUDIES", "cells_of", "get_studies", "minutes"],
        "plan": ["plan_studies"],
        "runner": ["report_studies", "run_studies"],
        "scales": ["SCALES", "get_scale"],
        "settings": ["PaperSettings"],
    },
)
