"""The picture of collapse of a tuning run: the same images before and after, in the plane of three class means."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ..engine import shown_rows, take_picture
from ..errors import DataError
from ..metrics import hardest_classes
from ..runs import PlanePicture, TuningPicture
from .features import extract_features

if TYPE_CHECKING:
    from .workbench import Workbench

__all__ = ["Easel"]


@dataclasses.dataclass(frozen=True)
class Easel:
    """The classes, images and axes that a run's pictures share.

    Attributes:
        classes: The two or three classes that the pretrained network tells apart least, rising.
        names: The names of all classes.
        test_rows: The test images that are shown.
        test_labels: Their classes.
    """

    classes: tuple[int, ...]
    names: tuple[str, ...]
    test_rows: Tensor
    test_labels: Tensor

    @classmethod
    def of(cls, bench: Workbench) -> Easel | None:
        """For the classes that the pretrained features tell apart least; None where these cannot be told."""
        taken = bench.train_features
        try:
            classes = hardest_classes(taken.penultimate, taken.labels)
        except DataError:
            return None
        labels = torch.as_tensor(bench.bundle.test.labels).long()
        rows = shown_rows(labels, classes)
        return cls(classes, bench.bundle.class_names, rows, labels[rows]) if len(rows) else None

    def before(self, bench: Workbench) -> TuningPicture | None:
        """The pretrained network's picture. Of the test images, those that are shown are read."""
        loader = bench.inputs.loader("test", subset=self.test_rows.numpy())
        test = extract_features(bench.network, loader, bench.runtime, layers=[], stop=bench.stop).penultimate
        taken = bench.train_features
        found = take_picture(taken.penultimate, taken.labels, test, self.test_labels, self.classes, self.names)
        several = len(self.names) > len(self.classes)
        why = "the classes that the pretrained network tells apart least" if several else "all classes"
        return None if found is None else TuningPicture(why=why, before=found)

    def after(self, train: Tensor, labels: Tensor, test: Tensor) -> PlanePicture | None:
        """A tuned network's picture, from features of all training and all test images."""
        return take_picture(train, labels, test[self.test_rows], self.test_labels, self.classes, self.names)
