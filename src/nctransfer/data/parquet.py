"""A folder of Parquet files in the layout of the Hugging Face hub: ``image: {bytes, path}`` and ``label: ClassLabel``.

Labels are read at once; the bytes of the images only for the rows that are used.
"""

from __future__ import annotations

import json
import os
import re
from collections import defaultdict
from typing import Any

import numpy as np
import psutil
import pyarrow as pa
import pyarrow.parquet as pq

from ..errors import DataError, ResourceError, UsageError
from .columns import GROUP_WORDS, NONE, Columns, guess, named_column
from .images import shown
from .labels import Labels, named_labels
from .sources import EncodedSource, Found, Source
from .walk import is_run_folder
from .words import split_of_file

__all__ = ["ParquetSource", "declared_names", "find_parquet", "holds_images", "parquet_files"]

_SHARD = re.compile(r"^(.*)-(\d{5})-of-(\d{5})\.parquet$")
_IMAGE_COLUMNS = ("image", "img", "images", "picture")
_LABEL_COLUMNS = ("label", "labels", "fine_label", "class", "target", "category")


def parquet_files(root: str, depth: int = 3) -> list[str]:
    """Paths of the Parquet files in ``root`` and its subfolders, sorted; ``root`` may also be one such file."""
    if os.path.isfile(root):
        return [root] if root.lower().endswith(".parquet") else []
    found = []
    for folder, folders, files in os.walk(root):
        folders[:] = sorted(
            name
            for name in folders
            if not name.startswith(".") and name != "__MACOSX" and not is_run_folder(os.path.join(folder, name))
        )
        if os.path.relpath(folder, root).count(os.sep) >= depth - 1:
            folders[:] = []
        found += [
            os.path.join(folder, name)
            for name in files
            if name.lower().endswith(".parquet") and not name.startswith(".")
        ]
    return sorted(found)


def find_parquet(root: str, columns: Columns | None = None) -> Found:
    """Look through a folder of Parquet files.

    Args:
        root: Path of the folder, or of one file.
        columns: Names of the columns that the caller knows: of images, labels and groups.

    Returns:
        The splits that the file names tell; files that tell none count as ``train``.

    Raises:
        UsageError: a column that was named is not there.
        DataError: a file is damaged, has no image or label column, or its class names differ from another's.
    """
    columns = columns or Columns()
    if columns.split not in (None, NONE):
        raise UsageError(
            "the splits of Parquet files that hold images are told by the names of the files",
            where="--split-column",
            remedy="leave it out, and write train.parquet, validation.parquet and test.parquet",
        )
    root = os.path.abspath(root)
    files = parquet_files(root)
    if not files:
        raise DataError("no Parquet files", where=shown(root), remedy="pass the folder that holds *.parquet")
    notes = _missing_members(files)
    base = root if os.path.isdir(root) else os.path.dirname(root)
    by_split: dict[str, list[str]] = defaultdict(list)
    for path in files:
        by_split[split_of_file(path, base)].append(path)
    if "train" in by_split and by_split.get(""):
        notes.append(
            "warning: files of no known split were left out: "
            + ", ".join(shown(os.path.relpath(path, base)) for path in by_split[""])
        )
    elif "" in by_split:
        by_split["train"] = by_split[""]
    by_split.pop("", None)
    if "train" not in by_split:
        raise DataError(
            f"Parquet files for {', '.join(sorted(by_split))} but none for train",
            where=shown(root),
            remedy="add train-00000-of-00001.parquet",
        )
    sources: dict[str, Source] = {}
    names: dict[str, tuple[str, ...]] = {}
    found = Found(shown(os.path.basename(root)), "parquet", shown(root), sources, names, notes)
    for split in ("train", "validation", "test"):
        if split in by_split:
            opened = _open_split(by_split[split], base, columns, found)
            if opened is None:
                notes.append(f"warning: the {split} split has no labels (all are -1) and was left out")
                continue
            sources[split], names[split], found.naming[split] = opened[0], opened[1].names, opened[1].naming
            if opened[2] is not None:
                found.groups[split] = opened[2]
    if "train" not in sources:
        raise DataError("the training images have no labels (all are -1)", where=shown(root), remedy="add their labels")
    return found


class ParquetSource(EncodedSource):
    """Rows of Parquet files that hold encoded images.

    Args:
        files: Paths, in order.
        image_column: Name of the column of images, a struct of ``bytes`` and ``path``, or binary.
        labels: Shape (N,), over the rows of all files.
        base: Folder left out at the front of a path when it is shown, and to which ``path`` entries are relative.
    """

    def __init__(self, files: list[str], image_column: str, labels: np.ndarray, base: str) -> None:
        self.files, self.image_column, self.labels, self.base = files, image_column, labels, base
        counts = [pq.ParquetFile(path).metadata.num_rows for path in files]
        self.starts = np.concatenate([[0], np.cumsum(counts)])
        self._content: dict[int, bytes] = {}

    def gather(self, indices: np.ndarray) -> None:
        """Read the bytes of these rows into memory.

        Raises:
            ResourceError: they would not fit.
            DataError: a file is damaged.
        """
        wanted = np.setdiff1d(indices, np.fromiter(self._content, dtype=np.int64, count=len(self._content)))
        self._check_memory(len(wanted))
        for number, path in enumerate(self.files):
            rows = wanted[(wanted >= self.starts[number]) & (wanted < self.starts[number + 1])]
            if len(rows):
                with _reading(path, self.base):
                    self._gather_file(number, path, rows - self.starts[number])

    def content(self, index: int) -> bytes:
        index = int(index)
        if index not in self._content:
            self.gather(np.array([index]))
        return self._content[index]

    def identity(self, index: int) -> str:
        number = int(np.searchsorted(self.starts, index, side="right")) - 1
        return f"row {index - self.starts[number]} of {shown(os.path.relpath(self.files[number], self.base))}"

    def _gather_file(self, number: int, path: str, rows: np.ndarray) -> None:
        file = pq.ParquetFile(path)
        start = 0
        for group in range(file.num_row_groups):
            stop = start + file.metadata.row_group(group).num_rows
            mine = rows[(rows >= start) & (rows < stop)]
            if len(mine):
                column = file.read_row_group(group, columns=[self.image_column]).column(0)
                images = column.combine_chunks().take(pa.array(mine - start)).to_pylist()
                for row, image in zip(mine.tolist(), images, strict=True):
                    self._content[int(self.starts[number]) + row] = self._bytes_of(image)
            start = stop

    def _bytes_of(self, image: Any) -> bytes:
        if isinstance(image, dict):
            if image.get("bytes") is None and image.get("path"):
                try:
                    with open(os.path.join(self.base, image["path"]), "rb") as file:
                        return file.read()
                except OSError:
                    return b""
            image = image.get("bytes")
        return image or b""

    def _check_memory(self, num: int) -> None:
        size = sum(os.path.getsize(path) for path in self.files) * num / max(int(self.starts[-1]), 1)
        if size > 0.8 * psutil.virtual_memory().available:
            raise ResourceError(
                f"{num} encoded images of about {size / 2**30:.1f} GiB do not fit into memory",
                where=shown(self.base),
                remedy="use fewer with --limit, or unpack the images into class folders",
            )


def _open_split(
    files: list[str], base: str, asked: Columns, found: Found
) -> tuple[ParquetSource, Labels, np.ndarray | None] | None:
    """Images, labels and groups of the files of one split, or None where all labels are -1: a split without labels."""
    columns, labels, names = None, [], None
    groups: list[Any] = []
    for path in files:
        where = shown(os.path.relpath(path, base))
        with _reading(path, base):
            file = pq.ParquetFile(path)
            mine = _columns(file.schema_arrow, where, asked)
            declared = declared_names(file.schema_arrow, mine[1])
            values = file.read(columns=[mine[1]]).column(0)
            groups += _groups(file, asked.group, where, found)
        if columns and (mine != columns or declared != names):
            raise DataError(
                "columns or class names differ from those of the files before it",
                where=where,
                remedy="keep the files of one data set only in the folder",
            )
        columns, names = mine, declared
        if values.null_count:
            row = values.is_null().to_pylist().index(True)
            raise DataError("a label is missing", where=f"row {row} of {where}")
        labels += values.to_pylist()
    assert columns is not None
    if labels and all(isinstance(label, int) and label == -1 for label in labels):
        return None
    named = named_labels(labels, names, shown(os.path.relpath(files[0], base)))
    source = ParquetSource(files, columns[0], named.numbers, base)
    return source, named, np.array(groups, dtype=object) if groups else None


def _groups(file: pq.ParquetFile, asked: str | None, where: str, found: Found) -> list[str]:
    """The groups of a file's rows, only where the caller names their column: what was drawn without them stays as it was."""
    names = file.schema_arrow.names
    column = named_column(names, asked, "group", where)
    if column is None:
        near = guess(names, GROUP_WORDS) if asked is None else None
        note = f"the column {near!r} is not used; where its images belong together, pass --group-column {near}"
        if near is not None and note not in found.notes:
            found.notes.append(note)
        return []
    values = file.read(columns=[column]).column(0).to_pylist()
    missing = [row for row, value in enumerate(values) if value is None or not str(value).strip()]
    if missing:
        raise DataError("a group is missing", where=f"row {missing[0]} of {where}", remedy=f"fill {column!r}")
    return [str(value).strip() for value in values]


def holds_images(schema: pa.Schema) -> bool:
    """Whether a column holds encoded images, as ``bytes``."""
    return bool(_image_columns(schema))


def _image_columns(schema: pa.Schema) -> list[str]:
    return [
        field.name
        for field in schema
        if pa.types.is_binary(field.type)
        or pa.types.is_large_binary(field.type)
        or (pa.types.is_struct(field.type) and field.type.get_field_index("bytes") >= 0)
    ]


def _columns(schema: pa.Schema, where: str, asked: Columns) -> tuple[str, str]:
    images = _image_columns(schema)
    image = next((name for name in _IMAGE_COLUMNS if name in images), images[0] if images else None)
    image = named_column(images, asked.image, "image", where) or image
    features = _features(schema)
    classes = [name for name, feature in features.items() if feature.get("_type") == "ClassLabel"]
    named = [name for name in _LABEL_COLUMNS if name in schema.names]
    label = next(iter([name for name in named if name in classes] or named or classes), None)
    label = named_column(schema.names, asked.label, "label", where) or label
    if image is None or label is None:
        raise DataError(
            f"no column of {'images' if image is None else 'labels'} among {', '.join(schema.names)}",
            where=where,
            remedy="name the columns 'image' (bytes, path) and 'label'",
        )
    return image, label


def _features(schema: pa.Schema) -> dict[str, dict]:
    try:
        features = json.loads((schema.metadata or {}).get(b"huggingface", b"{}"))["info"]["features"]
        return {name: feature for name, feature in features.items() if isinstance(feature, dict)}
    except (ValueError, KeyError, TypeError, AttributeError):
        return {}


def declared_names(schema: pa.Schema, label: str) -> tuple[str, ...] | None:
    """The class names of a column of labels, where the file's metadata declare them."""
    names = _features(schema).get(label, {}).get("names")
    return tuple(str(name) for name in names) if names else None


def _missing_members(files: list[str]) -> list[str]:
    groups: dict[tuple[str, int], set[int]] = defaultdict(set)
    for path in files:
        match = _SHARD.match(path)
        if match:
            groups[match.group(1), int(match.group(3))].add(int(match.group(2)))
    notes = []
    for (stem, total), members in sorted(groups.items()):
        missing = sorted(set(range(total)) - members)
        if missing:
            numbers = ", ".join(f"{number:05d}" for number in missing[:10]) + (" ..." if len(missing) > 10 else "")
            notes.append(
                f"{shown(os.path.basename(stem))}: {len(members)} of {total} Parquet files are here, {numbers} missing"
            )
    return notes


class _reading:
    """Turns pyarrow's errors into a DataError that names the file."""

    def __init__(self, path: str, base: str) -> None:
        self.where = shown(os.path.relpath(path, base))

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type | None, error: BaseException | None, trace: object) -> None:
        if isinstance(error, (pa.ArrowException, OSError)) and not isinstance(error, MemoryError):
            text = (str(error).splitlines() or [""])[0]
            raise DataError(
                f"the Parquet file cannot be read: {text}", where=self.where, remedy="fetch the file again"
            ) from error
