"""Training batches, wherever they come from: one protocol, an order that is a function of (seed, epoch).

Pixels are streamed from workers or lie on the device, and are augmented there, each sample by its own draw; inputs of a
network's upper part lie on the device, computed once at the cut. For the same split, seed and batch size all of them give
the same samples in the same order.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from ..data import (
    AugmentSettings,
    Batch,
    ImageSplit,
    PixelLoader,
    augment,
    balanced_order,
    batch_rows,
    pixels_of,
    random_order,
)

__all__ = ["Batches", "CachedBatches", "PixelBatches", "device_batches"]


class Batches(Protocol):
    """A source of batches.

    Attributes:
        batch_size: Samples of a batch over all processes together.
        views: Times that each sample stands in a batch's inputs, one block of all samples after the other.
    """

    batch_size: int
    views: int

    def __len__(self) -> int:
        """Batches of an epoch."""
        ...

    def epoch(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        """This process's part of each batch of an epoch, from batch ``start`` on."""
        ...


class PixelBatches:
    """Batches of a split's pixels, augmented per sample on the device.

    Args:
        loader: Gives order and pixels.
        device: Where the batches go.
        level: Augmentation level, 1 (none) to 5.
        views: Draws of each image.
        seed: Of the augmentation; every draw is keyed by (seed, epoch, view, index).
        settings: Strengths of the augmentation.
    """

    def __init__(
        self,
        loader: PixelLoader,
        device: torch.device,
        *,
        level: int = 1,
        views: int = 1,
        seed: int = 0,
        settings: AugmentSettings | None = None,
    ) -> None:
        self.loader, self.device, self.level, self.views = loader, device, level, views
        self.seed, self.settings, self.batch_size = seed, settings, loader.batch_size

    def __len__(self) -> int:
        return len(self.loader)

    def epoch(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        for batch in device_batches(self.loader, self.device, epoch, start):
            views = [self._augmented(batch, epoch, view) for view in range(self.views)]
            yield Batch(views[0] if self.views == 1 else torch.cat(views), batch.labels, batch.indices)

    def _augmented(self, batch: Batch, epoch: int, view: int) -> Tensor:
        return augment(
            batch.images,
            self.level,
            seed=self.seed,
            epoch=epoch,
            indices=batch.indices if batch.keys is None else batch.keys,
            view=view,
            settings=self.settings,
        )


class CachedBatches:
    """Batches of tensors that were computed once, in the order in which :class:`PixelBatches` gives their images.

    Args:
        inputs: Shape (N, ...), one row a sample.
        labels: Shape (N,).
        batch_size: Over all processes.
        shuffle: Whether the order changes from epoch to epoch, and an incomplete last batch is left out.
        balanced: Whether a shuffled epoch holds every class equally often.
        seed: Of the order.
        rank, world_size: Which part of each batch is this process's.
    """

    views = 1

    def __init__(
        self,
        inputs: Tensor,
        labels: Tensor,
        *,
        batch_size: int,
        shuffle: bool = True,
        balanced: bool = False,
        seed: int = 0,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        self.inputs, self.labels, self.shuffle, self.seed = inputs, labels, shuffle, seed
        self.batch_size = min(batch_size, len(labels))
        self.rank, self.world_size = rank, world_size
        self._classes = labels.cpu().numpy() if balanced and shuffle else None

    def __len__(self) -> int:
        full, rest = divmod(len(self.labels), self.batch_size)
        return full + (rest > 0 and not self.shuffle)

    def epoch(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        num = len(self.labels)
        order = random_order(num, self.seed, epoch) if self.shuffle else np.arange(num)
        if self._classes is not None:
            order = balanced_order(self._classes, self.seed, epoch)
        for rows in batch_rows(
            order,
            self.batch_size,
            drop_last=self.shuffle,
            start=start,
            rank=self.rank,
            world_size=self.world_size,
        ):
            indices = torch.from_numpy(rows)
            # A slice is a view in the tensor's own layout; nothing is copied.
            taken = indices if self.shuffle else slice(int(rows[0]), int(rows[-1]) + 1) if len(rows) else slice(0)
            yield Batch(self.inputs[taken], self.labels[taken], indices)


def device_batches(loader: PixelLoader, device: torch.device, epoch: int = 0, start: int = 0) -> Iterator[Batch]:
    """A loader's batches with images and labels on ``device``; indices stay on the host, where draws are made.

    Pixels that the loader keeps in memory are copied to the device once and gathered there.
    """
    if device.type == "cpu":
        yield from loader.epoch(epoch, start)
        return
    if not loader.in_memory:
        for batch in loader.epoch(epoch, start):
            pinned = batch.images.pin_memory() if device.type == "cuda" else batch.images
            images = pinned.to(device, non_blocking=True)
            yield Batch(images, batch.labels.to(device, non_blocking=True), batch.indices, batch.keys)
        return
    pixels = _resident(loader.split, loader, device)
    labels = torch.from_numpy(loader.split.labels)
    keys = loader.keys(epoch, start)
    for place, part in enumerate(loader.rows(epoch, start)):
        rows = torch.from_numpy(part)
        there = rows.to(device, non_blocking=True)
        key = None if keys is None else torch.from_numpy(keys[place])
        yield Batch(pixels[there], labels[rows].to(device, non_blocking=True), rows, key)


def _resident(split: ImageSplit, loader: PixelLoader, device: torch.device) -> Tensor:
    kept = getattr(split, "_on_device", None)
    if kept is None or kept[0] != (loader.preprocess.geometry, device):
        kept = ((loader.preprocess.geometry, device), pixels_of(split, loader.preprocess).to(device))
        split._on_device = kept  # type: ignore[attr-defined]
    return kept[1]
