"""Data sets from objects in memory: arrays, torch data sets, and those of the library ``datasets``."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import DataError, UsageError
from .bundling import bundle_of, limited
from .grouped import groups_of_caller
from .hub import find_loaded, is_hub_object
from .labels import Labels, named_labels
from .sources import ArraySource, FileSource, Found, Source
from .splits import DataBundle
from .torch_sets import MapSource
from .words import SPLIT_NAMES

__all__ = ["bundle_from_arrays", "bundle_from_files", "bundle_from_object", "bundle_from_torch"]


def bundle_from_arrays(
    images: np.ndarray,
    labels: Any,
    class_names: tuple[str, ...] | list[str] | None = None,
    *,
    validation: tuple[np.ndarray, Any] | None = None,
    test: tuple[np.ndarray, Any] | None = None,
    name: str = "arrays",
    groups: Any = None,
    **settings: Any,
) -> DataBundle:
    """A data set from arrays in memory.

    Args:
        images: Shape (N, H, W, 3) or (N, H, W), uint8.
        labels: Shape (N,): whole numbers, names, or one-hot rows (N, K).
        class_names: K names in the order of the numbers; by default the labels' own.
        validation, test: Further (images, labels); drawn from ``images`` where missing.
        name: Short name of the data set.
        groups: What each of ``images`` belongs to (a patient, a video), shape (N,); no draw tears a group apart.
        settings: As for :func:`~nctransfer.data.open_dataset`.

    Raises:
        DataError: shapes do not fit, or a label is not exactly one class.

    Example:
        >>> bundle = bundle_from_arrays(np.zeros((30, 8, 8), np.uint8), [0, 1] * 15)
        >>> bundle.train.image(0).size, bundle.report["duplicates"]["train_test"]["pixels"]
        ((8, 8), 6)
    """
    parts = {"train": (images, labels), "validation": validation, "test": test}
    sources = {
        split: ArraySource(pair[0], pair[1], f"{split} row", class_names)
        for split, pair in parts.items()
        if pair is not None
    }
    given = {split: (source, source.found) for split, source in sources.items()}
    return bundle_of(_found(given, name, "arrays", groups), **settings)


def bundle_from_files(
    paths: Sequence[str | Path],
    labels: Any,
    class_names: tuple[str, ...] | list[str] | None = None,
    *,
    test: tuple[Sequence[str | Path], Any] | None = None,
    name: str = "files",
    groups: Any = None,
    **settings: Any,
) -> DataBundle:
    """A data set from paths of image files and their labels.

    Args:
        paths: N paths.
        labels: Shape (N,): whole numbers, names, or one-hot rows (N, K).
        class_names: K names in the order of the numbers; by default the labels' own.
        test: Further (paths, labels); drawn from ``paths`` where missing.
        name: Short name of the data set.
        groups: What each of ``paths`` belongs to (a patient, a video), shape (N,); no draw tears a group apart.
        settings: As for :func:`~nctransfer.data.open_dataset`.

    Raises:
        DataError: lengths do not fit, or a label is not exactly one class.
    """
    given = {
        split: _files(files, numbers, class_names, split)
        for split, (files, numbers) in {"train": (paths, labels), **({"test": test} if test else {})}.items()
    }
    return bundle_of(_found(given, name, "files", groups), **settings)


def _files(paths: Sequence[str | Path], labels: Any, class_names: Any, split: str) -> tuple[FileSource, Labels]:
    found = named_labels(labels, class_names, f"the labels of {split}")
    if len(found.numbers) != len(paths):
        raise DataError(f"{len(paths)} paths and {len(found.numbers)} labels", where=split, remedy="give one each")
    return FileSource([os.fspath(path) for path in paths], found.numbers), found


def bundle_from_torch(
    train: Any,
    validation: Any = None,
    test: Any = None,
    class_names: tuple[str, ...] | list[str] | None = None,
    *,
    name: str | None = None,
    **settings: Any,
) -> DataBundle:
    """A data set from torch map-style data sets whose items are (image, label).

    Classes of the three are matched by name, by ``classes`` or ``class_to_idx`` of each, also within ``Subset`` and
    ``ConcatDataset``; labels without names are numbers that mean the same in all three.

    Args:
        train: Items are (PIL image, or tensor (C, H, W) of uint8 or in [0, 1]; label). It must give the same image
            each time: no random transform, no normalisation.
        validation, test: The same; drawn from ``train`` where missing.
        class_names: K names in the order of the labels; by default each data set's own, else numbers.
        name: Short name of the data set.
        settings: As for :func:`~nctransfer.data.open_dataset`.

    Raises:
        DataError: a label is not exactly one class, or classes cannot be matched by name.
    """
    parts = {"train": train, "validation": validation, "test": test}
    if train is None:
        raise DataError("the training data set is None", where="train", remedy="pass (train, validation, test)")
    sources = {
        split: MapSource(part, f"{split} item", class_names) for split, part in parts.items() if part is not None
    }
    given = {split: (source, source.found) for split, source in sources.items()}
    return bundle_of(_found(given, name or type(train).__name__, "torch"), **settings)


def bundle_from_object(data: Any, **settings: Any) -> DataBundle:
    """A bundle of whatever data a caller holds as an object.

    Args:
        data: A :class:`~nctransfer.data.DataBundle`; a torch data set, a tuple of them (train, validation, test) or a mapping
            by those words; a ``Dataset`` or ``DatasetDict`` of the library ``datasets``.
        settings: As for :func:`~nctransfer.data.open_dataset`. Of a bundle, which is open already, only ``limit`` changes
            anything.

    Raises:
        UsageError: a setting comes too late for a bundle.
        DataError: the object is of no known kind, or its data cannot be used.
    """
    named = [key for key in ("image_column", "label_column", "split_column", "group_column") if settings.pop(key, None)]
    if named:
        raise UsageError(
            f"`{named[0]}` names a column, and the data are no table",
            where="data",
            remedy="pass the path of a table, or groups=... to bundle_from_arrays or bundle_from_files",
        )
    if isinstance(data, DataBundle):
        return _narrowed(data, settings)
    if is_hub_object(data):
        return bundle_of(find_loaded(data, type(data).__name__, "the data set"), **settings)
    if isinstance(data, Mapping):
        data = _by_split(data)
    parts = data if isinstance(data, tuple) else (data,)
    if not 1 <= len(parts) <= 3:
        raise DataError(f"(train, validation, test) was expected, got {len(parts)} data sets", where="data")
    if any(isinstance(part, str | Path) for part in parts):
        raise DataError(
            "paths cannot stand in a tuple", where="data", remedy="pass one folder that holds train/ and test/"
        )
    return bundle_from_torch(*parts, **settings)


def _narrowed(bundle: DataBundle, settings: dict[str, Any]) -> DataBundle:
    for key in ("validation_fraction", "test_fraction", "group_pattern"):
        if settings.get(key) is not None:
            raise UsageError(
                f"`{key}` comes too late: the splits of a bundle are drawn",
                where=bundle.name,
                remedy=f"give {key} to the function that makes the bundle",
            )
    limit = settings.get("limit")
    return bundle if limit is None else limited(bundle, int(limit), int(settings.get("seed") or 0))


def _by_split(data: Mapping[Any, Any]) -> tuple[Any, ...]:
    found: dict[str, Any] = {}
    for key, value in data.items():
        split = SPLIT_NAMES.get(str(key).lower())
        if split is None or split in found:
            raise DataError(
                f"the key {key!r} names no split, or one twice", where="data", remedy="use train, validation and test"
            )
        found[split] = value
    return found.get("train"), found.get("validation"), found.get("test")


def _found(given: Mapping[str, tuple[Source, Labels]], name: str, kind: str, groups: Any = None) -> Found:
    return Found(
        name,
        kind,
        name,
        {split: source for split, (source, _) in given.items()},
        {split: labels.names for split, (_, labels) in given.items()},
        naming={split: labels.naming for split, (_, labels) in given.items()},
        groups={} if groups is None else {"train": groups_of_caller(groups, len(given["train"][0].labels))},
    )
