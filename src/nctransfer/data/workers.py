"""Worker processes that decode images. They compute with Pillow and NumPy alone, so that forking them is safe."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
import time
import warnings
from concurrent.futures import ProcessPoolExecutor
from typing import Any

import numpy as np

from ..errors import NCTransferError
from .preprocess import Preprocess
from .splits import ImageSplit

__all__ = ["decode_rows", "start_pool"]

_job: tuple[ImageSplit, Preprocess] | None = None


def start_pool(num_workers: int, split: ImageSplit, preprocess: Preprocess) -> ProcessPoolExecutor:
    """Processes that answer :func:`decode_rows` for this split."""
    pool = ProcessPoolExecutor(
        num_workers,
        mp_context=_context("fork" if sys.platform == "linux" else "spawn"),
        initializer=_begin,
        initargs=(split, preprocess, os.getpid()),
    )
    with warnings.catch_warnings():
        # Newer Pythons warn of forking beside threads; the workers use nothing that those threads could hold.
        warnings.simplefilter("ignore", DeprecationWarning)
        pool.submit(os.getpid)
    return pool


def decode_rows(rows: np.ndarray) -> np.ndarray | NCTransferError:
    """Pixels of these rows, shape (B, 3, S, S), uint8; or the error that one of them gave."""
    assert _job is not None
    split, preprocess = _job
    pixels = np.empty((len(rows), 3, preprocess.size, preprocess.size), dtype=np.uint8)
    try:
        for position, row in enumerate(rows):
            pixels[position] = preprocess.array(split.image(row)).transpose(2, 0, 1)
    except NCTransferError as error:
        return error
    return pixels


def _context(method: str) -> Any:
    """A multiprocessing context whose processes are killed where they would be asked: these do not hear SIGTERM."""
    context: Any = multiprocessing.get_context(method)
    process = type("_Worker", (context.Process,), {"terminate": lambda self: self.kill()})
    return type("_Context", (type(context),), {"Process": process})()


def _begin(split: ImageSplit, preprocess: Preprocess, parent: int) -> None:
    global _job
    _job = (split, preprocess)
    # What stops the run is told to the parent; it ends its workers when it has saved.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    threading.Thread(target=_leave_with, args=(parent,), daemon=True).start()


def _leave_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(1.0)
    os._exit(0)
