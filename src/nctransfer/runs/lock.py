"""One live process in a run folder at a time."""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path

from ..errors import LockedError

__all__ = ["LOCK_FILES", "FolderLock"]

LOCK_FILES = (".lock", ".holder")
"""Files that a lock leaves in its folder; a folder that holds nothing else counts as empty."""


class FolderLock:
    """An advisory lock on a folder that dies with the process that holds it.

    The lock is the kernel's (filelock on ``.lock``), so a killed run leaves nothing to clean up; ``.holder`` only says
    who holds it. It is a file of its own because some systems let nobody read a locked one.

    Raises:
        LockedError: another live process holds it; the message names host and process.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> with FolderLock(folder):
        ...     FolderLock(folder).acquire()
        Traceback (most recent call last):
        nctransfer.errors.LockedError: the run folder is in use by process ...
    """

    def __init__(self, folder: Path) -> None:
        from filelock import FileLock

        lock, holder = (Path(folder) / name for name in LOCK_FILES)
        # Whichever thread closes the run releases the lock.
        self._holder, self._lock = holder, FileLock(lock, thread_local=False)

    def acquire(self) -> FolderLock:
        from filelock import Timeout

        try:
            self._lock.acquire(timeout=0)
        except Timeout:
            raise LockedError(
                f"the run folder is in use by {_who(self._holder)}",
                where=str(self._holder.parent),
                remedy="wait for that run to end, or choose another --out",
            ) from None
        try:
            self._holder.write_text(json.dumps({"host": socket.gethostname(), "pid": os.getpid()}), encoding="utf-8")
        except BaseException:
            self._lock.release()
            raise
        return self

    def release(self) -> None:
        if self._lock.is_locked:
            self._holder.unlink(missing_ok=True)
            self._lock.release()

    def __enter__(self) -> FolderLock:
        return self.acquire()

    def __exit__(self, *exception: object) -> None:
        self.release()


def _who(holder: Path) -> str:
    try:
        said = json.loads(holder.read_text(encoding="utf-8"))
        return f"process {said['pid']} on {said['host']}"
    except (OSError, ValueError, KeyError, TypeError):
        return "another process"
