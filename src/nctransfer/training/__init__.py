"""Pre-training: one loop, schedules, adversarial examples, checkpoints, and collapse watched as it happens."""

from __future__ import annotations

from .adversarial import pgd, robust_accuracy
from .pretrain import PretrainResult, pretrain
from .schedules import sgdr
from .settings import PretrainSettings

__all__ = ["PretrainResult", "PretrainSettings", "pgd", "pretrain", "robust_accuracy", "sgdr"]
