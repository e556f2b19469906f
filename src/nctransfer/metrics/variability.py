"""How much samples vary within their class, against how far apart the classes lie: NC1, VCI, class separation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from ..errors import DataError
from .inputs import Samples, check_weighting, exact_products
from .metric import Metric, Number, register
from .moments import Moments, moments_of, needs_samples, resolve
from .reads import Deviations, centred, class_means, column_squares, read_deviations
from .spectrum import Spectrum, between_spectrum
from .statistics import ClassStatistics, add_outer_product
from .words import COLLAPSED, no_structure, without_structure
from .work import Work

__all__ = ["class_separation", "nc1", "vci"]


def nc1(features: Any, labels: Any = None, *, num_classes: int | None = None, weighting: str = "sample") -> float:
    """Within-class variability collapse, NC1 = tr(Σ_W Σ_B†)/K: the spread within classes where classes differ.

    Σ_W is the within-class covariance over samples (``weighting="class"``: the mean of the classes' own covariances),
    Σ_B the covariance of the class means about their unweighted mean. With M = U S Vᵀ the centred class means,
    NC1 = (1/N) Σ_i ‖S⁻¹Vᵀ(h_i − h̄_i)‖², which is how it is computed: two reads of the features and no D×D matrix.

    Range [0, ∞); smaller is more collapsed, 0 when every sample sits on its class mean. Unchanged by rotation,
    shift and scale. It grows with the number of samples a class where there is no class structure; see ``nc1_null``.

    Args:
        features: Features of shape (N, D), any float type, NumPy, torch or memory-mapped; or ``ClassStatistics`` with
            ``scatter=True``.
        labels: Class numbers of shape (N,).
        num_classes: Number of classes; the largest label plus one if left out. Classes without samples take no part.
        weighting: ``"sample"`` or ``"class"``: how Σ_W weighs the classes.

    Raises:
        DataError: class means coincide, every class has one sample, or the input is bad.

    Source:
        Papyan, Han and Donoho (2020), doi:10.1073/pnas.2015509117; eq. 4 of Li et al. (2022), arXiv:2212.12206.

    Example:
        >>> import torch
        >>> features = torch.tensor([[0.0, 1.0], [0.0, -1.0], [4.0, 1.0], [4.0, -1.0]])
        >>> nc1(features, torch.tensor([0, 0, 1, 1]))
        0.0
        >>> round(nc1(features.flip(1) @ torch.tensor([[1.0, 1.0], [0.0, 1.0]]), torch.tensor([0, 0, 1, 1])), 12)
        0.125
    """
    check_weighting(weighting)
    source = resolve(features, labels, num_classes)
    with exact_products():
        if isinstance(source, ClassStatistics):
            moments = moments_of(source)
            return nc1_of_scatter(moments, between_spectrum(moments.means, "ClassStatistics"), weighting)
        check_spread(source.counts)
        spectrum = between_spectrum(class_means(source), source.where)
        return nc1_of_samples(source, spectrum, weighting)


def class_separation(features: Any, labels: Any = None, *, num_classes: int | None = None) -> float:
    """Class separation R² = 1 − d_w/d_t of features scaled to unit length.

    With m_k the mean of class k's unit-length features, d_w = 1 − mean_k ‖m_k‖² is the mean cosine distance within
    classes and d_t = 1 − ‖mean_k m_k‖² the one over all pairs. Range [0, 1]; *larger* is more collapsed, 1 when all
    samples of a class point the same way. Unchanged by rotation and scale, not by a shift.

    Args:
        features: Features of shape (N, D).
        labels: Class numbers of shape (N,).
        num_classes: Number of classes; the largest label plus one if left out.

    Raises:
        DataError: a feature is the zero vector, all features point the same way, or the input is bad.

    Source:
        Kornblith et al. (2021), "Why do better loss functions lead to less transferable features?", arXiv:2010.16402.

    Example:
        >>> import torch
        >>> features = torch.tensor([[1.0, 0.0], [2.0, 0.0], [0.0, 1.0], [0.0, 3.0]])
        >>> class_separation(features, torch.tensor([0, 0, 1, 1]))
        1.0
    """
    source = resolve(features, labels, num_classes)
    if isinstance(source, ClassStatistics):
        raise needs_samples("class separation")
    with exact_products():
        return separation_of(source, read_deviations(source, separation=True))


def vci(features: Any, labels: Any = None, *, num_classes: int | None = None, weighting: str = "sample") -> float:
    """Variability collapse index, VCI = 1 − tr(Σ_T†Σ_B)/rank(Σ_B), with Σ_T = Σ_W + Σ_B.

    Σ_W and Σ_B carry one and the same weighting, over samples or over classes; only then does it lie in [0, 1].
    *Larger* means less collapsed: 0 at full collapse. Unchanged by any invertible linear map and by a shift. It
    needs the D×D matrix Σ_T, and says nothing when the residuals cannot fill the space: for N − K < D it is 0 even
    for noise.

    Args:
        features: Features of shape (N, D), or ``ClassStatistics`` with ``scatter=True``.
        labels: Class numbers of shape (N,).
        num_classes: Number of classes; the largest label plus one if left out.
        weighting: ``"sample"`` or ``"class"``.

    Raises:
        DataError: fewer than D + K samples, coinciding class means, or bad input.

    Source:
        Xu and Liu (2023), "Quantifying the variability collapse of neural networks", arXiv:2306.03440.

    Example:
        >>> import torch
        >>> features = torch.tensor([[1.0], [-1.0], [5.0], [3.0]])
        >>> round(vci(features, torch.tensor([0, 0, 1, 1])), 12)  # Σ_W = 1, Σ_B = 4: 1 − 4/5
        0.2
    """
    check_weighting(weighting)
    source = resolve(features, labels, num_classes)
    with exact_products():
        return vci_of(source, weighting)


def check_spread(counts: Tensor) -> None:
    """Raise a DataError where every class has one sample: the variance within classes is undefined."""
    if int(counts.max()) < 2:
        raise DataError(
            "every class has a single sample, so the variance within classes is undefined",
            where="features",
            remedy="measure at least two samples of some class",
        )


def class_weights(counts: Tensor, weighting: str) -> Tensor:
    """Factor of each class's sums of squares: 1/N for each class, or 1/(K n_k)."""
    counts = counts.double()
    return 1 / (len(counts) * counts) if weighting == "class" else torch.full_like(counts, 1 / float(counts.sum()))


def nc1_from_projections(projected: Tensor, counts: Tensor, spectrum: Spectrum, weighting: str) -> float:
    """NC1 from sums of squared projections (K, r) of each class's deviations on the spectrum's directions."""
    weights = class_weights(counts.to(projected.device), weighting)
    # Each ratio is of like size, so that neither extreme scale leaves float64.
    ratios = projected.sqrt() / spectrum.values
    return float(weights @ ratios.square().sum(1))


def nc1_of_samples(source: Samples, spectrum: Spectrum, weighting: str, first: Deviations | None = None) -> float:
    """NC1 from a read of the features; redone in float64 where float32 products could have lost digits."""
    counts = source.counts
    read = first or read_deviations(source, directions=spectrum.directions)
    source.cache.setdefault("squares", read.squares)
    if read.projected is None:
        raise ValueError("the read carries no projections")
    if source.fast_dtype == torch.float32 and not _digits_kept(source, read, spectrum):
        read = read_deviations(source, directions=spectrum.directions, dtype=torch.float64)
        source.cache["squares"] = read.squares
    assert read.projected is not None
    return nc1_from_projections(read.projected, counts, spectrum, weighting)


def nc1_of_scatter(moments: Moments, spectrum: Spectrum, weighting: str) -> float:
    """NC1 from the pooled D×D scatter."""
    check_spread(moments.counts)
    scatter = pooled_scatter(moments, weighting)
    scaled = spectrum.directions / spectrum.values
    return max(0.0, float((scaled * (scatter @ scaled)).sum()) / float(moments.counts.sum()))


def pooled_scatter(moments: Moments, weighting: str) -> Tensor:
    """The pooled scatter, if it was kept and means the same under the weighting asked for."""
    if moments.scatter is None:
        raise DataError(
            "this needs the pooled within-class scatter",
            where="ClassStatistics",
            remedy="make it with scatter=True, or pass the feature matrix and labels",
        )
    if weighting == "class" and len(set(moments.counts.tolist())) > 1:
        raise DataError(
            "weighting='class' with unequal classes needs the samples: the scatter is pooled over them",
            where="ClassStatistics",
            remedy="use weighting='sample', or pass the feature matrix and labels",
        )
    return moments.scatter


def separation_of(source: Samples, read: Deviations) -> float:
    """Class separation from a read that took what it needs."""
    assert read.along is not None
    assert read.unit_sums is not None
    assert read.raw is not None
    device = read.centres.device
    own = source.labels[read.index.cpu()].to(device)
    counts = source.counts.to(device, torch.float64)
    sizes = read.centres.square().sum(1)
    if not bool((read.raw > 0).all()):
        row = int(read.index.to(device)[(read.raw <= 0).nonzero()[0]])
        raise DataError(
            f"row {row} is the zero vector, which has no direction",
            where=source.where,
            remedy="leave the row out, or read another metric",
        )
    inverse = read.raw.rsqrt()
    level = torch.zeros_like(counts).index_add_(0, own, inverse) / counts
    # Each unit vector is compared with its class centre times the class's mean inverse length, so that nothing cancels.
    off = inverse - level[own]
    spread = inverse.square() * read.lengths + 2 * inverse * off * read.along + off.square() * sizes[own]
    residual = read.unit_sums / counts[:, None]
    within = torch.zeros_like(counts).index_add_(0, own, spread) / counts - residual.square().sum(1)
    means = level[:, None] * read.centres + residual
    apart = (means - means.mean(0)).square().sum(1).mean()
    inner = within.clamp_min(0).mean()
    if not float(inner + apart) > 1e-28:
        raise DataError("all features point the same way, so class separation is undefined", where=source.where)
    return float(apart / (inner + apart))


def vci_of(source: Samples | ClassStatistics, weighting: str) -> float:
    """VCI of samples, or of statistics that kept the scatter."""
    if isinstance(source, ClassStatistics):
        moments = moments_of(source)
        _check_room(moments.counts, moments.means)
        weights = moments.counts.double() / float(moments.counts.sum())
        within = pooled_scatter(moments, weighting) / float(moments.counts.sum())
        return _vci(within, moments.means, weights, precise=True)[0]
    counts, means = source.counts.double(), class_means(source)
    _check_room(source.counts, means)
    weights = (torch.full_like(counts, 1 / len(counts)) if weighting == "class" else counts / counts.sum()).to(
        means.device
    )
    scales = class_weights(source.counts, weighting)
    fast = source.fast_dtype == torch.float32
    value, kept = _vci(within_covariance(source, scales, source.fast_dtype), means, weights, precise=not fast)
    if not kept:
        value, _ = _vci(within_covariance(source, scales, torch.float64), means, weights, precise=True)
    return value


def within_covariance(source: Samples, scales: Tensor, dtype: torch.dtype) -> Tensor:
    """Sum over samples of outer products of class-centred rows, each times its class's scale, (D, D) in float64."""
    means = class_means(source)
    dim = means.shape[1]
    total = torch.zeros(dim, dim, dtype=torch.float64, device=means.device)
    # Tall blocks make the products efficient and the float64 additions rare; their height is bounded by memory.
    height = int(max(256, min(8192, (64 << 20) // (4 * dim))))
    block, filled = torch.empty(min(height, len(source.features)), dim, dtype=dtype, device=means.device), 0
    roots = scales.sqrt().to(means.device, dtype)
    roots = roots / roots.max()
    _, chunks = centred(source, means, dtype)
    for chunk in chunks:
        rows = (
            chunk.rows * roots[chunk.labels.to(means.device)][:, None] if len(set(scales.tolist())) > 1 else chunk.rows
        )
        while len(rows):
            take = min(len(rows), len(block) - filled)
            block[filled : filled + take] = rows[:take]
            filled, rows = filled + take, rows[take:]
            if filled == len(block):
                add_outer_product(total, block)
                filled = 0
    if filled:
        add_outer_product(total, block[:filled])
    return total * float(scales.max())


def _check_room(counts: Tensor, means: Tensor) -> None:
    spare, dim = int(counts.sum()) - len(counts), means.shape[1]
    if spare < dim:
        raise DataError(
            f"VCI needs more samples than dimensions: N - K = {spare} residuals cannot fill {dim} dimensions",
            where="features",
            remedy="measure more samples, or read NC1 or CDNV",
        )


def _vci(within: Tensor, means: Tensor, weights: Tensor, *, precise: bool) -> tuple[float, bool]:
    """VCI, and whether the covariance was well enough conditioned for the precision it was computed in."""
    offsets = means - means[0]
    factor = (offsets - weights.to(offsets.dtype) @ offsets) * weights.sqrt()[:, None]
    rank = between_spectrum(means).rank
    total = within + factor.T @ factor
    # Any column scale leaves VCI as it is; unit variances leave the best conditioned matrix.
    if not bool(torch.isfinite(total).all()):
        raise DataError("the features overflow when squared", where="features", remedy="divide all by one constant")
    scale = total.diagonal().clamp_min(0).sqrt()
    alive = scale > scale.amax() * 1e-150
    if not bool(alive.any()):
        raise DataError(
            "the squares of the features vanish in float64", where="features", remedy="multiply all by one constant"
        )
    scale = scale[alive]
    total = total[alive][:, alive] / scale / scale[:, None]
    factor = factor[:, alive] / scale
    lower, failed = torch.linalg.cholesky_ex(total)
    steepness = float(lower.diagonal().amin()) ** 2 if not int(failed) else 0.0
    if not precise and steepness < 1e-3:
        return 0.0, False
    if steepness > 1e-12:
        explained = float(torch.linalg.solve_triangular(lower, factor.T, upper=False).square().sum())
    else:
        values, vectors = torch.linalg.eigh(total)
        kept = values > values[-1] * len(values) * torch.finfo(torch.float64).eps
        explained = float((factor @ vectors[:, kept] / values[kept].sqrt()).square().sum())
    return min(1.0, max(0.0, 1 - explained / rank)), True


def _digits_kept(source: Samples, read: Deviations, spectrum: Spectrum) -> bool:
    """Whether rounding in float32 products can have moved NC1 by more than 1e-5 of itself.

    A bound by lengths alone comes first and usually settles it. The second takes one more read: each entry of a product
    is off by some units in the last place of √(Σ_j x_j² v_j²), which knows where the spread lies.
    """
    assert read.projected is not None
    eps = torch.finfo(torch.float32).eps
    power, total = read.projected.sum(0), float(read.squares.sum())
    inverse = 1 / spectrum.values.square()
    value = float(inverse @ power)
    error = eps * float(inverse @ (power * total).sqrt()) + eps**2 * total * float(inverse.sum())
    if error <= 1e-5 * value or total == 0:
        return True
    rounding = (4 * eps) ** 2 * (column_squares(source) @ spectrum.directions.square())
    return float(inverse @ (2 * (power * rounding).sqrt() + rounding)) <= 1e-5 * value


def _than_chance(value: Any, numbers: Mapping[str, Any]) -> str | None:
    return "no more structure than chance" if no_structure(numbers) else None


def _nc1(work: Work) -> float:
    if isinstance(work.source, ClassStatistics):
        return nc1_of_scatter(work.moments, work.spectrum, work.weighting)
    check_spread(work.source.counts)
    return nc1_of_samples(work.source, work.spectrum, work.weighting, work.read)


register(
    Metric(
        "nc1",
        _nc1,
        (
            Number(
                "nc1",
                "spread within classes over spread between them, 0 when collapsed",
                COLLAPSED,
                _than_chance,
                "NC1",
            ),
        ),
        by_layer=True,
        collapsed="down",
        needs=frozenset({"deviations"}),
        streamed=True,
        position=0,
    )
)
register(
    Metric(
        "vci",
        lambda work: vci_of(work.source, work.weighting),
        (
            Number(
                "vci",
                "fraction of the class directions that spread blurs, 0 when collapsed",
                ((0.1, "strongly collapsed"), (0.5, "partly collapsed"), (float("inf"), "little collapsed")),
                without_structure,
            ),
        ),
        collapsed="down",
        streamed=True,
        position=110,
    )
)
register(
    Metric(
        "class_separation",
        lambda work: separation_of(work.samples("class separation"), work.read),
        (
            Number(
                "class_separation",
                "fraction of cosine distance that lies between classes, 1 when collapsed",
                ((0.2, "little separated"), (0.6, "separated"), (float("inf"), "strongly separated")),
                without_structure,
                "Class separation",
            ),
        ),
        by_layer=True,
        collapsed="up",
        needs=frozenset({"deviations", "unit lengths"}),
        position=120,
    )
)
