"""Export: a run's tuned model as one file for other runtimes, checked on the spot, and prediction from it without torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..fronts import lazy_front

if TYPE_CHECKING:
    from .exported import find_exported, predict_exported
    from .run import ExportReport, export_run
    from .settings import FORMATS, ExportSettings

__all__ = lazy_front(
    __name__,
    {
        "exported": ["find_exported", "predict_exported"],
        "run": ["ExportReport", "export_run"],
        "settings": ["FORMATS", "ExportSettings"],
    },
)
