"""From features to the numbers of the picture of collapse, for runs that tune and runs that pre-train."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ..errors import DataError
from ..metrics import SimplexPlane, simplex_plane
from ..runs import PictureClass, PlanePicture

__all__ = ["shown_rows", "take_picture"]

MOST_SHOWN = 60
"""Images of a class and a split that a picture shows."""


def shown_rows(labels: Tensor, classes: Sequence[int]) -> Tensor:
    """Rows that a picture shows: of each class at most 60, evenly spaced, in the order of the classes.

    Example:
        >>> shown_rows(torch.tensor([2, 0, 2, 1]), (0, 2)).tolist()
        [1, 0, 2]
    """
    found = []
    for number in classes:
        rows = (labels == number).nonzero().flatten()
        if len(rows) > MOST_SHOWN:
            rows = rows[torch.linspace(0, len(rows) - 1, MOST_SHOWN).round().long()]
        found.append(rows)
    return torch.cat(found)


def take_picture(
    train: Tensor, labels: Tensor, test: Tensor, test_labels: Tensor, classes: Sequence[int], names: Sequence[str]
) -> PlanePicture | None:
    """The picture of two or three classes, in the plane of the means of all their training images.

    Args:
        train: Features of the training images, (N, D).
        labels: Theirs, (N,).
        test: Features of test images, (M, D); those of other classes are left out.
        test_labels: Theirs, (M,).
        classes: The classes' numbers.
        names: The names of all classes.

    Returns:
        The picture; None where the means coincide or a class has no training image.
    """
    try:
        plane = simplex_plane(train, labels, classes)
    except DataError:
        return None
    splits = []
    for features, numbers in ((train, labels), (test, test_labels)):
        rows = shown_rows(numbers, classes)
        splits.append((plane.project(features[rows]), numbers[rows]))
    found = []
    for place, number in enumerate(classes):
        (train_x, train_y), (test_x, test_y) = (_axes(points[own == number]) for points, own in splits)
        mean, corner = plane.means[place].tolist(), plane.corners[place].tolist()
        found.append(
            PictureClass(
                name=names[number],
                mean=(round(mean[0], 4), round(mean[1], 4)),
                corner=(round(corner[0], 4), round(corner[1], 4)),
                train_x=train_x,
                train_y=train_y,
                test_x=test_x,
                test_y=test_y,
            )
        )
    train_scatter, train_nearest = _judged(*splits[0], plane)
    test_scatter, test_nearest = _judged(*splits[1], plane)
    return PlanePicture(
        classes=tuple(found),
        train_scatter=train_scatter,
        test_scatter=test_scatter,
        train_nearest=train_nearest,
        test_nearest=test_nearest,
    )


def _axes(points: Tensor) -> tuple[tuple[float, ...], tuple[float, ...]]:
    rounded = [[round(value, 3) for value in row] for row in points.T.tolist()]
    return tuple(rounded[0]), tuple(rounded[1])


def _judged(points: Tensor, labels: Tensor, plane: SimplexPlane) -> tuple[float | None, float | None]:
    """Scatter around the own mean and fraction that is nearest to it."""
    if not len(points):
        return None, None
    distances = torch.cdist(points, plane.means)
    own = torch.searchsorted(torch.tensor(plane.classes), labels.cpu().contiguous())
    scatter = distances.gather(1, own[:, None]).square().mean().sqrt()
    return float(scatter), float((distances.argmin(1) == own).double().mean())
