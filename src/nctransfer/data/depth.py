"""Images of more than 8 bits a channel: the range of values of the training images that becomes 0 to 255."""

from __future__ import annotations

import threading

import numpy as np

from ..errors import DataError, UsageError
from .images import DeepPixels
from .parallel import for_each
from .splits import ImageSplit

__all__ = ["RangeFinder", "parse_range", "ranges_of_splits", "usual_scales"]

KINDS = ("16-bit", "32-bit integer", "floating-point")
"""Kinds of deep pixels."""

_SAMPLES = 2_000_000
_TAIL = 0.001
_FULL = 65535.0
_LOOKED_AT = 64


class RangeFinder:
    """Collects values of deep images and finds the range of each kind; the order of images does not matter.

    Args:
        num: Number of images that may come.
    """

    def __init__(self, num: int) -> None:
        self._each = int(np.clip(_SAMPLES // max(num, 1), 64, 4096))
        self._values: dict[str, list[np.ndarray]] = {}
        self._lock = threading.Lock()

    def add(self, image: DeepPixels) -> None:
        """Take values of one image, evenly spread over its pixels."""
        values = image.values.reshape(-1)
        rows = np.linspace(0, len(values) - 1, min(self._each, len(values))).astype(np.int64)
        with self._lock:
            self._values.setdefault(image.kind, []).append(values[rows].astype(np.float64))

    def value_ranges(self) -> dict[str, tuple[float, float]]:
        """For each kind of deep pixels that was met, the values that become 0 and 255.

        A range that fills half of the usual scale of its kind is that scale: 0 to 65535, and 0 to 1 or 0 to 255 for
        floating-point numbers. Any other is taken from the 0.1 % and 99.9 % quantiles.
        """
        return {kind: _range_of(np.concatenate(values), kind) for kind, values in sorted(self._values.items())}


def usual_scales(kind: str) -> tuple[float, ...]:
    """Upper ends of the ranges, from 0, that images of a kind usually have."""
    return (1.0, 255.0, _FULL) if kind == "floating-point" else (_FULL,)


def ranges_of_splits(splits: dict[str, ImageSplit]) -> dict[str, tuple[float, float]]:
    """The ranges of images that are not all decoded beforehand: a few of each split tell whether any is deep."""
    ranges: dict[str, tuple[float, float]] = {}
    for split in splits.values():  # The training images first: the others only tell of kinds that training lacks.
        some = np.unique(np.linspace(0, len(split) - 1, min(len(split), _LOOKED_AT)).astype(np.int64))
        found = _looked_at(split, some, None)
        if found.keys() - ranges.keys() and len(some) < len(split):
            found = _looked_at(split, np.arange(len(split)), "reading the range of values")
        ranges = {**found, **ranges}
    return ranges


def _looked_at(split: ImageSplit, rows: np.ndarray, what: str | None) -> dict[str, tuple[float, float]]:
    finder = RangeFinder(len(rows))

    def look(position: int) -> None:
        try:
            loaded = split.source.load(int(split.indices[rows[position]]))
        except DataError:
            return  # It is an error when the image is met.
        if isinstance(loaded, DeepPixels):
            finder.add(loaded)

    for_each(look, len(rows), what=what)
    return finder.value_ranges()


def _range_of(values: np.ndarray, kind: str) -> tuple[float, float]:
    low, high = (float(value) for value in np.quantile(values, [_TAIL, 1 - _TAIL]))
    for scale in usual_scales(kind):
        if values.min() >= 0 and values.max() <= scale and high - low >= scale / 2:
            return 0.0, scale
    return (low, high) if high > low else (low, low + 1.0)


def parse_range(text: str) -> dict[str, tuple[float, float]]:
    """``LOW,HIGH`` as the range of every kind of deep pixels; nothing for ``auto``.

    Raises:
        UsageError: neither, or LOW is not below HIGH.

    Example:
        >>> parse_range("0,4095")["16-bit"], parse_range("auto")
        ((0.0, 4095.0), {})
    """
    if text.strip().lower() == "auto":
        return {}
    try:
        low, high = (float(part) for part in text.split(","))
    except ValueError:
        low = high = 0.0
    if not (np.isfinite([low, high]).all() and low < high):
        raise UsageError(
            f"{text!r} is no range of values", where="--image-range", remedy="write auto, or LOW,HIGH such as 0,4095"
        )
    return dict.fromkeys(KINDS, (low, high))
