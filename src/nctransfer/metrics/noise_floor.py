"""The noise floor of NC1: its mean and standard deviation under permuted labels.

NC1 has a floor that depends on samples a class, dimension and spectrum (about (K−1)(n−1)/D for isotropic noise), so a
value means something only beside it. Permuting the labels of every row costs a product over all rows each time.
Here the rows are first gathered into *units* (random groups of equal size, drawn once), and the units are dealt to
the classes anew for each permutation. Every deal is by itself a uniformly random permutation with the right class
sizes; and the spread among a class's units, times (n_k−1)/(U_k−1), is an unbiased estimate of the spread among its
rows. With few rows each row is its own unit, and the answer is that of plain permutation.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ..errors import DataError, UsageError
from .inputs import Samples, check_weighting, exact_products
from .metric import Metric, Number, register
from .moments import needs_samples, resolve
from .reads import class_means, gathered
from .statistics import ClassStatistics
from .variability import check_spread, class_weights
from .work import Work

__all__ = ["NoiseFloor", "nc1_null"]

MOST_UNITS = 2048
UNIT_BYTES = 256 << 20


@dataclass(frozen=True)
class NoiseFloor:
    """NC1 under permuted labels.

    Attributes:
        mean: Mean over permutations.
        std: Standard deviation over permutations.
        standard_error: Standard error of the mean: that of the permutations, and what the units add to it.
        values: The value of each permutation.
    """

    mean: float
    std: float
    standard_error: float
    values: tuple[float, ...]

    @property
    def low(self) -> float:
        """Three spreads below the mean, both of the logarithm: below it lies class structure.

        NC1 is positive and its floor is skewed where classes are few: at 3 classes of 20 samples in 8 dimensions it is
        10 ± 8, three spreads below which lies nothing, although 0.16 was measured.
        """
        if min(self.values) <= 0:
            return 0.0
        logarithms = [math.log(value) for value in self.values]
        return math.exp(statistics.fmean(logarithms) - 3 * statistics.stdev(logarithms))


def nc1_null(
    features: Any,
    labels: Any = None,
    *,
    num_classes: int | None = None,
    weighting: str = "sample",
    permutations: int = 20,
    seed: int = 0,
    exact: bool = False,
) -> NoiseFloor:
    """Noise floor of NC1: its mean and standard deviation when the labels are dealt at random with the same class sizes.

    An NC1 within three spreads of the floor, on a logarithmic scale, shows no class structure. The ratio of the two is
    *not* comparable across data sets: it falls with the number of samples a class. ``nc1_calibrated`` is.

    Args:
        features: Features of shape (N, D).
        labels: Class numbers of shape (N,); only the class sizes matter.
        num_classes: Number of classes; the largest label plus one if left out.
        weighting: As in ``nc1``.
        permutations: How many times the labels are dealt, at least 2.
        seed: Seed of the deals.
        exact: Permute single rows whatever their number.

    Raises:
        DataError: every class has one sample, or the input is bad.
        UsageError: fewer than 2 permutations.

    Example:
        >>> import torch
        >>> noise = torch.randn(40, 200, generator=torch.Generator().manual_seed(0))
        >>> floor = nc1_null(noise, torch.arange(40) % 2)
        >>> 0.05 < floor.mean < 0.11  # about (K-1)(n-1)/D/K = 0.0475 and more, for n = 20, D = 200
        True
    """
    check_weighting(weighting)
    source = resolve(features, labels, num_classes)
    if isinstance(source, ClassStatistics):
        raise needs_samples("the noise floor")
    with exact_products():
        return floor_of(source, weighting, permutations, seed, exact=exact)


def floor_of(source: Samples, weighting: str, permutations: int, seed: int, *, exact: bool = False) -> NoiseFloor:
    """``nc1_null`` of checked samples."""
    if permutations < 2:
        raise UsageError(
            f"a standard deviation needs at least 2 permutations, got {permutations}", where="permutations"
        )
    check_spread(source.counts)
    generator = torch.Generator().manual_seed(seed)
    sums, sizes, plan = _units(source, generator, exact)
    values = [_one(sums, sizes, source.counts, weighting, deal) for deal in _deals(plan, generator, permutations)]
    table = torch.tensor(values, dtype=torch.float64)
    if not bool(torch.isfinite(table).all()):
        raise DataError(
            "the features of different samples do not differ, so permuted labels have no spread between classes",
            where=source.where,
            remedy="check that the network is not constant",
        )
    mean, std = float(table.mean()), float(table.std())
    variance = std**2 / permutations
    if len(sizes) < len(source.labels):
        # All deals share the units, whose spread stands for that of the rows with U - K degrees of freedom.
        rank = min(len(source.counts) - 1, sums.shape[1])
        variance += mean**2 * 2 / ((len(sizes) - len(source.counts)) * rank)
    return NoiseFloor(mean, std, variance**0.5, tuple(values))


def _units(
    source: Samples, generator: torch.Generator, exact: bool
) -> tuple[Tensor, Tensor, list[tuple[Tensor, Tensor]]]:
    """Unit sums (U, D) about the global mean, unit sizes (U,), and for each unit size the units and the classes
    dealt to."""
    rows, dim = source.features.shape
    classes = len(source.counts)
    means = class_means(source)
    most = max(MOST_UNITS, 16 * classes)
    most = max(4 * classes, min(most, UNIT_BYTES // (4 * dim)))
    size = 1 if exact or rows <= most else -(-rows // most)
    # A class takes whole units, at least two, and single rows for what is left.
    whole = (
        torch.where(source.counts >= 2 * size, source.counts // size, 0)
        if size > 1
        else torch.zeros_like(source.counts)
    )
    single = source.counts - whole * size
    number = int(whole.sum())
    shuffled = torch.randperm(rows, generator=generator)
    unit = torch.empty(rows, dtype=torch.int64)
    unit[shuffled[: number * size]] = torch.arange(number).repeat_interleave(size)
    unit[shuffled[number * size :]] = number + torch.arange(int(single.sum()))
    total = number + int(single.sum())
    # In float32: a floor is a random number known to a few digits, and the global mean is subtracted first.
    middle = (source.counts.to(means.device).double() @ means) / rows
    sums = torch.zeros(total, dim, dtype=source.fast_dtype, device=means.device)
    for chunk in gathered(source, source.fast_dtype):
        sums.index_add_(0, unit[chunk.index.cpu()].to(sums.device), chunk.rows - middle.to(sums.dtype))
    sizes = torch.ones(total, dtype=torch.float64, device=sums.device)
    sizes[:number] = size
    numbers = torch.arange(classes)
    plan = [
        (torch.arange(number), numbers.repeat_interleave(whole)),
        (torch.arange(number, total), numbers.repeat_interleave(single)),
    ]
    return sums, sizes, [(units, owners) for units, owners in plan if len(units)]


def _deals(plan: list[tuple[Tensor, Tensor]], generator: torch.Generator, permutations: int) -> Iterator[Tensor]:
    total = sum(len(units) for units, _ in plan)
    for _ in range(permutations):
        deal = torch.empty(total, dtype=torch.int64)
        for units, owners in plan:
            deal[units] = owners[torch.randperm(len(owners), generator=generator)]
        yield deal


def _one(sums: Tensor, sizes: Tensor, counts: Tensor, weighting: str, deal: Tensor) -> float:
    device, classes = sums.device, len(counts)
    deal, counts = deal.to(device), counts.to(device, torch.float64)
    means = torch.zeros(classes, sums.shape[1], dtype=sums.dtype, device=device).index_add_(0, deal, sums)
    means /= counts.to(sums.dtype)[:, None]
    centred = means - means.mean(0)
    rank = min(classes - 1, sums.shape[1])
    # Random means have a flat spectrum, so that the K×K Gram matrix serves and no D×K factorisation is needed.
    if classes - 1 <= sums.shape[1]:
        values, left = torch.linalg.eigh((centred @ centred.T).double())
        kept = values[-rank:].clamp_min(torch.finfo(sums.dtype).eps * float(values[-1]))
        basis = centred.T @ (left[:, -rank:] / kept).to(sums.dtype)
    else:
        values, vectors = torch.linalg.eigh((centred.T @ centred).double())
        kept = values.clamp_min(torch.finfo(sums.dtype).eps * float(values[-1]))
        basis = (vectors / kept.sqrt()).to(sums.dtype)
    projected = sums @ basis
    own = (means @ basis).double()
    power = projected.double().square().sum(1) / sizes
    units = torch.bincount(deal, minlength=classes).double()
    within = torch.zeros(classes, dtype=torch.float64, device=device).index_add_(0, deal, power)
    within = (within - counts * own.square().sum(1)).clamp_min(0)
    within = within * ((counts - 1) / (units - 1).clamp_min(1))
    return float(class_weights(counts, weighting).to(device) @ within)


def _floor(work: Work) -> tuple[float, float]:
    floor = floor_of(work.samples("the noise floor"), work.weighting, work.permutations, work.seed)
    work.floor = floor.low
    return floor.mean, floor.std


def _beside_nc1(value: Any, numbers: Mapping[str, Any]) -> str | None:
    if numbers.get("nc1") is None:
        return None
    return f"NC1 is {numbers['nc1'] / value:.2g} of it" if value else "zero"


register(
    Metric(
        "nc1_null",
        _floor,
        (
            Number(
                "nc1_null_mean",
                "what NC1 would be without any class structure",
                say=_beside_nc1,
                title="NC1, shuffled labels",
            ),
            Number("nc1_null_std", "how far that varies by chance", title="Its standard deviation"),
        ),
        by_layer=True,
        collapsed="neither",
        needs=frozenset({"permutations"}),
        position=10,
    )
)
