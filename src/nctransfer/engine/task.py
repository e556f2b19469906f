"""A task: a model, its optimiser and the loss of a batch. Everything else about training is the loop's."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ..data import Batch

__all__ = ["Moment", "Task"]


@dataclass(frozen=True)
class Moment:
    """When a step is taken.

    Attributes:
        step: Number of the step, from 0.
        epoch: Number of its epoch, from 0.
        key: Seed of whatever is drawn in this step, a function of the run's seed, the step and the process.
    """

    step: int
    epoch: int
    key: int


class Task(ABC):
    """The object that :func:`~nctransfer.engine.train` trains.

    Attributes:
        name: Words for messages, and what tells this task's checkpoints from another's.
        model: The module whose forward is called and whose state is saved.
        advice: What to try when the loss is no longer finite.
    """

    name: str
    model: nn.Module
    advice = "try a smaller --lr, or --precision fp32"

    @abstractmethod
    def optimizer(self) -> torch.optim.Optimizer:
        """A new optimiser of what learns. A group's entry ``factor`` scales the plan's rate for its parameters."""

    @abstractmethod
    def loss(self, forward: nn.Module, batch: Batch, moment: Moment) -> tuple[Tensor, Tensor | None]:
        """Mean loss over the samples of a batch, and how many of them were classified right (None where undefined).

        Args:
            forward: ``model``, as it is to be called: compiled, or averaged over processes.
            batch: A batch of the training batches, or a part of one.
            moment: When.
        """

    def compiled(self) -> nn.Module:
        """The model with its forward compiled; called once, before the first step."""
        return torch.compile(self.model)  # type: ignore[return-value]

    def after_step(self, moment: Moment) -> None:
        """Called after each step of the optimiser."""
        return

    def state(self) -> dict[str, Tensor]:
        """The part of the model that training changes, by the names of its ``state_dict``."""
        return self.model.state_dict()

    def kept(self) -> dict[str, Tensor]:
        """Further tensors that a checkpoint must hold, such as the weights of the best epoch."""
        return {}

    def facts(self) -> dict[str, Any]:
        """Further plain values that a checkpoint must hold."""
        return {}

    def restore(self, kept: Mapping[str, Tensor], facts: Mapping[str, Any]) -> None:
        """Take back what :meth:`kept` and :meth:`facts` gave; the model and optimiser are restored already."""
        return
