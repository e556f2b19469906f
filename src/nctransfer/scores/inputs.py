"""Features and labels as the scores take them: checked, in float64, with what several scores need computed once.

Shapes used in this room: features (N, D), labels (N,), K classes, source probabilities (N, Z). Everything runs in
float64 on the CPU. Classes without a sample take no part: ``FeatureMatrix`` numbers those that are present from 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from scipy import sparse

from ..arrays import as_array, check_finite, check_shape, class_numbers
from ..errors import DataError

__all__ = ["FeatureMatrix", "SingularVectors", "prepare", "prepare_source"]

# Squares of numbers outside these bounds leave float64.
SMALLEST, LARGEST = 1e-140, 1e140
_QUICK_ERROR = 1e-8


class SingularVectors(NamedTuple):
    """The singular values that are not rounding, shape (r,), and their right vectors, shape (D, r).

    The left ones are the rows' coordinates along these over the values. No score needs all of them, and they would cost
    as much again as the rest.
    """

    values: np.ndarray
    right: np.ndarray


@dataclass(frozen=True, eq=False)
class FeatureMatrix:
    """A checked feature matrix in float64, and what several scores need of it, computed once.

    Attributes:
        features: Features of shape (N, D).
        labels: Labels of shape (N,), numbered 0 to K-1 among the classes that are present.
        counts: Samples of each present class, shape (K,).
    """

    features: np.ndarray
    labels: np.ndarray
    counts: np.ndarray

    @property
    def num_samples(self) -> int:
        return self.features.shape[0]

    @property
    def dim(self) -> int:
        return self.features.shape[1]

    @property
    def num_classes(self) -> int:
        return len(self.counts)

    @cached_property
    def members(self) -> sparse.csr_matrix:
        """The one-hot labels, transposed: shape (K, N)."""
        rows = self.num_samples
        return sparse.csr_matrix((np.ones(rows), (self.labels, np.arange(rows))), shape=(self.num_classes, rows))

    @cached_property
    def centred(self) -> np.ndarray:
        """Features about their mean, (N, D)."""
        centred = self.features - self.features.mean(0)
        # Once more, since a far mean carries a rounding error that all rows would share.
        return centred - centred.mean(0)

    @cached_property
    def coordinates(self) -> np.ndarray:
        """The centred features in an orthonormal basis of N directions where D is larger: shape (N, min(N, D)).

        Distances, angles and covariances are kept, and no D×D matrix is needed where D > N.
        """
        if self.num_samples >= self.dim:
            return self.centred
        return np.asarray(np.linalg.qr(self.centred.T, mode="r")).T

    @cached_property
    def spectrum(self) -> SingularVectors:
        """Of the centred features, in the directions of ``coordinates``."""
        return spectrum_of(self._triangle, float(np.abs(self.features).max()), longest=max(self.features.shape))

    @cached_property
    def raw_spectrum(self) -> SingularVectors:
        """Of the features as they came, in the directions of ``raw_coordinates``."""
        if self.num_samples < self.dim:
            return spectrum_of(self.raw_coordinates, 0.0, longest=self.dim)
        quick = self._quick_spectrum()
        if quick is not None:
            return quick
        # FᵀF is RᵀR + N μμᵀ: the mean is one row more.
        mean = self.features.mean(0) * np.sqrt(self.num_samples)
        return spectrum_of(np.concatenate([self._triangle, mean[None]]), 0.0, longest=self.num_samples)

    def _quick_spectrum(self) -> SingularVectors | None:
        """Of the features as they came, by the eigenvectors of FᵀF, where the digits that squares lose do not matter.

        The computed eigenvectors are exact for FᵀF + E with ‖E‖ about √D ε σ₁², ε the rounding unit, so that what is made
        of (FᵀF + t)⁻¹ is off by at most √D ε (σ₁/σ_D)² of itself. None where that is above 1e-8.
        """
        values, right = np.linalg.eigh(self.features.T @ self.features)
        if values[0] <= np.finfo(np.float64).eps * np.sqrt(self.dim) / _QUICK_ERROR * values[-1]:
            return None
        return SingularVectors(np.sqrt(values[::-1]), right[:, ::-1])

    @cached_property
    def raw_coordinates(self) -> np.ndarray:
        """The features in an orthonormal basis of N directions where D is larger: shape (N, min(N, D))."""
        if self.num_samples >= self.dim:
            return self.features
        return np.asarray(np.linalg.qr(self.features.T, mode="r")).T

    @cached_property
    def _triangle(self) -> np.ndarray:
        """R of a QR factorisation of ``coordinates``, which both decompositions share."""
        return np.asarray(np.linalg.qr(self.coordinates, mode="r"))

    def relabelled(self, labels: Any) -> FeatureMatrix:
        """The same features with other labels (N,); what does not depend on labels is not computed again."""
        other = FeatureMatrix(self.features, *_compact(class_numbers(labels, self.num_samples)))
        shared = ("centred", "coordinates", "spectrum", "raw_coordinates", "raw_spectrum", "_triangle")
        other.__dict__.update({name: self.__dict__[name] for name in shared if name in self.__dict__})
        return other

    def rows(self, positions: np.ndarray, *, most: int) -> FeatureMatrix:
        """Some samples, in the leading ``most`` directions of variance of all and one more that holds the mean.

        Enough to see how a score moves from sample to sample, at a fraction of the cost.
        """
        values, right = self.spectrum
        kept = min(most, len(values))
        scores = self.coordinates @ right[:, :kept]
        mean = self.features.mean(0)
        along = (self.centred @ mean) @ scores / values[:kept] ** 2
        away = float(np.sqrt(max(float(mean @ mean - along @ along), 0.0)))
        reduced = np.concatenate([scores[positions] + along, np.full((len(positions), 1), away)], axis=1)
        present = np.unique(self.labels[positions], return_inverse=True, return_counts=True)
        return FeatureMatrix(reduced, present[1], present[2])

    def class_means(self, matrix: np.ndarray) -> np.ndarray:
        """Means over each class of the rows of ``matrix`` (N, M): shape (K, M)."""
        return (self.members @ matrix) / self.counts[:, None]


def spectrum_of(matrix: np.ndarray, size: float, *, longest: int) -> SingularVectors:
    """Singular values and right vectors, without the directions that rounding alone fills.

    ``size`` is the largest number that was rounded on the way to ``matrix``, as when a mean was taken off; ``longest``
    the larger side of the features that it stands for.
    """
    _, values, right = np.linalg.svd(matrix, full_matrices=False)
    kept = values > np.finfo(np.float64).eps * max(longest * values[0], 2 * np.sqrt(longest) * size)
    return SingularVectors(values[kept], right[kept].T)


def prepare(features: Any, labels: Any) -> FeatureMatrix:
    """Check features and labels; ``FeatureMatrix`` pass through.

    Raises:
        TypeError: the features are not floats or the labels not integers.
        DataError: shapes that do not fit, NaN or infinity, a negative label, a single class, features all alike.
    """
    if isinstance(features, FeatureMatrix):
        return features
    matrix = _floats(features, "features")
    numbers = class_numbers(labels, len(matrix))
    compact, counts = _compact(numbers)
    _check_spread(matrix)
    return FeatureMatrix(matrix, compact, counts)


def prepare_source(probabilities: Any, labels: Any) -> FeatureMatrix:
    """Check a source classifier's probabilities (N, Z) and labels; ``FeatureMatrix`` of rows that sum to 1 pass through.

    Raises:
        TypeError: the probabilities are not floats or the labels not integers.
        DataError: as for ``prepare``, or rows that are no probabilities.
    """
    if isinstance(probabilities, FeatureMatrix):
        return probabilities
    matrix = _floats(probabilities, "source_probabilities")
    numbers = class_numbers(labels, len(matrix), where="source_probabilities")
    sums = matrix.sum(1)
    bad = (matrix < 0).any(1) | (np.abs(sums - 1) > 0.01)
    if bad.any():
        row = int(bad.argmax())
        raise DataError(
            f"row {row} of `source_probabilities` is not a distribution: it sums to {sums[row]:.4g}, "
            f"its smallest entry is {matrix[row].min():.4g}",
            where="source_probabilities",
            remedy="pass the softmax of the source classifier's logits",
        )
    return FeatureMatrix(matrix / sums[:, None], *_compact(numbers))


def _floats(value: Any, name: str) -> np.ndarray:
    array = as_array(value, name)
    if array.dtype.kind != "f":
        raise TypeError(f"`{name}` must be a matrix of floats, got {array.dtype}; convert it to float32")
    check_shape(array.shape, name)
    check_finite(np.isfinite(array).all(1), name)
    return array.astype(np.float64)


def _compact(numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    present, compact, counts = np.unique(numbers, return_inverse=True, return_counts=True)
    if len(present) < 2:
        raise DataError(
            f"a score needs at least 2 classes with samples, got {len(present)}",
            where="labels",
            remedy="score samples of several classes together",
        )
    return compact, counts


def _check_spread(matrix: np.ndarray) -> None:
    size, spread = float(np.abs(matrix).max()), float(np.ptp(matrix, axis=0).max())
    if spread <= 8 * np.finfo(np.float64).eps * size:
        raise DataError(
            "all rows are the same, so they carry no information about the classes",
            where="features",
            remedy="check the layer that made them",
        )
    if size > LARGEST or spread < SMALLEST:
        raise DataError(
            f"features of size {size:.2g} and range {spread:.2g} leave the range of float64 when squared",
            where="features",
            remedy="divide all features by one constant",
        )
