"""The curvature of the softmax regression's objective: a model of its Hessian that is cheap, and the Hessian itself.

Legend as in `softmax_regression`: ``features (N, D)``, probabilities ``(K, N)``, vectors ``(K, D + 1)``, the bias last.
"""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["ModelHessian", "newton_move", "spectrum"]

_RANK = 64  # eigenvectors in the model Hessian
_POWERS = 1  # rounds of the range finder; without, 101 iterations for 87
_AT_ONCE = 1 << 22  # numbers of the outer products held at a time


class ModelHessian:
    """The model Hessian H: c G + λ' I for each class's weights, c for its bias."""

    def __init__(
        self, spectrum: tuple[Tensor, Tensor, float], probabilities: Tensor, penalty: float, dtype: torch.dtype
    ) -> None:
        values, vectors, rest = spectrum
        self.dtype = dtype
        spread = max(float((1.0 - probabilities.square().sum(0)).mean()) / len(probabilities), 1e-9)
        self.vectors, self.rest, self.bias = vectors.to(dtype), spread * rest + penalty, spread
        self.inverse_excess = (1.0 / (spread * values + penalty) - 1.0 / self.rest).to(dtype)

    def solve(self, vector: Tensor) -> Tensor:
        """H⁻¹ times a gradient of shape ``(K, D + 1)``: the move that the model takes for Newton's."""
        weight = vector[:, :-1]
        move = vector / self.rest
        move[:, :-1] += ((weight @ self.vectors) * self.inverse_excess) @ self.vectors.T
        move[:, -1] = vector[:, -1] / self.bias
        return move


def newton_move(
    gradient: Tensor, features: Tensor, probabilities: Tensor, penalty: float, weights: Tensor | None
) -> Tensor:
    """−H⁻¹ times ``gradient``, H the Hessian itself, by Cholesky: K (D + 1) unknowns, so for small problems alone.

    With x̃ = (x, 1), H = (1/N) Σ_i w_i (diag(p_i) − p_i p_iᵀ) ⊗ x̃_i x̃_iᵀ + λ' on the weights. A common shift of the biases
    changes nothing, and its curvature is pinned to the mean of theirs.
    """
    classes, count = probabilities.shape
    width = features.shape[1] + 1
    size = classes * width
    hessian = features.new_zeros(size, size)
    blocks = hessian.view(classes, width, classes, width)
    for rows in torch.arange(count, device=features.device).split(max(_AT_ONCE // size, 1)):
        wide = torch.cat([features[rows], features.new_ones(len(rows), 1)], 1)
        share = probabilities[:, rows]
        outer = (share.T[:, :, None] * wide[:, None, :]).reshape(len(rows), size)
        weighed = outer if weights is None else outer * weights[rows, None]
        hessian -= weighed.T @ outer
        for number in range(classes):
            blocks[number, :, number] += weighed[:, number * width : (number + 1) * width].T @ wide
    hessian /= count
    diagonal = hessian.diagonal().view(classes, width)
    blocks[:, -1, :, -1] += diagonal[:, -1].mean() / classes
    diagonal[:, :-1] += penalty
    factor, failed = torch.linalg.cholesky_ex(hessian)
    if int(failed):
        # Rounding took a curvature below 0: the least that brings all above it.
        diagonal += 1e-14 * float(diagonal.max()) * size
        factor, failed = torch.linalg.cholesky_ex(hessian)
        if int(failed):
            return -gradient
    return -torch.cholesky_solve(gradient.reshape(-1, 1), factor).view(classes, width)


def spectrum(features: Tensor) -> tuple[Tensor, Tensor, float]:
    """Largest eigenvalues of the Gram matrix over N, their vectors ``(D, R)``, and one value for all the others."""
    count, dim = features.shape
    if dim <= 2 * _RANK:
        exact = features.double()
        values, basis = torch.linalg.eigh(exact.T @ exact / count)
        return values.clamp_min(0.0), basis, 0.0
    # Drawn on the CPU from a fixed seed, so that a fit is a function of its data.
    draw = torch.randn(dim, _RANK + 8, generator=torch.Generator().manual_seed(0)).to(features)
    sample = torch.linalg.qr(features.T @ (features @ draw))[0]
    for _ in range(_POWERS):
        sample = torch.linalg.qr(features.T @ (features @ sample))[0]
    image = (features @ sample).double()
    values, turn = torch.linalg.eigh(image.T @ image / count)
    return values[8:], (sample.double() @ turn)[:, 8:], float(values[8])
