"""Numerical rank of the features of each class: how many directions a class fills, as energy over its largest part."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import lru_cache, partial
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from ..errors import DataError, UsageError
from .inputs import Samples, exact_products
from .metric import Metric, Number, register
from .moments import needs_samples, resolve
from .reads import class_means
from .statistics import ClassStatistics
from .work import Work

__all__ = ["numerical_rank"]

MOST_STEPS = 300
MOST_ROWS = 4096
CLASS_BYTES = 256 << 20
SLICE_BYTES = 32 << 20


def numerical_rank(
    features: Any,
    labels: Any = None,
    *,
    centered: bool = False,
    num_classes: int | None = None,
    tolerance: float | None = None,
) -> float:
    """Mean over classes of ‖H_k‖_F² / ‖H_k‖₂² with H_k the rows of class k.

    Range [1, min(n_k, D)]; smaller is more collapsed. As in the paper H_k is not centred, so that its mean
    dominates and the value sits near 1; ``centered=True`` subtracts the class mean and shows how many directions
    the spread itself fills. Unchanged by rotation and scale; the centred one by a shift too. A class with all rows
    zero (centred: equal) has no rank and takes no part.

    Args:
        features: Features of shape (N, D).
        labels: Class numbers of shape (N,).
        centered: Whether to subtract each class's mean.
        num_classes: Number of classes; the largest label plus one if left out.
        tolerance: Relative error allowed in ‖H_k‖₂², which bounds from Lanczos iterations must stay under; by default
            1e-5, and 1e-9 for float64 features.

    Raises:
        DataError: no class has a rank, or the input is bad.

    Source:
        Timor, Vardi and Shamir (2022), arXiv:2201.12760; appendix A.1 of Li et al. (2022), arXiv:2212.12206.

    Example:
        >>> import torch
        >>> features = torch.tensor([[2.0, 1.0], [2.0, -1.0], [0.0, 3.0], [0.0, 3.0]])
        >>> numerical_rank(features, torch.tensor([0, 0, 1, 1]))  # (10/8 + 1) / 2
        1.125
    """
    if tolerance is not None and not 0 < tolerance < 1:
        raise UsageError(f"tolerance must lie in (0, 1), got {tolerance!r}", where="tolerance")
    source = resolve(features, labels, num_classes)
    if isinstance(source, ClassStatistics):
        raise needs_samples("numerical rank")
    with exact_products():
        return rank_of(source, centered=centered, tolerance=tolerance)


def rank_of(source: Samples, *, centered: bool, tolerance: float | None = None) -> float:
    """``numerical_rank`` of checked samples."""
    tolerance = tolerance or (1e-5 if source.fast_dtype == torch.float32 else 1e-9)
    means = class_means(source)
    ranks = []
    stops = source.counts.cumsum(0).tolist()
    starts = [0, *stops[:-1]]
    dim = means.shape[1]
    buffer = source.features.new_empty(0, dim)
    with _one_blas_thread():
        for label, (start, stop) in enumerate(zip(starts, stops, strict=True)):
            index = source.order[start:stop].to(source.features.device)
            centre = means[label] if centered else None
            if len(index) <= MOST_ROWS and len(index) * dim * 4 > CLASS_BYTES:
                rank = _rank_by_gram(source, index, centre)
            else:
                # One buffer for all classes: a fresh one for each costs as much in page faults as the copy itself.
                buffer = buffer if len(buffer) >= len(index) else source.features.new_empty(len(index), dim)
                rows = torch.index_select(source.features, 0, index, out=buffer[: len(index)])
                rank = _rank_by_lanczos(rows.to(source.device, source.fast_dtype), centre, tolerance)
            if rank is not None:
                ranks.append(rank)
    if not ranks:
        raise DataError(
            f"all {'deviations' if centered else 'features'} are zero, so there is no rank",
            where=source.where,
            remedy="read the other numerical rank",
        )
    return sum(ranks) / len(ranks)


def _rank_by_lanczos(rows: Tensor, centre: Tensor | None, tolerance: float) -> float | None:
    """The rank of one class's rows, which are overwritten."""
    if centre is not None:
        # Equal rows leave only the rounding of their mean, which has no rank. A few rows mostly settle it.
        if bool((rows[0] == rows[:8]).all()) and bool((rows[0] == rows).all()):
            return None
        rows -= centre.to(rows.dtype)
    size = max(abs(float(end)) for end in rows.aminmax())
    if size == 0:
        return None
    rows /= 2.0 ** math.frexp(size)[1]
    exact = rows.double() if rows.numel() < 4096 else rows
    energy = float(torch.linalg.vector_norm(exact, dim=1).double().square().sum())
    return energy / min(energy, largest_eigenvalue(rows, tolerance))


def _one_blas_thread() -> AbstractContextManager[Any]:
    """NumPy's products in one thread: its waiting threads would take the cores from torch's.

    Only speed hangs on it, so threadpoolctl may be missing.
    """
    controller = _blas()
    return nullcontext() if controller is None else controller.limit(limits=1, user_api="blas")


@lru_cache(maxsize=1)
def _blas() -> Any:
    try:
        from threadpoolctl import ThreadpoolController
    except ImportError:
        return None
    return ThreadpoolController()


def _rank_by_gram(source: Samples, index: Tensor, centre: Tensor | None) -> float | None:
    """For few, very wide rows: their n×n Gram matrix over slices of columns, so that the class is never copied
    whole."""
    width = max(1, SLICE_BYTES // (8 * len(index)))
    gram = torch.zeros(len(index), len(index), dtype=torch.float64, device=source.device)
    equal = True
    for start in range(0, source.features.shape[1], width):
        part = source.features[:, start : start + width].index_select(0, index).to(source.device, source.fast_dtype)
        equal = equal and bool((part[0] == part).all())
        if centre is not None:
            part = part - centre[start : start + width].to(part.dtype)
        gram += part @ part.T
    value = float(torch.linalg.eigvalsh(gram)[-1])
    if value <= 0 or (equal and centre is not None):
        return None
    return float(gram.trace()) / value


def largest_eigenvalue(rows: Tensor, tolerance: float) -> float:
    """Largest eigenvalue of rowsᵀrows for rows (n, D), by Lanczos with full reorthogonalisation.

    It stops when the residual bounds the error by ``tolerance`` of the value, or when the space is used up.
    """
    tall = rows if rows.shape[0] >= rows.shape[1] else rows.T
    size = tall.shape[1]
    if size <= 32:
        exact = tall.double()
        return float(torch.linalg.eigvalsh(exact.T @ exact)[-1])
    apply = _products(tall)
    vector = np.random.default_rng(0).standard_normal(size)
    basis = np.empty((min(MOST_STEPS, size) + 1, size))
    basis[0] = vector / np.linalg.norm(vector)
    diagonal: list[float] = []
    beside: list[float] = []
    value = 0.0
    for step in range(min(MOST_STEPS, size)):
        product = apply(basis[step])
        # The two neighbours, and what rounding has left of the earlier vectors.
        known = basis[: step + 1]
        along = known @ product
        product -= along @ known
        diagonal.append(float(along[-1]))
        length = float(np.linalg.norm(product))
        # Seldom where the small problem is no longer small: its cost grows with the cube of the step.
        if step % (2 if step < 8 else 4 if step < 64 else 16) == 1 or length == 0 or step == len(basis) - 2:
            values, vectors = np.linalg.eigh(np.diag(diagonal) + np.diag(beside, -1))
            value = float(values[-1])
            residual = length * abs(float(vectors[-1, -1]))
            gap = value - float(values[-2]) if step else value
            if min(residual, residual**2 / max(gap, 1e-300)) <= tolerance * value or length <= tolerance * value * 1e-3:
                break
        beside.append(length)
        basis[step + 1] = product / length
    return value


def _products(tall: Tensor) -> Callable[[np.ndarray], np.ndarray]:
    """v -> tallᵀ(tall v) in float64, computed in the precision of ``tall``.

    On the CPU by NumPy, whose BLAS multiplies a matrix with a vector in less time than torch's.
    """
    if tall.device.type == "cpu":
        array = tall.numpy()
        return lambda vector: (array.T @ (array @ vector.astype(array.dtype))).astype(np.float64)

    def apply(vector: np.ndarray) -> np.ndarray:
        product = tall.T @ (tall @ torch.from_numpy(vector).to(tall))
        return product.double().cpu().numpy()

    return apply


def _rank(centered: bool, work: Work) -> float:
    return rank_of(work.samples("numerical rank"), centered=centered)


_RANKS: tuple[tuple[str, bool, str, Literal["down", "neither"]], ...] = (
    ("numerical_rank", False, "directions that a class fills, its mean included", "down"),
    ("numerical_rank_centered", True, "directions that the spread of a class fills", "neither"),
)
for _place, (_name, _centered, _meaning, _direction) in enumerate(_RANKS):
    register(
        Metric(
            _name,
            partial(_rank, _centered),
            (
                Number(
                    _name,
                    _meaning,
                    say=lambda value, numbers: "about 1 is most collapsed",
                    title="Numerical rank, centred" if _centered else "Numerical rank",
                ),
            ),
            by_layer=not _centered,
            collapsed=_direction,
            position=40 + _place,
        )
    )
