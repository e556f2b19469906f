"""Opening a pre-training run: its data, its training images, its network, and the check of settings against them."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
from torch import nn

from ..data import DataBundle, ImageSplit, open_dataset
from ..engine import Runtime
from ..errors import UsageError
from ..models import Network, wrap_module
from .model import build_network
from .settings import PretrainSettings

__all__ = ["check_batches", "open_data", "open_network", "whole_train"]


def open_data(
    data: str | Path | DataBundle, settings: PretrainSettings, download: bool, skipped_csv: Path | None
) -> DataBundle:
    """The data of a run, opened as its settings say."""
    if isinstance(data, DataBundle):
        return data
    return open_dataset(
        data,
        seed=settings.seed,
        limit=settings.limit,
        on_bad_image=settings.on_bad_image,
        skipped_csv=skipped_csv,
        download=download,
        **settings.columns(),
    )


def whole_train(bundle: DataBundle) -> ImageSplit:
    """The training images with those that were drawn for validation put back; a validation split that came with the
    data stays out."""
    train, validation = bundle.train, bundle.validation
    if "validation" not in bundle.report["source"]["drawn"]:
        return train
    indices = np.concatenate([train.indices, validation.indices])
    labels = np.concatenate([train.labels, validation.labels])
    order = np.argsort(indices, kind="stable")
    return ImageSplit(train.source, indices[order], labels[order], train.class_names)


def open_network(settings: PretrainSettings, network: nn.Module | None) -> Network:
    """The network of a run: one's own, or the one that the settings name."""
    if network is None:
        return build_network(settings)
    if isinstance(network, Network):
        return network
    return wrap_module(network, size=settings.image_size).optimise_layout()


def check_batches(settings: PretrainSettings, runtime: Runtime, num_images: int) -> list[str]:
    """Refuse settings that these images and processes do not allow, and warn of those that are valid but rarely intended.

    Returns:
        The warnings, which are given, too.

    Raises:
        UsageError: batches cannot be shared or split like this, or the device cannot do what is asked for.
    """
    batch_size = min(settings.batch_size, num_images)
    if batch_size % runtime.world_size:
        raise UsageError(
            f"batches of {batch_size} cannot be shared evenly by {runtime.world_size} processes",
            where="--batch-size",
            remedy=f"use a multiple of {runtime.world_size}",
        )
    if batch_size // settings.accumulation < 2:
        raise UsageError(
            f"batches of {batch_size} in {settings.accumulation} parts leave single images, on which BatchNorm and "
            "SupCon are undefined",
            where="--accumulation",
            remedy=f"use at most {batch_size // 2}",
        )
    if settings.precision == "fp16" and runtime.device.type == "cpu":
        raise UsageError("fp16 needs a GPU", where="--precision fp16", remedy="use --precision bf16 or fp32")
    if settings.sync_batchnorm and runtime.device.type == "cpu":
        raise UsageError("BatchNorm is synchronised on GPUs only", where="--sync-batchnorm", remedy="leave it out")
    found = []
    if settings.loss == "supcon" and settings.augment == 1:
        found.append("SupCon at augmentation level 1 sees two identical views of every image")
    if settings.loss == "supcon" and settings.accumulation > 1:
        found.append("with accumulation, SupCon contrasts within each part of a batch, not within the whole")
    for sentence in found:
        warnings.warn(sentence, UserWarning, stacklevel=5)
    return found
