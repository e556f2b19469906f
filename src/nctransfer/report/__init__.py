"""Reports: the JSON of a run folder in, one self-contained page out. Nothing here knows how a run was made."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..fronts import lazy_front

if TYPE_CHECKING:
    from .collapse_picture import draw_collapse
    from .frontier import frontier_sentence
    from .lead import Lead, lead_of, lead_sentence
    from .page import write_report, write_text

__all__ = lazy_front(
    __name__,
    {
        "collapse_picture": ["draw_collapse"],
        "frontier": ["frontier_sentence"],
        "lead": ["Lead", "lead_of", "lead_sentence"],
        "page": ["write_report", "write_text"],
    },
)
