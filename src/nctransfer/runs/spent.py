"""The time that earlier processes of a run spent, told from what they left behind: a killed one says nothing itself."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

__all__ = ["mark", "spent_before"]

_STARTED = "environment.json"
"""Written once by each process, when it begins."""
_MARKED = "config.json"
_WRITTEN = (_MARKED, "steps.json", "metrics.jsonl", "checkpoints/*")
"""Written by a process as it goes. Page, exports and predictions are not among them: they may come days later."""


def spent_before(folder: Path) -> float:
    """Seconds that the processes of the run in ``folder`` worked so far; 0 where none did.

    Of a finished run that is what its result says; else what all but the last process spent, and of the last one the time
    from its start to its last write.
    """
    cost = _content(folder / "result.json").get("cost")
    if isinstance(cost, dict):
        return max(_seconds(cost.get("total_seconds")), _seconds(cost.get("seconds")))
    started = folder / _STARTED
    if not started.is_file():
        return 0.0
    began = started.stat().st_mtime
    last = max((path.stat().st_mtime for name in _WRITTEN for path in folder.glob(name)), default=began)
    return _seconds(_content(started).get("seconds_before")) + max(0.0, last - began)


def mark(folder: Path) -> None:
    """Leave behind that the run is still at work, where it has nothing to write for long."""
    os.utime(folder / _MARKED)


def _content(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8", errors="surrogateescape"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _seconds(value: Any) -> float:
    return float(value) if isinstance(value, int | float) else 0.0
