"""The folder of a scale's studies: claimed once, and locked while its page is written."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ..errors import LockedError, UsageError
from ..runs import LOCK_FILES, FolderLock, RunFolder, write_json
from .scale import Scale
from .store import read_record

__all__ = ["claim_folder", "locked", "scale_of", "stored"]


def claim_folder(root: Path, scale: Scale) -> None:
    """Make the folder the place of a scale's studies.

    Raises:
        UsageError: it holds another scale, or something else.
    """
    if root.exists() and not root.is_dir():
        raise UsageError("a file stands where the folder should be", where=str(root), remedy="choose another --out")
    root.mkdir(parents=True, exist_ok=True)
    with locked(root):
        config = RunFolder(root)._read("config.json")
        if config is None:
            if any(entry.name not in (*LOCK_FILES, "cells", "jobs") for entry in root.iterdir()):
                raise UsageError("the folder is not empty", where=str(root), remedy="choose another --out")
            write_json(root / "config.json", {"verb": "paper", "scale": scale.name})
    if config is not None and config.get("scale") != scale.name:
        raise UsageError(
            f"the folder holds the scale {config.get('scale')}, not {scale.name}",
            where=str(root),
            remedy="choose another --out",
        )


def scale_of(root: Path) -> str:
    """The scale whose studies stand in the folder.

    Raises:
        UsageError: no studies stand there.
    """
    config = RunFolder(root)._read("config.json") if root.is_dir() else None
    if not config or config.get("verb") != "paper":
        raise UsageError(
            "no studies stand here", where=str(root), remedy="run nctransfer paper run NAME --out DIR first"
        )
    return str(config["scale"])


def stored(root: Path) -> list[dict[str, Any]]:
    """The records of all finished cells of the folder."""
    return [read_record(path) for path in sorted((root / "cells").glob("*/cell.json"))]


@contextmanager
def locked(root: Path) -> Iterator[None]:
    """The folder's lock, waited for: another process holds it only while it writes the page."""
    while True:
        try:
            lock = FolderLock(root).acquire()
            break
        except LockedError:
            time.sleep(0.1)
    try:
        yield
    finally:
        lock.release()
