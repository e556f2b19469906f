"""Torch map-style data sets as sources: their labels exactly, their class names by name, through every usual wrapper."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from PIL import Image

from ..errors import DataError
from .images import Decoding, DeepPixels, plain_deep, render, to_rgb
from .labels import Labels, class_list, exact_labels, named_labels, plain_label

__all__ = ["MapSource", "labels_of"]

_LABEL_ATTRIBUTES = ("targets", "labels", "_labels")


class MapSource:
    """A torch map-style data set of (image, label): PIL images, or tensors (C, H, W) of uint8 or in [0, 1].

    Args:
        dataset: The data set.
        what: The name of an item in messages.
        class_names: Names given by the caller, in the order of the labels.
    """

    def __init__(self, dataset: Any, what: str = "item", class_names: Any = None) -> None:
        _check_map_style(dataset, what)
        self.dataset, self.what = dataset, what
        self.decoding = Decoding()
        self._stored = _stored_labels(dataset)
        self.found = labels_of(dataset, what, class_names)
        self.labels = self.found.numbers

    def content(self, index: int) -> None:
        return None

    def load(self, index: int) -> Image.Image | DeepPixels:
        image, label = _item(self.dataset, int(index), self.what)
        if self._stored is not None:
            known, met = self._stored[index : index + 1].tolist()[0], plain_label(label, self.identity(index))
            if known != met:
                raise DataError(f"the item's label is {met!r}, but the data set lists {known!r} for it")
        return _as_image(image)

    def image(self, index: int) -> Image.Image:
        return render(self.load(index), self.decoding.value_ranges)

    def identity(self, index: int) -> str:
        return f"{self.what} {index}"


def labels_of(dataset: Any, what: str = "item", class_names: Any = None) -> Labels:
    """Labels and class names of a torch map-style data set, without reading images where it keeps a list of labels.

    Class names come from ``class_names``, else from ``classes`` or ``class_to_idx`` of the data set, also within ``Subset``
    and ``ConcatDataset``; else the labels name themselves.

    Raises:
        DataError: a label is not exactly one class, or the names cannot be told from the labels.
    """
    raw, own = _raw_and_names(dataset, what, strict=class_names is None)
    where = f"the labels of {what}s"
    if class_names is not None:
        return _renamed(raw, own, class_list(class_names, where), where)
    if own is not None and raw.dtype != object:
        return _by_names(raw, own, where)
    if own is not None:
        return named_labels(raw, [own[number] for number in sorted(own)], where)
    return named_labels(raw, None, where)


def _raw_and_names(dataset: Any, what: str, strict: bool) -> tuple[np.ndarray, dict[int, str] | None]:
    """Labels as int64 or str, and the class names by number that the data set declares.

    With ``strict``, names that are there but cannot be matched to the labels are an error, else they are not used.
    """
    kind = _torch_kind(dataset)
    if kind == "Subset" and _own_names(dataset, what) is None:
        raw, names = _raw_and_names(dataset.dataset, what, strict)
        return raw[np.asarray(dataset.indices, dtype=np.int64)], names
    if kind == "ConcatDataset" and _own_names(dataset, what) is None:
        return _joined([_raw_and_names(part, what, strict) for part in dataset.datasets], what)
    stored = _stored_labels(dataset)
    raw = exact_labels(_item_labels(dataset, what), f"the {what}s") if stored is None else stored
    own = _own_names(dataset, what)
    try:
        if own is not None:
            _check_untransformed(dataset, raw, what)
            return raw, own
        return raw, _inner_names(dataset, raw, what)
    except DataError:
        if strict:
            raise
        return raw, None


def _joined(
    parts: list[tuple[np.ndarray, dict[int, str] | None]], what: str
) -> tuple[np.ndarray, dict[int, str] | None]:
    if len({names is None for _, names in parts}) > 1 or len({raw.dtype == object for raw, _ in parts}) > 1:
        raise DataError(
            "some of the joined data sets name their classes and others do not", where=what, remedy=_NAME_THEM
        )
    first = parts[0][1]
    if first is None or all(names == first for _, names in parts):
        return np.concatenate([raw for raw, _ in parts]), first
    listed = list(dict.fromkeys(name for _, names in parts for _, name in sorted((names or {}).items())))
    number = {name: index for index, name in enumerate(listed)}
    moved = [np.array([number[(names or {})[label]] for label in raw.tolist()], dtype=np.int64) for raw, names in parts]
    return np.concatenate(moved), dict(enumerate(listed))


def _torch_kind(dataset: Any) -> str:
    """``Subset`` or ``ConcatDataset`` for these classes of torch as they are; a child may change labels in its items."""
    from torch.utils.data import ConcatDataset, Subset

    for base in (Subset, ConcatDataset):
        if isinstance(dataset, base) and type(dataset).__getitem__ is base.__getitem__:
            return base.__name__
    return ""


def _stored_labels(dataset: Any) -> np.ndarray | None:
    """The list of labels that a data set keeps, where it is one label for each item."""
    if _torch_kind(dataset) == "Subset":
        inner = _stored_labels(dataset.dataset)
        return None if inner is None else inner[np.asarray(dataset.indices, dtype=np.int64)]
    if getattr(dataset, "target_transform", None) is not None:
        return None
    for attribute in _LABEL_ATTRIBUTES:
        values = getattr(dataset, attribute, None)
        if values is not None and hasattr(values, "__len__") and len(values) == len(dataset):
            return exact_labels(values, f"`{attribute}` of {type(dataset).__name__}")
    return None


def _own_names(dataset: Any, what: str) -> dict[int, str] | None:
    """Class names by number, of ``classes`` and ``class_to_idx``."""
    listed, numbered = getattr(dataset, "classes", None), getattr(dataset, "class_to_idx", None)
    names: dict[int, str] | None = None
    if isinstance(listed, Mapping):
        numbered, listed = listed, None
    if isinstance(listed, Sequence | np.ndarray) and not isinstance(listed, str | bytes) and len(listed):
        names = dict(enumerate(class_list(listed, what)))
    if not isinstance(numbered, Mapping) or not numbered:
        return names
    if all(isinstance(key, int | np.integer) for key in numbered):
        return {int(key): str(value) for key, value in numbered.items()} if names is None else names
    if names is None:
        return {int(value): str(key) for key, value in numbered.items()}
    for number, name in names.items():
        entry = listed[number] if listed is not None else name
        for word in entry if isinstance(entry, tuple | list) else (entry,):
            if word in numbered and int(numbered[word]) != number:
                raise DataError(
                    f"`classes` says that {name!r} is {number}, `class_to_idx` that it is {numbered[word]}",
                    where=what,
                    remedy=_NAME_THEM,
                )
    return names


def _inner_names(dataset: Any, raw: np.ndarray, what: str) -> dict[int, str] | None:
    """Names of a data set that ``dataset`` wraps, where the labels are seen to be the same."""
    for inner in _wrapped(dataset):
        names = _own_names(inner, what)
        if names is None:
            deeper = _wrapped(inner)
            names = _own_names(deeper[0], what) if deeper else None
        if names is None:
            continue
        if raw.dtype == object:
            return None
        stored = _stored_labels(inner)
        if stored is None or len(stored) != len(raw):
            indices = getattr(dataset, "indices", None)
            if stored is None or indices is None or len(indices) != len(raw):
                stored = None
            else:
                stored = stored[np.asarray(indices, dtype=np.int64)]
        if stored is not None and np.array_equal(stored, raw):
            return names
        raise DataError(
            f"the classes of the {type(inner).__name__} that {type(dataset).__name__} wraps cannot be matched to its labels",
            where=what,
            remedy=_NAME_THEM,
        )
    return None


def _wrapped(dataset: Any) -> list[Any]:
    values = vars(dataset).values() if hasattr(dataset, "__dict__") else ()
    return [
        value
        for value in values
        if hasattr(value, "__getitem__")
        and hasattr(value, "__len__")
        and (hasattr(value, "classes") or hasattr(value, "class_to_idx") or hasattr(value, "dataset"))
    ]


def _check_untransformed(dataset: Any, raw: np.ndarray, what: str) -> None:
    """With a ``target_transform``, the names hold only if it changes nothing."""
    if getattr(dataset, "target_transform", None) is None or raw.dtype == object:
        return
    for attribute in _LABEL_ATTRIBUTES:
        values = getattr(dataset, attribute, None)
        if values is not None and len(values) == len(raw) and np.array_equal(exact_labels(values, what), raw):
            return
    raise DataError(
        f"{type(dataset).__name__} has a target_transform, so its `classes` do not name the labels of its items",
        where=what,
        remedy=_NAME_THEM,
    )


_NAME_THEM = "pass class_names in the order of the labels"


def _by_names(raw: np.ndarray, names: dict[int, str], where: str) -> Labels:
    unknown = [(row, int(label)) for row, label in enumerate(raw) if int(label) not in names]
    if unknown:
        row, label = unknown[0]
        raise DataError(
            f"label {label} is none of the {len(names)} classes of the data set",
            where=f"row {row} of {where}",
            remedy=_NAME_THEM,
        )
    position = {number: index for index, number in enumerate(sorted(names))}
    numbers = np.array([position[int(label)] for label in raw], dtype=np.int64)
    return Labels(numbers, tuple(names[number] for number in sorted(names)), "declared")


def _renamed(raw: np.ndarray, own: dict[int, str] | None, given: tuple[str, ...], where: str) -> Labels:
    """The caller's names, by name where the data set has the same, by position where it has others."""
    if own is not None and raw.dtype != object:
        listed = tuple(own[number] for number in sorted(own))
        if listed != given and set(listed) <= set(given):
            found = _by_names(raw, own, where)
            place = np.array([given.index(name) for name in found.names], dtype=np.int64)
            return Labels(place[found.numbers], given, "declared")
        if listed != given and len(listed) != len(given):
            raise DataError(
                f"{len(given)} class names were given, and the data set has {len(listed)} of other names",
                where=where,
                remedy="give its names, or as many new ones",
            )
    return named_labels(raw, given, where)


def _check_map_style(dataset: Any, what: str) -> None:
    remedy = "pass torch map-style data sets whose items are (image, label)"
    if type(dataset).__name__ == "DataLoader":
        raise DataError("a DataLoader was given", where=what, remedy="pass its data set: loader.dataset")
    if isinstance(dataset, np.ndarray | list) or hasattr(dataset, "detach"):
        raise DataError(
            f"a data set was expected, got {type(dataset).__name__}",
            where=what,
            remedy="make one with nctransfer.data.bundle_from_arrays(images, labels)",
        )
    if isinstance(dataset, str) or not hasattr(dataset, "__getitem__") or not hasattr(dataset, "__len__"):
        raise DataError(f"no map-style data set: {type(dataset).__name__}", where=what, remedy=remedy)


def _item(dataset: Any, index: int, what: str) -> tuple[Any, Any]:
    try:
        item = dataset[index]
    except (DataError, MemoryError):
        raise
    except Exception as error:  # The data set is the user's: whatever it raises is about its data.
        raise DataError(f"the data set raised {type(error).__name__}: {error}", where=f"{what} {index}") from error
    if not isinstance(item, tuple | list) or len(item) != 2:
        size = f" of {len(item)}" if isinstance(item, tuple | list) else ""
        raise DataError(
            f"an item must be (image, label), got {type(item).__name__}{size}",
            where=f"{what} {index}",
            remedy="wrap the data set so that its items are (image, label)",
        )
    return item[0], item[1]


def _item_labels(dataset: Any, what: str) -> list[Any]:
    return [_item(dataset, index, what)[1] for index in range(len(dataset))]


def _as_image(value: Any) -> Image.Image | DeepPixels:
    if isinstance(value, Image.Image):
        try:
            value.load()
        except Exception as error:
            raise DataError(f"cannot be decoded: {error}") from error
        return plain_deep(value) if value.mode.startswith("I") or value.mode == "F" else to_rgb(value)
    array = np.asarray(value)
    channels_first = array.ndim == 3 and array.shape[0] in (1, 3)
    if channels_first and (hasattr(value, "permute") or array.shape[-1] not in (1, 3)):
        array = array.transpose(1, 2, 0)
    if array.ndim == 3 and array.shape[-1] == 1:
        array = array[..., 0]
    if np.issubdtype(array.dtype, np.floating):
        if array.size and not (array.min() >= 0 and array.max() <= 1):
            raise DataError(
                f"a floating-point image must lie in [0, 1], got [{array.min():.3g}, {array.max():.3g}]",
                remedy="pass the data set without its Normalize transform; each network brings its own",
            )
        array = np.rint(array * 255).astype(np.uint8)
    if array.dtype == np.uint16 and array.ndim in (2, 3) and (array.ndim == 2 or array.shape[-1] == 3):
        return DeepPixels(array)
    if array.dtype != np.uint8 or array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[-1] != 3):
        raise DataError(
            f"an image must be a PIL image or a tensor (3, H, W) of uint8 or [0, 1], got {array.dtype} {array.shape}"
        )
    return Image.fromarray(np.ascontiguousarray(array)).convert("RGB")
