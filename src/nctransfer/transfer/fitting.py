"""The loop that every tuning method goes through, by the optimiser and the schedule of its protocol."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..engine import Runtime, is_out_of_memory
from ..errors import ResourceError
from .batches import Batches
from .protocol import PRACTICAL, Protocol
from .tuned import TunedNetwork

__all__ = ["Diverged", "Fit", "FitOutcome", "fit"]


class Diverged(ResourceError):
    """The loss turned NaN or infinite."""


@dataclasses.dataclass(frozen=True)
class Fit:
    """How to train: the same for every method but the learning rate.

    Attributes:
        learning_rate: Peak rate of the tuned parameters.
        epochs: Passes over the training split.
        protocol: Optimiser, schedule and weight decay.
    """

    learning_rate: float
    epochs: int
    protocol: Protocol = PRACTICAL


@dataclasses.dataclass
class FitOutcome:
    """What training led to.

    Attributes:
        best_epoch: 0 is the state before the first step.
        val_accuracy: At the best epoch, a fraction.
        history: One entry an epoch: ``epoch``, ``train_loss``, ``val_accuracy``.
        seconds: Wall time of the training steps and the validation.
        steps: Number of optimiser steps.
    """

    best_epoch: int
    val_accuracy: float
    history: list[dict[str, float | int | None]]
    seconds: float
    steps: int


def fit(
    model: TunedNetwork,
    batches: Batches,
    validate: Callable[[TunedNetwork], float],
    plan: Fit,
    runtime: Runtime,
    *,
    from_cut: bool = False,
    keep_best: bool = True,
    advance: Callable[[int], None] = lambda parts: None,
) -> FitOutcome:
    """Train ``model`` and leave it at the epoch with the best validation accuracy (ties: the earliest).

    Args:
        model: On the runtime's device.
        batches: Training batches; with ``from_cut``, of tensors taken at the model's cut.
        validate: Gives the validation accuracy of the model.
        plan: Rate, epochs, weight decay.
        runtime: Device, precision, processes.
        from_cut: Whether the batches hold tensors taken at the cut.
        keep_best: False validates once, after the last epoch, and leaves the model there.
        advance: Told after each epoch.

    Raises:
        Diverged: the loss is not finite.
    """
    started = time.perf_counter()
    total = max(1, plan.epochs * len(batches))
    optimizer = plan.protocol.make_optimizer(model.tuned_parameters(), plan.learning_rate)
    wrapped, optimizer = runtime.prepare(model, optimizer)
    best = (0, validate(model) if keep_best else -1.0, model.tuned_state() if keep_best else {})
    history: list[dict[str, float | int | None]] = []
    if keep_best:
        history.append({"epoch": 0, "train_loss": None, "val_accuracy": best[1]})
    step = 0
    for epoch in range(1, plan.epochs + 1):
        model.train()
        losses: list[Tensor] = []
        for batch in batches.epoch(epoch - 1):
            for group in optimizer.param_groups:
                group["lr"] = plan.learning_rate * plan.protocol.rate(step, total)
            try:
                losses.append(
                    _step(wrapped, optimizer, batch.images, batch.labels, batches.batch_size, runtime, from_cut)
                )
            except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
                if not is_out_of_memory(error):
                    raise
                raise ResourceError(
                    f"out of memory in a training step of {batches.batch_size} images",
                    where=model.method.title,
                    remedy="use a smaller --batch-size or --image-size; finished methods are kept for --resume",
                ) from error
            step += 1
        loss = float(runtime.sum(torch.stack(losses).mean())) if losses else math.nan
        if not math.isfinite(loss):
            raise Diverged(
                f"the loss turned {loss} in epoch {epoch}, step {step}",
                where=f"{model.method.title}, learning rate {plan.learning_rate:g}",
                remedy="choose a smaller --lr; other finished methods are kept",
            )
        accuracy = validate(model) if keep_best or epoch == plan.epochs else None
        history.append({"epoch": epoch, "train_loss": loss, "val_accuracy": accuracy})
        if accuracy is not None and accuracy > best[1]:
            best = (epoch, accuracy, model.tuned_state() if keep_best else {})
        advance(1)
    if keep_best:
        model.load_tuned_state(best[2])
    model.eval()
    return FitOutcome(best[0], best[1], history, time.perf_counter() - started, step)


def _step(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    inputs: Tensor,
    labels: Tensor,
    global_batch: int,
    runtime: Runtime,
    from_cut: bool,
) -> Tensor:
    optimizer.zero_grad(set_to_none=True)
    with runtime.autocast():
        logits = model(inputs, from_cut=from_cut)
    # The sum over this process's share, over the size of the whole batch: processes may hold unequal shares, and the
    # average that their gradients go through then is that of the whole batch.
    loss = functional.cross_entropy(logits.float(), labels, reduction="sum") / global_batch
    runtime.backward(loss * runtime.world_size)
    optimizer.step()
    return loss.detach()
