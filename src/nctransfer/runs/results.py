"""Whole records: what a run of each kind writes into ``result.json``."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

from pydantic import ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from .picture import PlanePicture, TuningPicture
from .record import (
    Augmentation,
    Balance,
    Cost,
    Dataset,
    Hardware,
    Interval,
    ModelFacts,
    Number,
    Record,
    SplitSizes,
    Text,
    Whole,
)
from .rows import (
    Decision,
    FrontierPoint,
    LayerAfter,
    LayerRow,
    MethodRow,
    MethodSummary,
    MetricFacts,
    Mistake,
    TrialRow,
)

__all__ = ["BestRun", "EpochRow", "PretrainRecord", "Result", "Summary", "SummaryRun", "Verb"]

Verb: TypeAlias = Literal["auto", "tune", "probe"]
_VERSION = Field(description="version of this schema")


class Result(Record):
    """The record of an ``auto``, ``tune`` or ``probe`` run."""

    schema_version: Literal[2] = _VERSION
    kind: Verb = Field(description="the verb")
    dataset: Dataset = Field(description="the data")
    model: ModelFacts = Field(description="the network")
    splits: SplitSizes = Field(description="images of each split")
    layers: tuple[LayerRow, ...] = Field(description="every measured layer, from input to output")
    metrics: dict[Text, MetricFacts] = Field(default={}, description="by name: how to read the numbers of `layers`")
    seed: Whole | None = Field(description="of splits, order, augmentation and initialisation")
    versions: dict[Text, Text] = Field(description="packages and their versions")
    hardware: Hardware = Field(description="what it was computed on")
    warnings: tuple[Text, ...] = Field(description="what must not be missed")
    augment: Augmentation | None = Field(default=None, description="the augmentation of the tuning")
    balance: Balance | None = Field(default=None, description="what was done about classes of unequal size")
    layers_after: dict[Text, tuple[LayerAfter, ...]] = Field(
        default={}, description="by method: every layer after tuning"
    )
    trials: tuple[TrialRow, ...] = Field(default=(), description="short trainings, in the order they ran")
    methods: dict[Text, MethodRow] = Field(default={}, description="by name: every method that was trained to the end")
    left_out: dict[Text, Text] = Field(
        default={}, description="by method: why it was asked for and is not among `methods`"
    )
    decisions: tuple[Decision, ...] = Field(
        default=(), description="under a budget: which steps there was time for, in order"
    )
    tried: tuple[FrontierPoint, ...] = Field(
        default=(), description="everything tried, with the seconds that led to it and its held-out accuracy"
    )
    best_method: Text | None = Field(default=None, description="the entry of `methods` that is handed over")
    confusion: tuple[tuple[Whole, ...], ...] | None = Field(
        default=None, description="test images (K, K), rows true, columns as the handed-over model says"
    )
    recall_intervals: tuple[Interval | None, ...] = Field(
        default=(), description="by class: 95 % interval of its recall on the test images; None where it has none"
    )
    metric: Text = Field(
        default="accuracy", description="held-out number by which methods, blocks and weights were chosen"
    )
    mistakes: tuple[Mistake, ...] = Field(default=(), description="its most confident errors on the test images")
    picture: TuningPicture | None = Field(default=None, description="features of a few images before and after tuning")
    cost: Cost | None = Field(default=None, description="what the run cost")

    @model_validator(mode="after")
    def _consistent(self) -> Result:
        if self.best_method is not None and self.best_method not in self.methods:
            raise PydanticCustomError("best_method", "best_method should be an entry of methods")
        if self.confusion is not None and {len(row) for row in self.confusion} != {len(self.confusion)}:
            raise PydanticCustomError("confusion", "confusion should be square")
        return self

    @property
    def best(self) -> MethodRow | None:
        """The entry that is handed over."""
        return None if self.best_method is None else self.methods[self.best_method]


class EpochRow(Record):
    """An epoch of pre-training: a line of ``metrics.jsonl``. Further quantities that were logged are kept as they are."""

    model_config = ConfigDict(frozen=True, extra="allow", protected_namespaces=())

    epoch: Whole = Field(description="from 1; 0 is the untrained network")
    step: Whole | None = Field(default=None, description="steps taken")
    lr: Number = Field(default=None, description="learning rate at its end")
    seconds: Number = Field(default=None, description="seconds of training so far")
    train_loss: Number = Field(default=None, description="mean loss over the epoch")
    running_accuracy: Number = Field(default=None, description="accuracy on augmented training images while training")
    train_accuracy: Number = Field(default=None, description="on clean training images; nearest class mean for SupCon")
    test_accuracy: Number = Field(default=None, description="on test images; nearest class mean for SupCon")
    train_ncm_accuracy: Number = Field(default=None, description="nearest class mean, training images")
    test_ncm_accuracy: Number = Field(default=None, description="nearest class mean, test images")
    robust_accuracy: Number = Field(default=None, description="on attacked test images")
    nc1: Number = Field(default=None, description="NC1 of the encoder, training images")
    nc1_test: Number = Field(default=None, description="NC1 of the encoder, test images")
    cdnv: Number = Field(default=None, description="CDNV of the encoder, training images")
    cdnv_test: Number = Field(default=None, description="CDNV of the encoder, test images")
    head_nc1: Number = Field(default=None, description="NC1 of the projection head, training images")
    head_nc1_test: Number = Field(default=None, description="NC1 of the projection head, test images")
    head_cdnv: Number = Field(default=None, description="CDNV of the projection head, training images")
    head_cdnv_test: Number = Field(default=None, description="CDNV of the projection head, test images")
    anchors_without_positive: Whole | None = Field(
        default=None, description="SupCon: anchors left out for want of a positive"
    )
    notes: dict[Text, Text] = Field(default={}, description="by field: why it is None")
    layers: tuple[LayerRow, ...] = Field(default=(), description="every layer, where they are measured")
    picture: PlanePicture | None = Field(default=None, description="a few images' features; of six epochs at most")


class PretrainRecord(Record):
    """The record of a ``pretrain`` run."""

    schema_version: Literal[2] = _VERSION
    kind: Literal["pretrain"] = Field(description="the verb")
    dataset: Dataset = Field(description="the data")
    model: ModelFacts = Field(description="the network")
    loss: Text = Field(description="ce, mse or supcon")
    loss_arguments: dict[Text, Number] = Field(description="the loss's numbers, such as its temperature")
    settings: dict[Text, Any] = Field(description="every setting of the run")
    splits: SplitSizes = Field(description="images of each split")
    steps: Whole | None = Field(description="training steps")
    final: EpochRow = Field(description="the last epoch's measurements, without layers")
    layers: tuple[LayerRow, ...] = Field(description="every layer at the end, where they are measured")
    metrics: dict[Text, MetricFacts] = Field(default={}, description="by name: how to read the numbers of `layers`")
    history: tuple[EpochRow, ...] = Field(description="every epoch")
    seed: Whole | None = Field(description="of weights, order and augmentation")
    versions: dict[Text, Text] = Field(description="packages and their versions")
    warnings: tuple[Text, ...] = Field(description="what must not be missed")
    cost: Cost | None = Field(description="what the run cost")
    hardware: Hardware = Field(description="what it was computed on")


class SummaryRun(Record):
    """One run of a summary."""

    folder: Text = Field(description="its folder inside the summary's")
    model: Text = Field(description="the network, as it was asked for")
    seed: Whole | None = Field(description="its seed")
    dataset: Text = Field(default="", description="the data set's name")
    splits: SplitSizes = Field(default=SplitSizes(), description="images of each split")
    imbalance: Number = Field(default=None, description="images of the largest class over those of the smallest")
    best_method: Text | None = Field(default=None, description="the entry of `methods` that it hands over")
    methods: dict[Text, MethodSummary] = Field(default={}, description="by name: every method")
    layers: tuple[LayerRow, ...] = Field(default=(), description="every measured layer")
    cost: Cost | None = Field(default=None, description="what the run cost")

    @property
    def best(self) -> MethodSummary | None:
        """The entry that is handed over."""
        return self.methods.get(self.best_method or "")


class BestRun(Record):
    """The run whose handed-over model has the best validation accuracy."""

    folder: Text = Field(description="its folder inside the summary's")
    model: Text = Field(description="its network")
    seed: Whole | None = Field(description="its seed")
    method: Text = Field(description="its best method")


class Summary(Record):
    """The record of several networks or seeds in one folder."""

    schema_version: Literal[2] = _VERSION
    kind: Literal["summary"] = Field(description="a summary of several runs")
    runs: tuple[SummaryRun, ...] = Field(description="every run, in order")
    best: BestRun | None = Field(description="the best of them by validation; None where nothing was tuned")
    cost: Cost | None = Field(description="what all of them cost")
    warnings: tuple[Text, ...] = Field(default=(), description="what must not be missed in any of them")
