"""The return value of `rank`: the record as an object."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any

from ..runs import RankRecord, RankRow

__all__ = ["RankResult"]


class RankResult:
    """A finished ranking.

    Attributes:
        record: The typed record, as :func:`nctransfer.load_run` reads it.
        folder: Where it lies, or None when it was not written.
    """

    def __init__(self, record: RankRecord, folder: Path | None = None) -> None:
        self.record, self.folder = record, folder

    @cached_property
    def result(self) -> dict[str, Any]:
        """The content of ``result.json``, as plain values."""
        return self.record.plain()

    @property
    def rows(self) -> tuple[RankRow, ...]:
        """The candidates in order."""
        return self.record.rows

    @property
    def order(self) -> list[str]:
        """The candidates' names in order."""
        return [row.name for row in self.record.rows]

    @property
    def best(self) -> str | None:
        """The first candidate."""
        return self.record.best

    def __repr__(self) -> str:
        return f"RankResult(order={self.order!r}, folder={str(self.folder)!r})"
