"""Progress in the terminal, for every verb: bars on standard error, a table of the epochs on standard output.

Where the output is no terminal, each stage and each measured epoch is a plain line, so that a log tells how far a run is.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

from ..engine import Watch
from ..runs import duration

__all__ = ["TerminalWatch"]

_COLUMNS = ("train_loss", "train_accuracy", "test_accuracy", "nc1", "nc1_test", "head_nc1", "robust_accuracy")
_ROWS = 12
_EVERY_SECONDS = 30.0


class _Counted:
    """A column that stays empty beside a stage whose number of parts is not known."""

    def render(self, task: Task) -> Any:
        return super().render(task) if task.total else Text()  # type: ignore[misc]


class _Bar(_Counted, BarColumn):
    pass


class _Parts(_Counted, MofNCompleteColumn):
    pass


class _Left(_Counted, TimeRemainingColumn):
    pass


class TerminalWatch(Watch):
    """Shows what a run says: bars and a table in a terminal, plain lines elsewhere.

    Args:
        epochs: Number of epochs of the run, where its records are those of epochs.
        output: Console for the epochs; standard output when left out.
        progress: Console for everything else; standard error when left out.
    """

    def __init__(self, epochs: int | None = None, *, output: Console | None = None, progress: Console | None = None):
        self.epochs = epochs
        self.output = output or Console(soft_wrap=True)
        self.console = progress or Console(stderr=True, soft_wrap=True)
        self._records: list[dict[str, Any]] = []
        self._live: Live | None = None
        self._progress: Progress | None = None

    def say(self, text: str) -> None:
        self.console.print(text, markup=False, highlight=False)

    @contextlib.contextmanager
    def stage(self, title: str, total: int | None = None) -> Iterator[Callable[[int], None]]:
        if not self.console.is_terminal:
            yield from self._plain_stage(title, total, brief=False)
            return
        with self._shown() as progress:
            task = progress.add_task(title, total=total)
            try:
                yield lambda parts: progress.advance(task, parts)
            finally:
                progress.remove_task(task)

    @contextlib.contextmanager
    def detail(self, title: str, total: int | None = None) -> Iterator[Callable[[int], None]]:
        if self.console.is_terminal:
            with self.stage(title, total) as advance:
                yield advance
        else:
            yield from self._plain_stage(title, total, brief=True)

    @contextlib.contextmanager
    def _shown(self) -> Iterator[Progress]:
        """The one display of all stages that stand in one another; a terminal holds no two."""
        if self._progress is not None:
            yield self._progress
            return
        columns = (SpinnerColumn(), TextColumn("{task.description}", markup=False), _Bar(), _Parts(), _Left())
        with Progress(*columns, TimeElapsedColumn(), console=self.console, transient=True) as self._progress:
            try:
                yield self._progress
            finally:
                self._progress = None

    def _plain_stage(self, title: str, total: int | None, *, brief: bool) -> Iterator[Callable[[int], None]]:
        """A line every half minute while the stage lasts, and, unless ``brief``, one when it ends."""
        began = said = time.monotonic()
        done = 0

        def advance(parts: int) -> None:
            nonlocal done, said
            done += parts
            now = time.monotonic()
            if now - said >= _EVERY_SECONDS and (total is None or done < total):
                said = now
                self.say(f"{title}: {done}{f' of {total}' if total else ''}, {duration(now - began)}")

        yield advance
        if not brief:
            self.say(f"{title}: {f'{done} of {total}' if total else 'done'}, {duration(time.monotonic() - began)}")

    def record(self, record: dict[str, Any]) -> None:
        """An epoch: a row of the table in a terminal, elsewhere a line where collapse was measured."""
        if self._records and "nc1" not in self._records[-1]:
            self._records.pop()
        self._records = [*self._records, record][-_ROWS:]
        if self.output.is_terminal:
            if self._live is None:
                self._live = Live(console=self.output, auto_refresh=False)
                self._live.start()
            self._live.update(self._table(), refresh=True)
        elif "nc1" in record:
            cells = [f"{name} {record[name]:.4g}" for name in _COLUMNS if record.get(name) is not None]
            self.output.print(f"epoch {self._epoch(record)}  {'  '.join(cells)}", markup=False, highlight=False)

    def close(self) -> None:
        """Leave the table as it stands."""
        if self._live is not None:
            self._live.stop()
            self._live = None

    def _epoch(self, record: dict[str, Any]) -> str:
        return f"{record['epoch']}" + ("" if self.epochs is None else f"/{self.epochs}")

    def _table(self) -> Table:
        shown = [name for name in _COLUMNS if any(record.get(name) is not None for record in self._records)]
        table = Table("epoch", *(name.replace("_", " ") for name in shown))
        for record in self._records:
            values = (record.get(name) for name in shown)
            table.add_row(self._epoch(record), *("" if value is None else f"{value:.4g}" for value in values))
        return table
