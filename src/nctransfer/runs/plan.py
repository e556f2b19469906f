"""An estimate of a run before it is made: what a dry run prints."""

from __future__ import annotations

import dataclasses

__all__ = ["Plan", "duration"]


@dataclasses.dataclass(frozen=True)
class Plan:
    """Steps of a run that is not made yet, and an estimate of their cost.

    Attributes:
        lines: What would be done, in order.
        seconds: About how long it takes.
        memory_bytes: About how much a training step needs beside the idle process; None where that is unknown.
        disk_bytes: About what the run folder will hold; None where that is unknown.
        basis: What the estimate stands on.
    """

    lines: tuple[str, ...]
    seconds: float
    memory_bytes: int | None = None
    disk_bytes: int | None = None
    basis: str = "extrapolated from a few measured steps"

    def text(self) -> str:
        """The plan as a few lines for the terminal.

        Example:
            >>> print(Plan(("data: digits",), 40.0, 3 << 20, 5 << 20).text())
            data: digits
            about 40 s, 3 MiB of memory beside the idle process, 5 MiB on disk (extrapolated from a few measured steps)
        """
        memory = (
            ""
            if self.memory_bytes is None
            else f", {self.memory_bytes / 2**20:.0f} MiB of memory beside the idle process"
        )
        disk = "" if self.disk_bytes is None else f", {self.disk_bytes / 2**20:.0f} MiB on disk"
        about = "" if self.seconds < 1 else "about "
        return "\n".join([*self.lines, f"{about}{duration(self.seconds)}{memory}{disk} ({self.basis})"])


def duration(seconds: float) -> str:
    """A duration in words.

    Example:
        >>> duration(0.06), duration(30), duration(1092), duration(36_000)
        ('less than 1 s', '30 s', '18 min', '10 h')
    """
    if seconds < 1:
        return "less than 1 s"
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.0f} h"
