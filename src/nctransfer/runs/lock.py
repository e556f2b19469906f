"""One live process in a run folder at a time."""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path
from typing import Any

from ..errors import LockedError

__all__ = ["FolderLock"]


class FolderLock:
    """An advisory lock on a folder that dies with the process that holds it.

    The lock is the kernel's (``flock`` on a file in the folder), so a killed run leaves nothing to clean up; the file's
    content only says who holds it.

    Raises:
        LockedError: another live process holds it; the message names host and process.
    """

    def __init__(self, folder: Path) -> None:
        self.path = Path(folder) / ".lock"
        self._file: Any = None

    def acquire(self) -> FolderLock:
        import fcntl

        file = open(self.path, "a+", encoding="utf-8")  # noqa: SIM115 - held open for as long as the lock
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.seek(0)
            holder = _holder(file.read())
            file.close()
            raise LockedError(
                f"the run folder is in use by {holder}",
                where=str(self.path.parent),
                remedy="wait for that run to end, or choose another --out",
            ) from None
        file.seek(0)
        file.truncate()
        file.write(json.dumps({"host": socket.gethostname(), "pid": os.getpid()}))
        file.flush()
        self._file = file
        return self

    def release(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def __enter__(self) -> FolderLock:
        return self.acquire()

    def __exit__(self, *exception: object) -> None:
        self.release()


def _holder(text: str) -> str:
    try:
        holder = json.loads(text)
        return f"process {holder['pid']} on {holder['host']}"
    except (ValueError, KeyError, TypeError):
        return "another process"
