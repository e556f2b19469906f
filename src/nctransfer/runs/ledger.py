"""Which steps of a run are done, so that a resumed run takes them from the disk instead of computing them again."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .atomic import to_plain, write_json

__all__ = ["Ledger"]


class Ledger:
    """Finished steps and their plain results, in one JSON file that is written atomically after each.

    Args:
        path: The file, or None to remember nothing beyond this process.
        writes: False for the processes of a distributed run that only read.

    Example:
        >>> ledger = Ledger(None)
        >>> ledger.once("answer", lambda: 42), ledger.once("answer", lambda: 43)
        (42, 42)
    """

    def __init__(self, path: Path | None, *, writes: bool = True) -> None:
        self._path, self._writes = path, writes
        self._done: dict[str, Any] = {}
        if path is not None and path.is_file():
            self._done = json.loads(path.read_text(encoding="utf-8", errors="surrogateescape"))

    def __contains__(self, key: str) -> bool:
        return key in self._done

    def entries(self, prefix: str) -> dict[str, Any]:
        """The stored results whose key begins with ``prefix``, by key."""
        return {key: value for key, value in self._done.items() if key.startswith(prefix)}

    def once(self, key: str, compute: Callable[[], Any]) -> Any:
        """The stored result of ``key``, or ``compute()``, stored."""
        if key not in self._done:
            self._done[key] = to_plain(compute())
            if self._path is not None and self._writes:
                write_json(self._path, self._done)
        return self._done[key]
