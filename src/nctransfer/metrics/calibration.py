"""NC1 of the population, estimated from a sample: comparable across widths, class counts and sample sizes.

Class means carry noise: their spread is too large by tr(Σ_W)/n in all, so that raw NC1 comes out too small, the more so
the fewer samples a class has. Subtracting that noise once is not enough. The inverse of a matrix that wobbles is
not the inverse of its mean, and with K classes the wobble has K² entries.

With M₀ the population's centred class means, G = M₀M₀ᵀ and H = M₀Σ_W M₀ᵀ, the population's NC1 is tr(G⁻¹HG⁻¹). The
sample gives M = M₀ + E with E of covariance Σ_W/n a row. The theory of information-plus-noise matrices (Dozier and
Silverstein 2007; Hachem, Loubaton and Najim 2007) says which matrix built from M has an inverse near G⁻¹ when K, D
and n are of like size:

    Q⁻¹ = M (I − bΣ_W)⁻¹ Mᵀ − (tr Σ_W − h)/n,   b = tr(Q)/n,   h = tr(QH),

two numbers found by iteration; b = h = 0 is plain noise subtraction. A product of two such inverses needs one more
factor,
from the derivative of that equation: with B = M(I − bΣ_W)⁻¹Σ_W(I − bΣ_W)⁻¹Mᵀ and τ = tr(P⊥Σ_W P⊥Σ_W)/n outside the
span of the means,

    NC1 = tr(QBQ)/(1 + u) − τ tr(Q²),   u = (tr(QBQ) − τ tr(Q²))/(n + τ tr(Q²)).

Where K − 1 > D the same argument runs in D dimensions, after whitening. The standard error is the first-order one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from ..errors import DataError
from .inputs import Samples, check_weighting, exact_products
from .metric import Metric, Number, register
from .moments import needs_samples, resolve
from .reads import class_means, read_deviations
from .spectrum import Spectrum, between_spectrum
from .statistics import ClassStatistics
from .variability import check_spread
from .words import COLLAPSED, without_structure
from .work import Work

__all__ = ["CalibratedNC1", "nc1_calibrated"]

MOST_PAIRS = 512
PAIR_BYTES = 256 << 20
LARGEST_ERROR = 0.3
STEEPEST = 0.07


@dataclass(frozen=True)
class CalibratedNC1:
    """An estimate of the population's NC1.

    Attributes:
        value: The estimate.
        relative_error: Its relative standard error.
    """

    value: float
    relative_error: float


@dataclass(frozen=True)
class _Noise:
    """The noise of the class means, seen in the span of the means (r dimensions) unless said otherwise.

    ``gram`` is MMᵀ, ``spread`` MΣMᵀ, ``second`` and ``third`` M₀Σ²M₀ᵀ and M₀Σ³M₀ᵀ; ``powers`` tr Σ to tr Σ⁴; ``shares``
    the matrix that diag(1/n_k) becomes, ``level`` the one that diag(tr Σ_k/n_k) becomes; ``freedom`` is N − K.
    """

    gram: Tensor
    spread: Tensor
    second: Tensor
    third: Tensor
    powers: tuple[float, float, float, float]
    shares: Tensor
    level: Tensor
    per_class: float
    freedom: int


def nc1_calibrated(
    features: Any, labels: Any = None, *, num_classes: int | None = None, weighting: str = "sample", seed: int = 0
) -> float:
    """Estimate of the population's NC1, tr(Σ_W Σ_B†)/K without the bias of few samples a class.

    Range [0, ∞); smaller is more collapsed. Unlike raw NC1 it compares across sample sizes and widths. It never
    saturates: twice the population's NC1 is twice the estimate. Unchanged by rotation, shift and scale.

    Args:
        features: Features of shape (N, D).
        labels: Class numbers of shape (N,).
        num_classes: Number of classes; the largest label plus one if left out.
        weighting: As in ``nc1``.
        seed: Seed of the pairs of rows from which the spectrum of Σ_W is estimated.

    Raises:
        DataError: the means' noise hides the signal, there are too few samples, or the input is bad.

    Source:
        The derivation is in this module's docstring, its test over a grid of populations in ``docs/metrics.md``.

    Example:
        >>> import torch
        >>> generator = torch.Generator().manual_seed(0)
        >>> means = torch.randn(10, 512, generator=generator)
        >>> labels = torch.arange(100) % 10
        >>> features = means[labels] + torch.randn(100, 512, generator=generator)
        >>> 0.0175 < nc1_calibrated(features, labels) < 0.0190  # about 9/(10 · 51.2) = 0.0176 for the population
        True
    """
    check_weighting(weighting)
    source = resolve(features, labels, num_classes)
    if isinstance(source, ClassStatistics):
        raise needs_samples("calibrated NC1")
    with exact_products():
        spectrum = between_spectrum(class_means(source), source.where)
        return calibrated_of(source, spectrum, weighting, seed).value


def calibrated_of(source: Samples, spectrum: Spectrum, weighting: str, seed: int) -> CalibratedNC1:
    """The estimate of checked samples, with its error.

    Raises:
        DataError: the signal cannot be told from the noise; the reason is in the message.
    """
    check_spread(source.counts)
    unit = 2.0 ** round(math.log2(float(spectrum.values[0])))
    if not 1e-25 < unit < 1e25:
        # The fourth moments below are of the eighth order in the features, and would leave float64.
        source = replace(source, features=source.features.double() / unit, cache={})
        spectrum = between_spectrum(class_means(source), source.where)
    classes, dim = spectrum.centred.shape
    if spectrum.rank < min(classes - 1, dim):
        raise _unknown("the class means are linearly dependent", "read nc1")
    counts = source.counts.double()
    if int(source.counts.sum()) - classes < 8:
        raise _unknown(
            f"{int(source.counts.sum())} samples of {classes} classes", "measure at least 8 more than classes"
        )
    shares = counts / counts.sum() if weighting == "sample" else torch.full_like(counts, 1 / classes)
    shares = torch.where(counts > 1, shares, 0.0)
    weights = (shares / shares.sum() / (counts - 1).clamp(min=1)).to(spectrum.values.device)
    read = read_deviations(source, directions=spectrum.directions, weights=weights)
    assert read.gram is not None
    if not float(read.squares.sum()) > 0:
        return CalibratedNC1(0.0, 0.0)
    if classes - 1 > dim:
        estimate = _few_dimensions(read.gram, spectrum, counts)
    else:
        estimate = _many_dimensions(_noise(source, spectrum, read.gram, read.squares, weights, seed))
    if not estimate.relative_error <= LARGEST_ERROR:
        raise _unknown(
            f"its standard error would be {100 * estimate.relative_error:.0f} % of it", "measure more samples"
        )
    return estimate


def _unknown(why: str, remedy: str) -> DataError:
    return DataError(f"the population's NC1 cannot be told: {why}", where="features", remedy=remedy)


def _noise(source: Samples, spectrum: Spectrum, within: Tensor, squares: Tensor, weights: Tensor, seed: int) -> _Noise:
    device = within.device
    counts = source.counts.to(device, torch.float64)
    traces = torch.where(counts > 1, squares / (counts - 1).clamp(min=1), 0.0)
    total = float((weights * squares).sum())
    traces = torch.where(counts > 1, traces, total)
    sizes = spectrum.values
    pairs = _pairs(source, seed).to(device)
    seen = (pairs.double() @ spectrum.directions * sizes).T
    products = (pairs @ pairs.T).double()
    products.fill_diagonal_(0)
    number = len(pairs)
    squared = products @ products
    repeated = squared.diagonal()
    second = float(repeated.sum()) / (number * (number - 1))
    third = float((squared * products).sum()) / (number * (number - 1) * (number - 2))
    fourth = float(squared.square().sum() - 2 * repeated.square().sum() + products.pow(4).sum())
    fourth = max(0.0, fourth / (number * (number - 1) * (number - 2) * (number - 3)))
    shares = spectrum.left.T @ (spectrum.left / counts[:, None])
    per_class = 1 / float((1 / counts).mean())
    hollow = squared - torch.diag(repeated)
    return _Noise(
        gram=torch.diag(sizes.square()),
        spread=sizes[:, None] * within * sizes,
        second=seen @ products @ seen.T / (number * (number - 1)) - max(0.0, third) * shares,
        third=seen @ hollow @ seen.T / (number * (number - 1) * (number - 2)) - fourth * shares,
        powers=(total, second, max(0.0, third), fourth),
        shares=shares,
        level=spectrum.left.T @ (spectrum.left * (traces / counts)[:, None]),
        per_class=per_class,
        freedom=int(source.counts.sum()) - len(counts),
    )


def _pairs(source: Samples, seed: int) -> Tensor:
    """Differences of disjoint pairs of rows of one class, over √2: independent, without mean, of covariance Σ_W;
    (m, D)."""
    generator = torch.Generator().manual_seed(seed)
    shuffled = torch.randperm(len(source.labels), generator=generator)
    order = shuffled[torch.argsort(source.labels[shuffled], stable=True)]
    starts = source.counts.cumsum(0) - source.counts
    place = torch.arange(len(order)) - starts.repeat_interleave(source.counts)
    first = ((place % 2 == 0) & (place + 1 < source.counts.repeat_interleave(source.counts))).nonzero().flatten()
    most = max(16, min(MOST_PAIRS, PAIR_BYTES // (8 * source.features.shape[1])))
    first = first[torch.randperm(len(first), generator=generator)[:most]]
    if len(first) < 4:
        raise _unknown(f"only {len(first)} pairs of samples share a class", "measure more samples of each class")
    device = source.features.device
    left = source.features[order[first].to(device)].to(source.device, source.fast_dtype)
    right = source.features[order[first + 1].to(device)].to(source.device, source.fast_dtype)
    return (left - right).mul_(0.5**0.5)


def _many_dimensions(noise: _Noise) -> CalibratedNC1:
    signal = noise.spread - noise.powers[1] * noise.shares
    inverse, shaped = _resolvent(noise, signal)
    # The equations follow what a steep spectrum leads out of the span to second order in b only; see docs/metrics.md.
    total, second, third, _ = noise.powers
    steep = float((inverse @ noise.shares).trace()) * (third / second - second / total) if second > 0 else 0.0
    if steep > STEEPEST:
        raise _unknown(
            "the spectrum within classes is too steep for so few samples", "measure more samples of each class"
        )
    aligned = inverse @ signal
    number = noise.per_class
    outside = noise.powers[1] - 2 * float((inverse @ noise.second).trace()) + float((aligned @ aligned).trace())
    rest = max(0.0, outside) * float((inverse @ noise.shares @ inverse).trace())
    plain = float((inverse @ shaped @ inverse).trace())
    vertex = (plain - rest) / (number + rest)
    value = plain / (1 + vertex) - rest
    if not value > 0:
        raise _unknown("the noise of the class means outweighs their spread", "measure more samples of each class")
    return CalibratedNC1(value, _error(noise, signal, inverse) / value)


def _resolvent(noise: _Noise, signal: Tensor) -> tuple[Tensor, Tensor]:
    """Q and B at the fixed point, found from above, where Q⁻¹ is surely positive.

    M(I − bΣ)⁻¹Mᵀ is R(R − bL)⁻¹R with R = MMᵀ and L = MΣMᵀ if Σ keeps the span of the means; what Σ leads out of
    the span is added to second order in b.
    """
    gram, spread, trace = noise.gram, noise.spread, noise.powers[0]
    limit = 0.98 / float(torch.linalg.eigvals(torch.linalg.solve(gram, spread)).real.max().clamp_min(1e-300))
    pull, share = min(float((torch.linalg.inv(gram) @ noise.shares).trace()), limit), 1.0
    outward = noise.second + noise.powers[2] * noise.shares - spread @ torch.linalg.solve(gram, spread)
    best: tuple[float, float] | None = None
    step = 0.5
    for _ in range(2000):
        shaped = torch.linalg.solve(gram - pull * spread, gram)
        matrix = gram @ shaped + pull**2 * outward - (1 - share) * noise.level
        matrix = (matrix + matrix.T) / 2
        lower, failed = torch.linalg.cholesky_ex(matrix)
        if int(failed):
            if best is None or step < 1e-6:
                break
            pull, share, step = (pull + best[0]) / 2, (share + best[1]) / 2, step / 2
            continue
        best = (pull, share)
        inverse = torch.cholesky_inverse(lower)
        aim = min(float((inverse @ noise.shares).trace()), limit)
        reach = min(1.0, max(0.0, float((inverse @ signal).trace()) / trace))
        if abs(aim - pull) <= 1e-9 * pull and abs(reach - share) <= 1e-9:
            if aim < limit:
                return inverse, shaped.T @ spread @ shaped + 2 * pull * outward
            break
        pull, share = pull + step * (aim - pull), share + step * (reach - share)
        step = min(0.5, step * 1.1)
    raise _unknown("the noise of the class means hides their smallest spread", "measure more samples of each class")


def _error(noise: _Noise, signal: Tensor, inverse: Tensor) -> float:
    number, square = noise.per_class, inverse @ inverse
    slope = inverse @ signal @ square
    slope = slope + slope.T
    linear = (slope @ signal @ slope).trace() - 2 * (slope @ noise.second @ square).trace()
    linear = linear + (square @ noise.third @ square).trace()
    own = slope.square().sum() * noise.powers[1] - 2 * (slope * square).sum() * noise.powers[2]
    own = own + square.square().sum() * noise.powers[3]
    within = square @ noise.spread
    variance = 4 / number * float(linear.clamp_min(0)) + 2 / number**2 * float(own.clamp_min(0))
    return (variance + 2 / noise.freedom * float((within @ within).trace())) ** 0.5


def _few_dimensions(within: Tensor, spectrum: Spectrum, counts: Tensor) -> CalibratedNC1:
    """K − 1 ≥ D: NC1 does not change under whitening, which makes the noise isotropic and the equations scalar."""
    lower, failed = torch.linalg.cholesky_ex(within)
    if int(failed):
        raise _unknown("the samples do not vary in every dimension", "measure more samples")
    factor = torch.linalg.solve_triangular(lower, torch.diag(spectrum.values), upper=False)
    values = torch.linalg.eigvalsh(factor @ factor.T)
    classes, dim = spectrum.centred.shape
    number = 1 / float((1 / counts).mean())
    aim = (classes - 1 - dim) / number
    low, high = 0.0, float(values[0])
    for _ in range(200):
        shift = (low + high) / 2
        if shift * (1 + float((1 / (values - shift)).sum()) / number) > aim:
            high = shift
        else:
            low = shift
    inverse = 1 / (values - low)
    pole = float(inverse.sum()) / number
    # The root always exists; near the lowest eigenvalue that one alone decides, and nothing can be said.
    spread = inverse.square() * (4 * values / number)
    error = float((inverse.square() * spread).sum()) ** 0.5
    value = number * pole / (1 + pole)
    freedom = max(1.0, float(counts.sum()) - classes - dim)
    return CalibratedNC1(value, ((error / float(inverse.sum())) ** 2 + 2 / (freedom * dim)) ** 0.5)


def _calibrated(work: Work) -> float:
    estimate = calibrated_of(work.samples("calibrated NC1"), work.spectrum, work.weighting, work.seed)
    work.notes["nc1_calibrated"] = f"standard error {100 * estimate.relative_error:.1f} %"
    return estimate.value


register(
    Metric(
        "nc1_calibrated",
        _calibrated,
        (
            Number(
                "nc1_calibrated",
                "NC1 freed of the bias of few samples; compare this across data sets",
                COLLAPSED,
                without_structure,
                "NC1, calibrated",
            ),
        ),
        by_layer=True,
        collapsed="down",
        position=20,
    )
)
