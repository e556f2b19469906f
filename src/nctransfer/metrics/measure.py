"""All collapse metrics of a feature matrix at once, sharing the two reads that each of them would make alone."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import Any

import torch
from torch import Tensor

from ..arrays import whole_number
from ..errors import DataError, NCTransferError, UsageError, near_names
from .calibration import calibrated_of
from .classifier import agreement_of, as_weight, check_width, present_rows, self_duality_of
from .geometry import centred_means, equiangularity_of, equinorm_of, etf_angle_error_of, etf_error_of
from .inputs import Samples, as_vector, check_weighting, exact_products
from .moments import moments_of, needs_samples, resolve
from .noise_floor import floor_of
from .rank import rank_of
from .reads import Deviations, class_means, read_deviations
from .spectrum import Spectrum, between_spectrum
from .statistics import ClassStatistics
from .variability import cdnv_of, check_spread, nc1_of_samples, nc1_of_scatter, separation_of, vci_of

__all__ = ["METRICS", "Collapse", "measure"]

METRICS = (
    "nc1", "nc1_null", "nc1_calibrated", "cdnv", "numerical_rank", "numerical_rank_centered", "equinorm",
    "equiangularity", "etf_angle_error", "etf_error", "self_duality", "ncc_agreement", "vci", "class_separation",
    "rank_between", "condition_between",
)  # fmt: skip


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
        ncc_agreement: Share of samples on which classifier and nearest class mean agree.
        vci: Variability collapse index, [0, 1], larger is less collapsed.
        class_separation: R² of unit-length features, [0, 1], larger is more collapsed.
        rank_between: Rank of the between-class covariance, at most K−1.
        condition_between: Ratio of its largest to its smallest kept eigenvalue.
        counts: Samples of each class, empty ones included.
        weighting: ``"sample"`` or ``"class"``, the convention of NC1 and VCI.
        notes: Reason for each None, and remarks on the numbers, by name.
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

    def to_dict(self) -> dict[str, Any]:
        """The numbers, counts, weighting and notes as plain values that JSON can hold."""
        return {**asdict(self), "counts": list(self.counts), "notes": dict(self.notes)}


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
        of which
            all is measured that can be had without the samples.
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
        work = _Work(source, matrix, offset, weighting, permutations, seed, wanted)
        return work.collapse()


def _wanted(only: Iterable[str] | None) -> frozenset[str]:
    names = METRICS if only is None else (only,) if isinstance(only, str) else tuple(only)
    for name in names:
        if name not in METRICS:
            raise UsageError(f"unknown metric {name!r}", where="only", remedy=near_names(str(name), METRICS))
    return frozenset(names)


class _Work:
    """One measurement: the reads done at most once, and each metric's failure turned into a note."""

    def __init__(
        self,
        source: Samples | ClassStatistics,
        weight: Tensor | None,
        bias: Tensor | None,
        weighting: str,
        permutations: int,
        seed: int,
        wanted: frozenset[str],
    ) -> None:
        self.source = source
        self.weight = weight
        self.bias = bias
        self.weighting, self.permutations, self.seed, self.wanted = weighting, permutations, seed, wanted
        self.notes: dict[str, str] = {}
        self.values: dict[str, Any] = {}
        # Bad values raise here, before anything could turn them into a note.
        self.means = class_means(source) if isinstance(source, Samples) else moments_of(source).means
        self.spectrum: Spectrum | None = None
        self.trouble: NCTransferError | None = None
        try:
            self.spectrum = between_spectrum(self.means)
        except DataError as error:
            self.trouble = error
        self._read: Deviations | None = None

    def collapse(self) -> Collapse:
        source = self.source
        streamed = isinstance(source, ClassStatistics)
        if isinstance(source, Samples) and self.wanted & {"nc1", "cdnv", "class_separation", "ncc_agreement"}:
            self._read_once(source)
        self._take("nc1", self._nc1)
        self._take("cdnv", lambda: cdnv_of(moments_of(source)))
        self._take("class_separation", self._separation)
        for name, function in GEOMETRY.items():
            self._take(name, partial(self._geometry, function))
        self._take("rank_between", lambda: self._known().rank)
        self._take("condition_between", lambda: self._known().condition)
        self._take("self_duality", self._duality, self.weight is not None, "pass weight")
        self._take("ncc_agreement", self._agreement, self.weight is not None, "pass weight")
        self._take("numerical_rank", lambda: rank_of(self._samples("numerical rank"), centered=False))
        self._take("numerical_rank_centered", lambda: rank_of(self._samples("numerical rank"), centered=True))
        self._take("vci", lambda: vci_of(source, self.weighting))
        self._take("nc1_null", self._floor, self.permutations > 0, "pass permutations")
        floor = self.values.pop("nc1_null")
        self._take("nc1_calibrated", self._calibrated)
        self._remarks(floor)
        return Collapse(
            **self.values,
            nc1_null_mean=None if floor is None else floor.mean,
            nc1_null_std=None if floor is None else floor.std,
            counts=tuple(source.counts.tolist() if streamed else self._all_counts()),
            weighting=self.weighting,
            notes=self.notes,
        )

    def _take(self, name: str, compute: Callable[[], Any], given: bool = True, how: str = "") -> None:
        self.values[name] = None
        if name not in self.wanted:
            self.notes[name] = "not asked for"
        elif not given:
            self.notes[name] = f"not asked for: {how}"
        else:
            try:
                self.values[name] = compute()
            except NCTransferError as error:
                self.notes[name] = str(error)
        if name == "nc1_null" and name in self.notes:
            reason = self.notes.pop(name)
            self.notes["nc1_null_mean"] = self.notes["nc1_null_std"] = reason

    def _read_once(self, source: Samples) -> None:
        outputs = self.weight if self.bias is not None and "ncc_agreement" in self.wanted else None
        self._read = read_deviations(
            source,
            directions=None if self.spectrum is None else self.spectrum.directions,
            outputs=outputs if self.spectrum is not None else None,
            separation="class_separation" in self.wanted,
            keep=outputs is not None and self.spectrum is not None,
        )
        source.cache["squares"] = self._read.squares

    def _known(self) -> Spectrum:
        if self.spectrum is None:
            assert self.trouble is not None
            raise self.trouble
        return self.spectrum

    def _samples(self, name: str) -> Samples:
        if isinstance(self.source, ClassStatistics):
            raise needs_samples(name)
        return self.source

    def _nc1(self) -> float:
        source = self.source
        if isinstance(source, ClassStatistics):
            return nc1_of_scatter(moments_of(source), self._known(), self.weighting)
        check_spread(source.counts)
        return nc1_of_samples(source, self._known(), self.weighting, self._read)

    def _separation(self) -> float:
        samples = self._samples("class separation")
        assert self._read is not None
        return separation_of(samples, self._read)

    def _geometry(self, function: Callable[[Tensor], float]) -> float:
        return function(centred_means(self.means))

    def _duality(self) -> float:
        assert self.weight is not None
        rows = present_rows(self.weight, self.source, self.means.shape[1])
        return self_duality_of(centred_means(self.means), rows.to(self.means.device))

    def _agreement(self) -> float:
        samples = self._samples("NC4")
        spectrum = self._known()
        assert self._read is not None
        assert self.weight is not None
        assert self.bias is not None
        return agreement_of(samples, spectrum, self._read, self.weight, self.bias)

    def _floor(self) -> Any:
        return floor_of(self._samples("the noise floor"), self.weighting, self.permutations, self.seed)

    def _calibrated(self) -> float:
        samples = self._samples("calibrated NC1")
        estimate = calibrated_of(samples, self._known(), self.weighting, self.seed)
        self.notes["nc1_calibrated"] = f"standard error {100 * estimate.relative_error:.1f} %"
        return estimate.value

    def _all_counts(self) -> list[int]:
        assert isinstance(self.source, Samples)
        counts = torch.zeros(self.source.num_classes, dtype=torch.int64)
        counts[self.source.present] = self.source.counts
        return counts.tolist()

    def _remarks(self, floor: Any) -> None:
        value = self.values["nc1"]
        if floor is not None and value is not None and value >= floor.low:
            self.notes["nc1"] = "no class structure seen: within three spreads of its value under permuted labels"
        counts = self._all_counts() if isinstance(self.source, Samples) else self.source.counts.tolist()
        empty = [number for number, count in enumerate(counts) if count == 0]
        if empty:
            shown = ", ".join(map(str, empty[:10])) + (", ..." if len(empty) > 10 else "")
            self.notes["counts"] = f"{len(empty)} of {len(counts)} classes have no sample and take no part: {shown}"


GEOMETRY: dict[str, Callable[[Tensor], float]] = {
    "equinorm": equinorm_of,
    "equiangularity": equiangularity_of,
    "etf_angle_error": etf_angle_error_of,
    "etf_error": etf_error_of,
}
