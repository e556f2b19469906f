"""A mark of the data that a run was started on, so that it is not resumed on other data.

The fingerprint holds, for each split as found and each class, the number of images and a digest of their names, sizes and
labels, and a digest of the contents of the images in use. It is stored in the run's folder as ``data.json``.
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import DataError
from ..runs import write_json
from .checks import Findings
from .splits import DataBundle, ImageSplit

__all__ = ["FINGERPRINT_FILE", "check_same_data", "check_same_given", "fingerprint_of", "given_of"]

FINGERPRINT_FILE = "data.json"

_MOST_NAMED = 20_000


def fingerprint_of(
    given: dict[str, ImageSplit], splits: dict[str, ImageSplit], findings: dict[str, Findings]
) -> dict[str, Any]:
    """The fingerprint of a data set.

    Args:
        given: The splits as they were found, whole.
        splits: The splits in use.
        findings: Of the images in use; empty where they were not looked at.

    Returns:
        Plain JSON.
    """
    found: dict[str, Any] = {"version": 1, "given": given_of(given), "contents": {}}
    contents: dict[str, list[str]] = {}
    for name, checked in findings.items():
        split = splits[name]
        for row, digest in enumerate(checked.file_hash):
            key = f"{split.source.identity(int(split.indices[row]))}\t{(digest or checked.pixel_hash[row]).hex()}"
            contents.setdefault(split.class_names[split.labels[row]], []).append(key)
    found["contents"] = {name: _digest("\n".join(sorted(keys))) for name, keys in sorted(contents.items())}
    return found


def given_of(given: dict[str, ImageSplit]) -> dict[str, Any]:
    """The part of a fingerprint that does not look into images: names, sizes and labels of each split as found."""
    total = sum(len(split) for split in given.values())
    found: dict[str, Any] = {}
    for name, split in given.items():
        entries = _entries(split)
        by_class: dict[str, Any] = {}
        for label, class_name in enumerate(split.class_names):
            mine = sorted(entries[row] for row in np.flatnonzero(split.labels == label))
            by_class[class_name] = {"images": len(mine), "digest": _digest("\n".join(mine))}
            if total <= _MOST_NAMED:
                by_class[class_name]["names"] = [_digest(entry.partition("\t")[0], 4) for entry in mine]
        found[name] = by_class
    return found


def check_same_data(folder: Path, bundle: DataBundle, *, write: bool = True) -> None:
    """Compare a data set with the one that the run in ``folder`` was started on, and store its fingerprint.

    Args:
        folder: The run's folder.
        bundle: The data set that was opened now.
        write: Whether to store the fingerprint where the folder has none.

    Raises:
        DataError: the data changed; the message says how.
    """
    now = bundle.fingerprint
    path = folder / FINGERPRINT_FILE
    before = _read(path)
    if before is None:
        if write and now:
            write_json(path, now)
        return
    _refuse(folder, _changes(before, now))


def check_same_given(folder: Path, given: dict[str, Any]) -> None:
    """Compare splits as they are found now, by names, sizes and labels, with those that the run in ``folder`` used.

    Raises:
        DataError: they changed; the message says how.
    """
    before = _read(folder / FINGERPRINT_FILE)
    if before is not None:
        _refuse(folder, _changes(before, {"given": given, "contents": {}}))


def _refuse(folder: Path, changes: list[str]) -> None:
    if changes:
        raise DataError(
            "the data changed since the run was started: " + "; ".join(changes),
            where=str(folder),
            remedy="resume on the same images, or start again with another --out or with --overwrite",
        )


def _read(path: Path) -> dict[str, Any] | None:
    try:
        stored = json.loads(path.read_text(encoding="utf-8", errors="surrogateescape"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise DataError(
            "the record of the run's data cannot be read", where=str(path), remedy="start the run again"
        ) from error
    return stored if isinstance(stored, dict) and stored.get("version") == 1 else None


def _entries(split: ImageSplit) -> list[str]:
    """Name and size of each image, the sizes where they are cheap."""
    paths = getattr(split.source, "paths", None)
    entries = []
    for index in split.indices.tolist():
        size = ""
        if paths is not None:
            try:
                size = str(os.path.getsize(paths[index]))
            except OSError:
                size = "missing"
        entries.append(f"{split.source.identity(index)}\t{size}")
    if split.groups is not None:
        entries = [f"{entry}\t{group}" for entry, group in zip(entries, split.groups, strict=True)]
    return entries


def _digest(text: str, size: int = 16) -> str:
    return hashlib.blake2b(text.encode("utf-8", "backslashreplace"), digest_size=size).hexdigest()


def _changes(before: dict[str, Any], now: dict[str, Any]) -> list[str]:
    changes: list[str] = []
    for split in ("train", "validation", "test"):
        was, has = before["given"].get(split), now["given"].get(split)
        if was is None and has is None:
            continue
        if was is None or has is None:
            changes.append(f"there is {'no' if has is None else 'now a'} {split} split")
            continue
        for name in dict.fromkeys((*was, *has)):
            if name not in was or name not in has:
                changes.append(f"the class {name!r} is {'new' if name in has else 'gone'} in {split}")
            elif was[name]["digest"] != has[name]["digest"]:
                changes.append(f"{name!r} in {split}: {_difference(was[name], has[name])}")
    if not changes:
        old, new = before["contents"], now["contents"]
        changed = [name for name in new if name in old and old[name] != new[name]]
        if old and new and changed:
            changes.append(f"the content of images of {', '.join(map(repr, changed[:5]))}")
    return changes[:8] + ([f"and {len(changes) - 8} more changes"] if len(changes) > 8 else [])


def _difference(was: dict[str, Any], has: dict[str, Any]) -> str:
    if "names" not in was or "names" not in has:
        return f"{was['images']} images, now {has['images']}"
    old, new = set(was["names"]), set(has["names"])
    said = [f"{len(new - old)} images added"] * bool(new - old) + [f"{len(old - new)} removed"] * bool(old - new)
    return ", ".join(said) or "files of another size"
