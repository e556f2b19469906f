"""Pre-training as a task: SGD on a loss of class scores or embeddings, on clean or attacked images."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..data import Batch
from ..engine import SGDR, Constant, Moment, Plan, Runtime, Task, sgdr
from .adversarial import pgd
from .model import PretrainModel
from .settings import PretrainSettings

__all__ = ["PretrainTask", "plan_of", "sgdr"]


class PretrainTask(Task):
    """An encoder with its head and classifier, trained from random weights.

    Args:
        model: The model, on its device.
        loss: Maps outputs and labels to a scalar.
        settings: The run's settings.
        runtime: Device and precision.
    """

    name = "pre-training"
    advice = "try a smaller --lr, --precision fp32, or for mse smaller --kappa and --m"

    def __init__(self, model: PretrainModel, loss: nn.Module, settings: PretrainSettings, runtime: Runtime) -> None:
        self.model, self.criterion, self.settings, self.runtime = model, loss, settings, runtime
        self.classified = not isinstance(model.classifier, nn.Identity)

    def optimizer(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(
            self.model.parameters(),
            lr=self.settings.lr,
            momentum=self.settings.momentum,
            weight_decay=self.settings.weight_decay,
            nesterov=self.settings.nesterov,
        )

    def loss(self, forward: nn.Module, batch: Batch, moment: Moment) -> tuple[Tensor, Tensor | None]:
        images = batch.images if self.settings.adversarial is None else self._attacked(batch, moment)
        outputs = forward(images)
        views = len(images) // len(batch)
        if views > 1:
            outputs = outputs.unflatten(0, (views, len(batch))).transpose(0, 1)
        loss = self.criterion(outputs, batch.labels)
        return loss, (outputs.detach().argmax(1) == batch.labels).sum() if self.classified else None

    def _attacked(self, batch: Batch, moment: Moment) -> Tensor:
        settings = self.settings
        assert settings.adversarial is not None
        size = settings.attack_step_size
        with self.runtime.autocast():
            return pgd(
                self.model,
                batch.images.float() / 255,
                batch.labels,
                epsilon=settings.adversarial / 255,
                steps=settings.attack_steps,
                step_size=None if size is None else size / 255,
                loss=self.criterion,
                generator=torch.Generator(self.runtime.device).manual_seed(moment.key),
            )


def plan_of(settings: PretrainSettings) -> Plan:
    """How long and how fast the settings say to train."""
    if settings.schedule == "constant":
        schedule: SGDR | Constant = Constant(settings.lr)
    else:
        schedule = SGDR(settings.lr, settings.min_lr, settings.restart_every, settings.restart_factor)
    return Plan(
        epochs=settings.epochs,
        schedule=schedule,
        seed=settings.seed,
        accumulation=settings.accumulation,
        compile=settings.compile,
        save_every=settings.save_every,
    )
