"""Which pretrained networks to start from: candidates in, an honest order out.

One pass per network gives the features of the downstream images. Beside a cross-validated probe, which leads, stand
collapse, the transferability scores, and the static facts that any ranking must beat.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..fronts import lazy_front

if TYPE_CHECKING:
    from .agreement import regret, weighted_tau
    from .api import auto_ranked, rank
    from .candidates import Candidate, find_candidates
    from .plan import plan_ranking
    from .result import RankResult
    from .run import run_rank
    from .settings import RankSettings, rank_settings, seconds_of
    from .tables import agreement_of_table, read_table

__all__ = lazy_front(
    __name__,
    {
        "agreement": ["regret", "weighted_tau"],
        "api": ["auto_ranked", "rank"],
        "candidates": ["Candidate", "find_candidates"],
        "plan": ["plan_ranking"],
        "result": ["RankResult"],
        "run": ["run_rank"],
        "settings": ["RankSettings", "rank_settings", "seconds_of"],
        "tables": ["agreement_of_table", "read_table"],
    },
)
