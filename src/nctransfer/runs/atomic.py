"""Writing a file so that a reader sees the old content or the new one, never a half."""

from __future__ import annotations

import contextlib
import errno
import json
import math
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..errors import ResourceError, UsageError

__all__ = ["raise_if_full", "replace_file", "to_plain", "write_bytes", "write_json"]


def replace_file(path: Path, write: Callable[[Path], None]) -> None:
    """Let ``write`` fill a temporary file beside ``path``, flush it to the disk, then rename it over ``path``.

    Raises:
        ResourceError: the disk is full; what stood at ``path`` is unharmed.
        UsageError: there is no such folder.
    """
    path = Path(path)
    if not path.parent.is_dir():
        raise UsageError("the folder is not there", where=str(path.parent), remedy="make it first, or write elsewhere")
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".partial")
    os.close(handle)
    temporary = Path(name)
    try:
        write(temporary)
        os.chmod(temporary, 0o666 & ~_umask())
        with open(temporary, "rb") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
        _sync_folder(path.parent)
    except Exception as error:
        with contextlib.suppress(FileNotFoundError):
            temporary.unlink()
        raise_if_full(error, path)
        raise
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            temporary.unlink()
        raise


def raise_if_full(error: Exception, path: Path) -> None:
    """Raise a ResourceError in place of an error of writing ``path`` that means that the disk is full."""
    # safetensors reports a full disk as its own error type, with the system's words inside.
    if getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT) or "No space left" in str(error):
        raise ResourceError(
            f"the disk is full while writing {path.name}",
            where=str(path.parent),
            remedy="free some space and run again with --resume; what was saved before is intact",
        ) from error


def write_bytes(path: Path, content: bytes) -> None:
    """Write ``content`` to ``path`` atomically."""
    replace_file(Path(path), lambda temporary: _fill(temporary, content))


def write_json(path: Path, value: Any) -> None:
    """Write ``value`` as strict JSON (NaN and infinity become null), atomically."""
    text = json.dumps(to_plain(value), indent=1, ensure_ascii=False, allow_nan=False)
    write_bytes(Path(path), (text + "\n").encode("utf-8", errors="surrogateescape"))


def to_plain(value: Any) -> Any:
    """``value`` made of what JSON knows; anything with ``tolist`` (NumPy, torch) or a path is turned into its plain form.

    Example:
        >>> to_plain({"a": (1, float("nan"))})
        {'a': [1, None]}
    """
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {str(key): to_plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [to_plain(item) for item in value]
    if hasattr(value, "tolist"):
        return to_plain(value.tolist())
    if hasattr(value, "model_dump"):
        return to_plain(value.model_dump())
    if hasattr(value, "to_dict"):
        return to_plain(value.to_dict())
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    raise TypeError(f"{type(value).__name__} cannot be written as JSON")


def _fill(path: Path, content: bytes) -> None:
    with open(path, "wb") as file:
        file.write(content)
        file.flush()


def _sync_folder(folder: Path) -> None:
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
