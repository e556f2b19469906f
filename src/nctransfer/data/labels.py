"""Labels as people have them (numbers, names, bytes, one-hot rows) to class numbers and class names, only where that is exact."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from ..errors import DataError
from .images import shown

__all__ = ["Labels", "exact_labels", "named_labels", "plain_label"]

Naming = Literal["declared", "values", "numbers"]

_MOST_EXACT = 2**53


@dataclass(frozen=True)
class Labels:
    """Labels of one split, and where its class names come from.

    Attributes:
        numbers: Shape (N,), int64, positions in ``names``.
        names: Class names.
        naming: ``declared``: a list that came with the data, which may hold classes without images; ``values``: the labels
            themselves are names; ``numbers``: the labels are numbers, and the names are these numbers.
    """

    numbers: np.ndarray
    names: tuple[str, ...]
    naming: Naming


def exact_labels(values: Any, where: str) -> np.ndarray:
    """Labels of any usual kind as an array of int64 or of str, shape (N,), without a change of meaning.

    Whole floating-point numbers, truth values, tensors, bytes in UTF-8 and one-hot rows are converted.

    Args:
        values: Shape (N,), (N, 1), or (N, K) of one-hot rows.
        where: The place that messages name.

    Raises:
        DataError: a label is missing, fractional, soft, stands for several classes, or is neither number nor name.

    Example:
        >>> exact_labels([1.0, 0.0], "train").tolist(), exact_labels(np.eye(3)[[2, 0]], "train").tolist()
        ([1, 0], [2, 0])
        >>> exact_labels([b"owl", "cat"], "train").tolist()
        ['owl', 'cat']
    """
    array = _as_array(values, where)
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.dtype == object and array.ndim == 1:
        array = _from_objects(array.tolist(), where)
    if array.ndim == 2 and array.dtype.kind in "biuf":
        return _from_one_hot(array, where)
    if array.ndim != 1:
        raise DataError(f"one label an image is needed, got an array of shape {array.shape}", where=where)
    kind = array.dtype.kind
    if kind == "S":
        array = np.array([_text(value) for value in array.tolist()], dtype=object)
    elif kind in "UT":
        array = array.astype(object)
    if array.dtype == object:
        blank = [row for row, name in enumerate(array) if not name.strip()]
        if blank:
            raise DataError("a label is blank", where=_row(where, blank[0]), remedy=_COMPLETE)
        return array
    if kind == "f":
        return _from_floats(array, where)
    if kind not in "biu":
        raise DataError(f"labels must be whole numbers or names, got {array.dtype}", where=where)
    if kind == "u" and len(array) and int(array.max()) > np.iinfo(np.int64).max:
        raise DataError(f"label {array.max()} is too large", where=where)
    return array.astype(np.int64)


def named_labels(values: Any, names: Sequence[Any] | None, where: str) -> Labels:
    """Labels with their class names: those given, or the labels' own.

    Args:
        values: As for :func:`exact_labels`.
        names: Class names in the order of the numbers, or None.
        where: The place that messages name.

    Raises:
        DataError: as there; or a label is outside the names.
    """
    width = _one_hot_width(values)
    exact = exact_labels(values, where)
    if names is not None:
        return _with_names(exact, class_list(names, where), where)
    if exact.dtype == object:
        found = tuple(sorted(set(exact.tolist())))
        number = {name: index for index, name in enumerate(found)}
        return Labels(np.array([number[name] for name in exact], dtype=np.int64), found, "values")
    if width is not None:  # The positions are classes, also those that no row uses.
        return Labels(exact, tuple(map(str, range(width))), "declared")
    if len(exact) and exact.min() < 0:
        row = int(np.flatnonzero(exact < 0)[0])
        raise DataError(f"labels must not be negative, got {exact[row]}", where=_row(where, row), remedy=_COMPLETE)
    present, numbers = np.unique(exact, return_inverse=True)
    return Labels(numbers.astype(np.int64).reshape(-1), tuple(map(str, present.tolist())), "numbers")


def class_list(names: Any, where: str) -> tuple[str, ...]:
    """Class names given by a caller, as text.

    Raises:
        DataError: they are no list, or in no order.
    """
    if isinstance(names, str | bytes | set | frozenset) or not hasattr(names, "__iter__"):
        raise DataError(
            f"the class names must be a list in the order of the labels, got {type(names).__name__}", where=where
        )
    return tuple(", ".join(map(str, name)) if isinstance(name, tuple | list) else str(name) for name in names)


def plain_label(value: Any, where: str) -> int | str:
    """One label as an int or a str.

    Raises:
        DataError: as for :func:`exact_labels`.
    """
    found = exact_labels([value], where)[0]
    return found if isinstance(found, str) else int(found)


_COMPLETE = "give every image a label, or leave the image out"


def _as_array(values: Any, where: str) -> np.ndarray:
    if hasattr(values, "detach"):
        values = values.detach().cpu().numpy()
    if not isinstance(values, np.ndarray):
        if hasattr(values, "to_numpy"):
            values = values.to_numpy()
        elif isinstance(values, str | bytes) or not hasattr(values, "__len__"):
            raise DataError(f"labels must be a sequence, one an image, got {type(values).__name__}", where=where)
        else:
            values = _joined(values if isinstance(values, list | tuple) else list(values))
    return values


def _joined(values: Sequence[Any]) -> np.ndarray:
    """A list as an array in which nothing was converted silently, as NumPy does with a number beside a name."""
    kinds = {type(value) for value in values}
    if len(kinds) == 1 and kinds <= {int, float, bool, str}:
        return np.asarray(values, dtype=object if kinds == {int} and _wide(values) else None)
    array = np.empty(len(values), dtype=object)
    array[:] = [_plain(value) for value in values] if values else []
    return array


def _wide(values: Sequence[int]) -> bool:
    return max(values) > np.iinfo(np.int64).max or min(values) < np.iinfo(np.int64).min


def _plain(value: Any) -> Any:
    if hasattr(value, "detach"):
        value = value.detach().cpu().numpy()
    if isinstance(value, np.ndarray | np.generic):
        value = value.item() if value.size == 1 and (value.ndim == 0 or value.shape == (1,)) else tuple(value.tolist())
    return tuple(value) if isinstance(value, list) else value


def _from_objects(values: list[Any], where: str) -> np.ndarray:
    values = [_plain(value) for value in values]
    for row, value in enumerate(values):
        if value is None or type(value).__name__ in ("NAType", "NaTType"):
            raise DataError("a label is missing (None)", where=_row(where, row), remedy=_COMPLETE)
        if isinstance(value, float) and value != value:
            raise DataError("a label is missing (NaN)", where=_row(where, row), remedy=_COMPLETE)
    if any(isinstance(value, tuple) for value in values):
        if len({len(value) if isinstance(value, tuple) else -1 for value in values}) > 1:
            raise DataError("the labels have different lengths", where=where, remedy=_SINGLE)
        rows = np.array(values)
        if rows.dtype.kind not in "biuf":
            raise DataError(f"labels must be whole numbers or names, got {values[0]!r}", where=where, remedy=_SINGLE)
        return rows
    if all(isinstance(value, str | bytes) for value in values):
        return np.array([_text(value) for value in values], dtype=object)
    if not all(isinstance(value, bool | int | float) for value in values):
        kinds = sorted({type(value).__name__ for value in values})
        raise DataError(f"labels must be all numbers or all names, got {', '.join(kinds)}", where=where)
    return np.array([_whole(value, _row(where, row)) for row, value in enumerate(values)], dtype=np.int64)


def _whole(value: float, where: str) -> int:
    if value != int(value) or abs(value) > _MOST_EXACT:
        raise DataError(f"labels must be whole numbers or names, got float {value:.10g}", where=where, remedy=_ROUND)
    return int(value)


_ROUND = "give each image one class; soft labels and targets of a regression are not classes"
_SINGLE = "give each image exactly one class"


def _text(value: str | bytes) -> str:
    return shown(value) if isinstance(value, bytes) else str(value)


def _from_floats(array: np.ndarray, where: str) -> np.ndarray:
    missing = np.flatnonzero(~np.isfinite(array))
    if len(missing):
        row = int(missing[0])
        raise DataError(f"a label is missing ({array[row]})", where=_row(where, row), remedy=_COMPLETE)
    odd = np.flatnonzero((array != np.rint(array)) | (np.abs(array) > _MOST_EXACT))
    if len(odd):
        row = int(odd[0])
        raise DataError(
            f"labels must be whole numbers or names, got float {array[row]:.10g}", where=_row(where, row), remedy=_ROUND
        )
    return array.astype(np.int64)


def _one_hot_width(values: Any) -> int | None:
    shape = getattr(values, "shape", None)
    if shape is None and isinstance(values, list | tuple) and len(values):
        first = getattr(values[0], "shape", None)
        shape = (len(values), *first) if first is not None else None
        if shape is None and isinstance(values[0], list | tuple):
            shape = (len(values), len(values[0]))
    if shape is not None and len(shape) == 1 and _holds_objects(values) and len(values):
        return _one_hot_width(list(values))
    return int(shape[1]) if shape is not None and len(shape) == 2 and shape[1] > 1 else None


def _holds_objects(values: Any) -> bool:
    return isinstance(values, np.ndarray) and values.dtype == np.dtype(object)


def _from_one_hot(array: np.ndarray, where: str) -> np.ndarray:
    numbers = array.astype(np.float64)
    zero_or_one = ((numbers == 0) | (numbers == 1)).all(1)
    bad = np.flatnonzero(~zero_or_one | (numbers.sum(1) != 1))
    if len(bad):
        row = int(bad[0])
        what = (
            f"an image stands for {int(numbers[row].sum())} classes at once"
            if zero_or_one[row]
            else f"a row of labels is not one-hot: {np.round(numbers[row][:8], 3).tolist()}"
        )
        raise DataError(what, where=_row(where, row), remedy=_SINGLE)
    return numbers.argmax(1).astype(np.int64)


def _with_names(exact: np.ndarray, names: tuple[str, ...], where: str) -> Labels:
    if exact.dtype == object:
        number = {name: index for index, name in enumerate(names)}
        for row, name in enumerate(exact):
            if name not in number:
                raise DataError(
                    f"label {name!r} is not among the class names", where=_row(where, row), remedy="add it, or fix it"
                )
        return Labels(np.array([number[name] for name in exact], dtype=np.int64), names, "declared")
    wrong = np.flatnonzero((exact < 0) | (exact >= len(names)))
    if len(wrong):
        row = int(wrong[0])
        raise DataError(
            f"labels must lie in [0, {len(names)}), got {exact[row]} at row {row}",
            where=where,
            remedy="pass more class_names or remap the labels",
        )
    return Labels(exact, names, "declared")


def _row(where: str, row: int) -> str:
    return f"row {row} of {where}"
