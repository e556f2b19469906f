"""Memory that runs out: telling it from other errors, and forward passes that go on in halves."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ..errors import ResourceError

__all__ = ["OutOfMemory", "halving", "is_out_of_memory"]


class OutOfMemory(ResourceError):
    """Memory ran out, on the CPU or on a device."""


def halving(forward: Callable[[Tensor], dict[str, Tensor]], images: Tensor) -> dict[str, Tensor]:
    """``forward(images)``, in halves where memory runs out; the result is the same.

    Raises:
        OutOfMemory: one image alone does not fit.
    """
    try:
        return forward(images)
    except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        if len(images) <= 1:
            raise OutOfMemory(
                "out of memory with a single image", where=str(images.device), remedy="use a smaller --image-size"
            ) from error
    if images.device.type == "cuda":
        torch.cuda.empty_cache()
    middle = len(images) // 2
    first, second = halving(forward, images[:middle]), halving(forward, images[middle:])
    return {name: torch.cat([first[name], second[name]]) for name in first}


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory ran out, on the CPU or on a device."""
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or "can't allocate memory" in str(error)
