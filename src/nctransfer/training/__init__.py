"""Pre-training: one loop, schedules, adversarial examples, checkpoints, and collapse watched as it happens."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..fronts import lazy_front

if TYPE_CHECKING:
    from ..engine import sgdr
    from .adversarial import pgd, robust_accuracy
    from .plan import plan_pretrain
    from .pretrain import PretrainResult, pretrain
    from .settings import PretrainSettings, make_settings

__all__ = lazy_front(
    __name__,
    {
        "adversarial": ["pgd", "robust_accuracy"],
        "plan": ["plan_pretrain"],
        "pretrain": ["PretrainResult", "pretrain"],
        "settings": ["PretrainSettings", "make_settings"],
        "task": ["sgdr"],
    },
)
