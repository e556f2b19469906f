"""A table of images: CSV, TSV or Parquet, one row an image, with columns for path, label, and perhaps split and group.

Paths are relative to the table. Columns are guessed by the usual words or named by the caller, and which ones were taken is told.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..errors import DataError
from .columns import Columns
from .images import shown
from .labels import named_labels
from .rows import Rows, is_table, read_rows
from .sources import FileSource, Found
from .table_columns import choose_columns
from .table_labels import class_values, is_missing
from .words import SPLIT_NAMES

__all__ = ["find_table", "is_table"]

_SPLITS = ("train", "validation", "test")
_PLAIN_NAMES = frozenset(
    ("annotations", "data", "dataset", "images", "index", "labels", "metadata", "table", "train", "training")
)
_MOST_WALKED = 20_000


def find_table(path: str, columns: Columns | None = None) -> Found:
    """Read a table of image files.

    Args:
        path: The file: ``.csv``, ``.tsv``, ``.tab`` or ``.parquet``.
        columns: Names of the columns that the caller knows; the rest is guessed.

    Returns:
        The splits that the table gives; all rows count as ``train`` where it gives none.

    Raises:
        UsageError: a column that was named is not there.
        DataError: the table cannot be read, lacks a column, a path or a label; an image has two labels or stands in two
            splits; several labels stand in one cell; or no file is found.
    """
    path = os.path.abspath(path)
    rows = read_rows(path)
    chosen, notes = choose_columns(rows, columns or Columns())
    root = os.path.dirname(path)
    files = _paths(rows, chosen.image or "", root)
    splits = _splits(rows, chosen.split)
    labels = rows.column(chosen.label or "")
    groups = None if chosen.group is None else _groups(rows, chosen.group)
    kept = _without_labels(rows, labels, splits, notes)
    kept = _without_twins(rows, kept, files, labels, splits, groups, notes)
    _check_there([files[row] for row in kept], rows.name, root)
    found = Found(_name_of(path), "table", shown(path), {}, {}, notes)
    values = dict(zip(kept, class_values(rows, kept, labels), strict=True))
    for split in _SPLITS:
        mine = [row for row in kept if splits[row] == split]
        if mine:
            named = named_labels([values[row] for row in mine], rows.class_names(chosen.label or ""), rows.name)
            found.sources[split] = FileSource([files[row] for row in mine], named.numbers, root)
            found.class_names[split], found.naming[split] = named.names, named.naming
            if groups is not None:
                found.groups[split] = np.array([groups[row] for row in mine], dtype=object)
    if "train" not in found.sources:
        raise DataError(
            "the table has no rows" if not len(rows) else "no row of the table is for training",
            where=rows.name,
            remedy="add rows" if not len(rows) else f"write 'train' into the column {chosen.split!r}",
        )
    return found


def _name_of(path: str) -> str:
    stem = os.path.splitext(os.path.basename(path))[0]
    folder = os.path.basename(os.path.dirname(path))
    return shown(folder if stem.casefold() in _PLAIN_NAMES and folder else stem)


def _paths(rows: Rows, column: str, root: str) -> list[str]:
    paths = []
    for row, value in enumerate(rows.column(column)):
        if value is not None and not isinstance(value, str | int):
            raise DataError(
                f"a path must be text, got {type(value).__name__}",
                where=rows.where(row),
                remedy=f"write the image's path, relative to the table, into {column!r}",
            )
        text = "" if value is None else str(value).strip()
        if not text:
            raise DataError(
                "the path of an image is missing", where=rows.where(row), remedy=f"fill {column!r}, or remove the row"
            )
        if "://" in text:
            raise DataError(
                f"an address, not a path: {shown(text)}",
                where=rows.where(row),
                remedy="download the images and write their paths",
            )
        path = os.path.normpath(os.path.join(root, os.path.expanduser(text)))
        if "\\" in text and not os.path.lexists(path):
            path = os.path.normpath(os.path.join(root, text.replace("\\", "/")))
        paths.append(path)
    return paths


def _splits(rows: Rows, column: str | None) -> list[str]:
    if column is None:
        return ["train"] * len(rows)
    found = []
    for row, value in enumerate(rows.column(column)):
        split = SPLIT_NAMES.get(str(value).strip().casefold()) if value is not None else None
        if split is None:
            said = "is missing" if is_missing(value) else f"{value!r} is unknown"
            raise DataError(
                f"the split {said}",
                where=rows.where(row),
                remedy=f"write train, validation or test into {column!r}, or draw the splits with --split-column none",
            )
        found.append(split)
    return found


def _groups(rows: Rows, column: str) -> list[str]:
    values = rows.column(column)
    missing = [row for row, value in enumerate(values) if is_missing(value)]
    if missing:
        raise DataError(
            f"{len(missing)} of {len(values)} rows have no group",
            where=rows.where(missing[0]),
            remedy=f"fill {column!r} (an image without kin is a group of its own), or pass --group-column none",
        )
    return [str(value).strip() for value in values]


def _without_labels(rows: Rows, labels: Sequence[Any], splits: list[str], notes: list[str]) -> list[int]:
    """The rows of splits with labels; a test or validation split of which no row has one is left out, and told."""
    missing = np.array([is_missing(value) or str(value).strip() == "-1" for value in labels], dtype=bool)
    dropped = [
        split
        for split in ("validation", "test")
        if split in splits and all(missing[row] for row in range(len(rows)) if splits[row] == split)
    ]
    for split in dropped:
        notes.append(f"warning: the {split} split has no labels and was left out")
    kept = [row for row in range(len(rows)) if splits[row] not in dropped]
    blank = [row for row in kept if is_missing(labels[row])]
    if blank:
        raise DataError(
            f"{len(blank)} of {len(rows)} rows have no label",
            where=rows.where(*blank[:5]) + (" and others" if len(blank) > 5 else ""),
            remedy="give every image a label, or remove the rows",
        )
    return kept


def _without_twins(
    rows: Rows,
    kept: list[int],
    files: list[str],
    labels: Sequence[Any],
    splits: list[str],
    groups: list[str] | None,
    notes: list[str],
) -> list[int]:
    """Each image once; a second row that says something else of it is refused."""
    first: dict[str, int] = {}
    repeated = 0
    for row in kept:
        before = first.setdefault(files[row], row)
        if before == row:
            continue
        repeated += 1
        for what, values in (("labels", labels), ("splits", splits), ("groups", groups)):
            if values is not None and str(values[before]).strip() != str(values[row]).strip():
                image = shown(os.path.relpath(files[row], rows.folder))
                raise DataError(
                    f"{image} stands in the table with two {what}, {values[before]!r} and {values[row]!r}",
                    where=rows.where(before, row),
                    remedy="keep one row an image; several classes an image (multi-label) are not supported"
                    if what == "labels"
                    else "keep one row an image",
                )
    if repeated:
        notes.append(f"warning: {repeated} rows repeat an earlier row of the same image and were left out")
    return sorted(first.values())


def _check_there(files: list[str], name: str, root: str) -> None:
    """Refuse a table of which no file is found; single missing files are treated as images that cannot be read."""
    if not files or any(os.path.exists(file) for file in files):
        return
    wanted = files[0]
    stem = os.path.splitext(os.path.basename(wanted))[0]
    walked, near = 0, ""
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(entry for entry in folders if not entry.startswith("."))
        near = next((os.path.join(folder, entry) for entry in names if os.path.splitext(entry)[0] == stem), "")
        walked += len(names)
        if near or walked > _MOST_WALKED:
            break
    shown_near = f": {shown(os.path.relpath(near, root))} is there" if near else ""
    raise DataError(
        f"none of the {len(files)} images is found, not even {shown(os.path.relpath(wanted, root))}",
        where=name,
        remedy=f"write paths with their suffix, relative to the table{shown_near}",
    )
