"""The input of a network: loaders of the splits, training batches, and tensors computed once at the cut."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from ..data import AugmentSettings, DataBundle, PixelLoader, Preprocess, random_order
from ..engine import CachedBatches, PixelBatches, Rows, Runtime, StopRequest, read_split
from ..models import Network
from ..probes import class_weights, log_prior
from .balance import Balancing
from .recipe import batch_for
from .settings import TransferSettings
from .tuned import TunedNetwork

__all__ = ["Inputs"]

_EVAL_BATCH = 256
_CACHE_LIMIT = 2 << 30


class Inputs:
    """The images of a run, as its network takes them.

    Args:
        settings: Batch size, seed, workers, cache.
        bundle: The data.
        network: Says how images are prepared.
        runtime: Device and processes.
        stop: Asked between batches.
        balance: How classes of unequal size are made up for.
    """

    def __init__(
        self,
        settings: TransferSettings,
        bundle: DataBundle,
        network: Network,
        runtime: Runtime,
        stop: StopRequest,
        balance: Balancing = Balancing(),
    ) -> None:
        self.balance = balance
        self.settings, self.bundle, self.runtime, self.stop = settings, bundle, runtime, stop
        facts = network.describe()["preprocess"]
        self.preprocess = Preprocess(
            size=network.size,
            interpolation=facts["interpolation"],
            crop_pct=facts["crop_pct"],
            mean=tuple(facts["mean"]),
            std=tuple(facts["std"]),
            fit=settings.fit,
        )

    @property
    def batch_size(self) -> int:
        """Images in a training step: as asked for, or by the number of training images."""
        return self.settings.batch_size or batch_for(len(self.bundle.train))

    def loader(
        self,
        split: str,
        *,
        shuffle: bool = False,
        subset: np.ndarray | None = None,
        batch_size: int | None = None,
    ) -> PixelLoader:
        """Batches of a split: shuffled in the run's batch size for training, else in order and larger."""
        images = self.bundle.splits()[split]
        images = images if subset is None else images.subset(subset)
        return PixelLoader(
            images,
            self.preprocess,
            batch_size=min(batch_size or self.batch_size, len(images)) if shuffle else _EVAL_BATCH,
            shuffle=shuffle,
            seed=self.settings.seed,
            drop_last=shuffle,
            balanced=self.balance.kind == "sampler",
            num_workers=self.settings.num_workers,
            rank=self.runtime.rank,
            world_size=self.runtime.world_size,
        )

    def pixel_batches(
        self,
        level: int,
        strengths: AugmentSettings | None = None,
        *,
        rows: np.ndarray | None = None,
        batch_size: int | None = None,
    ) -> PixelBatches:
        """Training batches of pixels, of all training images or of ``rows``, augmented anew each epoch."""
        loader = self.loader("train", shuffle=True, subset=rows, batch_size=batch_size)
        return PixelBatches(loader, self.runtime.device, level=level, seed=self.settings.seed, settings=strengths)

    def cached(self, model: TunedNetwork, split: str, rows: np.ndarray | None = None) -> Tensor | None:
        """The input of the model's tuned part for a split's images, on the device; None where that is not to be kept."""
        loader = self.loader(split, subset=rows)
        total = len(loader.split)
        sample = self.sample(split, rows)
        if not self.settings.cache or not model.cut(sample):
            return None
        first = model.prefix(sample)
        if first[0].numel() * first.element_size() * total > _CACHE_LIMIT:
            return None
        kept = torch.zeros(total, *first.shape[1:], device=self.runtime.device)
        if kept.dim() == 4 and model.network.convolutional:
            kept = kept.contiguous(memory_format=torch.channels_last)
        model.eval()
        reading = read_split(
            lambda images: {"cut": model.prefix(images)},
            loader.epoch(0),
            total,
            self.runtime,
            sinks={"cut": Rows(total, values=kept)},
            stop=self.stop,
        )
        return reading.found["cut"]

    def cached_batches(
        self, inputs: Tensor, rows: np.ndarray | None = None, *, batch_size: int | None = None
    ) -> CachedBatches:
        """Training batches of tensors taken at the cut."""
        labels = torch.from_numpy(self.bundle.train.labels)
        labels = labels if rows is None else labels[torch.from_numpy(rows)]
        return CachedBatches(
            inputs,
            labels.to(self.runtime.device),
            batch_size=batch_size or self.batch_size,
            balanced=self.balance.kind == "sampler",
            seed=self.settings.seed,
            rank=self.runtime.rank,
            world_size=self.runtime.world_size,
        )

    @property
    def loss_weights(self) -> Tensor | None:
        """The weight of each class in the loss, shape (K,), on the device; None where all images count the same."""
        return self._of_classes(class_weights) if self.balance.kind == "weights" else None

    @property
    def loss_prior(self) -> Tensor | None:
        """The offset that the loss adds to the logits, shape (K,), on the device; None for nothing."""
        return self._of_classes(log_prior) if self.balance.kind == "logit-adjust" else None

    def _of_classes(self, count: Callable[[Tensor, int], Tensor]) -> Tensor:
        labels = torch.from_numpy(self.bundle.train.labels)
        return count(labels, len(self.bundle.class_names)).float().to(self.runtime.device)

    def labels(self, split: str) -> Tensor:
        """The labels of a split, shape (N,), on the device."""
        return torch.from_numpy(self.bundle.splits()[split].labels).to(self.runtime.device)

    def sample(self, split: str = "train", rows: np.ndarray | None = None) -> Tensor:
        """The first two images of a split, on the device."""
        return next(self.loader(split, subset=rows).epoch(0)).images[:2].to(self.runtime.device)

    def trial_rows(self, most: int) -> np.ndarray:
        """Training images for trials: ``most`` of them, by class in proportion, a function of the seed."""
        labels = self.bundle.train.labels
        if len(labels) <= most:
            return np.arange(len(labels))
        order = random_order(len(labels), self.settings.seed, 1 << 20)
        counts = np.bincount(labels, minlength=len(self.bundle.class_names))
        within = np.empty(len(labels), dtype=np.int64)
        for label in range(len(self.bundle.class_names)):
            rows = order[labels[order] == label]
            within[rows] = np.arange(len(rows))
        # Taking the samples with the smallest rank relative to their class's size keeps the classes' proportions.
        return np.sort(np.argsort((within + 0.5) / counts[labels], kind="stable")[:most])
