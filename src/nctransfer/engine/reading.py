"""One pass over a split: a network's outputs by name, each poured into a sink (rows in order, or class statistics)."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import psutil
import torch
from torch import Tensor

from ..data import Batch
from ..errors import DataError
from ..metrics import ClassStatistics
from .interruption import StopRequest
from .memory import halving
from .runtime import Runtime

__all__ = ["ClassSums", "Reading", "RowStore", "Rows", "Sink", "read_split"]

Forward = Callable[[Tensor], dict[str, Tensor]]


class Sink(Protocol):
    """Takes one of the outputs, batch by batch."""

    def put(self, values: Tensor, batch: Batch) -> None:
        """Take the values of a batch, one row a sample."""
        ...

    def finish(self, runtime: Runtime) -> Any:
        """The values taken, over all processes."""
        ...


@dataclass
class Reading:
    """Result of a pass.

    Attributes:
        found: Of each output what its sink made: rows ``(N, d)``, or class statistics.
        labels: Shape (N,), int64, on the CPU.
    """

    found: dict[str, Any]
    labels: Tensor


class RowStore:
    """Makes matrices of zeros, in memory or, when they would take half of what is free, in a file that goes with them."""

    def __init__(self) -> None:
        self._budget = psutil.virtual_memory().available // 2
        self._folder: Any = None
        self._files = 0

    def make(self, rows: int, dim: int) -> Tensor:
        size = rows * dim * 4
        if size <= self._budget:
            self._budget -= size
            return torch.zeros(rows, dim)
        if self._folder is None:
            self._folder = tempfile.TemporaryDirectory(prefix="nctransfer-features-")
        path = Path(self._folder.name) / f"{self._files}.f32"
        self._files += 1
        array = np.memmap(path, dtype=np.float32, mode="w+", shape=(rows, dim))
        tensor = torch.from_numpy(array)
        tensor._keep = self._folder  # type: ignore[attr-defined]  # the folder lives as long as a tensor in it
        return tensor


class Rows:
    """Keeps every row, float32, in the split's own order.

    Args:
        total: Number of samples of the split.
        store: Makes the matrix, on the CPU.
        values: Where to keep the rows, in place of that: zeros of shape (N, ...), on any device.
    """

    def __init__(self, total: int, store: RowStore | None = None, *, values: Tensor | None = None) -> None:
        self.total, self.store, self.values = total, store or RowStore(), values

    def put(self, values: Tensor, batch: Batch) -> None:
        if self.values is None:
            self.values = self.store.make(self.total, values.shape[1])
        self.values[batch.indices] = values.float().to(self.values.device)

    def finish(self, runtime: Runtime) -> Tensor:
        # Rows were written by the process that computed them and are zero elsewhere.
        assert self.values is not None, "the split holds at least one image"
        return _summed(self.values, runtime)


class ClassSums:
    """Keeps class statistics alone, whatever the number of samples.

    Args:
        num_classes: K.
        scatter: Whether the pooled scatter is kept.
    """

    def __init__(self, num_classes: int, scatter: bool = True) -> None:
        self.num_classes, self.scatter = num_classes, scatter
        self.statistics: ClassStatistics | None = None

    def put(self, values: Tensor, batch: Batch) -> None:
        if self.statistics is None:
            self.statistics = ClassStatistics(
                self.num_classes, values.shape[1], scatter=self.scatter, device=values.device
            )
        self.statistics.update(values, batch.labels.to(values.device))

    def finish(self, runtime: Runtime) -> ClassStatistics:
        assert self.statistics is not None, "the split holds at least one image"
        return self.statistics.all_reduce() if runtime.world_size > 1 else self.statistics


def read_split(
    forward: Forward,
    batches: Iterable[Batch],
    total: int,
    runtime: Runtime,
    *,
    sinks: Mapping[str, Sink] | None = None,
    autocast: bool = True,
    stop: StopRequest | None = None,
    advance: Callable[[int], None] = lambda parts: None,
    identity: Callable[[int], str] | None = None,
    checked: Collection[str] | None = None,
    place: Callable[[str], str] = "layer {}".format,
    remedy: str = "use --precision fp32 or bf16, and check the weights",
) -> Reading:
    """Call ``forward`` on every batch of a split and keep what it returns. Batches that do not fit go in halves.

    Args:
        forward: Maps images (B, ...) on the runtime's device to matrices (B, d) by name.
        batches: Every sample of the split once, over all processes together.
        total: Number of samples.
        runtime: Device, precision and processes.
        sinks: Where outputs go, by name; an output without one is kept as :class:`Rows`.
        autocast: Whether ``forward`` runs in the runtime's precision, not in the weights' own.
        stop: Asked between batches.
        advance: Told the number of samples done.
        identity: Names a sample by its position; with it, outputs that are not finite are an error.
        checked: The outputs that must be finite then; all where left out.
        place: Words for an output by its name, for that error.
        remedy: What that error advises.

    Raises:
        DataError: an output is NaN or infinite; it and the first sample are named.
        ResourceError: not even one sample fits into the device's memory.
        PreemptedError: told to stop.
    """
    store = RowStore()
    filled: dict[str, Sink] = dict(sinks or {})
    labels = torch.zeros(total, dtype=torch.int64)

    def run(images: Tensor) -> dict[str, Tensor]:
        with torch.inference_mode(), runtime.autocast() if autocast else nullcontext():
            return forward(images)

    for batch in batches:
        if stop is not None:
            stop.raise_if_noted()
        found = halving(run, batch.images.to(runtime.device, non_blocking=True))
        for name, values in found.items():
            if identity is not None and (checked is None or name in checked):
                _check_finite(place(name), values, batch, identity, remedy)
            filled.setdefault(name, Rows(total, store)).put(values, batch)
        labels[batch.indices] = batch.labels.cpu()
        advance(len(batch) * runtime.world_size)
    return Reading({name: sink.finish(runtime) for name, sink in filled.items()}, _summed(labels, runtime))


def _summed(values: Tensor, runtime: Runtime) -> Tensor:
    if runtime.world_size == 1:
        return values
    return runtime.sum(values.to(runtime.device)).to(values.device)


def _check_finite(place: str, values: Tensor, batch: Batch, identity: Callable[[int], str], remedy: str) -> None:
    finite = torch.isfinite(values.flatten(1).sum(1))  # a sum may also overflow, so what it finds is looked at again
    if bool(finite.all()):
        return
    finite = torch.isfinite(values).flatten(1).all(1)
    if not bool(finite.all()):
        row = int(batch.indices[int((~finite).nonzero()[0])])
        raise DataError(
            f"{int((~finite).sum())} of the {len(values)} feature vectors of a batch are NaN or infinite",
            where=f"{place}, first at {identity(row)}",
            remedy=remedy,
        )
