"""The one way in which a run of studies is told to stop: a time limit and SIGTERM, taken alike."""

from __future__ import annotations

from ..engine import StopRequest
from ..errors import PreemptedError, UsageError

__all__ = ["Deadline"]


class Deadline(StopRequest):
    """A request to stop in minutes. Training in hand saves its state first; everything else ends between batches.

    Args:
        minutes: The limit; none where None.

    Raises:
        UsageError: ``minutes`` is not above 0.

    Example:
        >>> with Deadline(60) as deadline:
        ...     deadline.raise_if_noted()
    """

    def __init__(self, minutes: float | None) -> None:
        if minutes is not None and not minutes > 0:
            raise UsageError(
                f"minutes above 0 are needed, got {minutes:g}", where="--time-limit", remedy="leave it out"
            )
        super().__init__(None if minutes is None else 60 * minutes)

    def error(self, where: str = "", remedy: str = "run the same command again") -> PreemptedError:
        if self.signalled:
            return PreemptedError("told to stop; what was finished is kept", where=where or "paper", remedy=remedy)
        return PreemptedError("the time limit is reached", where=where or "--time-limit", remedy=remedy)
