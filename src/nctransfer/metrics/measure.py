"""All collapse metrics of a feature matrix at once, sharing the two reads that each of them would make alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

import torch

from ..arrays import whole_number
from ..errors import NCTransferError, UsageError, near_names
from . import calibration, directions, geometry, noise_floor, pairs, rank, variability  # noqa: F401 - each registers its metrics
from .classifier import as_weight, check_width
from .inputs import as_vector, check_weighting, exact_products
from .metric import REGISTRY, Metric, Number
from .moments import resolve
from .statistics import ClassStatistics
from .work import Work

__all__ = ["METRICS", "Collapse", "meanings", "measure", "verdict"]

METRICS = tuple(REGISTRY)
"""Names of the metrics of this package, in the order of tables."""


@dataclass(frozen=True)
class Collapse:
    """How collapsed features are. A number that was not asked for or is undefined is None, with the reason in
    ``notes``.

    Attributes:
        nc1: Within-class variability, [0, ∞), smaller is more collapsed.
        nc1_null_mean: NC1 under permuted labels, mean.
        nc1_null_std: The same, standard deviation over permutations.
        nc1_calibrated: Estimate of the population's NC1, comparable across widths and sample sizes.
        cdnv: Class-distance normalised variance, [0, ∞), smaller is more collapsed.
        numerical_rank: Mean numerical rank of the classes, [1, D].
        numerical_rank_centered: The same about the class means.
        equinorm: Relative spread of the centred means' lengths, 0 at an ETF.
        equiangularity: Standard deviation of the centred means' cosines, 0 at an ETF.
        etf_angle_error: Mean abs(cos + 1/(K−1)), 0 at an ETF.
        etf_error: Distance of the normalised Gram matrix from an ETF's, 0 at one.
        self_duality: Distance between classifier and class means, 0 when they agree.
        ncc_agreement: Fraction of samples on which classifier and nearest class mean agree.
        vci: Variability collapse index, [0, 1], larger is less collapsed.
        class_separation: R² of unit-length features, [0, 1], larger is more collapsed.
        rank_between: Rank of the between-class covariance, at most K−1.
        condition_between: Ratio of its largest to its smallest kept eigenvalue.
        counts: Samples of each class, empty ones included.
        weighting: ``"sample"`` or ``"class"``, the convention of NC1 and VCI.
        notes: Reason for each None, and remarks on the numbers, by name.
        others: Numbers of metrics that were registered from outside.
    """

    nc1: float | None
    nc1_null_mean: float | None
    nc1_null_std: float | None
    nc1_calibrated: float | None
    cdnv: float | None
    numerical_rank: float | None
    numerical_rank_centered: float | None
    equinorm: float | None
    equiangularity: float | None
    etf_angle_error: float | None
    etf_error: float | None
    self_duality: float | None
    ncc_agreement: float | None
    vci: float | None
    class_separation: float | None
    rank_between: int | None
    condition_between: float | None
    counts: tuple[int, ...]
    weighting: str
    notes: Mapping[str, str] = field(default_factory=dict)
    others: Mapping[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """The numbers, counts, weighting and notes as plain values that JSON can hold."""
        plain = {**asdict(self), "counts": list(self.counts), "notes": dict(self.notes)}
        return plain | plain.pop("others")


def measure(
    features: Any,
    labels: Any = None,
    *,
    weight: Any = None,
    bias: Any = None,
    num_classes: int | None = None,
    weighting: str = "sample",
    permutations: int = 20,
    seed: int = 0,
    only: Iterable[str] | None = None,
) -> Collapse:
    """Measure the collapse of features: NC1 to NC4, CDNV, ranks, VCI, class separation, noise floor, calibration.

    Args:
        features: Features of shape (N, D), any float type, NumPy, torch or memory-mapped; or ``ClassStatistics``,
            of which all is measured that can be had without the samples.
        labels: Class numbers of shape (N,).
        weight: Classifier weight of shape (K, D), for self-duality and NC4.
        bias: Classifier bias of shape (K,), for NC4.
        num_classes: Number of classes; the weight's rows, or the largest label plus one, if left out.
        weighting: ``"sample"`` (the paper's) or ``"class"``: how NC1 and VCI weigh classes of unequal size.
        permutations: Permutations of the noise floor; 0 leaves it out.
        seed: Seed of the permutations and of the calibration.
        only: Names of ``METRICS`` to compute; all if left out.

    Raises:
        TypeError: features that are not floats, labels that are not integers.
        DataError: NaN or infinity, labels out of range, shapes that do not fit, fewer than two classes.
        UsageError: an unknown name in ``only`` or an unknown weighting.

    Example:
        >>> import torch
        >>> features = torch.tensor([[0.0, 1.0], [0.5, 1.0], [4.0, 1.0], [4.5, 1.0]])
        >>> collapse = measure(features, torch.tensor([0, 0, 1, 1]), permutations=0)
        >>> collapse.nc1, collapse.cdnv, collapse.rank_between
        (0.0078125, 0.00390625, 1)
        >>> collapse.ncc_agreement is None, collapse.notes["ncc_agreement"]
        (True, 'not asked for: pass weight')
    """
    check_weighting(weighting)
    permutations, seed = whole_number(permutations, "permutations"), whole_number(seed, "seed")
    wanted = _wanted(only)
    matrix = None if weight is None else as_weight(weight, num_classes)
    if num_classes is None and matrix is not None and not isinstance(features, ClassStatistics):
        num_classes = len(matrix)
    source = resolve(features, labels, num_classes)
    width = source.dim if isinstance(source, ClassStatistics) else source.features.shape[1]
    offset = None
    if matrix is not None:
        check_width(matrix, source.num_classes, width)
        offset = torch.zeros(len(matrix), dtype=torch.float64) if bias is None else as_vector(bias, len(matrix), "bias")
    elif bias is not None:
        raise UsageError("a bias was passed without a weight", where="bias", remedy="pass weight as well")
    with exact_products():
        work = Work(source, matrix, offset, weighting, permutations, seed, [REGISTRY[name] for name in wanted])
        return _collapse(work, wanted)


def _wanted(only: Iterable[str] | None) -> frozenset[str]:
    names = tuple(REGISTRY) if only is None else (only,) if isinstance(only, str) else tuple(only)
    for name in names:
        if name not in REGISTRY:
            raise UsageError(f"unknown metric {name!r}", where="only", remedy=near_names(str(name), tuple(REGISTRY)))
    return frozenset(names)


def _collapse(work: Work, wanted: frozenset[str]) -> Collapse:
    values: dict[str, Any] = {}
    for metric in REGISTRY.values():
        values |= _numbers(metric, work, wanted)
    _remarks(work, values)
    own = {one.name for one in fields(Collapse)}
    return Collapse(
        **{name: value for name, value in values.items() if name in own},
        counts=tuple(work.all_counts()),
        weighting=work.weighting,
        notes=work.notes,
        others={name: value for name, value in values.items() if name not in own},
    )


def _numbers(metric: Metric, work: Work, wanted: frozenset[str]) -> dict[str, Any]:
    """The numbers of one metric, its failure turned into a note."""
    names = [number.name for number in metric.numbers]
    reason = None
    if metric.name not in wanted:
        reason = "not asked for"
    elif "weight" in metric.needs and work.weight is None:
        reason = "not asked for: pass weight"
    elif "permutations" in metric.needs and not work.permutations:
        reason = "not asked for: pass permutations"
    else:
        try:
            found = metric.compute(work)
            return dict(zip(names, found if len(names) > 1 else (found,), strict=True))
        except NCTransferError as error:
            reason = str(error)
    work.notes.update(dict.fromkeys(names, reason))
    return dict.fromkeys(names)


def _remarks(work: Work, values: Mapping[str, Any]) -> None:
    value, counts = values["nc1"], work.all_counts()
    if work.floor is not None and value is not None and value >= work.floor:
        work.notes["nc1"] = "no class structure seen: within three spreads of its value under permuted labels"
    empty = [number for number, count in enumerate(counts) if count == 0]
    if empty:
        shown = ", ".join(map(str, empty[:10])) + (", ..." if len(empty) > 10 else "")
        work.notes["counts"] = f"{len(empty)} of {len(counts)} classes have no sample and take no part: {shown}"


def verdict(metric: str, numbers: Mapping[str, Any]) -> str:
    """The word for one of the numbers of ``Collapse.to_dict()``.

    Example:
        >>> verdict("nc1", {"nc1": 0.05})
        'strongly collapsed'
    """
    return _by_name()[metric].word(numbers)


def meanings() -> dict[str, str]:
    """A line of interpretation for each number, in the order of tables.

    Example:
        >>> meanings()["rank_between"]
        'directions that tell classes apart'
    """
    return {name: number.meaning for name, number in _by_name().items()}


def _by_name() -> dict[str, Number]:
    return {number.name: number for metric in REGISTRY.values() for number in metric.numbers}
