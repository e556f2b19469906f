"""Samples in the plane that tells the classes apart best, and the class means' angles: the numbers of a picture."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ..errors import DataError
from .inputs import Samples, exact_products
from .moments import resolve
from .reads import class_means, read_deviations
from .spectrum import between_spectrum
from .variability import nc1

__all__ = ["CollapsePlane", "SimplexPlane", "collapse_plane", "hardest_classes", "simplex_plane"]

MOST_POINTS = 3000
_MOST_WITHIN = 2000


@dataclass(frozen=True, eq=False)
class CollapsePlane:
    """Features projected on the two longest directions of their centred class means.

    Attributes:
        points: Samples, evenly spaced ones where there are more than 3,000, (n, 2), float64.
        labels: Their classes, numbered among those present, (n,).
        centres: Class means, (K, 2).
        cosines: Cosines between the centred class means, (K, K); −1/(K−1) off the diagonal at full collapse.
        nc1: NC1 of all samples.
        simplex: The plane of the three classes that are hardest to tell apart (of both, where there are two).
        simplex_points: The samples of ``points`` that belong to them, in that plane, (m, 2).
        simplex_labels: Their classes, numbered as in ``simplex.means``, (m,).
        class_numbers: The original number of each present class, (K,).
    """

    points: Tensor
    labels: Tensor
    centres: Tensor
    cosines: Tensor
    nc1: float
    simplex: SimplexPlane
    simplex_points: Tensor
    simplex_labels: Tensor
    class_numbers: Tensor


@dataclass(frozen=True, eq=False)
class SimplexPlane:
    """The plane through the means of three classes, turned and scaled so that their simplex is the same in every picture.

    At full collapse the means stand on ``corners`` and every sample on its mean. The means' root mean square distance from
    the origin is 1, so scatter is read in units of how far the classes stand apart.

    Attributes:
        classes: The original numbers of the two or three classes.
        origin: The mean of their means, (D,).
        axes: Directions and scale, (D, 2).
        means: Their means, (k, 2).
        corners: The simplex, (k, 2): an equilateral triangle, or both ends of a line for two classes.
    """

    classes: tuple[int, ...]
    origin: Tensor
    axes: Tensor
    means: Tensor
    corners: Tensor

    def project(self, features: Any) -> Tensor:
        """Features (N, D) in the plane, (N, 2), float64, on the CPU."""
        rows = torch.as_tensor(features).to(self.axes.device, torch.float64)
        return ((rows - self.origin) @ self.axes).cpu()


def collapse_plane(features: Any, labels: Any) -> CollapsePlane:
    """Project features (N, D) with labels (N,) on the plane spanned by the two longest directions of the class means.

    Args:
        features: Features of shape (N, D), any float type, NumPy, torch or memory-mapped.
        labels: Class numbers of shape (N,).

    Raises:
        DataError: class means coincide, ``ClassStatistics`` was passed, or the input is bad.

    Example:
        >>> plane = collapse_plane(torch.eye(3).repeat(2, 1), torch.arange(3).repeat(2))
        >>> tuple(plane.points.shape), round(float(plane.cosines[0, 1]), 6), plane.nc1
        ((6, 2), -0.5, 0.0)
    """
    source = _samples(features, labels)
    with exact_products():
        means = class_means(source)
        spectrum = between_spectrum(means)
        plane = spectrum.directions[:, :2]
        if plane.shape[1] == 1:
            plane = torch.cat([plane, torch.zeros_like(plane)], 1)
            plane[:, 1] = torch.linalg.svd(spectrum.directions.T)[2][-1] if len(plane) > 1 else 0.0
        index = torch.arange(len(source.labels))[:: max(1, len(source.labels) // MOST_POINTS)]
        rows = source.features[index.to(source.features.device)].to(plane.device, torch.float64)
        units = torch.nn.functional.normalize(spectrum.centred, dim=1)
        simplex, chosen = _hardest_plane(source)
        shown = source.labels[index]
        belongs = torch.isin(shown, torch.tensor(chosen))
        return CollapsePlane(
            points=((rows - means.mean(0)) @ plane).cpu(),
            labels=shown,
            centres=(spectrum.centred @ plane).cpu(),
            cosines=(units @ units.T).cpu(),
            nc1=nc1(source),
            simplex=simplex,
            simplex_points=simplex.project(rows[belongs.to(rows.device)]),
            simplex_labels=torch.searchsorted(torch.tensor(chosen), shown[belongs].contiguous()),
            class_numbers=source.present,
        )


def hardest_classes(features: Any, labels: Any, count: int = 3) -> tuple[int, ...]:
    """The classes that are hardest to tell apart, by number: the pair of largest CDNV, and what is closest to it.

    CDNV of a pair is (v_i + v_j) / (2 ‖μ_i − μ_j‖²), with v the mean squared distance from the class mean. Classes with
    one sample have no scatter and come last.

    Args:
        features: Features of shape (N, D).
        labels: Class numbers of shape (N,).
        count: How many; all where there are fewer.

    Raises:
        DataError: fewer than two classes, or the input is bad.

    Example:
        >>> features = torch.tensor([[0.0], [0.2], [1.0], [1.2], [9.0], [9.2], [30.0], [30.2]])
        >>> hardest_classes(features, torch.tensor([5, 5, 6, 6, 7, 7, 8, 8]))
        (5, 6, 7)
    """
    source = _samples(features, labels)
    return tuple(int(source.present[place]) for place in _hardest(source, count))


def simplex_plane(features: Any, labels: Any, classes: Sequence[int]) -> SimplexPlane:
    """The plane through the means of two or three classes, see :class:`SimplexPlane`.

    For two classes the second direction is the one along which samples scatter most, at a right angle to the means'.

    Args:
        features: Features of shape (N, D).
        labels: Class numbers of shape (N,); samples of other classes are left out.
        classes: Two or three class numbers.

    Raises:
        DataError: a class has no sample, the means coincide, or the input is bad.

    Example:
        >>> plane = simplex_plane(torch.eye(3), torch.arange(3), (0, 1, 2))
        >>> torch.allclose(plane.means, plane.corners), [round(x, 3) for x in plane.corners[0].tolist()]
        (True, [0.0, 1.0])
    """
    source = _samples(features, labels)
    where = {int(number): place for place, number in enumerate(source.present)}
    missing = [number for number in classes if number not in where]
    if missing or not 2 <= len(set(classes)) == len(classes) <= 3:
        said = f"no sample of class {missing[0]}" if missing else f"classes {tuple(classes)}"
        raise DataError(said, where="classes", remedy="name two or three classes that have samples")
    with exact_products():
        return _plane(source, [where[number] for number in classes])


def _samples(features: Any, labels: Any) -> Samples:
    source = resolve(features, labels)
    if not isinstance(source, Samples):
        raise DataError("a picture needs the samples themselves", where="features", remedy="pass features and labels")
    return source


def _hardest(source: Samples, count: int) -> list[int]:
    """Places among the present classes, rising."""
    means = class_means(source).cpu()
    scatter = read_deviations(source).squares.cpu() / source.counts
    distances = torch.cdist(means, means).square()
    hard = (scatter[:, None] + scatter[None]) / (2 * distances).clamp(min=1e-300)
    single = source.counts < 2
    hard[single] = hard[:, single] = 0.0
    hard.fill_diagonal_(-1.0)
    chosen = list(divmod(int(hard.argmax()), len(hard)))
    while len(chosen) < min(count, len(hard)):
        closeness = hard[chosen].sum(0)
        closeness[chosen] = -math.inf
        chosen.append(int(closeness.argmax()))
    return sorted(chosen)


def _hardest_plane(source: Samples) -> tuple[SimplexPlane, list[int]]:
    chosen = _hardest(source, 3)
    return _plane(source, chosen), chosen


def _plane(source: Samples, places: list[int]) -> SimplexPlane:
    means = class_means(source)[places]
    origin = means.mean(0)
    centred = means - origin
    size = float(centred.square().sum().sqrt())
    if not size > 0:
        raise DataError("the class means coincide", where="features", remedy="choose classes that differ")
    angles = torch.tensor([math.pi / 2 + 2 * math.pi * place / 3 for place in range(3)], dtype=torch.float64)
    corners = torch.stack([angles.cos(), angles.sin()], 1)
    if len(places) == 2:
        corners = torch.tensor([[-1.0, 0.0], [1.0, 0.0]], dtype=torch.float64)
    corners = corners.to(centred.device)
    directions = torch.linalg.svd(centred, full_matrices=False)[2][: len(places) - 1].T
    if directions.shape[1] < 2:
        directions = torch.cat([directions, _second(source, places, directions)], 1)
    left, _, right = torch.linalg.svd((centred @ directions).T @ corners)
    axes = directions @ (left @ right) * (len(places) ** 0.5 / size)
    numbers = tuple(int(source.present[place]) for place in places)
    return SimplexPlane(numbers, origin, axes, (centred @ axes).cpu(), corners.cpu())


def _second(source: Samples, places: list[int], first: Tensor) -> Tensor:
    """The direction of largest scatter at a right angle to ``first`` (D, 1); zero where there is none."""
    rows = torch.isin(source.labels, torch.tensor(places)).nonzero().flatten()
    rows = rows[:: max(1, len(rows) // _MOST_WITHIN)]
    within = source.features[rows.to(source.features.device)].to(first.device, torch.float64)
    within = within - class_means(source)[source.labels[rows].to(first.device)]
    within = within - (within @ first) @ first.T
    if not float(within.square().sum()) > 0:
        return torch.zeros_like(first)
    return torch.linalg.svd(within, full_matrices=False)[2][:1].T
