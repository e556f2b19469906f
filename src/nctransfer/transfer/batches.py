"""Where a tuning method's inputs come from: pixels augmented anew each epoch, or tensors computed once at the cut.

Both give the same order of samples for the same (seed, epoch), and both give each process its slice of a global batch.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

import torch
from torch import Tensor

from ..data import AugmentSettings, Batch, PixelLoader, augment, random_order

__all__ = ["AugmentedPixels", "Batches", "CachedInputs"]


class Batches(Protocol):
    """A source of training batches."""

    batch_size: int

    def epoch(self, epoch: int) -> Iterator[Batch]:
        """The batches of one epoch, this process's slice of each."""
        ...

    def __len__(self) -> int: ...


class AugmentedPixels:
    """Pixels from a loader, augmented per sample on the device.

    Args:
        loader: The loader of the training split.
        level: Augmentation level, 1 (none) to 5.
        settings: Strengths of the transforms.
        seed: Of the augmentation; every draw is keyed by (seed, epoch, index).
        device: Where to augment.
    """

    def __init__(
        self, loader: PixelLoader, level: int, settings: AugmentSettings, seed: int, device: torch.device
    ) -> None:
        self.loader, self.level, self.settings, self.seed, self.device = loader, level, settings, seed, device
        self.batch_size = loader.batch_size

    def __len__(self) -> int:
        return len(self.loader)

    def epoch(self, epoch: int) -> Iterator[Batch]:
        for batch in self.loader.epoch(epoch):
            images = batch.images.to(self.device, non_blocking=True)
            if self.level > 1:
                images = augment(
                    images, self.level, seed=self.seed, epoch=epoch, indices=batch.indices, settings=self.settings
                )
            yield Batch(images, batch.labels.to(self.device, non_blocking=True), batch.indices)


class CachedInputs:
    """Tensors computed once, in the order that :class:`PixelLoader` would give their images.

    Args:
        inputs: Shape (N, ...), one row a sample.
        labels: Shape (N,).
        batch_size: Over all processes.
        seed: Of the order.
    """

    def __init__(
        self, inputs: Tensor, labels: Tensor, *, batch_size: int, seed: int, rank: int = 0, world_size: int = 1
    ) -> None:
        self.inputs, self.labels = inputs, labels
        self.batch_size = min(batch_size, len(labels))
        self.seed, self.rank, self.world_size = seed, rank, world_size

    def __len__(self) -> int:
        return len(self.labels) // self.batch_size

    def epoch(self, epoch: int) -> Iterator[Batch]:
        order = torch.from_numpy(random_order(len(self.labels), self.seed, epoch))
        for start in range(0, len(self) * self.batch_size, self.batch_size):
            whole = order[start : start + self.batch_size]
            share = whole[self.rank * len(whole) // self.world_size : (self.rank + 1) * len(whole) // self.world_size]
            yield Batch(self.inputs[share], self.labels[share], share)
