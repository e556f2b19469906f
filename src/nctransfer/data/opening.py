"""The door of the room: a path, a name or arrays in, a checked data set with three splits out."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import DataError, UsageError, near_names
from .checks import check_images, drop_bad, find_duplicates, summarise_sizes
from .classes import unify_classes
from .folder import find_folder
from .hub import find_hub
from .images import IMAGE_SUFFIXES, shown
from .named import NAMES, find_named
from .parquet import ParquetSource, find_parquet, parquet_files
from .sources import ArraySource, FileSource, Found, MapSource, Source
from .splits import DataBundle, ImageSplit, draw_splits

__all__ = ["bundle_from_arrays", "bundle_from_files", "bundle_from_torch", "open_dataset"]


def open_dataset(
    data: str | Path,
    *,
    seed: int = 0,
    limit: int | None = None,
    validation_fraction: float = 0.2,
    test_fraction: float = 0.2,
    on_bad_image: str = "stop",
    skip_limit: float = 0.05,
    skipped_csv: Path | None = None,
    download: bool = True,
    check: bool = True,
) -> DataBundle:
    """Open a data set by path or name, draw the splits that are missing, and check every image that is used.

    Args:
        data: A folder of class folders (with or without ``train/``, ``val/``, ``test/``), a folder of Parquet files in
            the Hugging Face layout, one of the names in ``NAMES``, or ``hf:NAME`` for the Hugging Face hub.
        seed: Determines the splits that are drawn.
        limit: Most training and validation images together, stratified; None for all.
        validation_fraction: Share of the training images that become the validation split where none is given.
        test_fraction: Share of all images that become the test split where none is given.
        on_bad_image: ``stop`` lists all unreadable images in one error; ``skip`` leaves them out.
        skip_limit: Largest share of unreadable images that ``skip`` puts up with.
        skipped_csv: File that lists what ``skip`` left out.
        download: Whether a named data set may be downloaded when it is not found.
        check: Whether to decode every image now. Without it, a damaged image is an error when it is met, and the
            report says nothing of sizes and duplicates.

    Returns:
        The splits with a report.

    Raises:
        UsageError: the name is unknown, or a setting is invalid.
        DataError: the path does not exist, or what lies there does not hold.
        SetupError: a named data set is not here and cannot be downloaded.

    Example:
        >>> bundle = open_dataset("digits", limit=100, check=False)
        >>> len(bundle.train), len(bundle.validation), len(bundle.test), bundle.class_names[3]
        (80, 20, 359, '3')
    """
    return _finish(
        _find(data, download),
        seed=seed,
        limit=limit,
        validation_fraction=validation_fraction,
        test_fraction=test_fraction,
        on_bad_image=on_bad_image,
        skip_limit=skip_limit,
        skipped_csv=skipped_csv,
        check=check,
    )


def bundle_from_arrays(
    images: np.ndarray,
    labels: Any,
    class_names: tuple[str, ...] | list[str] | None = None,
    *,
    validation: tuple[np.ndarray, Any] | None = None,
    test: tuple[np.ndarray, Any] | None = None,
    name: str = "arrays",
    **settings: Any,
) -> DataBundle:
    """A data set from arrays in memory.

    Args:
        images: Shape (N, H, W, 3) or (N, H, W), uint8.
        labels: Shape (N,), in [0, K).
        class_names: K names; numbers by default.
        validation, test: Further (images, labels); drawn from ``images`` where missing.
        name: Short name of the data set.
        settings: As for :func:`open_dataset`.

    Example:
        >>> bundle = bundle_from_arrays(np.zeros((30, 8, 8), np.uint8), [0, 1] * 15)
        >>> bundle.train.image(0).size, bundle.report["duplicates"]["train_test"]["pixels"]
        ((8, 8), 6)
    """
    given: dict[str, Source] = {"train": ArraySource(images, labels, "train row")}
    for split, pair in (("validation", validation), ("test", test)):
        if pair is not None:
            given[split] = ArraySource(pair[0], pair[1], f"{split} row")
    return _finish(_found_in_memory(given, class_names, name, "arrays"), **settings)


def bundle_from_files(
    paths: Sequence[str | Path],
    labels: Any,
    class_names: tuple[str, ...] | list[str] | None = None,
    *,
    test: tuple[Sequence[str | Path], Any] | None = None,
    name: str = "files",
    **settings: Any,
) -> DataBundle:
    """A data set from paths of image files and their labels.

    Args:
        paths: N paths.
        labels: Shape (N,), in [0, K).
        class_names: K names; numbers by default.
        test: Further (paths, labels); drawn from ``paths`` where missing.
        name: Short name of the data set.
        settings: As for :func:`open_dataset`.
    """
    given: dict[str, Source] = {
        split: FileSource([os.fspath(path) for path in files], numbers)
        for split, (files, numbers) in {"train": (paths, labels), **({"test": test} if test else {})}.items()
    }
    return _finish(_found_in_memory(given, class_names, name, "files"), **settings)


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

    Args:
        train: Items are (PIL image, or tensor (C, H, W) of uint8 or in [0, 1]; label). It must give the same image
            each time: no random transform, no normalisation.
        validation, test: The same; drawn from ``train`` where missing.
        class_names: K names; by default the data set's ``classes``, else numbers.
        name: Short name of the data set.
        settings: As for :func:`open_dataset`.
    """
    parts = {"train": train, "validation": validation, "test": test}
    given: dict[str, Source] = {
        split: MapSource(part, f"{split} item") for split, part in parts.items() if part is not None
    }
    names = class_names if class_names is not None else getattr(train, "classes", None)
    return _finish(_found_in_memory(given, names, name or type(train).__name__, "torch"), **settings)


def _find(data: str | Path, download: bool) -> Found:
    text = os.fspath(data)
    if isinstance(data, str):
        if text.startswith("hf:"):
            return find_hub(text.removeprefix("hf:"))
        if text in NAMES:
            return find_named(text, download)
    path = os.path.expanduser(text)
    if os.path.isdir(path):
        return find_parquet(path) if _holds_parquet(path) else find_folder(path)
    if os.path.isfile(path):
        if path.endswith(".parquet"):
            return find_parquet(path)
        raise DataError(
            "a file, where a folder is expected", where=shown(path), remedy="unpack an archive first; pass the folder"
        )
    if os.path.lexists(path):
        raise DataError("a link that leads nowhere or in a circle", where=shown(path), remedy="fix or remove the link")
    if isinstance(data, str) and not any(mark in text for mark in ("/", "\\", "~", ".")):
        raise UsageError(
            f"unknown data set {shown(text)!r}, and no folder of that name is here",
            where=shown(os.getcwd()),
            remedy=near_names(text, list(NAMES)),
        )
    raise DataError("no such folder", where=shown(path), remedy="check the path, or name one of: " + ", ".join(NAMES))


def _holds_parquet(path: str) -> bool:
    """Parquet files and no images: a table of notes beside class folders does not count."""
    if not parquet_files(path):
        return False
    return not any(
        os.path.splitext(name)[1].lower() in IMAGE_SUFFIXES and not name.startswith(".")
        for folder, _, files in os.walk(path)
        for name in files
        if not os.path.basename(folder).startswith((".", "__MACOSX"))
    )


def _found_in_memory(given: dict[str, Source], class_names: Any, name: str, kind: str) -> Found:
    highest = max(int(source.labels.max(initial=-1)) for source in given.values())
    names = tuple(str(index) for index in range(highest + 1)) if class_names is None else tuple(map(str, class_names))
    for split, source in given.items():
        wrong = np.flatnonzero((source.labels < 0) | (source.labels >= len(names)))
        if len(wrong):
            raise DataError(
                f"`labels` must lie in [0, {len(names)}), got {source.labels[wrong[0]]} at row {wrong[0]}",
                where=split,
                remedy="pass more class_names or remap the labels",
            )
    return Found(name, kind, name, given, dict.fromkeys(given, names))


def _finish(
    found: Found,
    *,
    seed: int = 0,
    limit: int | None = None,
    validation_fraction: float = 0.2,
    test_fraction: float = 0.2,
    on_bad_image: str = "stop",
    skip_limit: float = 0.05,
    skipped_csv: Path | None = None,
    check: bool = True,
) -> DataBundle:
    class_names, labels = unify_classes(found)
    given = {
        split: ImageSplit(source, np.arange(len(source.labels)), labels[split], class_names)
        for split, source in found.sources.items()
    }
    splits, drawn = draw_splits(
        given,
        seed=seed,
        limit=limit,
        validation_fraction=validation_fraction,
        test_fraction=test_fraction,
        place=found.place,
    )
    for split in splits.values():
        if isinstance(split.source, ParquetSource):
            split.source.gather(split.indices)
    report: dict[str, Any] = {"sizes": {}, "bad": [], "duplicates": None}
    if check:
        findings = {name: check_images(split, f"checking {name} images") for name, split in splits.items()}
        splits, findings, bad = drop_bad(
            splits,
            findings,
            on_bad_image=on_bad_image,
            skip_limit=skip_limit,
            skipped_csv=skipped_csv,
            place=found.place,
        )
        report = {
            "sizes": summarise_sizes(findings),
            "bad": bad,
            "duplicates": find_duplicates(splits, findings),
        }
    report |= {
        "source": {"name": found.name, "kind": found.kind, "place": found.place, "drawn": drawn, "limit": limit},
        "class_names": list(class_names),
        "splits": {name: len(split) for name, split in splits.items()},
        "counts": {
            name: dict(zip(class_names, split.counts().tolist(), strict=True)) for name, split in splits.items()
        },
        "skipped": found.skipped,
        "notes": found.notes + _notes(report, drawn, seed),
    }
    return DataBundle(found.name, class_names, splits["train"], splits["validation"], splits["test"], report)


def _notes(report: dict[str, Any], drawn: list[str], seed: int) -> list[str]:
    notes = [f"{' and '.join(drawn)} drawn from the training images, stratified, seed {seed}"] if drawn else []
    if report["bad"]:
        notes.append(f"warning: {len(report['bad'])} unreadable images were skipped")
    twins = (report["duplicates"] or {}).get("train_test", {}).get("pixels", 0)
    if twins:
        notes.append(f"warning: {twins} test images also stand in train, pixel for pixel")
    return notes
