"""The classifier beside the features: self-duality (NC3), and agreement with the nearest class mean (NC4)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ..errors import DataError
from .geometry import centred_means
from .inputs import Samples, as_matrix, as_vector, exact_products
from .metric import Metric, Number, register
from .moments import moments_of, needs_samples, resolve
from .reads import Deviations, class_means, read_deviations
from .spectrum import Spectrum, between_spectrum
from .statistics import ClassStatistics
from .work import Work

__all__ = ["ncc_agreement", "self_duality"]


def self_duality(features: Any, labels: Any = None, *, weight: Any, num_classes: int | None = None) -> float:
    """NC3, ‖W/‖W‖_F − M/‖M‖_F‖_F² with W the classifier's weight and M the centred class means, both (K, D).

    Range [0, 4]; 0 when the classifier points where the class means do, 2 when the two have nothing in common.
    Unchanged by a common rotation, a shift of the features and either scale.

    Args:
        features: Features of shape (N, D), or ``ClassStatistics``.
        labels: Class numbers of shape (N,).
        weight: Weight of shape (K, D), row k for class k.
        num_classes: Number of classes; the number of rows of ``weight`` if left out.

    Raises:
        DataError: the weight has another shape or is zero, all class means coincide, or the input is bad.

    Source:
        Papyan, Han and Donoho (2020), doi:10.1073/pnas.2015509117.

    Example:
        >>> import torch
        >>> features, labels = torch.tensor([[1.0, 0.0], [-1.0, 0.0]]), torch.tensor([0, 1])
        >>> self_duality(features, labels, weight=features)
        0.0
    """
    matrix = as_weight(weight, num_classes)
    source = resolve(features, labels, None if isinstance(features, ClassStatistics) else num_classes or len(matrix))
    with exact_products():
        means = moments_of(source, squares=False).means
        return self_duality_of(centred_means(means), present_rows(matrix, source, means.shape[1]).to(means.device))


def ncc_agreement(
    features: Any, labels: Any = None, *, weight: Any, bias: Any = None, num_classes: int | None = None
) -> float:
    """NC4, the fraction of samples on which argmax(W h + b) is also the class whose mean is nearest.

    Range [0, 1]; larger is more collapsed. Ties go to the smaller class number. Unchanged by a common rotation and a
    common positive scale of weight and bias.

    Args:
        features: Features of shape (N, D).
        labels: Class numbers of shape (N,).
        weight: Weight of shape (K, D), row k for class k.
        bias: Bias of shape (K,), or None for none.
        num_classes: Number of classes; the number of rows of ``weight`` if left out.

    Raises:
        DataError: the weight or bias has another shape, or the input is bad.

    Source:
        Papyan, Han and Donoho (2020), doi:10.1073/pnas.2015509117.

    Example:
        >>> import torch
        >>> features, labels = torch.tensor([[1.0], [2.0], [-3.0]]), torch.tensor([0, 0, 1])
        >>> ncc_agreement(features, labels, weight=torch.tensor([[1.0], [-1.0]]), bias=torch.tensor([0.0, 3.0]))
        0.6666666666666666
    """
    matrix = as_weight(weight, num_classes)
    source = resolve(features, labels, None if isinstance(features, ClassStatistics) else num_classes or len(matrix))
    if isinstance(source, ClassStatistics):
        raise needs_samples("NC4")
    check_width(matrix, source.num_classes, source.features.shape[1])
    offset = torch.zeros(len(matrix), dtype=torch.float64) if bias is None else as_vector(bias, len(matrix), "bias")
    with exact_products():
        spectrum = between_spectrum(class_means(source), source.where)
        read = read_deviations(source, directions=spectrum.directions, outputs=matrix, keep=True)
        return agreement_of(source, spectrum, read, matrix, offset)


def as_weight(weight: Any, num_classes: int | None = None) -> Tensor:
    """A classifier's weight (K, D) in float64 on the CPU, checked."""
    matrix, _ = as_matrix(weight, "weight")
    matrix = matrix.to("cpu", torch.float64)
    if not bool(torch.isfinite(matrix).all()):
        raise DataError("`weight` holds NaN or infinity", where="weight", remedy="check the training that made it")
    if num_classes is not None and len(matrix) != num_classes:
        raise DataError(
            f"`weight` must have {num_classes} rows, one a class, got {len(matrix)}",
            where="weight",
            remedy="pass the classifier's weight as (classes, dimensions)",
        )
    return matrix


def check_width(weight: Tensor, num_classes: int, dim: int) -> None:
    """Raise a DataError unless the weight has shape (num_classes, dim)."""
    if weight.shape[0] == dim != weight.shape[1]:
        raise DataError(
            f"`weight` must have shape (classes, {dim}), one row a class, got {tuple(weight.shape)}",
            where="weight",
            remedy="transpose it",
        )
    if tuple(weight.shape) != (num_classes, dim):
        raise DataError(
            f"`weight` must have shape ({num_classes}, {dim}), one row a class, got {tuple(weight.shape)}",
            where="weight",
            remedy="pass the weight of the layer that reads these features",
        )


def present_rows(weight: Tensor, source: Samples | ClassStatistics, dim: int) -> Tensor:
    """The weight's rows of the classes that have samples."""
    check_width(weight, source.num_classes, dim)
    present = source.present if isinstance(source, Samples) else (source.counts > 0).nonzero().flatten().cpu()
    return weight[present]


def self_duality_of(centred: Tensor, weight: Tensor) -> float:
    """``self_duality`` of centred class means and a weight, both (K, D)."""
    peak = float(weight.abs().amax())
    if peak == 0:
        raise DataError("`weight` is zero, so it has no direction", where="weight")
    weight, centred = weight / peak, centred / centred.abs().amax()
    return float((weight / torch.linalg.norm(weight) - centred / torch.linalg.norm(centred)).square().sum())


def agreement_of(source: Samples, spectrum: Spectrum, read: Deviations, weight: Tensor, bias: Tensor) -> float:
    """``ncc_agreement`` from a read that kept projections and logits.

    Distances to the means need only the coordinates within the means' span. Rows whose two best classes lie within the
    rounding of the products are decided again from the row itself in float64.
    """
    assert read.projections is not None
    assert read.logits is not None
    device, means = read.centres.device, class_means(source)
    weight, bias = weight.to(device), bias.to(device)
    centre = means.mean(0)
    coordinates = spectrum.centred @ spectrum.directions
    starts = (read.centres - centre) @ spectrum.directions
    base = read.centres @ weight.T + bias
    base = base - base.mean(1, keepdim=True)
    halves = coordinates.square().sum(1) / 2
    present = source.present.to(device)
    place = torch.full((len(weight),), -1, device=device)
    place[present] = torch.arange(len(present), device=device)
    longest = float(torch.linalg.vector_norm(weight, dim=1).max())
    rounding = torch.finfo(read.projections.dtype).eps * 64
    reach = float(torch.linalg.vector_norm(coordinates, dim=1).max())
    # Sums in the products' own type: what that rounds is within the tolerance below which rows are decided again.
    short = read.projections.dtype
    at_centre = (starts @ coordinates.T - halves).to(short)
    base, coordinates = base.to(short), coordinates.to(short)
    labels, agreed = source.labels[read.index.cpu()].to(device), 0
    for start in range(0, len(labels), 4096):
        span = slice(start, start + 4096)
        own = labels[span]
        length = read.lengths[span].sqrt().to(short)
        scores = base[own] + read.logits[span]
        best, chosen = scores.max(1)
        unsure = best - _others(scores, chosen) <= rounding * (length * longest + base.abs().amax())
        nearness = torch.addmm(at_centre[own], read.projections[span], coordinates.T)
        chosen = place[chosen]
        known, chosen = chosen >= 0, chosen.clamp_min(0)
        ahead = nearness.gather(1, chosen[:, None])[:, 0] - _others(nearness, chosen)
        unsure |= known & (ahead.abs() <= rounding * (length + reach) * reach)
        same = known & (ahead > 0)
        rows = unsure.nonzero().flatten()
        for some in rows.split(max(1, (32 << 20) // (8 * max(weight.shape)))):
            exact = source.features[read.index[span][some.to(read.index.device)]].to(device, torch.float64)
            distances = torch.cdist(exact, means, compute_mode="donot_use_mm_for_euclid_dist")
            same[some] = (exact @ weight.T + bias).argmax(1) == present[distances.argmin(1)]
        agreed += int(same.sum())
    return agreed / len(labels)


def _others(scores: Tensor, chosen: Tensor) -> Tensor:
    """The best score of each row but for the chosen one, which is overwritten."""
    return scores.scatter_(1, chosen[:, None], -torch.inf).amax(1)


def _duality(work: Work) -> float:
    assert work.weight is not None
    rows = present_rows(work.weight, work.source, work.means.shape[1])
    return self_duality_of(centred_means(work.means), rows.to(work.means.device))


def _agreement(work: Work) -> float:
    samples, spectrum = work.samples("NC4"), work.spectrum
    assert work.weight is not None
    assert work.bias is not None
    return agreement_of(samples, spectrum, work.read, work.weight, work.bias)


register(
    Metric(
        "self_duality",
        _duality,
        (
            Number(
                "self_duality",
                "distance between classifier and class means, 0 to 4",
                ((0.2, "aligned"), (1, "partly aligned"), (float("inf"), "not aligned")),
            ),
        ),
        collapsed="down",
        needs=frozenset({"weight"}),
        position=90,
    )
)
register(
    Metric(
        "ncc_agreement",
        _agreement,
        (
            Number(
                "ncc_agreement",
                "fraction of samples on which classifier and nearest class mean agree",
                ((0.5, "they differ"), (0.95, "they often agree"), (float("inf"), "they agree")),
            ),
        ),
        collapsed="up",
        needs=frozenset({"weight", "deviations", "logits"}),
        position=100,
    )
)
