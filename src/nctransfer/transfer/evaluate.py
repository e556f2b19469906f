"""Logits, accuracy and penultimate features of a tuned network on a split."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

from ..data import PixelLoader
from ..engine import Runtime, halving
from ..models import PENULTIMATE
from .features import LayerFeatures
from .tuned import TunedNetwork

__all__ = ["cached_accuracy", "run_split", "tuned_features"]


def run_split(
    model: TunedNetwork,
    loader: PixelLoader,
    runtime: Runtime,
    *,
    layers: tuple[str, ...] | list[str] = (),
    advance: Callable[[int], None] = lambda parts: None,
) -> tuple[Tensor, Tensor, LayerFeatures]:
    """(logits (N, K), labels (N,), features) of a split in its own order, all on the CPU.

    The features are those of ``layers`` and, last, what the classifier sees.
    """
    model.eval()
    total = len(loader.split)
    kept: dict[str, Tensor] = {}
    labels = torch.zeros(total, dtype=torch.int64)

    def forward(images: Tensor) -> dict[str, Tensor]:
        with torch.inference_mode(), runtime.autocast(), model.network.taps(layers) as taps:
            penultimate, logits = model.read(images)
        return {**{name: taps.features[name] for name in layers}, PENULTIMATE: penultimate, "logits": logits}

    for batch in loader.epoch(0):
        for name, values in halving(forward, batch.images.to(runtime.device)).items():
            if name not in kept:
                kept[name] = torch.zeros(total, values.shape[1])
            kept[name][batch.indices] = values.float().cpu()
        labels[batch.indices] = batch.labels.cpu()
        advance(len(batch.labels) * runtime.world_size)
    kept = {name: _share(values, runtime) for name, values in kept.items()}
    labels = _share(labels, runtime)
    logits = kept.pop("logits")
    return logits, labels, LayerFeatures(kept, labels)


def tuned_features(model: TunedNetwork, inputs: Tensor, runtime: Runtime, batch: int = 256) -> Tensor:
    """What the classifier sees ``(N, D)``, from tensors taken at the cut; on the CPU."""
    return torch.cat([values.float().cpu() for values in _chunks(model, inputs, runtime, batch, model.penultimate)])


def cached_accuracy(model: TunedNetwork, inputs: Tensor, labels: Tensor, runtime: Runtime, batch: int = 256) -> float:
    """Accuracy on tensors taken at the cut, a fraction."""
    predicted = torch.cat([values.argmax(1) for values in _chunks(model, inputs, runtime, batch, model)])
    return float((predicted == labels).float().mean())


def _chunks(
    model: TunedNetwork, inputs: Tensor, runtime: Runtime, batch: int, call: Callable[..., Any]
) -> Iterator[Tensor]:
    model.eval()
    with torch.inference_mode(), runtime.autocast():
        for start in range(0, len(inputs), batch):
            yield call(inputs[start : start + batch], from_cut=True)


def _share(values: Tensor, runtime: Runtime) -> Tensor:
    return values if runtime.world_size == 1 else runtime.sum(values.to(runtime.device)).cpu()
