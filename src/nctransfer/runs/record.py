"""The ground of a run's record: frozen, typed models of the data, the network and the machine.

Writers build these models and the page reads their attributes, so that a renamed field is a type error on both sides.
A number that is missing is None, and its reason stands in the same row under ``notes`` (or ``cost_note``), by field name.
Nothing here needs torch.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Any, Final

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainValidator, ValidationError
from pydantic_core import PydanticCustomError

from ..errors import DataError
from .atomic import to_plain

__all__ = [
    "SCHEMA_VERSION",
    "Augmentation",
    "BadImage",
    "Cost",
    "DataReport",
    "DataSource",
    "Dataset",
    "Duplicates",
    "Environment",
    "Hardware",
    "ImageGroups",
    "ImageSizes",
    "Interval",
    "ModelFacts",
    "Number",
    "Preprocessing",
    "Record",
    "SkippedFile",
    "SplitSizes",
    "Text",
    "Twins",
    "Whole",
]

SCHEMA_VERSION: Final = 2
"""Raised when a key changes its meaning or leaves; results without a version are of version 1."""


_MOST = 2**63


def _text(value: Any) -> str:
    # pydantic's own strings refuse lone surrogates, by which file names that are not UTF-8 arrive.
    if not isinstance(value, str):
        raise PydanticCustomError("text", "Input should be text")
    return value


def _number(value: Any) -> float | None:
    value = value.item() if hasattr(value, "item") else value
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise PydanticCustomError("number", "Input should be a number")
    try:
        return value if math.isfinite(value) else None
    except OverflowError:
        raise PydanticCustomError("number", "Input should be a number of ordinary size") from None


def _whole(value: Any) -> int:
    value = value.item() if hasattr(value, "item") else value
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise PydanticCustomError("whole", "Input should be a whole number")
    if abs(value) >= _MOST:  # no count and no size; arithmetic on it would overflow where it is shown
        raise PydanticCustomError("whole", "Input should be a whole number of ordinary size")
    return value


Text = Annotated[str, PlainValidator(_text)]
Number = Annotated[float | None, BeforeValidator(_number)]
"""A finite number, or None where it is missing; NaN and infinity count as missing."""
Whole = Annotated[int, PlainValidator(_whole)]
Interval = tuple[Annotated[float, BeforeValidator(_number)], Annotated[float, BeforeValidator(_number)]]


class Record(BaseModel):
    """A part of a record. Keys that it does not know are refused; what was not set is not written."""

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())

    def plain(self) -> dict[str, Any]:
        """The record as JSON holds it: plain values, without the fields that were never set."""
        return to_plain(self.model_dump(exclude_unset=True))


class SplitSizes(Record):
    """Images of each split; pre-training has no validation split."""

    train: Whole | None = Field(default=None, description="training images")
    validation: Whole | None = Field(default=None, description="validation images, on which everything is chosen")
    test: Whole | None = Field(default=None, description="test images, read once")


class DataSource(Record):
    """Where the images came from."""

    name: Text = Field(default="", description="short name of the data set")
    kind: Text = Field(default="", description="folder, Parquet, scikit-learn, arrays, …")
    place: Text = Field(default="", description="path or address")
    drawn: tuple[Text, ...] = Field(default=(), description="splits that were drawn, as none was given")
    limit: Whole | None = Field(default=None, description="most training and validation images that were asked for")


class ImageSizes(Record):
    """Sizes in pixels over all splits."""

    width: tuple[float, float, float] | None = Field(default=None, description="smallest, median, largest")
    height: tuple[float, float, float] | None = Field(default=None, description="smallest, median, largest")
    most_frequent: tuple[Whole, Whole] | None = Field(default=None, description="the most frequent (width, height)")
    most_frequent_share: Number = Field(default=None, description="fraction of the images that have it")
    aspect: tuple[float, ...] = Field(
        default=(), description="longer side over the shorter: median, 90 % quantile, largest"
    )


class Twins(Record):
    """Images of one split that stand in another, too."""

    pixels: Whole | None = Field(default=None, description="images with the same pixels")
    files: Whole | None = Field(default=None, description="images from the same file")
    examples: tuple[tuple[Text, Text], ...] = Field(default=(), description="pairs of identities, at most 20")


class Duplicates(Record):
    """Images that stand more than once."""

    train_test: Twins | None = Field(default=None, description="test images that stand in train")
    validation_test: Twins | None = Field(default=None, description="test images that stand in validation")
    train_validation: Twins | None = Field(default=None, description="validation images that stand in train")
    within_train: Whole | None = Field(default=None, description="training images beyond the first of their kind")
    conflicting_labels: Whole | None = Field(default=None, description="images whose twin carries another label")


class BadImage(Record):
    """An image that could not be read."""

    identity: Text = Field(description="path or row")
    split: Text = Field(default="", description="the split it would belong to")
    class_name: Text = Field(default="", alias="class", description="its class")
    reason: Text = Field(default="", description="what is wrong with it")

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True, serialize_by_alias=True)


class SkippedFile(Record):
    """A file of the data set's folder that is no image, or not of the data set."""

    path: Text = Field(description="the file")
    reason: Text = Field(default="", description="why it was passed over")


class ImageGroups(Record):
    """Images that belong together (a patient, a video) and stand on one side of every split."""

    count: dict[Text, Whole] = Field(default={}, description="groups by split")
    images: dict[Text, Whole] = Field(
        default={}, description="images of each split, had it been drawn by single images"
    )
    with_kin: dict[Text, Whole] = Field(
        default={},
        description="those of them that would have images of their group in train: the leak that was prevented",
    )
    probe_whole: Number = Field(
        default=None, description="held-out accuracy of the penultimate probe, groups kept whole"
    )
    probe_torn: Number = Field(
        default=None, description="the same on the same images, with folds that tear groups apart"
    )


class DataReport(Record):
    """Findings about the data. Further facts of a data source are kept as they are and listed on the page."""

    model_config = ConfigDict(frozen=True, extra="allow", protected_namespaces=())

    source: DataSource | None = Field(default=None, description="where the images came from")
    class_names: tuple[Text, ...] = Field(default=(), description="K names, in the order of the labels")
    splits: SplitSizes | None = Field(default=None, description="images of each split")
    counts: dict[Text, dict[Text, Whole]] = Field(default={}, description="images by split and class")
    sizes: ImageSizes | None = Field(default=None, description="sizes of the images")
    bad: tuple[BadImage, ...] = Field(default=(), description="images that could not be read")
    skipped: tuple[SkippedFile, ...] = Field(default=(), description="files that were passed over")
    duplicates: Duplicates | None = Field(
        default=None, description="images that stand more than once; None: not looked for"
    )
    value_ranges: dict[Text, tuple[float, float]] = Field(
        default={}, description="values that become 0 and 255, by kind of images of more than 8 bits a channel"
    )
    groups: ImageGroups | None = Field(default=None, description="groups of images; None: none are known")
    notes: tuple[Text, ...] = Field(default=(), description="remarks; a warning begins with 'warning: '")

    @classmethod
    def of(cls, report: Mapping[str, Any]) -> DataReport:
        """The report of a data bundle, checked; bundles that are made by hand may hold less.

        Raises:
            DataError: a value is of the wrong kind.
        """
        try:
            return cls.model_validate(dict(report))
        except ValidationError as error:
            first = error.errors()[0]
            raise DataError(
                f"the data's report is invalid: {'.'.join(map(str, first['loc']))}: {first['msg'].lower()}",
                where="DataBundle.report",
                remedy="correct the value, or leave it out",
            ) from None


class Dataset(Record):
    """The data set of a run."""

    name: Text = Field(description="short name")
    num_classes: Whole = Field(description="K")
    class_names: tuple[Text, ...] = Field(description="K names, in the order of the labels")
    report: DataReport = Field(description="what was found out about the data")

    @property
    def imbalance(self) -> float | None:
        """Images of the largest class over those of the smallest that has any, all splits together; None where not counted."""
        sizes: dict[str, int] = {}
        for split in self.report.counts.values():
            for name, images in split.items():
                sizes[name] = sizes.get(name, 0) + (images or 0)
        known = [size for size in sizes.values() if size > 0]
        return max(known) / min(known) if known else None


class Preprocessing(Record):
    """How images become the network's input."""

    mean: tuple[float, ...] = Field(default=(), description="subtracted, by channel, on a scale of 0 to 1")
    std: tuple[float, ...] = Field(default=(), description="divided by, by channel")
    interpolation: Text = Field(default="", description="of resizing")
    crop_pct: Number = Field(default=None, description="fraction of the side that the centre crop keeps")
    fit: Text = Field(default="", description="what becomes of images that are not square: crop, squish or pad")


class ModelFacts(Record):
    """The network of a run."""

    name: Text = Field(description="architecture or class name")
    total_parameters: Whole | None = Field(default=None, description="parameters of the backbone")
    feature_dim: Whole | None = Field(default=None, description="width of the penultimate features")
    image_size: Whole | None = Field(default=None, description="side of the input in pixels")
    preprocess: Preprocessing | None = Field(default=None, description="how images become the network's input")
    license: Text | None = Field(default=None, description="licence of the pretrained weights, where known")
    weights: Text | None = Field(default=None, description="where the weights came from")


class Hardware(Record):
    """The machine that a run was computed on."""

    processor: Text = Field(default="", description="processor's name")
    cores: Whole | None = Field(default=None, description="cores this process may use")
    devices: tuple[Text, ...] = Field(default=(), description="accelerators that were visible")
    device: Text | None = Field(default=None, description="the device that was used")
    processes: Whole | None = Field(default=None, description="processes that shared the work")
    precision: Text | None = Field(default=None, description="fp32, bf16 or fp16")


class Environment(Hardware):
    """The content of ``environment.json``."""

    date: Text = Field(default="", description="UTC, ISO 8601")
    seconds_before: Number = Field(default=None, description="time of the processes that this one resumed")
    python: Text = Field(default="", description="Python's version")
    platform: Text = Field(default="", description="operating system")
    threads: Whole | None = Field(default=None, description="threads of one operation")
    versions: dict[Text, Text] = Field(default={}, description="packages and their versions")
    command: tuple[Text, ...] = Field(default=(), description="the command line")


class Cost(Record):
    """The cost of a run."""

    seconds: Number = Field(description="wall time of this invocation")
    total_seconds: Number = Field(
        default=None,
        description="the same and the time of earlier invocations that this one resumed, of a killed one until its last write",
    )
    training_seconds: Number = Field(default=None, description="of pre-training: time in training steps")
    features: Text | None = Field(
        default=None, description="whether features were computed (cold) or found on disk (warm, partly warm)"
    )

    @property
    def whole(self) -> float | None:
        """Seconds of the whole run; of the last invocation in records that do not know more."""
        return self.seconds if self.total_seconds is None else self.total_seconds


class Balance(Record):
    """How the run made up for classes of unequal size."""

    kind: Text = Field(description="none, weights, sampler or logit-adjust")
    why: Text = Field(default="", description="why so")
    ratio: Number = Field(
        default=None,
        description="training images of the largest class over those of the smallest; None where one has none",
    )


class Augmentation(Record):
    """The augmentation of the tuning."""

    level: Whole = Field(description="1 none, 2 + crop, 3 + flip, 4 + colour jitter, 5 + grey")
    why: Text = Field(default="", description="why this level")
