"""The rows of a table on disk, CSV, TSV or Parquet, by column, with the place of each row for messages."""

from __future__ import annotations

import csv
import os
from collections import Counter
from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from ..errors import DataError
from .images import shown
from .parquet import declared_names, holds_images
from .sniff import IMAGE_SUFFIXES

__all__ = ["Rows", "holds_bytes", "is_table", "read_rows"]

_DELIMITERS = {".csv": ",;\t|", ".tsv": "\t", ".tab": "\t"}


class Rows:
    """A table in memory.

    Args:
        path: The file.
        names: Names of the columns, in order.
        columns: Values by column.
        lines: Line of each row in a text file; None where rows are counted from 0.
        declared: Class names by column, where the file declares some.
    """

    def __init__(
        self,
        path: str,
        names: Sequence[str],
        columns: dict[str, list[Any]],
        lines: Sequence[int] | None = None,
        declared: dict[str, tuple[str, ...]] | None = None,
    ) -> None:
        self.path, self.names, self._columns, self._lines = path, list(names), columns, lines
        self.folder, self.name = os.path.dirname(path), shown(os.path.basename(path))
        self._declared = declared or {}

    def __len__(self) -> int:
        return len(next(iter(self._columns.values()), ()))

    def column(self, name: str) -> list[Any]:
        """The values of a column."""
        return self._columns[name]

    def class_names(self, column: str) -> tuple[str, ...] | None:
        """Class names that the file declares for a column of numbers."""
        return self._declared.get(column)

    def where(self, *rows: int) -> str:
        """The place of rows: ``lines 3 and 8 of labels.csv``."""
        word = "row" if self._lines is None else "line"
        numbers = [str(row if self._lines is None else self._lines[row]) for row in rows]
        return f"{word}{'s' * (len(rows) > 1)} {', '.join(numbers[:-1])}{' and ' * (len(rows) > 1)}{numbers[-1]} of {self.name}"


def is_table(path: str) -> bool:
    """Whether a file is a table by its suffix."""
    return os.path.splitext(path)[1].lower() in (*_DELIMITERS, ".parquet")


def holds_bytes(path: str) -> bool:
    """Whether a Parquet file holds images themselves, and not their paths.

    Raises:
        DataError: it cannot be read.
    """
    try:
        return holds_images(pq.ParquetFile(path).schema_arrow)
    except (pa.ArrowException, OSError) as error:
        raise _unreadable(path, error) from error


def read_rows(path: str) -> Rows:
    """Read a table.

    Raises:
        DataError: it is not what its suffix says, has no header, or a row has more or fewer cells than the header.
    """
    return _read_parquet(path) if path.lower().endswith(".parquet") else _read_text(path)


def _read_parquet(path: str) -> Rows:
    try:
        table = pq.ParquetFile(path).read()
    except (pa.ArrowException, OSError) as error:
        raise _unreadable(path, error) from error
    _check_names(table.schema.names, path)
    columns = {name: table.column(name).to_pylist() for name in table.schema.names}
    declared = {name: names for name in columns if (names := declared_names(table.schema, name))}
    return Rows(path, table.schema.names, columns, declared=declared)


def _unreadable(path: str, error: Exception) -> DataError:
    return DataError(
        f"the Parquet file cannot be read: {(str(error).splitlines() or [''])[0]}",
        where=shown(os.path.basename(path)),
        remedy="write it again",
    )


def _read_text(path: str) -> Rows:
    where = shown(os.path.basename(path))
    lines: list[int] = []
    cells: list[list[str]] = []
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            first = file.readline()
            file.seek(0)
            among = _DELIMITERS[os.path.splitext(path)[1].lower()]
            reader = csv.reader(file, delimiter=max(among, key=first.count), strict=True)
            names = [name.strip() for name in next(reader, [])]
            _check_names(names, path)
            for row in reader:
                if not any(cell.strip() for cell in row):
                    continue
                if len(row) != len(names):
                    raise DataError(
                        f"{len(row)} cells, where the header has {len(names)}",
                        where=f"line {reader.line_num} of {where}",
                        remedy="quote cells that hold the separator",
                    )
                lines.append(reader.line_num)
                cells.append([cell.strip() for cell in row])
    except UnicodeDecodeError as error:
        raise DataError("not UTF-8 text", where=where, remedy="save the table as CSV in UTF-8") from error
    except csv.Error as error:
        raise DataError(f"not a table: {error}", where=where, remedy="save it as CSV in UTF-8") from error
    except OSError as error:
        raise DataError(f"cannot be opened: {error.strerror or error}", where=where) from error
    columns = {name: [row[place] for row in cells] for place, name in enumerate(names)}
    return Rows(path, names, columns, lines)


def _check_names(names: Sequence[str], path: str) -> None:
    where = f"the first line of {shown(os.path.basename(path))}"
    if not names:
        raise DataError("the table is empty", where=shown(path), remedy="write a header and one row an image")
    if any(os.path.splitext(name)[1].lower() in IMAGE_SUFFIXES for name in names):
        raise DataError(
            "the header is missing: the first line names an image", where=where, remedy="begin with image,label"
        )
    double = [name for name, count in Counter(names).items() if count > 1]
    if double:
        raise DataError(f"two columns are called {double[0]!r}", where=where, remedy="rename one of them")
