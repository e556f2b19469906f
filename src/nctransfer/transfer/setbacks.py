"""Failures of one method that leave the others running: memory that runs out, and a loss that is not finite."""

from __future__ import annotations

import gc

from ..engine import Diverged, OutOfMemory, Runtime, is_out_of_memory

__all__ = ["recover", "setback"]


def setback(error: Exception) -> str | None:
    """Why a method is left out, where ``error`` is its own and not the run's; None for every other error.

    Example:
        >>> setback(MemoryError()), setback(OSError("disk full"))
        ('out of memory', None)
    """
    if isinstance(error, Diverged | OutOfMemory):
        return "; ".join(part for part in (error.what, error.remedy) if part)
    return "out of memory" if is_out_of_memory(error) else None


def recover(runtime: Runtime) -> None:
    """Give back what the failed attempt held; called after its exception has been handled."""
    gc.collect()
    runtime.release()
