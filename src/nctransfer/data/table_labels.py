"""The labels of a table: text that stands for numbers, labels that are missing, and several labels in one cell."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

from ..errors import DataError
from .rows import Rows

__all__ = ["class_values", "is_missing", "several_in_a_cell"]

_WHOLE = re.compile(r"-?(0|[1-9]\d*)(\.0+)?")
_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?")
_MISSING = frozenset(("", "nan", "<na>", "null"))
_SINGLE = "give each image exactly one class; several classes an image (multi-label) are not supported"


def is_missing(value: Any) -> bool:
    """Whether a cell is empty: blank, None, NaN, or a word by which libraries write that.

    Example:
        >>> [is_missing(value) for value in ("", " ", None, float("nan"), "NaN", "None", "NA", 0)]
        [True, True, True, True, True, False, False, False]
    """
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return True
    return isinstance(value, str) and value.strip().casefold() in _MISSING


def class_values(rows: Rows, kept: Sequence[int], labels: Sequence[Any]) -> list[Any]:
    """The labels of the kept rows; text of whole numbers becomes numbers, so that 10 comes after 9.

    Raises:
        DataError: a label is a fraction, or several classes stand in one cell.
    """
    values = [labels[row] for row in kept]
    for row, value in zip(kept, values, strict=True):
        if isinstance(value, list | tuple | dict):
            raise DataError(f"several labels stand in one cell: {value!r}", where=rows.where(row), remedy=_SINGLE)
    texts = [value.strip() if isinstance(value, str) else None for value in values]
    if any(text is None for text in texts):
        return values
    found = [text for text in texts if text is not None]
    if found and all(_WHOLE.fullmatch(text) for text in found):
        return [int(text.partition(".")[0]) for text in found]
    if found and all(_NUMBER.fullmatch(text) and not re.match(r"0\d", text) for text in found):
        odd = next(place for place, text in enumerate(found) if not _WHOLE.fullmatch(text))
        raise DataError(
            f"labels must be whole numbers or names, got {found[odd]}",
            where=rows.where(kept[odd]),
            remedy="give each image one class; soft labels and targets of a regression are not classes",
        )
    several = several_in_a_cell(found)
    if several is not None:
        raise DataError(f"several labels stand in one cell: {several!r}", where=rows.name, remedy=_SINGLE)
    return found


def several_in_a_cell(labels: Sequence[str]) -> str | None:
    """A label that is a list of others (``cat|dog``, ``scab rust`` beside ``scab`` and ``rust``), or None.

    Example:
        >>> several_in_a_cell(["cat|dog", "dog|owl", "cat|owl"]), several_in_a_cell(["tabby cat", "black cat", "dog"])
        ('cat|dog', None)
        >>> several_in_a_cell(["scab", "rust", "scab rust"]), several_in_a_cell(["['a', 'b']", "['a']"])
        ('scab rust', "['a', 'b']")
        >>> several_in_a_cell(["mass", "mass|nodule"]), several_in_a_cell(["cat|siamese", "cat|persian"])
        ('mass|nodule', None)
    """
    distinct = set(labels)
    lists = [label for label in distinct if label.startswith("[") and label.endswith("]") and "," in label]
    if lists:
        return min(lists)
    for mark in ("|", ";", ",", " "):
        parts = {label: [part.strip() for part in label.split(mark) if part.strip()] for label in distinct}
        uses = Counter(part for found in parts.values() for part in set(found))
        for label in sorted(distinct):
            # Words recur in plain names (black cat, black dog); only words that are classes themselves make a list.
            known = [part in distinct if mark == " " else uses[part] > 1 for part in parts[label]]
            # A bar or a semicolon joins labels: one part that is a class itself is enough (sea|gull beside sea).
            joined = mark in "|;" and any(part in distinct for part in parts[label])
            if len(known) > 1 and (all(known) or joined):
                return label
    return None
