"""Worker processes that decode images, each with a pipe of its own.

A worker that is killed closes its pipe, and the reader sees that at once, even in the middle of a batch; with one queue
for all, as in ``ProcessPoolExecutor``, the reader would wait for ever. Workers compute with Pillow and NumPy alone, so
that forking them is safe.
"""

from __future__ import annotations

import atexit
import multiprocessing
import os
import signal
import sys
import threading
import time
import warnings
from collections.abc import Generator
from multiprocessing.connection import Connection
from typing import Any

import numpy as np

from ..errors import ResourceError
from .preprocess import Preprocess
from .splits import ImageSplit

__all__ = ["decode_in_workers"]


def decode_in_workers(
    split: ImageSplit, preprocess: Preprocess, batches: list[np.ndarray], num_workers: int
) -> Generator[np.ndarray, None, None]:
    """Pixels of each batch in turn; worker w decodes the batches w, w + num_workers, ... and stays about one ahead.

    Args:
        split: The images.
        preprocess: What makes squares of them.
        batches: Rows of the split, one array a batch.
        num_workers: Number of processes.

    Yields:
        Shape (B, 3, S, S), uint8.

    Raises:
        DataError: an image cannot be read.
        ResourceError: a worker died.
    """
    workers = _Workers(split, preprocess, batches, min(num_workers, len(batches)))
    atexit.register(workers.stop)  # Before multiprocessing's own handler, which would wait for them.
    try:
        for number, rows in enumerate(batches):
            yield workers.receive(number, len(rows))
    finally:
        workers.stop()
        atexit.unregister(workers.stop)


class _Workers:
    def __init__(self, split: ImageSplit, preprocess: Preprocess, batches: list[np.ndarray], num: int) -> None:
        context: Any = multiprocessing.get_context("fork" if sys.platform == "linux" else "spawn")
        self.size = preprocess.size
        self.processes: list[Any] = []
        self.pipes: list[Connection] = []
        for number in range(num):
            reader, writer = context.Pipe(duplex=False)
            arguments = (split, preprocess, batches[number::num], writer, os.getpid())
            process = context.Process(target=_serve, args=arguments, daemon=True, name=f"nctransfer-decode-{number}")
            with warnings.catch_warnings():
                # Newer Pythons warn of forking beside threads; the workers use nothing that those threads could hold.
                warnings.simplefilter("ignore", DeprecationWarning)
                process.start()
            writer.close()
            self.processes.append(process)
            self.pipes.append(reader)

    def receive(self, number: int, num_rows: int) -> np.ndarray:
        worker = number % len(self.pipes)
        pixels = np.empty((num_rows, 3, self.size, self.size), dtype=np.uint8)
        try:
            error = self.pipes[worker].recv()
            if error is None and pixels.size:
                self.pipes[worker].recv_bytes_into(pixels.reshape(-1))
        except (EOFError, OSError) as cause:
            self.processes[worker].join(5)
            raise ResourceError(
                "a worker process that decodes images died",
                where=f"worker {worker} of {len(self.pipes)}, exit code {self.processes[worker].exitcode}",
                remedy="probably for want of memory; lower --num-workers (0 needs none) and go on with --resume",
            ) from cause
        if error is not None:
            raise error
        return pixels

    def stop(self) -> None:
        for process in self.processes:
            process.kill()
        for process, pipe in zip(self.processes, self.pipes, strict=True):
            process.join()
            pipe.close()


def _serve(split: ImageSplit, preprocess: Preprocess, batches: list[np.ndarray], pipe: Connection, parent: int) -> None:
    # What stops the run is told to the parent; it ends its workers when it has saved.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    threading.Thread(target=_leave_with, args=(parent,), daemon=True).start()
    for rows in batches:
        pixels = np.empty((len(rows), 3, preprocess.size, preprocess.size), dtype=np.uint8)
        try:
            for position, row in enumerate(rows):
                pixels[position] = preprocess.array(split.image(row)).transpose(2, 0, 1)
        except Exception as error:  # Raised again where the batch is waited for.
            pipe.send(error)
            return
        pipe.send(None)
        if pixels.size:
            pipe.send_bytes(pixels.reshape(-1).data)


def _leave_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(1.0)
    os._exit(0)
