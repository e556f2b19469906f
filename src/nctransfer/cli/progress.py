"""Progress in the terminal: a bar for each stage on standard error, and one line for each finding."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.progress import TimeRemainingColumn as Remaining

from ..engine import Watch

__all__ = ["TerminalWatch"]


class TerminalWatch(Watch):
    """Bars where standard error is a terminal, plain lines elsewhere."""

    def __init__(self) -> None:
        self.console = Console(stderr=True, soft_wrap=True)

    def say(self, text: str) -> None:
        self.console.print(text, markup=False, highlight=False)

    @contextlib.contextmanager
    def stage(self, title: str, total: int | None = None) -> Iterator[Callable[[int], None]]:
        if not sys.stderr.isatty():
            yield lambda parts: None
            return
        columns = [SpinnerColumn(), TextColumn("{task.description}", markup=False)]
        if total:
            columns += [BarColumn(), MofNCompleteColumn(), Remaining()]
        with Progress(*columns, TimeElapsedColumn(), console=self.console, transient=True) as progress:
            task = progress.add_task(title, total=total)
            yield lambda parts: progress.advance(task, parts)
