"""Work on many images at once: threads, since Pillow lets go of the interpreter while it decodes and resizes."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar

__all__ = ["for_each", "num_cores", "progress_shown_by"]

_CHUNK = 64

Stage = Callable[[str, int], AbstractContextManager[Callable[[int], None]]]


def for_each(work: Callable[[int], None], num: int, *, what: str | None) -> None:
    """Call ``work(i)`` for every i in ``range(num)``, in any order, and return when all are done.

    Args:
        work: Must be safe to call from several threads with different indices.
        num: Number of calls.
        what: The title under which progress is told (see :func:`progress_shown_by`); None for work too small to tell of.
    """
    num_threads = num_cores()

    def chunk(start: int) -> int:
        stop = min(start + _CHUNK, num)
        for index in range(start, stop):
            work(index)
        return stop - start

    with (_silent if what is None else _stage.get())(what or "", num) as advance:
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


def _silent(title: str, total: int) -> AbstractContextManager[Callable[[int], None]]:
    return nullcontext(lambda parts: None)


_stage: ContextVar[Stage] = ContextVar("stage", default=_silent)


@contextmanager
def progress_shown_by(stage: Stage) -> Iterator[None]:
    """Inside, the progress of work on many images is told to ``stage``.

    Images are decoded wherever they are first needed, deep within loaders, so this is no argument of each of those.

    Args:
        stage: Called with a title and the number of parts; gives a context whose value is called with the parts just done.

    Example:
        >>> titles = []
        >>> with progress_shown_by(lambda title, total: titles.append((title, total)) or _silent(title, total)):
        ...     for_each(lambda index: None, 3, what="looking")
        >>> titles
        [('looking', 3)]
    """
    token = _stage.set(stage)
    try:
        yield
    finally:
        _stage.reset(token)
