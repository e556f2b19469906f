"""Being told to stop: SIGTERM is taken note of, and the loop ends after the step in hand."""

from __future__ import annotations

import signal
import threading
from types import FrameType
from typing import Any

import torch

__all__ = ["StopRequest"]


class StopRequest:
    """Notes SIGTERM while it is entered; outside the main thread, where handlers cannot be set, it notes nothing.

    Example:
        >>> import os
        >>> with StopRequest() as stop:
        ...     os.kill(os.getpid(), signal.SIGTERM)
        ...     stop.noted
        True
    """

    def __init__(self) -> None:
        self.noted = False
        self._before: Any = None
        self._set = False

    def __enter__(self) -> StopRequest:
        if threading.current_thread() is threading.main_thread():
            self._before = signal.signal(signal.SIGTERM, self._note)
            self._set = True
        return self

    def __exit__(self, *exception: object) -> None:
        if self._set:
            signal.signal(signal.SIGTERM, self._before)
            self._set = False

    def agreed(self, device: torch.device) -> bool:
        """Whether any process of the group was told to stop: all must leave the loop after the same step."""
        if not (torch.distributed.is_available() and torch.distributed.is_initialized()):
            return self.noted
        flag = torch.tensor(int(self.noted), device=device)
        torch.distributed.all_reduce(flag, op=torch.distributed.ReduceOp.MAX)
        return bool(flag)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.noted = True
