"""The words by which files and folders name a split, and no other words."""

from __future__ import annotations

import os
import re

from ..errors import DataError
from .images import shown

__all__ = ["SPLIT_NAMES", "split_of_file", "split_of_folder", "split_words"]

SPLIT_NAMES = {
    "train": "train",
    "training": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "dev": "validation",
    "test": "test",
    "testing": "test",
}

_FILLERS = frozenset(("set", "split", "data", "dataset", "images", "image", "imgs", "img", "files", "samples"))
_SHARD = re.compile(r"[-_.]\d{3,}(?:[-_.]of[-_.]\d{3,})?(?:-[0-9a-f]{8,})?$")


def split_of_folder(name: str) -> str:
    """The split that a folder's name stands for as a whole, with or without a word such as *set*; else an empty text.

    Example:
        >>> [split_of_folder(name) for name in ("Train", "test_images", "valset", "test-run", "test tubes")]
        ['train', 'test', 'validation', '', '']
    """
    parts = [part for part in re.split(r"[^a-z0-9]+", name.casefold()) if part]
    parts = [part.removesuffix("set") if part.removesuffix("set") in SPLIT_NAMES else part for part in parts]
    parts = [part for part in parts if part not in _FILLERS]
    return SPLIT_NAMES.get(parts[0], "") if len(parts) == 1 else ""


def split_words(name: str) -> set[str]:
    """The splits of which a word stands anywhere in a name.

    Example:
        >>> sorted(split_words("seg_train")), split_words("latest")
        (['train'], set())
    """
    return {SPLIT_NAMES[part] for part in re.split(r"[^a-z0-9]+", name.casefold()) if part in SPLIT_NAMES}


def split_of_file(path: str, base: str) -> str:
    """The split of a data file: by a word of its own name, else by the nearest folder below ``base`` that names one.

    Raises:
        DataError: the name holds the words of two splits.

    Example:
        >>> split_of_file("/d/test-run/train.parquet", "/d"), split_of_file("/d/default/test/0000.parquet", "/d")
        ('train', 'test')
    """
    folder, name = os.path.split(os.path.relpath(path, base))
    stem = _SHARD.sub("", os.path.splitext(name)[0].casefold())
    words = [word for word in re.split(r"[^a-z0-9]+", stem) if word]
    found = [SPLIT_NAMES[word] for word in words if word in SPLIT_NAMES]
    # The libraries of the hub write NAME-SPLIT-00000-of-00001, so that the last word and a lone first one are sure.
    if words and words[-1] in SPLIT_NAMES:
        return SPLIT_NAMES[words[-1]]
    if len(set(found)) > 1:
        raise DataError(
            f"the file name holds words of several splits: {', '.join(dict.fromkeys(found))}",
            where=shown(path),
            remedy="rename it, for example to train.parquet",
        )
    if found:
        return found[0]
    for part in reversed(folder.split(os.sep)):
        if split := split_of_folder(part):
            return split
    return ""
