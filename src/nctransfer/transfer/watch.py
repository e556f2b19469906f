"""What a long computation tells whoever waits for it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

__all__ = ["Watch"]


class Watch:
    """Receives what happens and shows nothing; the command line's child of it draws progress bars."""

    def say(self, text: str) -> None:
        """One line about what has just been found or done."""

    @contextlib.contextmanager
    def stage(self, title: str, total: int | None = None) -> Iterator[Callable[[int], None]]:
        """A stretch of work of ``total`` parts; the value is called with the number of parts just done."""
        yield lambda parts: None
