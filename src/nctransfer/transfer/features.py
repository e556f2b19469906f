"""The pooled features of every layer of a pretrained network on a split, and what they say of collapse."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Sequence

import torch
from torch import Tensor

from ..data import PixelLoader
from ..engine import FeatureTable, Runtime, StopRequest, read_split
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
    checked: Collection[str] | None = None,
    transform: Callable[[Tensor], Tensor] | None = None,
    stop: StopRequest | None = None,
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
        checked: The layers whose features must be finite; all where left out.
        transform: Applied to the uint8 images first.
        stop: Asked between batches.
        advance: Told the number of images done.
        table: Features of this network that were computed before; it takes the new ones.

    Raises:
        DataError: a feature of a checked layer is NaN or infinite; the layer and the first sample are named.
        ResourceError: not even one image fits into the device's memory.
        PreemptedError: told to stop.
    """
    network.to(runtime.device).eval()
    names = list(network.layers if layers is None else layers)

    def forward(images: Tensor) -> dict[str, Tensor]:
        with network.taps(names) as taps:
            output = network(transform(images) if transform else images)
        return {**{name: taps.features[name] for name in names}, PENULTIMATE: output}

    reading = read_split(
        forward if table is None or transform is not None else table.remembering(forward, [*names, PENULTIMATE]),
        loader.epoch(0),
        len(loader.split),
        runtime,
        stop=stop,
        advance=advance,
        identity=loader.split.identity,
        checked=checked,
    )
    return LayerFeatures(reading.found, reading.labels)


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
        if name == PENULTIMATE or (bad := _not_finite(features)) == 0
        else _unmeasured(name, features, bad)
        for name, features in taken.features.items()
    ]


def _not_finite(features: Tensor) -> int:
    return int((~torch.isfinite(features).all(1)).sum())


def _unmeasured(name: str, features: Tensor, bad: int) -> LayerRow:
    """The row of a layer below the last that is NaN or infinite on some images: no number, and why."""
    reason = f"{bad} of {len(features)} images have features that are NaN or infinite"
    numbers = ("nc1", "nc1_null_mean", "nc1_null_std", "nc1_calibrated", "cdnv", "numerical_rank", "class_separation")
    return LayerRow(name=name, dim=int(features.shape[1]), nc1=None, cdnv=None, notes=dict.fromkeys(numbers, reason))
