"""Batches of pixels, in an order that is a function of (seed, epoch).

Decoded pixels stay in memory where they fit, else images are decoded as they are needed, by worker processes or in this
one. The bits are the same on each road.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import psutil
import torch

from ..errors import UsageError
from .order import balanced_order, batch_rows, occurrences, random_order
from .parallel import for_each
from .preprocess import Preprocess
from .splits import ImageSplit
from .workers import decode_in_workers

__all__ = ["Batch", "PixelLoader", "pixels_of"]


@dataclass
class Batch:
    """Images of one step.

    Attributes:
        images: Shape (B, 3, S, S), uint8.
        labels: Shape (B,), int64.
        indices: Shape (B,), int64; positions in the split.
        keys: Shape (B,), int64; what augmentation is drawn by where a position stands in an epoch more than once; the
            positions where None.
    """

    images: torch.Tensor
    labels: torch.Tensor
    indices: torch.Tensor
    keys: torch.Tensor | None = None

    def __len__(self) -> int:
        return len(self.labels)


class PixelLoader:
    """Batches of a split, prepared for a network.

    Args:
        split: The images.
        preprocess: What makes squares of them.
        batch_size: Images of a batch over all ranks together.
        shuffle: Whether the order changes from epoch to epoch; it is a function of (seed, epoch).
        seed: Of the order.
        drop_last: Whether a last batch with fewer images is left out.
        balanced: Whether a shuffled epoch holds every class equally often, in as many images as the split has.
        num_workers: Processes that decode where pixels are not kept in memory.
        memory_limit: Most bytes of pixels to keep in memory; 0 always decodes anew.
        rank, world_size: Of B images in a batch, this rank yields those from ``B * rank // world_size`` up to
            ``B * (rank + 1) // world_size``: every rank takes the same number of steps.

    Example:
        >>> from nctransfer.data import open_dataset
        >>> split = open_dataset("digits", check=False).test
        >>> loader = PixelLoader(split, Preprocess(size=16), batch_size=100, shuffle=True)
        >>> len(loader), next(loader.epoch(0)).images.shape
        (4, torch.Size([100, 3, 16, 16]))
    """

    def __init__(
        self,
        split: ImageSplit,
        preprocess: Preprocess,
        *,
        batch_size: int,
        shuffle: bool = False,
        seed: int = 0,
        drop_last: bool = False,
        balanced: bool = False,
        num_workers: int = 0,
        memory_limit: int = 2 << 30,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        if batch_size < 1:
            raise UsageError(f"`batch_size` must be at least 1, got {batch_size}")
        if num_workers < 0:
            raise UsageError(f"`num_workers` must be at least 0, got {num_workers}")
        if not 0 <= rank < world_size:
            raise UsageError(f"`rank` must lie in [0, {world_size}), got {rank}")
        self.split, self.preprocess, self.batch_size = split, preprocess, batch_size
        self.shuffle, self.seed, self.drop_last = shuffle, seed, drop_last
        self.balanced = balanced and shuffle
        self.num_workers, self.rank, self.world_size = num_workers, rank, world_size
        size = len(split) * 3 * preprocess.size**2
        # The bits do not depend on the road, so what this machine has left may choose it.
        self.in_memory = size <= min(memory_limit, psutil.virtual_memory().available // 2)

    def __len__(self) -> int:
        """Batches of an epoch."""
        full, rest = divmod(len(self.split), self.batch_size)
        return full + (rest > 0 and not self.drop_last)

    def order(self, epoch: int = 0) -> np.ndarray:
        """Positions of the split in the order of this epoch, over all ranks, shape (N,)."""
        num = len(self.split)
        if self.balanced:
            return balanced_order(self.split.labels, self.seed, epoch)
        return random_order(num, self.seed, epoch) if self.shuffle else np.arange(num)

    def rows(self, epoch: int = 0, start_batch: int = 0) -> list[np.ndarray]:
        """Positions of the split that this rank yields, one array a batch."""
        return self._cut(self.order(epoch), start_batch)

    def keys(self, epoch: int = 0, start_batch: int = 0) -> list[np.ndarray] | None:
        """The numbers that the augmentation of these positions is drawn by, where they are not the positions themselves."""
        if not self.balanced:
            return None
        order = self.order(epoch)
        return self._cut(order + len(self.split) * occurrences(order), start_batch)

    def _cut(self, order: np.ndarray, start_batch: int) -> list[np.ndarray]:
        return batch_rows(
            order,
            self.batch_size,
            drop_last=self.drop_last,
            start=start_batch,
            rank=self.rank,
            world_size=self.world_size,
        )

    def epoch(self, epoch: int = 0, start_batch: int = 0) -> Iterator[Batch]:
        """The batches of one epoch, from ``start_batch`` on.

        Raises:
            DataError: an image cannot be read.
            ResourceError: a worker process died.
        """
        batches, keys = self.rows(epoch, start_batch), self.keys(epoch, start_batch)
        labels = torch.from_numpy(self.split.labels)
        for place, (rows, images) in enumerate(self._images(batches)):
            indices = torch.from_numpy(rows)
            yield Batch(images, labels[indices], indices, None if keys is None else torch.from_numpy(keys[place]))

    def _images(self, batches: list[np.ndarray]) -> Iterator[tuple[np.ndarray, torch.Tensor]]:
        if self.in_memory:
            pixels = pixels_of(self.split, self.preprocess)
            for rows in batches:
                yield rows, pixels[torch.from_numpy(rows)]
        elif self.num_workers == 0:
            for rows in batches:
                yield rows, _decode(self.split, self.preprocess, rows)
        else:
            decoded = decode_in_workers(self.split, self.preprocess, batches, self.num_workers)
            with contextlib.closing(decoded):
                for rows, array in zip(batches, decoded, strict=True):
                    yield rows, torch.from_numpy(array)


def pixels_of(split: ImageSplit, preprocess: Preprocess) -> torch.Tensor:
    """All pixels of a split, shape (N, 3, S, S), uint8; decoded once and kept with the split.

    Only the last size asked for is kept, and only as long as the split lives.
    """
    kept = split.pixel_cache
    if kept is None or kept[0] != preprocess.geometry:
        pixels = _decode(split, preprocess, np.arange(len(split)), what="decoding images")
        split.pixel_cache = kept = (preprocess.geometry, pixels)
    return kept[1]


def _decode(split: ImageSplit, preprocess: Preprocess, rows: np.ndarray, what: str | None = None) -> torch.Tensor:
    pixels = np.empty((len(rows), 3, preprocess.size, preprocess.size), dtype=np.uint8)

    def decode(position: int) -> None:
        pixels[position] = preprocess.array(split.image(rows[position])).transpose(2, 0, 1)

    for_each(decode, len(rows), what=what)
    return torch.from_numpy(pixels)
