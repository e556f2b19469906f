"""How a long computation tells whoever waits for it what it does and what it finds."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

__all__ = ["Watch"]


class Watch:
    """Receives progress and shows nothing. Children of it draw bars and tables, or send records to a tracker."""

    def say(self, text: str) -> None:
        """One line about what has just been found or done."""

    @contextlib.contextmanager
    def stage(self, title: str, total: int | None = None) -> Iterator[Callable[[int], None]]:
        """A stretch of work of ``total`` parts; the value is called with the number of parts just done."""
        yield lambda parts: None

    @contextlib.contextmanager
    def detail(self, title: str, total: int | None = None) -> Iterator[Callable[[int], None]]:
        """The same of work within another's, of which a reader hears only where it takes long."""
        with self.stage(title, total) as advance:
            yield advance

    def record(self, record: dict[str, Any]) -> None:
        """One line of ``metrics.jsonl``, as it is written."""

    def __call__(self, record: dict[str, Any]) -> None:
        """The same, so that a watch listens where trackers do."""
        self.record(record)

    def close(self) -> None:
        """The run has ended, well or not."""
