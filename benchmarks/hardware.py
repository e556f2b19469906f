"""Names of result files: what was measured, on which hardware, on which day."""

from __future__ import annotations

import datetime
import os
import platform
import re
from pathlib import Path

__all__ = ["machine", "result_path"]

RESULTS = Path(__file__).parent / "results"


def machine() -> dict:
    """Processor, cores, threads and versions of this machine."""
    import torch

    text = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    found = re.search(r"model name\s*: (.+)", text)
    return {
        "processor": found.group(1).strip() if found else platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "load": os.getloadavg()[0],
        "torch": torch.__version__,
    }


def result_path(name: str) -> Path:
    """Path of the result file for today's run here."""
    here = re.sub(r"\W+", "-", machine()["processor"].lower()).strip("-")
    RESULTS.mkdir(exist_ok=True)
    return RESULTS / f"{name}_{here}-{os.cpu_count()}core_{datetime.date.today().isoformat()}.json"
