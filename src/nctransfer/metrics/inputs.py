"""Input of the metrics, checked once: a feature matrix and labels become ``Samples``, or a typed error with a
remedy.

Shapes used in this room: features (N, D), labels (N,), K classes. Classes without a sample take no part: ``Samples``
numbers the classes that are present from 0 and remembers their original numbers.
"""

from __future__ import annotations

import os
import warnings
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..arrays import as_array, check_shape, class_numbers
from ..errors import DataError, UsageError

__all__ = ["Samples", "as_matrix", "as_vector", "check_weighting", "exact_products", "prepare"]

FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
MOST_CLASSES = 10_000_000
FEW_NUMBERS = 1 << 20


@dataclass(frozen=True, eq=False)
class Samples:
    """A checked feature matrix: any float type, on any device, never copied.

    Attributes:
        features: Features of shape (N, D), as they came.
        labels: Labels of shape (N,) on the CPU, numbered 0 to K-1 among the classes that are present.
        counts: Samples of each present class, shape (K,), int64, on the CPU.
        present: The original number of each present class, shape (K,).
        num_classes: Number of classes asked for or inferred, empty ones included.
        mapped: Whether the rows lie on disk, so that reads should follow their order.
        where: What the features are called in messages.
    """

    features: Tensor
    labels: Tensor
    counts: Tensor
    present: Tensor
    num_classes: int
    mapped: bool = False
    where: str = "features"
    cache: dict[str, Any] = field(default_factory=dict, repr=False)

    @property
    def device(self) -> torch.device:
        """Where the arithmetic runs: the features' device if it knows float64, else the CPU."""
        device = self.features.device
        return device if device.type in ("cpu", "cuda", "xpu") else torch.device("cpu")

    @property
    def fast_dtype(self) -> torch.dtype:
        """The type that products of class-centred rows run in: float64 stays, and all else is float32.

        But float64 where its squares would leave the range of float32, and where the matrix is small: rounding
        averages out over many entries (some 1e-9 of NC1 from a million on) but not over few (1e-7), and there
        float64 costs nothing that anyone would notice.
        """
        few = self.features.numel() <= FEW_NUMBERS
        exact = self.features.dtype == torch.float64 or few or self.cache.get("extreme", False)
        return torch.float64 if exact else torch.float32

    @cached_property
    def empty(self) -> list[int]:
        """Original numbers of the classes without a sample."""
        return sorted(set(range(self.num_classes)) - set(self.present.tolist()))

    @cached_property
    def order(self) -> Tensor:
        """Row numbers sorted by class, for reads that may jump."""
        return torch.argsort(self.labels, stable=True)


def prepare(
    features: Any, labels: Any, num_classes: int | None = None, *, where: str = "features", min_classes: int = 2
) -> Samples:
    """Check shapes, kinds and labels; look at no feature value yet (the first read does, at no extra cost).

    Raises:
        TypeError: the features are not floats or the labels not integers.
        DataError: shapes do not fit, a label lies outside [0, num_classes), or fewer than ``min_classes`` are present.
    """
    matrix, mapped = as_matrix(features, where)
    rows = matrix.shape[0]
    if num_classes is not None and (
        isinstance(num_classes, bool) or int(num_classes) != num_classes or num_classes < 1
    ):
        raise UsageError(f"num_classes must be a positive integer, got {num_classes!r}", where="num_classes")
    limit = None if num_classes is None else int(num_classes)
    numbers = _from_numpy(class_numbers(labels, rows, where=where, num_classes=limit), "labels")
    if not rows:
        raise DataError("no samples: 0 rows", where=where, remedy="pass at least two classes with samples")
    limit = int(numbers.max()) + 1 if limit is None else limit
    if limit > MOST_CLASSES:
        raise DataError(
            f"{limit} classes for {rows} samples", where="labels", remedy="remap the labels to 0, 1, 2, ... first"
        )
    counts = torch.bincount(numbers, minlength=limit)
    present = counts.nonzero().flatten()
    if len(present) < min_classes:
        raise DataError(
            f"collapse needs at least {min_classes} classes with samples, got {len(present)}",
            where=where,
            remedy="measure samples of several classes together",
        )
    if len(present) < limit:
        compact = torch.full((limit,), -1, dtype=torch.int64)
        compact[present] = torch.arange(len(present))
        numbers = compact[numbers]
    return Samples(matrix, numbers, counts[present], present, limit, mapped, where)


def as_matrix(features: Any, where: str = "features") -> tuple[Tensor, bool]:
    """``features`` as a float tensor of shape (N, D) that shares its memory where it can, and whether it lies on
    disk."""
    mapped = False
    if isinstance(features, (str, os.PathLike)):
        raise TypeError(
            f"`{where}` is the path {str(features)!r}, not an array; load it first (numpy.load), or use the command "
            "nctransfer measure FILE"
        )
    if isinstance(features, Tensor):
        matrix = features.detach()
    else:
        array = as_array(features, where)
        mapped = _is_mapped(array)
        matrix = _from_numpy(array, where)
    if matrix.dtype not in FLOATS or matrix.layout != torch.strided:
        raise TypeError(
            f"`{where}` must be a dense matrix of floats (float16, bfloat16, float32, float64), got {matrix.dtype}"
            f"{'' if matrix.layout == torch.strided else f' with layout {matrix.layout}'}; convert them to float32"
        )
    check_shape(tuple(matrix.shape), where)
    return matrix, mapped


def as_vector(value: Any, length: int, name: str) -> Tensor:
    """A float64 vector of the given length, finite, on the CPU."""
    tensor = value.detach() if isinstance(value, Tensor) else _from_numpy(as_array(value, name), name)
    if tensor.is_complex() or tensor.shape != (length,):
        raise DataError(
            f"`{name}` must have shape ({length},), got {tuple(tensor.shape)}",
            where=name,
            remedy="pass one number for each class",
        )
    tensor = tensor.to("cpu", torch.float64)
    if not bool(torch.isfinite(tensor).all()):
        raise DataError(f"`{name}` holds NaN or infinity", where=name, remedy="check the training that made it")
    return tensor


def check_weighting(weighting: str) -> str:
    """``weighting`` if it is one of the two conventions, else a UsageError."""
    if weighting not in ("sample", "class"):
        raise UsageError(f"weighting must be 'sample' or 'class', got {weighting!r}", where="weighting")
    return weighting


@contextmanager
def exact_products():
    """No autocast, no TF32 or bfloat16 products, no graph: whatever the caller's training loop has switched on."""
    precision = torch.get_float32_matmul_precision()
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch announces its own renaming of this switch
        torch.set_float32_matmul_precision("highest")
        try:
            with torch.autocast("cpu", enabled=False), torch.autocast("cuda", enabled=False):
                yield
        finally:
            torch.set_float32_matmul_precision(precision)


def _is_mapped(array: np.ndarray) -> bool:
    base: Any = array
    while isinstance(base, np.ndarray):
        if isinstance(base, np.memmap):
            return True
        base = base.base
    return False


def _from_numpy(array: np.ndarray, name: str) -> Tensor:
    if array.dtype.kind not in "fiub" or array.dtype.itemsize > 8:
        if array.dtype.kind == "f":
            array = array.astype(np.float64)
        else:
            raise TypeError(f"`{name}` holds {array.dtype}, not numbers that can be measured; convert it to float32")
    if not array.dtype.isnative:
        array = array.astype(array.dtype.newbyteorder("="))
    if any(stride < 0 or stride % array.itemsize for stride in array.strides):
        array = np.ascontiguousarray(array)
    if array.dtype in (np.uint16, np.uint32, np.uint64):
        if array.dtype == np.uint64 and array.size and array.max() > np.iinfo(np.int64).max:
            raise DataError(f"`{name}` holds {array.max()}, beyond 64-bit integers", where=name)
        array = array.astype(np.int64)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # read-only memory is only read
        return torch.from_numpy(array)
