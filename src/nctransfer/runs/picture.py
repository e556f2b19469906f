"""The picture of collapse as numbers: a few images in the plane of the means of two or three classes."""

from __future__ import annotations

from pydantic import Field

from .record import Number, Record, Text

__all__ = ["PictureClass", "PlanePicture", "TuningPicture"]


class PictureClass(Record):
    """One class of a picture; the unit is the root mean square distance of the class means from their centre."""

    name: Text = Field(description="the class")
    mean: tuple[Number, Number] = Field(description="of its training images")
    corner: tuple[Number, Number] = Field(description="where the mean stands at full collapse: the simplex")
    train_x: tuple[Number, ...] = Field(description="training images that are shown")
    train_y: tuple[Number, ...] = Field(description="the same, second direction")
    test_x: tuple[Number, ...] = Field(description="test images that are shown")
    test_y: tuple[Number, ...] = Field(description="the same, second direction")


class PlanePicture(Record):
    """Penultimate features in the plane through the means of two or three classes."""

    classes: tuple[PictureClass, ...] = Field(description="the classes")
    train_scatter: Number = Field(default=None, description="distance of a training image from its class mean, RMS")
    test_scatter: Number = Field(default=None, description="the same of test images, from the training images' means")
    train_nearest: Number = Field(default=None, description="fraction of training images whose nearest mean is theirs")
    test_nearest: Number = Field(default=None, description="the same of test images")


class TuningPicture(Record):
    """The picture before tuning, and after it by method; the same images in each."""

    why: Text = Field(description="why these classes")
    before: PlanePicture = Field(description="the pretrained network")
    after: dict[Text, PlanePicture] = Field(default={}, description="by method, for those that change the features")
