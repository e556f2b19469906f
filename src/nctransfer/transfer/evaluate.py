"""Logits, accuracy and penultimate features of a tuned network on a split."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from ..data import PixelLoader
from ..engine import CachedBatches, Runtime, StopRequest, read_split
from ..models import PENULTIMATE
from .features import LayerFeatures
from .tuned import TunedNetwork

__all__ = ["cached_accuracy", "cached_logits", "run_split", "tuned_features"]

_BATCH = 256


def run_split(
    model: TunedNetwork,
    loader: PixelLoader,
    runtime: Runtime,
    *,
    layers: Sequence[str] = (),
    stop: StopRequest | None = None,
    advance: Callable[[int], None] = lambda parts: None,
) -> tuple[Tensor, Tensor, LayerFeatures]:
    """(logits (N, K), labels (N,), features) of a split in its own order, all on the CPU.

    The features are those of ``layers`` and, last, what the classifier sees.
    """
    model.eval()

    def forward(images: Tensor) -> dict[str, Tensor]:
        with model.network.taps(layers) as taps:
            penultimate, logits = model.read(images)
        return {**{name: taps.features[name] for name in layers}, PENULTIMATE: penultimate, "logits": logits}

    reading = read_split(forward, loader.epoch(0), len(loader.split), runtime, stop=stop, advance=advance)
    logits = reading.found.pop("logits")
    return logits, reading.labels, LayerFeatures(reading.found, reading.labels)


def tuned_features(model: TunedNetwork, inputs: Tensor, runtime: Runtime, *, stop: StopRequest | None = None) -> Tensor:
    """The classifier's input ``(N, D)``, from tensors taken at the cut; on the CPU."""
    none = torch.zeros(len(inputs), dtype=torch.int64)
    return _from_cut(model, inputs, none, runtime, model.penultimate, stop)


def cached_accuracy(
    model: TunedNetwork, inputs: Tensor, labels: Tensor, runtime: Runtime, *, stop: StopRequest | None = None
) -> float:
    """Accuracy on tensors taken at the cut, a fraction."""
    logits = cached_logits(model, inputs, labels, runtime, stop=stop)
    return float((logits.argmax(1) == labels.cpu()).float().mean())


def cached_logits(
    model: TunedNetwork, inputs: Tensor, labels: Tensor, runtime: Runtime, *, stop: StopRequest | None = None
) -> Tensor:
    """Logits ``(N, K)`` from tensors taken at the cut, on the CPU."""
    return _from_cut(model, inputs, labels, runtime, model, stop)


def _from_cut(
    model: TunedNetwork,
    inputs: Tensor,
    labels: Tensor,
    runtime: Runtime,
    call: Callable[..., Tensor],
    stop: StopRequest | None,
) -> Tensor:
    model.eval()
    batches = CachedBatches(
        inputs, labels, batch_size=_BATCH, shuffle=False, rank=runtime.rank, world_size=runtime.world_size
    )

    def forward(rows: Tensor) -> dict[str, Tensor]:
        return {"output": call(rows, from_cut=True)}

    return read_split(forward, batches.epoch(0), len(inputs), runtime, stop=stop).found["output"]
