"""What the benchmarks share: paired medians, and a file that says on what they were measured."""

from __future__ import annotations

import json
import os
import statistics
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

from nctransfer.runs import describe_environment

RESULTS = Path(__file__).parent / "results"


def paired(calls: dict[str, Callable[[], Any]], rounds: int) -> dict[str, list[float]]:
    """Seconds of each call, taken in turn in every round, so that a slow moment hits all of them."""
    for call in calls.values():
        call()
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            started = time.perf_counter()
            call()
            seconds[name].append(time.perf_counter() - started)
    return seconds


def ratio(seconds: dict[str, list[float]], above: str, below: str) -> float:
    """Median over the rounds of the ratio of two calls."""
    return statistics.median(a / b for a, b in zip(seconds[above], seconds[below], strict=True))


def save(name: str, values: dict[str, Any]) -> Path:
    """Write a benchmark's values with hardware and date; returns the file."""
    environment = describe_environment()
    machine = f"{environment['cores']}-cores-" + "-".join(environment["processor"].lower().split()[:2])
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}-{machine}-{date.today().isoformat()}.json"
    kept = {key: environment[key] for key in ("processor", "cores", "threads", "devices", "versions", "python")}
    content = {**values, "load_average": os.getloadavg()[0], "environment": kept}
    path.write_text(json.dumps(content, indent=1) + "\n")
    return path
