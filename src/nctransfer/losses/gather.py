"""Tensors of all processes, with gradient: what a loss over pairs needs when a batch is spread over several devices."""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as distributed
from torch import Tensor

__all__ = ["gather_with_gradient"]


def gather_with_gradient(tensor: Tensor) -> Tensor:
    """Every process's ``tensor``, concatenated along the first dimension in the order of ranks; shapes must agree.

    The gradient that reaches one process's part is the sum over all processes. Where each process then computes the
    whole batch's loss, averaging parameter gradients over the processes (as DistributedDataParallel does) gives exactly
    the gradient of that loss. Without a process group, or alone in it, the tensor itself is returned.

    Example:
        >>> gather_with_gradient(torch.ones(2)).shape
        torch.Size([2])
    """
    if not (distributed.is_available() and distributed.is_initialized()) or distributed.get_world_size() == 1:
        return tensor
    return _Gather.apply(tensor)


class _Gather(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, tensor: Tensor) -> Tensor:
        ctx.count = len(tensor)
        parts = [torch.empty_like(tensor) for _ in range(distributed.get_world_size())]
        distributed.all_gather(parts, tensor.contiguous())
        return torch.cat(parts)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        total = gradients[0].contiguous()
        distributed.all_reduce(total)
        start = distributed.get_rank() * ctx.count
        return total[start : start + ctx.count]
