"""Work on many images at once: threads (Pillow lets go of the interpreter while it decodes and resizes), with a bar."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

__all__ = ["for_each", "num_cores"]

_CHUNK = 64
_PATIENCE = 2.0  # seconds before a bar appears


def for_each(work: Callable[[int], None], num: int, *, what: str | None) -> None:
    """Call ``work(i)`` for every i in ``range(num)``, in any order, and return when all are done.

    Args:
        work: Must be safe to call from several threads with different indices.
        num: Number of calls.
        what: Said beside the progress bar, which appears on a terminal when the work takes longer than two seconds;
            None for no bar.
    """
    num_threads = num_cores()

    def chunk(start: int) -> int:
        stop = min(start + _CHUNK, num)
        for index in range(start, stop):
            work(index)
        return stop - start

    with _bar(what, num) as advance:
        if num_threads == 1 or num <= _CHUNK // 8:
            for start in range(0, num, _CHUNK):
                advance(chunk(start))
            return
        pool = ThreadPoolExecutor(num_threads, thread_name_prefix="nctransfer-decode")
        try:
            running: set[Future[int]] = set()
            for start in range(0, num, _CHUNK):
                running.add(pool.submit(chunk, start))
                if len(running) >= 4 * num_threads:
                    done, running = wait(running, return_when=FIRST_COMPLETED)
                    for future in done:
                        advance(future.result())
            for future in running:
                advance(future.result())
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def num_cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@contextmanager
def _bar(what: str | None, num: int) -> Iterator[Callable[[int], None]]:
    console = Console(stderr=True)
    if what is None or not console.is_terminal:
        yield lambda _: None
        return
    columns = TextColumn(what, markup=False), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    progress = Progress(*columns, console=console, transient=True)
    task = progress.add_task("", total=num)
    begin = time.monotonic()
    started = False

    def advance(step: int) -> None:
        nonlocal started
        if not started and time.monotonic() - begin > _PATIENCE:
            progress.start()
            started = True
        progress.advance(task, step)

    try:
        yield advance
    finally:
        if started:
            progress.stop()
