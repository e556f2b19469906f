"""What lies on disk: run folders, locks, atomic writes, checkpoints. Nothing here knows what the files mean."""

from __future__ import annotations

from .atomic import write_bytes, write_json
from .checkpoint import load_tensors, load_weights_file, save_tensors, sha256
from .environment import describe_environment
from .folder import RunFolder
from .lock import LOCK_FILES, FolderLock

__all__ = [
    "LOCK_FILES",
    "FolderLock",
    "RunFolder",
    "describe_environment",
    "load_tensors",
    "load_weights_file",
    "save_tensors",
    "sha256",
    "write_bytes",
    "write_json",
]
