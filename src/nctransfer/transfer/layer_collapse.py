"""Every collapse metric of a network's layers on a data set's training images."""

from __future__ import annotations

from ..engine import Watch
from ..metrics import Collapse, measure
from .features import LayerFeatures
from .settings import TransferSettings
from .workbench import Workbench

__all__ = ["layer_collapse"]


def layer_collapse(
    settings: TransferSettings,
    layers: tuple[str, ...] | None = (),
    *,
    weighting: str = "sample",
    permutations: int = 20,
    watch: Watch | None = None,
) -> tuple[LayerFeatures, dict[str, Collapse], tuple[str, ...]]:
    """Features of a network and what they say of collapse.

    Args:
        settings: Names the network and the data.
        layers: Names of layers; None for all, empty for the penultimate features alone, which are always there, last.
        weighting, permutations: As for :func:`nctransfer.metrics.measure`.
        watch: Receives progress.

    Returns:
        The pooled features, the metrics of each layer by name, and the names of the classes.

    Raises:
        UsageError: an unknown network or layer.
        DataError: features that are NaN or infinite; the layer is named.
    """
    bench = Workbench(settings, watch=watch)
    for name in layers or ():
        bench.network.check_name(name)
    names = list(bench.network.layers) if layers is None else list(layers)
    taken = bench.take("train", layers=names)
    found = {
        name: measure(
            features,
            taken.labels,
            num_classes=bench.num_classes,
            weighting=weighting,
            permutations=permutations,
            seed=settings.seed,
        )
        for name, features in taken.features.items()
    }
    return taken, found, bench.bundle.class_names
