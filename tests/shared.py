"""Folders that several test processes read and one of them builds."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from filelock import FileLock


def built_once(
    factory: pytest.TempPathFactory, config: pytest.Config, name: str, build: Callable[[Path], None]
) -> Path:
    """The folder ``name`` that ``build`` fills, once in a session of pytest-xdist's processes; others wait for it."""
    root = factory.getbasetemp()
    if hasattr(config, "workerinput"):  # a process of pytest-xdist: its folder lies in that of the session
        root = root.parent
    folder, done = root / name, root / f"{name}.done"
    with FileLock(root / f"{name}.lock"):
        if not done.exists():
            shutil.rmtree(folder, ignore_errors=True)  # what is left of an attempt that failed
            folder.mkdir()
            build(folder)
            done.touch()
    return folder
