"""The class means about their own mean: the directions that tell classes apart, and how long each one is."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ..errors import DataError

__all__ = ["Spectrum", "between_spectrum", "centre_means"]


@dataclass(frozen=True)
class Spectrum:
    """Thin singular value decomposition of the centred class means, M = U S Vᵀ, in float64.

    Attributes:
        centred: Class means minus their mean, M of shape (K, D).
        left: U of shape (K, r).
        values: S of shape (r,), falling.
        directions: V of shape (D, r).
    """

    centred: Tensor
    left: Tensor
    values: Tensor
    directions: Tensor

    @property
    def rank(self) -> int:
        """Rank of the between-class covariance, at most min(K-1, D)."""
        return len(self.values)

    @property
    def condition(self) -> float:
        """Largest over smallest kept eigenvalue of the between-class covariance, S₁²/S_r²."""
        return float((self.values[0] / self.values[-1]) ** 2)


def centre_means(means: Tensor) -> Tensor:
    """Class means minus their unweighted mean, taken from the first mean so that a large common offset costs
    nothing."""
    shifted = means - means[0]
    return shifted - shifted.mean(0)


def between_spectrum(means: Tensor, where: str = "features") -> Spectrum:
    """The decomposition for class means of shape (K, D).

    At most K-1 directions are kept, and only those above the rounding of the means themselves: a float32 pseudo-inverse
    with its own cutoff is what makes public NC1 code answer 3e9 for 1.18.

    Raises:
        DataError: the class means coincide, so that there is nothing to divide by.
    """
    classes, dim = means.shape
    centred = centre_means(means)
    peak = float(centred.abs().amax())
    rounding = torch.finfo(torch.float64).eps * float(means.abs().amax())
    if not peak > 4 * rounding:
        raise DataError(
            "all class means coincide, so the between-class covariance is zero and NC1 is undefined",
            where=where,
            remedy="check that the labels belong to these features, and that the network is not constant",
        )
    scale = 2.0 ** round(torch.tensor(peak, dtype=torch.float64).log2().item())
    left, values, right = torch.linalg.svd(centred / scale, full_matrices=False)
    noise = rounding / scale * (classes * dim) ** 0.5
    floor = max(float(values[0]) * torch.finfo(torch.float64).eps * max(classes, dim), 2 * noise)
    rank = max(1, int((values[: min(classes - 1, dim)] > floor).sum()))
    return Spectrum(centred, left[:, :rank], values[:rank] * scale, right[:rank].T)
