"""Pre-training: one loop, schedules, adversarial examples, checkpoints, and collapse watched as it happens."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..fronts import lazy_front

if TYPE_CHECKING:
    from .adversarial import pgd, robust_accuracy
    from .pretrain import PretrainResult, pretrain
    from .schedules import sgdr
    from .settings import PretrainSettings

__all__ = lazy_front(
    __name__,
    {
        "adversarial": ["pgd", "robust_accuracy"],
        "pretrain": ["PretrainResult", "pretrain"],
        "schedules": ["sgdr"],
        "settings": ["PretrainSettings"],
    },
)
