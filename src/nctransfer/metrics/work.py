"""One measurement: the reads that several metrics share, each done at most once."""

from __future__ import annotations

from collections.abc import Collection

import torch
from torch import Tensor

from ..errors import DataError, NCTransferError
from .inputs import Samples
from .metric import Metric, Need
from .moments import Moments, moments_of, needs_samples
from .reads import Deviations, class_means, read_deviations
from .spectrum import Spectrum, between_spectrum
from .statistics import ClassStatistics

__all__ = ["Work"]


class Work:
    """The inputs of a metric.

    Attributes:
        source: Checked samples, or accumulated statistics.
        means: Class means (K, D), float64.
        weight: Classifier weight (K, D), or None.
        bias: Classifier bias (K,), zeros where a weight came without one, or None.
        weighting, permutations, seed: As given to ``measure``.
        notes: Remarks by name of the number; a metric may add its own.
        floor: The NC1 from which on there is no class structure to see, once the noise floor was measured.
    """

    def __init__(
        self,
        source: Samples | ClassStatistics,
        weight: Tensor | None,
        bias: Tensor | None,
        weighting: str,
        permutations: int,
        seed: int,
        wanted: Collection[Metric],
    ) -> None:
        self.source, self.weight, self.bias = source, weight, bias
        self.weighting, self.permutations, self.seed = weighting, permutations, seed
        self.notes: dict[str, str] = {}
        self.floor: float | None = None
        # Bad values raise here, before anything could turn them into a note.
        self.means = class_means(source) if isinstance(source, Samples) else moments_of(source).means
        self._spectrum: Spectrum | None = None
        self._trouble: NCTransferError | None = None
        try:
            self._spectrum = between_spectrum(self.means)
        except DataError as error:
            self._trouble = error
        self._read = self._shared_read({need for metric in wanted for need in metric.needs})

    @property
    def spectrum(self) -> Spectrum:
        """Decomposition of the centred class means.

        Raises:
            DataError: the class means coincide.
        """
        if self._spectrum is None:
            assert self._trouble is not None
            raise self._trouble
        return self._spectrum

    @property
    def moments(self) -> Moments:
        """Class moments."""
        return moments_of(self.source)

    @property
    def read(self) -> Deviations:
        """The values that the shared read took; for metrics that need ``deviations``, of samples."""
        assert self._read is not None
        return self._read

    def samples(self, name: str) -> Samples:
        """The samples themselves.

        Raises:
            DataError: only accumulated statistics are there; ``name`` is what needs more.
        """
        if isinstance(self.source, ClassStatistics):
            raise needs_samples(name)
        return self.source

    def all_counts(self) -> list[int]:
        """Samples of each class, empty ones included."""
        if isinstance(self.source, ClassStatistics):
            return self.source.counts.tolist()
        counts = torch.zeros(self.source.num_classes, dtype=torch.int64)
        counts[self.source.present] = self.source.counts
        return counts.tolist()

    def _shared_read(self, needs: set[Need]) -> Deviations | None:
        if not isinstance(self.source, Samples) or "deviations" not in needs:
            return None
        outputs = self.weight if "logits" in needs and self._spectrum is not None else None
        read = read_deviations(
            self.source,
            directions=None if self._spectrum is None else self._spectrum.directions,
            outputs=outputs,
            separation="unit lengths" in needs,
            keep=outputs is not None,
        )
        self.source.cache["squares"] = read.squares
        return read
