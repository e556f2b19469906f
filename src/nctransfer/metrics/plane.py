"""Samples in the plane that tells the classes apart best, and the class means' angles: the numbers of a picture."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ..errors import DataError
from .inputs import Samples, exact_products
from .moments import resolve
from .reads import class_means
from .spectrum import between_spectrum
from .variability import nc1

__all__ = ["CollapsePlane", "collapse_plane"]

MOST_POINTS = 3000


@dataclass(frozen=True, eq=False)
class CollapsePlane:
    """Features projected on the two longest directions of their centred class means.

    Attributes:
        points: Samples, evenly spaced ones where there are more than 3,000, (n, 2), float64.
        labels: Their classes, numbered among those present, (n,).
        centres: Class means, (K, 2).
        cosines: Cosines between the centred class means, (K, K); −1/(K−1) off the diagonal at full collapse.
        nc1: NC1 of all samples.
    """

    points: Tensor
    labels: Tensor
    centres: Tensor
    cosines: Tensor
    nc1: float


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
    source = resolve(features, labels)
    if not isinstance(source, Samples):
        raise DataError("a picture needs the samples themselves", where="features", remedy="pass features and labels")
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
        return CollapsePlane(
            points=((rows - means.mean(0)) @ plane).cpu(),
            labels=source.labels[index],
            centres=(spectrum.centred @ plane).cpu(),
            cosines=(units @ units.T).cpu(),
            nc1=nc1(source),
        )
