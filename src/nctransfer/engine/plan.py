"""The inputs and outputs of a loop: the plan, the hooks between steps, and the reports."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from .checkpoints import Checkpoints
from .interruption import StopRequest
from .schedules import Schedule

__all__ = ["EpochReport", "Hooks", "Plan", "Trained"]


@dataclass(frozen=True)
class Plan:
    """How long and how fast to train.

    Attributes:
        epochs: Passes over the batches.
        schedule: Learning rate of each step.
        seed: Of whatever a step draws.
        accumulation: Parts into which a batch is split to save memory.
        compile: Whether the model's forward is compiled.
        save_every: Steps between checkpoints; None for time alone.
        save_epochs: Whether a checkpoint is written at the end of each epoch.
    """

    epochs: int
    schedule: Schedule
    seed: int = 0
    accumulation: int = 1
    compile: bool = False
    save_every: int | None = None
    save_epochs: bool = False


@dataclass(frozen=True)
class EpochReport:
    """Report of an epoch: its number from 1, the step it ended at, its last rate, mean loss, and seconds so far."""

    epoch: int
    step: int
    lr: float
    train_loss: float
    running_accuracy: float | None
    seconds: float


@dataclass
class Hooks:
    """Callbacks of the loop between steps. All of it may be left out.

    Attributes:
        checkpoints: Where the state is saved.
        resume: Whether to go on from the newest checkpoint of this task.
        stop: Says whether to stop.
        begin: Told the step from which training goes on; returns the number of epochs that were reported before.
        epoch: Told of each epoch, in all processes; True ends the training.
    """

    checkpoints: Checkpoints | None = None
    resume: bool = False
    stop: StopRequest = field(default_factory=StopRequest)
    begin: Callable[[int], int] = lambda step: 0
    epoch: Callable[[EpochReport], bool | None] = lambda report: None


@dataclass(frozen=True)
class Trained:
    """The end of a training.

    Attributes:
        step: The step that it ended at, those before a resumption included.
        seconds: Spent in steps, before a resumption too.
    """

    step: int
    seconds: float
