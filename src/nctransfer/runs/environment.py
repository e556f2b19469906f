"""The environment of a run: versions, processor, devices."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import subprocess
import sys
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from ..version import __version__

__all__ = ["describe_environment"]

_PACKAGES = (
    "torch",
    "torchvision",
    "timm",
    "accelerate",
    "safetensors",
    "scikit-learn",
    "numpy",
    "pillow",
)


def describe_environment() -> dict[str, Any]:
    """Versions, hardware and command line of this process, as plain values."""
    import torch

    versions = {"nctransfer": __version__}
    for package in _PACKAGES:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": _commit(),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "threads": torch.get_num_threads(),
        "devices": [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())],
        "versions": versions,
        "command": [_program(sys.argv[0]), *sys.argv[1:]],
    }


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            for line in file:
                if line.startswith("model name"):
                    return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


@cache
def _commit() -> str | None:
    """The commit of the checkout that this package runs from, with ``-dirty`` where files differ; None outside one."""
    here = Path(__file__).resolve()
    try:
        # A package installed below somebody else's checkout is no part of it.
        for words in (["ls-files", "--error-unmatch", here.name], ["describe", "--always", "--dirty", "--abbrev=12"]):
            told = subprocess.run(["git", *words], cwd=here.parent, capture_output=True, text=True, timeout=10)
            if told.returncode:
                return None
    except (OSError, subprocess.SubprocessError):
        return None
    return told.stdout.strip() or None


def _program(path: str) -> str:
    """The name by which a program is called: that of its package where Python was asked for the package.

    Example:
        >>> _program("/usr/bin/nctransfer"), _program("/lib/nctransfer/__main__.py")
        ('nctransfer', 'nctransfer')
    """
    folder, name = os.path.split(path)
    return os.path.basename(folder) if name == "__main__.py" else name
