"""Tuning as a task: cross-entropy of a tuned network, validated after each epoch, left at the epoch that is kept."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..data import Batch
from ..engine import EpochReport, Moment, Plan, Task, Trained
from .protocol import PRACTICAL, Protocol
from .tuned import TunedNetwork

__all__ = ["FitOutcome", "TuningTask", "tuning_plan"]


@dataclasses.dataclass
class FitOutcome:
    """The end of a tuning.

    Attributes:
        best_epoch: 0 is the state before the first step.
        val_accuracy: At the best epoch, a fraction.
        history: One entry an epoch: ``epoch``, ``train_loss``, ``val_accuracy``.
        seconds: Wall time of the training steps and the validation, those before a resumption included.
        steps: Number of optimiser steps.
        weights: What each rate's last epoch counts in the weights that were kept, by rate, the rest is the start; empty
            where an epoch was kept.
    """

    best_epoch: int
    val_accuracy: float
    history: list[dict[str, Any]]
    seconds: float
    steps: int
    weights: dict[str, float] = dataclasses.field(default_factory=dict)


class TuningTask(Task):
    """A tuned network on its way to the epoch with the best validation accuracy or score (ties: the earliest), or to the last.

    Where the protocol mixes start and end, that is done afterwards: the task ends at the last epoch (see `mixing`).

    Args:
        model: On the runtime's device.
        learning_rate: Peak rate of the tuned parameters.
        protocol: Optimiser, schedule and which epoch is kept.
        validate: Gives the validation accuracy of the model.
        from_cut: Whether the batches hold tensors taken at the model's cut.
        keep_best: False validates once, after the last epoch, and leaves the model there; as the protocol says if left out.
        watch: Whether a task whose ends are mixed validates after each epoch, or not at all.
        label: What the journal calls this training; the method's name if left out.
        score: Decides between epochs where the best is kept, larger is better; the validation accuracy if None.
        class_weights: What each class counts in the loss, shape (K,); 1 if None.
        log_prior: Added to the logits in the loss alone, shape (K,); nothing if None.
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
        watch: bool = True,
        label: str | None = None,
        score: Callable[[TunedNetwork], float] | None = None,
        class_weights: Tensor | None = None,
        log_prior: Tensor | None = None,
    ) -> None:
        self.model: TunedNetwork = model
        self.learning_rate, self.protocol = learning_rate, protocol
        self.validate, self.from_cut = validate, from_cut
        self.class_weights, self.log_prior = class_weights, log_prior
        self.keep_best = protocol.epoch == "best" if keep_best is None else keep_best
        self.score = score if self.keep_best else None
        mixed = protocol.epoch == "mixture" and keep_best is None
        self.watches = self.keep_best or (mixed and watch)
        self.judges_end = not (mixed and not watch)
        self.label = label or model.method.name
        unit = "" if model.unit is None else f" of {model.unit}"
        # Checkpoints carry this name: the training on all images never takes up one of the training before it.
        which = "" if self.label == model.method.name else f" ({self.label})"
        self.name = f"{model.method.title}{unit}{which}, learning rate {learning_rate:g}"
        self.history: list[dict[str, Any]] = []
        self.best_epoch, self.best_accuracy, self.best_state = 0, -1.0, dict[str, Tensor]()
        self.best_score = -math.inf
        self._compiled: list[nn.Module] = []

    def optimizer(self) -> torch.optim.Optimizer:
        return self.protocol.make_optimizer(self.model.tuned_parameters(), self.learning_rate)

    def loss(self, forward: nn.Module, batch: Batch, moment: Moment) -> tuple[Tensor, Tensor | None]:
        logits = forward(batch.images, from_cut=self.from_cut).float()
        scores = logits if self.log_prior is None else logits + self.log_prior
        loss = functional.cross_entropy(scores, batch.labels, self.class_weights, reduction="sum") / len(batch)
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
        facts = {"history": self.history, "best_epoch": self.best_epoch, "best_accuracy": self.best_accuracy}
        return facts if self.score is None else {**facts, "best_score": self.best_score}

    def restore(self, kept: Mapping[str, Tensor], facts: Mapping[str, Any]) -> None:
        device = next(self.model.parameters()).device
        self.best_state = {name: tensor.to(device) for name, tensor in kept.items()}
        self.history = list(facts["history"])
        self.best_epoch, self.best_accuracy = int(facts["best_epoch"]), float(facts["best_accuracy"])
        self.best_score = float(facts.get("best_score", self.best_accuracy))

    def begin(self, step: int) -> int:
        """Validate the start, unless that was done before ``step``; returns the number of epochs that were reported."""
        if step == 0 and self.watches:
            self._consider(0, None, self.validate(self.model))
        return len(self.history) - self.watches

    def end_epoch(self, report: EpochReport, last: bool) -> float | None:
        """Validate, and keep the model if it is the best so far; returns the validation accuracy where it was taken."""
        accuracy = self.validate(self.model) if self.watches or (last and self.judges_end) else None
        self._consider(report.epoch, report.train_loss, accuracy)
        return accuracy

    def finish(self, trained: Trained, seconds: float) -> FitOutcome:
        """Leave the model at the epoch that is kept, in eval mode."""
        for module in self._compiled:
            del module.__dict__["forward"]
        self._compiled.clear()
        if self.keep_best:
            self.model.load_tuned_state(self.best_state)
        self.model.eval()
        return FitOutcome(self.best_epoch, self.best_accuracy, self.history, seconds, trained.step)

    def _consider(self, epoch: int, loss: float | None, accuracy: float | None) -> None:
        self.history.append({"epoch": epoch, "train_loss": loss, "val_accuracy": accuracy})
        if accuracy is None:
            return
        score = accuracy if self.score is None else self.score(self.model)
        if score > self.best_score or not self.keep_best:
            self.best_epoch, self.best_accuracy, self.best_score = epoch, accuracy, score
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
