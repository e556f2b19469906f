"""The door of the room: a path or a name in, a checked data set with three splits out."""

from __future__ import annotations

import os
from pathlib import Path

from ..errors import DataError, UsageError, near_names
from .bundling import bundle_of, splits_as_found
from .columns import NONE, Columns
from .fingerprint import check_same_given, given_of
from .folder import find_folder
from .hub import find_hub
from .images import IMAGE_SUFFIXES, shown
from .named import NAMES, find_named
from .parquet import find_parquet, parquet_files
from .rows import holds_bytes, is_table
from .sources import Found
from .splits import DataBundle
from .table import find_table
from .walk import is_run_folder

__all__ = ["check_same_place", "open_dataset"]


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
    pixel_limit: int | None = None,
    image_range: str = "auto",
    download: bool = True,
    check: bool = True,
    image_column: str | None = None,
    label_column: str | None = None,
    split_column: str | None = None,
    group_column: str | None = None,
    group_pattern: str | None = None,
) -> DataBundle:
    """Open a data set by path or name, draw the splits that are missing, and check every image that is used.

    Args:
        data: A folder of class folders (with or without ``train/``, ``val/``, ``test/``), a table of image paths and labels
            (CSV, TSV or Parquet), a folder of Parquet files in the Hugging Face layout, one of the names in ``NAMES``, or
            ``hf:NAME`` for the Hugging Face hub.
        seed: Determines the splits that are drawn.
        limit: Most training and validation images together, stratified; None for all.
        validation_fraction: Fraction of the training images that become the validation split where none is given.
        test_fraction: Fraction of all images that become the test split where none is given.
        on_bad_image: ``stop`` lists all unreadable images in one error; ``skip`` leaves them out.
        skip_limit: Largest fraction of unreadable images that ``skip`` allows.
        skipped_csv: File that lists what ``skip`` left out.
        pixel_limit: Most pixels of an image; Pillow's own limit where None.
        image_range: Values of images of more than 8 bits a channel that become 0 and 255, as ``LOW,HIGH``; ``auto`` takes
            them from the training images.
        download: Whether a named data set may be downloaded when it is not found.
        check: Whether to decode every image now. Without it, a damaged image is an error when it is met, and the
            report says nothing of sizes and duplicates.
        image_column, label_column: Columns of a table; guessed by the usual words where None.
        split_column, group_column: The same, where ``none`` means that the table has no such column. Images of a group stay
            together: no split that is drawn tears them apart, and given splits must not.
        group_pattern: Regular expression on the path of an image, relative to ``data``, whose match is the group.

    Returns:
        The splits with a report.

    Raises:
        UsageError: the name is unknown, or a setting is invalid.
        DataError: the path does not exist, or what is there cannot be used.
        SetupError: a named data set is not here and cannot be downloaded.

    Example:
        >>> bundle = open_dataset("digits", limit=100, check=False)
        >>> len(bundle.train), len(bundle.validation), len(bundle.test), bundle.class_names[3]
        (80, 20, 359, '3')
    """
    return bundle_of(
        _find(data, download, Columns(image_column, label_column, split_column, group_column)),
        seed=seed,
        limit=limit,
        validation_fraction=validation_fraction,
        test_fraction=test_fraction,
        on_bad_image=on_bad_image,
        skip_limit=skip_limit,
        skipped_csv=skipped_csv,
        pixel_limit=pixel_limit,
        image_range=image_range,
        check=check,
        group_pattern=_checked_pattern(group_pattern, group_column),
    )


def check_same_place(
    folder: Path,
    data: str | Path,
    *,
    download: bool = True,
    image_column: str | None = None,
    label_column: str | None = None,
    split_column: str | None = None,
    group_column: str | None = None,
    group_pattern: str | None = None,
) -> None:
    """Refuse to take a finished run from the disk where the data at ``data`` are no longer those that it used.

    Raises:
        DataError: names, sizes or labels changed; or as for :func:`open_dataset`.
    """
    columns = Columns(image_column, label_column, split_column, group_column)
    check_same_given(folder, given_of(splits_as_found(_find(data, download, columns), group_pattern)))


def _checked_pattern(pattern: str | None, column: str | None) -> str | None:
    if pattern is not None and column not in (None, NONE):
        raise UsageError("groups are given twice", where="--group-pattern and --group-column", remedy="leave one out")
    return pattern


def _find(data: str | Path, download: bool, columns: Columns) -> Found:
    text = os.fspath(data)
    path = os.path.expanduser(text)
    if is_table(path) and os.path.isfile(path):
        bytes_inside = path.lower().endswith(".parquet") and holds_bytes(path)
        return find_parquet(path, columns) if bytes_inside else find_table(path, columns)
    if os.path.isdir(path) and not (isinstance(data, str) and text in NAMES) and _holds_parquet(path):
        return find_parquet(path, columns)
    if columns.given():
        flag = f"--{columns.given()[0]}-column"
        raise UsageError(
            f"{shown(text)} is no table and has no columns", where=flag, remedy=f"pass a table, or leave {flag} out"
        )
    return _without_columns(data, text, path, download)


def _without_columns(data: str | Path, text: str, path: str, download: bool) -> Found:
    if isinstance(data, str):
        if text.startswith("hf:"):
            return find_hub(text.removeprefix("hf:"))
        if text in NAMES:
            return find_named(text, download)
    if os.path.isdir(path):
        return find_folder(path)
    if os.path.isfile(path):
        raise DataError(
            "a file, where a folder or a table (.csv, .tsv, .parquet) is expected",
            where=shown(path),
            remedy="save a spreadsheet as CSV, unpack an archive; pass the table or the folder",
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
    for folder, folders, files in os.walk(path):
        folders[:] = [
            name
            for name in folders
            if not name.startswith((".", "__MACOSX")) and not is_run_folder(os.path.join(folder, name))
        ]
        if any(os.path.splitext(name)[1].lower() in IMAGE_SUFFIXES and not name.startswith(".") for name in files):
            return False
    return True
