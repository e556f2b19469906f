"""Reports: the JSON of a run folder in, one self-contained page out. Nothing here knows how a run was made."""

from __future__ import annotations

from .collapse_picture import draw_collapse
from .page import write_report, write_text

__all__ = ["draw_collapse", "write_report", "write_text"]
