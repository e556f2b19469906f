"""Being told to stop, by SIGTERM or by a time limit: it is noted, and work ends at the next place where nothing is lost.

There is one scheme for the whole package. Whoever begins a run enters a :class:`StopRequest`; loops ask it between steps
and passes between batches, so that a step is never torn. Requests nest: what the outer one was told, the inner one
knows as well, and the other way round.
"""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from collections.abc import Iterator
from types import FrameType
from typing import Any, Self

from ..errors import PreemptedError

__all__ = ["StopRequest"]


class StopRequest:
    """Notes SIGTERM while it is entered, and the end of a time limit.

    Outside the main thread, where handlers cannot be set, only the time limit is noted.

    Args:
        seconds: Time limit, counted from entering; None for none.

    Example:
        >>> import os
        >>> with StopRequest() as outer, StopRequest() as inner:
        ...     os.kill(os.getpid(), signal.SIGTERM)
        ...     inner.noted, outer.noted
        (True, True)
        >>> with StopRequest(seconds=0) as stop:
        ...     stop.raise_if_noted()
        Traceback (most recent call last):
        nctransfer.errors.PreemptedError: told to stop; what was finished is kept (the time limit); go on with --resume
    """

    def __init__(self, seconds: float | None = None) -> None:
        self.seconds = seconds
        self._signalled = False
        self._at_once = False
        self._until: float | None = None
        self._before: Any = None
        self._set = False

    def __enter__(self) -> Self:
        if self.seconds is not None:
            self._until = time.monotonic() + self.seconds
        if threading.current_thread() is threading.main_thread():
            self._before = signal.signal(signal.SIGTERM, self._note)
            self._set = True
        return self

    def __exit__(self, *exception: object) -> None:
        if self._set:
            signal.signal(signal.SIGTERM, self._before)
            self._set = False

    @property
    def noted(self) -> bool:
        """Whether this request, or one that it stands in, was told to stop."""
        return self._signalled or self._out_of_time or (self._outer is not None and self._outer.noted)

    @property
    def signalled(self) -> bool:
        """Whether it was SIGTERM, and not a time limit alone, that told it."""
        return self._signalled or (self._outer is not None and self._outer.signalled)

    def raise_if_noted(self, where: str = "") -> None:
        """End the work here if it was told to stop.

        Raises:
            PreemptedError: it was.
        """
        if self.noted:
            raise self.error(where)

    def error(self, where: str = "", remedy: str = "go on with --resume") -> PreemptedError:
        """The error with which work ends."""
        cause = "SIGTERM" if self.signalled else "the time limit"
        return PreemptedError("told to stop; what was finished is kept", where=where or cause, remedy=remedy)

    @contextlib.contextmanager
    def at_once(self) -> Iterator[None]:
        """Inside, SIGTERM raises where it arrives: for long work that leaves nothing behind, such as opening data.

        Raises:
            PreemptedError: the signal arrived, here or before.
        """
        self.raise_if_noted()
        self._at_once = True
        try:
            yield
        finally:
            self._at_once = False

    @property
    def _outer(self) -> StopRequest | None:
        owner = getattr(self._before, "__self__", None)
        return owner if isinstance(owner, StopRequest) else None

    @property
    def _out_of_time(self) -> bool:
        return self._until is not None and time.monotonic() >= self._until

    def _note(self, number: int, frame: FrameType | None) -> None:
        request: StopRequest | None = self
        while request is not None:
            request._signalled = True
            request = request._outer
        if self._at_once:
            raise self.error()
