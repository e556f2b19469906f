"""The one way in which a run of studies is told to stop: a time limit and SIGTERM, taken alike."""

from __future__ import annotations

import os
import signal
import threading
import time
from types import FrameType
from typing import Any

from ..errors import PreemptedError, UsageError

__all__ = ["Deadline"]


class Deadline:
    """Raises :class:`~nctransfer.errors.PreemptedError` in the main thread when the time is up or SIGTERM arrives.

    The end of the time is sent as SIGTERM, as a cluster would, so that training in hand saves its state first. Outside the
    main thread, where no handler can be set, only :meth:`check` tells.

    Args:
        minutes: The limit; none where None.

    Raises:
        UsageError: ``minutes`` is not above 0.

    Example:
        >>> with Deadline(60) as deadline:
        ...     deadline.check()
    """

    def __init__(self, minutes: float | None) -> None:
        if minutes is not None and not minutes > 0:
            raise UsageError(
                f"minutes above 0 are needed, got {minutes:g}", where="--time-limit", remedy="leave it out"
            )
        self._seconds = None if minutes is None else 60 * minutes
        self._end: float | None = None
        self._timer: threading.Timer | None = None
        self._before: Any = None
        self._set = False

    def __enter__(self) -> Deadline:
        self._end = None if self._seconds is None else time.monotonic() + self._seconds
        if threading.current_thread() is threading.main_thread():
            self._before, self._set = signal.signal(signal.SIGTERM, self._stop), True
            if self._seconds is not None:
                self._timer = threading.Timer(self._seconds, lambda: os.kill(os.getpid(), signal.SIGTERM))
                self._timer.daemon = True
                self._timer.start()
        return self

    def __exit__(self, *exception: object) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._set:
            signal.signal(signal.SIGTERM, self._before)
            self._set = False

    @property
    def passed(self) -> bool:
        """Whether the time is up."""
        return self._end is not None and time.monotonic() > self._end

    def check(self) -> None:
        """Raise if the time is up."""
        if self.passed:
            self._stop(0, None)

    def _stop(self, number: int, frame: FrameType | None) -> None:
        what = "the time limit is reached" if self.passed else "told to stop; what was finished is kept"
        where = "--time-limit" if self.passed else "paper"
        raise PreemptedError(what, where=where, remedy="run the same command again")
