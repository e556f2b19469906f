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
from PIL import Image

from ..errors import DataError, ResourceError
from .images import decode, shown
from .sources import Found, Source

__all__ = ["ParquetSource", "find_parquet", "parquet_files"]

_SPLIT = re.compile(r"(?:^|[-_./])(train|validation|valid|val|dev|test)(?=[-_./]|$)")
_SPLIT_NAMES = {"valid": "validation", "val": "validation", "dev": "validation"}
_SHARD = re.compile(r"^(.*)-(\d{5})-of-(\d{5})\.parquet$")
_IMAGE_COLUMNS = ("image", "img", "images", "picture")
_LABEL_COLUMNS = ("label", "labels", "fine_label", "class", "target", "category")


def parquet_files(root: str, depth: int = 3) -> list[str]:
    """Paths of the Parquet files in ``root`` and its subfolders, sorted; ``root`` may also be one such file."""
    if os.path.isfile(root):
        return [root] if root.endswith(".parquet") else []
    found = []
    for folder, folders, files in os.walk(root):
        folders[:] = sorted(name for name in folders if not name.startswith(".") and name != "__MACOSX")
        if os.path.relpath(folder, root).count(os.sep) >= depth - 1:
            folders[:] = []
        found += [
            os.path.join(folder, name) for name in files if name.endswith(".parquet") and not name.startswith(".")
        ]
    return sorted(found)


def find_parquet(root: str) -> Found:
    """Look through a folder of Parquet files.

    Args:
        root: Path of the folder, or of one file.

    Returns:
        The splits that the file names tell; files that tell none count as ``train``.

    Raises:
        DataError: a file is damaged, has no image or label column, or its class names differ from another's.
    """
    root = os.path.abspath(root)
    files = parquet_files(root)
    if not files:
        raise DataError("no Parquet files", where=shown(root), remedy="pass the folder that holds *.parquet")
    notes = _missing_members(files)
    base = root if os.path.isdir(root) else os.path.dirname(root)
    by_split: dict[str, list[str]] = defaultdict(list)
    for path in files:
        match = _SPLIT.search(os.path.relpath(path, base).removesuffix(".parquet"))
        name = match.group(1) if match else ""
        by_split[_SPLIT_NAMES.get(name, name)].append(path)
    if "train" in by_split and by_split.get(""):
        notes.append("files of no known split were left out: " + ", ".join(shown(p) for p in by_split[""]))
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
    for split in ("train", "validation", "test"):
        if split in by_split:
            source, class_names = _open_split(by_split[split], base)
            if len(source.labels) and np.all(source.labels == -1):
                notes.append(f"the {split} split has no labels (all are -1) and was left out")
                continue
            sources[split], names[split] = source, class_names
    return Found(shown(os.path.basename(root)), "parquet", shown(root), sources, names, notes)


class ParquetSource:
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

    def image(self, index: int) -> Image.Image:
        return decode(self.content(index))

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


def _open_split(files: list[str], base: str) -> tuple[ParquetSource, tuple[str, ...]]:
    columns, labels, names = None, [], None
    for path in files:
        with _reading(path, base):
            file = pq.ParquetFile(path)
            mine = _columns(file.schema_arrow, shown(os.path.relpath(path, base)))
            declared = _declared_names(file.schema_arrow, mine[1])
            values = file.read(columns=[mine[1]]).column(0)
        if columns and (mine != columns or declared != names):
            raise DataError(
                "columns or class names differ from those of the files before it",
                where=shown(os.path.relpath(path, base)),
                remedy="keep the files of one data set only in the folder",
            )
        columns, names = mine, declared
        if values.null_count:
            row = values.is_null().to_pylist().index(True)
            raise DataError("a label is missing", where=f"row {row} of {shown(os.path.relpath(path, base))}")
        labels += values.to_pylist()
    assert columns is not None
    numbers, class_names = _number_labels(labels, names, shown(os.path.relpath(files[0], base)))
    return ParquetSource(files, columns[0], numbers, base), class_names


def _number_labels(labels: list[Any], names: tuple[str, ...] | None, where: str) -> tuple[np.ndarray, tuple[str, ...]]:
    if labels and isinstance(labels[0], str):
        names = names or tuple(sorted(set(labels)))
        number = {name: index for index, name in enumerate(names)}
        unknown = [label for label in labels if label not in number]
        if unknown:
            raise DataError(f"label {unknown[0]!r} is not among the class names", where=where)
        return np.array([number[label] for label in labels], dtype=np.int64), names
    if labels and not isinstance(labels[0], int):
        raise DataError(f"labels must be whole numbers or names, got {type(labels[0]).__name__}", where=where)
    numbers = np.array(labels, dtype=np.int64)
    if names is None:
        names = tuple(str(index) for index in range(int(numbers.max(initial=-1)) + 1))
    bad = np.flatnonzero((numbers < 0) | (numbers >= len(names)))
    if len(bad) and not np.all(numbers == -1):
        raise DataError(
            f"labels must lie in [0, {len(names)}), got {numbers[bad[0]]} at row {bad[0]}",
            where=where,
            remedy="remove the rows without a label, or name all classes in the ClassLabel",
        )
    return numbers, names


def _columns(schema: pa.Schema, where: str) -> tuple[str, str]:
    images = [
        field.name
        for field in schema
        if pa.types.is_binary(field.type)
        or pa.types.is_large_binary(field.type)
        or (pa.types.is_struct(field.type) and field.type.get_field_index("bytes") >= 0)
    ]
    image = next((name for name in _IMAGE_COLUMNS if name in images), images[0] if images else None)
    features = _features(schema)
    classes = [name for name, feature in features.items() if feature.get("_type") == "ClassLabel"]
    named = [name for name in _LABEL_COLUMNS if name in schema.names]
    label = next(iter([name for name in named if name in classes] or named or classes), None)
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


def _declared_names(schema: pa.Schema, label: str) -> tuple[str, ...] | None:
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
