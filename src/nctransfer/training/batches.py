"""The training batches: pixels on the device, augmented there, in an order that is a function of (seed, epoch)."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from ..data import Batch, ImageSplit, PixelLoader, pixels_of
from ..data.augment import AugmentSettings, augment

__all__ = ["TrainBatches", "device_batches"]


class TrainBatches:
    """Augmented batches of a split.

    Pixels that fit stay on the device as uint8 and are gathered there; others come from worker processes.

    Args:
        loader: Gives order and pixels.
        device: Where the batches go.
        level: Augmentation level 1 to 5.
        views: Times that each image is drawn; the views stand one after the other in the batch.
        seed: Of the augmentation.
        settings: Strengths of the augmentation.
    """

    def __init__(
        self,
        loader: PixelLoader,
        device: torch.device,
        *,
        level: int,
        views: int = 1,
        seed: int = 0,
        settings: AugmentSettings | None = None,
    ) -> None:
        self.loader, self.device, self.level, self.views = loader, device, level, views
        self.seed, self.settings = seed, settings

    def __len__(self) -> int:
        return len(self.loader)

    def epoch(self, epoch: int, start_batch: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
        """Images (V·B, 3, H, W) uint8 and labels (B,) of each step, from ``start_batch`` on."""
        for batch in device_batches(self.loader, self.device, epoch, start_batch):
            views = [
                augment(
                    batch.images,
                    self.level,
                    seed=self.seed,
                    epoch=epoch,
                    indices=batch.indices,
                    view=view,
                    settings=self.settings,
                )
                for view in range(self.views)
            ]
            yield (views[0] if self.views == 1 else torch.cat(views)), batch.labels


def device_batches(loader: PixelLoader, device: torch.device, epoch: int = 0, start_batch: int = 0) -> Iterator[Batch]:
    """A loader's batches with images and labels on ``device``; indices stay on the host, where draws are made."""
    if device.type == "cpu":
        yield from loader.epoch(epoch, start_batch)
        return
    if not loader.in_memory:
        for batch in loader.epoch(epoch, start_batch):
            pinned = batch.images.pin_memory() if device.type == "cuda" else batch.images
            images = pinned.to(device, non_blocking=True)
            yield Batch(images, batch.labels.to(device, non_blocking=True), batch.indices)
        return
    pixels = _resident(loader.split, loader, device)
    order = torch.from_numpy(loader.order(epoch))
    labels = torch.from_numpy(loader.split.labels)
    for number in range(start_batch, len(loader)):
        whole = order[number * loader.batch_size : (number + 1) * loader.batch_size]
        first, last = (len(whole) * rank // loader.world_size for rank in (loader.rank, loader.rank + 1))
        rows = whole[first:last]
        there = rows.to(device, non_blocking=True)
        yield Batch(pixels[there], labels[rows].to(device, non_blocking=True), rows)


def _resident(split: ImageSplit, loader: PixelLoader, device: torch.device) -> Tensor:
    kept = getattr(split, "_on_device", None)
    if kept is None or kept[0] != (loader.preprocess.geometry, device):
        kept = ((loader.preprocess.geometry, device), pixels_of(split, loader.preprocess).to(device))
        split._on_device = kept  # type: ignore[attr-defined]
    return kept[1]
