"""One pass over a split: the pooled features of every layer, and what they say of collapse."""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import torch
from torch import Tensor

from ..data import PixelLoader
from ..engine import FeatureTable, Runtime, halving
from ..errors import DataError
from ..metrics import measure_layer
from ..models import PENULTIMATE, Network
from ..runs import LayerRow

__all__ = ["LayerFeatures", "extract_features", "measure_features"]


@dataclasses.dataclass
class LayerFeatures:
    """The pooled features of layers on one split.

    Attributes:
        features: Layer name to features ``(N, d)``, float32, on the CPU; ``"penultimate"`` is the last.
        labels: Shape (N,), int64.
    """

    features: dict[str, Tensor]
    labels: Tensor

    @property
    def penultimate(self) -> Tensor:
        return self.features[PENULTIMATE]


def extract_features(
    network: Network,
    loader: PixelLoader,
    runtime: Runtime,
    *,
    layers: Sequence[str] | None = None,
    transform: Callable[[Tensor], Tensor] | None = None,
    advance: Callable[[int], None] = lambda parts: None,
    table: FeatureTable | None = None,
) -> LayerFeatures:
    """Features of ``layers`` (default: all) and of the penultimate layer, in the split's own order, in one forward pass.

    Features that would not fit in half of the free memory lie in a temporary file instead.

    Args:
        network: Left in eval mode.
        loader: Not shuffled.
        runtime: Device, precision and processes; each process computes its share of every batch.
        layers: Layer names; an empty list for the penultimate layer alone.
        transform: Applied to the uint8 images first.
        advance: Told the number of images done.
        table: Features of this network that were computed before; it takes the new ones.

    Raises:
        DataError: a feature is NaN or infinite; the layer and the first sample are named.
        ResourceError: not even one image fits into the device's memory.
    """
    network.to(runtime.device).eval()
    names = list(network.layers if layers is None else layers)
    total = len(loader.split)
    store = _Store(total)
    labels = torch.zeros(total, dtype=torch.int64)

    def forward(images: Tensor) -> dict[str, Tensor]:
        with torch.inference_mode(), runtime.autocast(), network.taps(names) as taps:
            images = transform(images) if transform else images
            output = network(images)
        return {**{name: taps.features[name] for name in names}, PENULTIMATE: output}

    remembered: Callable[[Tensor], dict[str, Tensor]] = forward
    if table is not None and transform is None:
        remembered = table.remembering(forward, [*names, PENULTIMATE])
    for batch in loader.epoch(0):
        parts = halving(remembered, batch.images.to(runtime.device, non_blocking=True))
        for name, values in parts.items():
            store.put(name, batch.indices, values.float().cpu())
        labels[batch.indices] = batch.labels.cpu()
        advance(len(batch.labels) * runtime.world_size)
    features = {name: _summed(store.arrays[name], runtime) for name in [*names, PENULTIMATE]}
    for name, values in features.items():
        _check_finite(name, values, loader)
    return LayerFeatures(features, _summed(labels, runtime))


class _Store:
    """Arrays (N, d) by name, in memory or, when they would take half of what is free, in a file that goes with them."""

    def __init__(self, total: int) -> None:
        self.total = total
        self.arrays: dict[str, Tensor] = {}
        self._budget = psutil.virtual_memory().available // 2
        self._folder: Any = None

    def put(self, name: str, indices: Tensor, values: Tensor) -> None:
        if name not in self.arrays:
            self.arrays[name] = self._make(name, values.shape[1])
        self.arrays[name][indices] = values

    def _make(self, name: str, dim: int) -> Tensor:
        size = self.total * dim * 4
        if size <= self._budget:
            self._budget -= size
            return torch.zeros(self.total, dim)
        if self._folder is None:
            self._folder = tempfile.TemporaryDirectory(prefix="nctransfer-features-")
        path = Path(self._folder.name) / f"{len(self.arrays)}.f32"
        array = np.memmap(path, dtype=np.float32, mode="w+", shape=(self.total, dim))
        tensor = torch.from_numpy(array)
        tensor._keep = self._folder  # type: ignore[attr-defined]  # the folder lives as long as a tensor in it
        return tensor


def _summed(values: Tensor, runtime: Runtime) -> Tensor:
    """Rows were written by the process that computed them and are zero elsewhere."""
    if runtime.world_size == 1:
        return values
    return runtime.sum(values.to(runtime.device)).cpu()


def _check_finite(name: str, values: Tensor, loader: PixelLoader) -> None:
    finite = torch.isfinite(values.sum(1))
    if not bool(finite.all()):
        row = int((~finite).nonzero()[0])
        raise DataError(
            f"{int((~finite).sum())} of {len(values)} feature vectors are NaN or infinite",
            where=f"layer {name}, first at {loader.split.identity(row)}",
            remedy="use --precision fp32 or bf16, and check the weights",
        )


def measure_features(
    taken: LayerFeatures, num_classes: int, *, permutations: int = 10, seed: int = 0
) -> list[LayerRow]:
    """Collapse of every layer, from input to output; what is undefined is None, with the reason under ``notes``."""
    return [
        LayerRow.of(
            name,
            int(features.shape[1]),
            measure_layer(features, taken.labels, num_classes=num_classes, permutations=permutations, seed=seed),
            penultimate=name == PENULTIMATE,
        )
        for name, features in taken.features.items()
    ]
