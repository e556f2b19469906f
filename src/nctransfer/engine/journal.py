"""The run's records: one line an epoch in ``metrics.jsonl``, told to whoever listens, and consistent after a kill."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

from ..runs import RunFolder, write_bytes
from .trackers import Listener

__all__ = ["Journal"]


class Journal:
    """Records of a run, on disk and in memory.

    Args:
        run: The run folder.
        listeners: Told each record.
        keep: Says of a record whether it stays. Those of steps after the checkpoint that the run goes on from are taken
            out of the file: the steps will be taken again.
        write: Whether this process writes at all.
    """

    def __init__(
        self,
        run: RunFolder,
        listeners: Sequence[Listener] = (),
        *,
        keep: Callable[[dict[str, Any]], bool],
        write: bool = True,
    ) -> None:
        self.run, self.listeners, self.writes = run, listeners, write
        self.records = [record for record in run.metrics() if keep(record)]
        if write and (run.path / "metrics.jsonl").is_file():
            lines = "".join(json.dumps(record, allow_nan=False) + "\n" for record in self.records)
            write_bytes(run.path / "metrics.jsonl", lines.encode())

    @property
    def epochs(self) -> int:
        """Number of epochs on record."""
        return max((int(record["epoch"]) for record in self.records), default=0)

    def write(self, record: dict[str, Any]) -> None:
        """Add a record."""
        self.records.append(record)
        if not self.writes:
            return
        self.run.log(**record)
        for listener in self.listeners:
            listener(record)
