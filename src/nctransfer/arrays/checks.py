"""The checks that metrics, scores and probes share, with one message for each fault."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import DataError, UsageError

__all__ = ["as_array", "check_finite", "check_shape", "class_numbers", "whole_number"]


def as_array(value: Any, name: str) -> np.ndarray:
    """``value`` as a NumPy array that shares its memory where it can; a torch tensor comes to the CPU, detached.

    Raises:
        TypeError: None, or rows of unequal length.

    Example:
        >>> as_array([[1, 2], [3, 4]], "features").shape
        (2, 2)
    """
    if value is None:
        remedy = "pass one class number a row" if name == "labels" else "pass an array"
        raise TypeError(f"`{name}` is missing (None); {remedy}")
    if hasattr(value, "detach"):
        value = value.detach().cpu()
        # NumPy has no bfloat16.
        return (value.double() if str(value.dtype) == "torch.bfloat16" else value).numpy()
    try:
        return np.asarray(value)
    except (ValueError, TypeError, RuntimeError) as error:
        raise TypeError(f"`{name}` cannot be read as an array: {error}; pass rows of equal length") from error


def class_numbers(labels: Any, rows: int, *, where: str = "features", num_classes: int | None = None) -> np.ndarray:
    """Labels as int64 of shape (rows,), each in [0, num_classes), or in [0, ∞) where that is left out.

    Raises:
        TypeError: labels that are missing or not integers.
        DataError: another shape than (rows,), or a label out of range; its row is named.

    Example:
        >>> class_numbers([0, 2, 1], 3).dtype
        dtype('int64')
    """
    numbers = as_array(labels, "labels")
    if numbers.ndim == 1 and numbers.dtype.kind not in "iu":
        remedy = (
            "convert them to int64"
            if numbers.dtype.kind in "fcb"
            else "number the classes first, as numpy.unique(labels, return_inverse=True)[1] does"
        )
        raise TypeError(f"`labels` must be integers (class numbers), got {numbers.dtype}; {remedy}")
    if numbers.shape != (rows,):
        raise DataError(
            f"`labels` must have shape ({rows},), one for each row of `{where}`, got {numbers.shape}",
            where="labels",
            remedy="pass class numbers, not one-hot rows" if numbers.ndim == 2 else "pass one label a row",
        )
    low, high = (int(numbers.min()), int(numbers.max())) if rows else (0, -1)
    limit = np.iinfo(np.int64).max if num_classes is None else num_classes
    if low < 0 or high >= limit:
        row = int(((numbers < 0) | (numbers >= limit)).argmax())
        raise DataError(
            f"`labels` must lie in [0, {'number of classes' if num_classes is None else num_classes}), "
            f"got {int(numbers[row])} at row {row}",
            where=where,
            remedy="pass a larger num_classes, remap the labels, or drop the rows that carry no label",
        )
    return numbers.astype(np.int64, copy=False)


def check_shape(shape: tuple[int, ...], name: str) -> None:
    """Raise a DataError unless ``shape`` is (samples, dimensions) with at least one dimension."""
    if len(shape) != 2 or shape[1] == 0:
        raise DataError(
            f"`{name}` must have shape (samples, dimensions), got {tuple(shape)}",
            where=name,
            remedy="flatten or pool everything after the first axis",
        )


def check_finite(good: Any, where: str, *, start: int = 0) -> None:
    """Raise a DataError that names the first row, ``start`` added, for which ``good`` (rows,) is False.

    Example:
        >>> check_finite(np.isfinite([[1.0], [np.inf]]).all(1), "features", start=100)
        Traceback (most recent call last):
        nctransfer.errors.DataError: row 101 holds NaN or infinity ...
    """
    if bool(good.all()):
        return
    raise DataError(
        f"row {start + int(as_array(good, 'good').argmin())} holds NaN or infinity",
        where=where,
        remedy="check the network that made it, or leave the row out",
    )


def whole_number(value: Any, name: str, least: int = 0) -> int:
    """``value`` as an int if it is a whole number of at least ``least``.

    Raises:
        UsageError: anything else, ``True`` and 3.0 included.

    Example:
        >>> whole_number(np.int64(3), "folds", 2)
        3
    """
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < least:
        raise UsageError(f"{name} must be a whole number of at least {least}, got {value!r}", where=name)
    return int(value)
