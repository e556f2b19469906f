"""Tuning as a task: cross-entropy of a tuned network, validated after each epoch, left at the epoch that is kept."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..data import Batch
from ..engine import EpochReport, Moment, Plan, Task, Trained
from .averaging import choose_mixture, mix_states
from .protocol import PRACTICAL, Protocol
from .tuned import TunedNetwork

__all__ = ["FitOutcome", "TuningTask", "tuning_plan"]


@dataclasses.dataclass
class FitOutcome:
    """What training led to.

    Attributes:
        best_epoch: 0 is the state before the first step.
        val_accuracy: At the best epoch, a fraction.
        history: One entry an epoch: ``epoch``, ``train_loss``, ``val_accuracy``.
        seconds: Wall time of the training steps and the validation, those before a resumption included.
        steps: Number of optimiser steps.
        mixture: Share of the last epoch's weights in the model, the rest is the start; None where an epoch was kept.
    """

    best_epoch: int
    val_accuracy: float
    history: list[dict[str, Any]]
    seconds: float
    steps: int
    mixture: float | None = None


class TuningTask(Task):
    """A tuned network on its way to what its protocol keeps.

    That is the epoch with the best validation accuracy (ties: the earliest), the last epoch, or the mean of start and last
    epoch whose logits on the validation images have the smallest log-loss after temperature scaling.

    Args:
        model: On the runtime's device.
        learning_rate: Peak rate of the tuned parameters.
        protocol: Optimiser, schedule and which epoch is kept.
        validate: Gives the validation accuracy of the model.
        from_cut: Whether the batches hold tensors taken at the model's cut.
        keep_best: False validates once, after the last epoch, and leaves the model there; as the protocol says if left out.
        judge: Gives the model's logits on the validation images, and their labels; a mixture is chosen by them.
        share: Share of the last epoch's weights, where it is not to be chosen but was chosen before.
        label: What the journal calls this training; the method's name if left out.
    """

    advice = "choose a smaller --lr; other finished methods are kept"

    def __init__(
        self,
        model: TunedNetwork,
        learning_rate: float,
        protocol: Protocol = PRACTICAL,
        *,
        validate: Callable[[TunedNetwork], float],
        from_cut: bool = False,
        keep_best: bool | None = None,
        judge: Callable[[TunedNetwork], tuple[Tensor, Tensor]] | None = None,
        share: float | None = None,
        label: str | None = None,
    ) -> None:
        self.model: TunedNetwork = model
        self.learning_rate, self.protocol = learning_rate, protocol
        self.validate, self.from_cut = validate, from_cut
        self.mixes = protocol.epoch == "mixture" and keep_best is None
        self.keep_best = protocol.epoch == "best" if keep_best is None else keep_best
        self.judge, self.share = judge, share
        self.watches = self.keep_best or (self.mixes and share is None)  # validates after each epoch
        unit = "" if model.unit is None else f" of {model.unit}"
        self.name = f"{model.method.title}{unit}, learning rate {learning_rate:g}"
        self.label = label or model.method.name
        self.history: list[dict[str, Any]] = []
        self.best_epoch, self.best_accuracy, self.best_state = 0, -1.0, dict[str, Tensor]()
        self._compiled: list[nn.Module] = []

    def optimizer(self) -> torch.optim.Optimizer:
        return self.protocol.make_optimizer(self.model.tuned_parameters(), self.learning_rate)

    def loss(self, forward: nn.Module, batch: Batch, moment: Moment) -> tuple[Tensor, Tensor | None]:
        logits = forward(batch.images, from_cut=self.from_cut).float()
        loss = functional.cross_entropy(logits, batch.labels, reduction="sum") / len(batch)
        return loss, (logits.detach().argmax(1) == batch.labels).sum()

    def compiled(self) -> nn.Module:
        """The model with the blocks that run compiled, one by one: hooks and the cut stay outside the compiled code."""
        for module in self.model.running_blocks(self.from_cut):
            module.forward = torch.compile(module.forward)
            self._compiled.append(module)
        return self.model

    def state(self) -> dict[str, Tensor]:
        return self.model.tuned_state()

    def kept(self) -> dict[str, Tensor]:
        return self.best_state

    def facts(self) -> dict[str, Any]:
        return {"history": self.history, "best_epoch": self.best_epoch, "best_accuracy": self.best_accuracy}

    def restore(self, kept: Mapping[str, Tensor], facts: Mapping[str, Any]) -> None:
        device = next(self.model.parameters()).device
        self.best_state = {name: tensor.to(device) for name, tensor in kept.items()}
        self.history = list(facts["history"])
        self.best_epoch, self.best_accuracy = int(facts["best_epoch"]), float(facts["best_accuracy"])

    def begin(self, step: int) -> int:
        """Validate the start, unless that was done before ``step``; returns the number of epochs that were reported."""
        if step == 0 and self.mixes:
            self.best_state = self.model.tuned_state()
        if step == 0 and self.watches:
            self._consider(0, None, self.validate(self.model))
        return len(self.history) - self.watches

    def end_epoch(self, report: EpochReport, last: bool) -> float | None:
        """Validate, and keep the model if it is the best so far; returns the validation accuracy where it was taken."""
        needed = self.watches or (last and not self.mixes)
        accuracy = self.validate(self.model) if needed else None
        self._consider(report.epoch, report.train_loss, accuracy)
        return accuracy

    def finish(self, trained: Trained, seconds: float) -> FitOutcome:
        """Leave the model at the epoch that is kept, in eval mode."""
        for module in self._compiled:
            del module.__dict__["forward"]
        self._compiled.clear()
        mixture = self._mix() if self.mixes else None
        if self.keep_best:
            self.model.load_tuned_state(self.best_state)
        self.model.eval()
        return FitOutcome(self.best_epoch, self.best_accuracy, self.history, seconds, trained.step, mixture)

    def _mix(self) -> float:
        """Set the model between its start and its end; returns the share of the end."""
        start, end = self.best_state, self.model.tuned_state()
        self.best_epoch = len(self.history) - self.watches
        if self.share is not None:
            self.model.load_tuned_state(mix_states([start, end], [1.0 - self.share, self.share]))
            return self.share
        assert self.judge is not None, "a mixture is chosen by logits of validation images"

        def logits(state: Mapping[str, Tensor]) -> Tensor:
            self.model.load_tuned_state(dict(state))
            return judge(self.model)[0]

        judge = self.judge
        labels = judge(self.model)[1]
        state, chosen, _ = choose_mixture(start, [end], logits, labels)
        self.model.load_tuned_state(state)
        self.best_accuracy = chosen.accuracy
        return chosen.share

    def _consider(self, epoch: int, loss: float | None, accuracy: float | None) -> None:
        self.history.append({"epoch": epoch, "train_loss": loss, "val_accuracy": accuracy})
        if self.mixes:
            self.best_accuracy = self.best_accuracy if accuracy is None else accuracy
        elif accuracy is not None and accuracy > self.best_accuracy:
            self.best_epoch, self.best_accuracy = epoch, accuracy
            self.best_state = self.model.tuned_state() if self.keep_best else {}


def tuning_plan(task: TuningTask, epochs: int, *, seed: int = 0, accumulation: int = 1, compile: bool = False) -> Plan:
    """How long and how fast a task is tuned, with a checkpoint at the end of each epoch."""
    return Plan(
        epochs=epochs,
        schedule=task.protocol.schedule(task.learning_rate),
        seed=seed,
        accumulation=accumulation,
        compile=compile,
        save_epochs=True,
    )
