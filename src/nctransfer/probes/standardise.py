"""Standardised features for the linear probe, at any scale and without losing digits."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

__all__ = ["full_precision", "standardise"]

_ROWS = 4096


def standardise(features: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor, Tensor]:
    """Standardised features in ``dtype``, and mean and standard deviation of each column in float64.

    A column's deviation is 0 where rounding is all there is. The mean is taken off twice: what the first round leaves
    is small, so that float32 loses nothing even where the mean is far above the deviation.
    """
    precise = torch.float64 if torch.float64 in (features.dtype, dtype) else torch.float32
    values = features.to(precise, copy=True)
    largest = values.abs().amax(0).clamp_min(torch.finfo(precise).tiny)
    first = (values / largest).mean(0) * largest
    values -= first
    # Divided by its largest value, no square over- or underflows.
    reach = values.abs().amax(0)
    varies = reach > 1e-4 * torch.finfo(precise).eps * largest
    values *= torch.where(varies, reach, torch.inf).reciprocal()
    second = values.mean(0)
    values -= second
    spread = values.square().mean(0).sqrt()
    varies &= spread > 0.0
    values *= torch.where(varies, spread, torch.inf).reciprocal()
    if precise == torch.float64:
        mean = first + torch.where(varies, second * reach, 0.0)
        return values, mean, torch.where(varies, spread * reach, 0.0)
    mean, deviation = _moments64(features)
    return values.to(dtype), mean, torch.where(varies, deviation, 0.0)


def _moments64(features: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of short floats, to float64: they define the objective, and so must not carry rounding."""
    count, chunks = len(features), features.split(_ROWS)
    mean = sum((rows.double().sum(0) for rows in chunks), start=features.new_zeros((), dtype=torch.float64)) / count
    squares = sum(((rows.double() - mean).square().sum(0) for rows in chunks), start=torch.zeros_like(mean))
    return mean, (squares / count).sqrt()


@contextmanager
def full_precision(device: torch.device) -> Iterator[None]:
    """No autocast, no gradients, and on CUDA no TF32: three digits would not carry the certificate."""
    allowed = torch.backends.cuda.matmul.allow_tf32 if device.type == "cuda" else False
    with torch.autocast(device.type, enabled=False), torch.no_grad():
        if allowed:
            torch.backends.cuda.matmul.allow_tf32 = False
        try:
            yield
        finally:
            if allowed:
                torch.backends.cuda.matmul.allow_tf32 = True
