"""Which column of a table holds what: named by the caller, or guessed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..errors import DataError
from .columns import GROUP_WORDS, IMAGE_WORDS, LABEL_WORDS, SPLIT_WORDS, Columns, guess, named_column
from .rows import Rows
from .words import SPLIT_NAMES

__all__ = ["choose_columns"]


def choose_columns(rows: Rows, asked: Columns) -> tuple[Columns, list[str]]:
    """The columns of a table, and what must be told of the choice.

    Raises:
        UsageError: a named column is not there.
        DataError: no column holds paths, or none labels.
    """
    image = named_column(rows.names, asked.image, "image", rows.name) or guess(rows.names, IMAGE_WORDS)
    label = named_column(rows.names, asked.label, "label", rows.name) or guess(rows.names, LABEL_WORDS)
    if image is None:
        raise DataError(
            f"no column of image paths among {_listed(rows.names)}",
            where=rows.name,
            remedy="call it 'image', or name it with --image-column",
        )
    if label is None:
        _refuse_many_columns(rows, image)
        raise DataError(
            f"no column of labels among {_listed(rows.names)}",
            where=rows.name,
            remedy="call it 'label', or name it with --label-column",
        )
    notes: list[str] = []
    rest = [name for name in rows.names if name not in (image, label)]
    split = named_column(rows.names, asked.split, "split", rows.name)
    if split is None and asked.split is None:
        split = _guess_split(rows, rest, notes)
    group = named_column(rows.names, asked.group, "group", rows.name)
    if group is None and asked.group is None:
        group = guess([name for name in rest if name != split], GROUP_WORDS)
    chosen = Columns(image, label, split, group)
    said = [f"{kind} {getattr(chosen, kind)!r}" for kind in chosen.given()]
    return chosen, [f"columns of the table: {', '.join(said)}", *notes]


def _guess_split(rows: Rows, names: list[str], notes: list[str]) -> str | None:
    found = guess(names, SPLIT_WORDS)
    if found is None or not len(rows):
        return None
    known = [str(value).strip().casefold() in SPLIT_NAMES for value in rows.column(found)]
    if any(known):
        return found
    notes.append(f"the column {found!r} names no split and was left out")
    return None


def _refuse_many_columns(rows: Rows, image: str) -> None:
    """A column a class, of zeros and ones, has several classes an image, or says one class in many columns."""
    marks = [name for name in rows.names if name != image and _is_mark(rows.column(name))]
    if len(marks) > 1:
        single = all(sum(float(rows.column(name)[row]) for name in marks) == 1 for row in range(len(rows)))
        what = "one class a column" if single else "several classes an image (multi-label)"
        raise DataError(
            f"the columns {_listed(marks)} hold zeros and ones: {what}",
            where=rows.name,
            remedy="write the class of each image into one column 'label'"
            + ("" if single else "; an image must have exactly one"),
        )


def _is_mark(values: Sequence[Any]) -> bool:
    return bool(len(values)) and {str(value).strip() for value in values} <= {"0", "1", "0.0", "1.0", "True", "False"}


def _listed(names: Sequence[str], most: int = 12) -> str:
    return ", ".join(map(repr, names[:most])) + (f" and {len(names) - most} more" if len(names) > most else "")
