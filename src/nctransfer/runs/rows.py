"""The rows of a run's record: layers, methods, trials, mistakes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, Protocol

from pydantic import Field

from .record import Interval, Number, Record, Text, Whole

__all__ = [
    "Calibration",
    "Decision",
    "Described",
    "FrontierPoint",
    "LayerAfter",
    "LayerRow",
    "Mark",
    "Measured",
    "Member",
    "MethodRow",
    "MethodSummary",
    "MetricFacts",
    "Mistake",
    "ReliabilityBin",
    "TrialRow",
    "TuningEpoch",
]


class Measured(Protocol):
    """The part of :func:`nctransfer.metrics.measure`'s result that a layer's row needs."""

    @property
    def nc1(self) -> float | None: ...
    @property
    def nc1_null_mean(self) -> float | None: ...
    @property
    def nc1_null_std(self) -> float | None: ...
    @property
    def nc1_calibrated(self) -> float | None: ...
    @property
    def cdnv(self) -> float | None: ...
    @property
    def numerical_rank(self) -> float | None: ...
    @property
    def class_separation(self) -> float | None: ...
    @property
    def notes(self) -> Mapping[str, str]: ...
    @property
    def others(self) -> Mapping[str, float | None]: ...


class Described(Protocol):
    """A metric's number as :mod:`nctransfer.metrics` describes it."""

    @property
    def name(self) -> str: ...
    @property
    def title(self) -> str: ...
    @property
    def meaning(self) -> str: ...
    @property
    def scale(self) -> tuple[tuple[float, str], ...]: ...


class MetricFacts(Record):
    """How to read a number of the layers: what tables call it, what it says, and its scale."""

    title: Text = Field(description="what tables call it")
    meaning: Text = Field(default="", description="a line for people who have not read the paper")
    collapsed: Literal["down", "up", "neither"] = Field(
        default="neither", description="where it goes as features collapse"
    )
    scale: tuple[tuple[Number, Text], ...] = Field(
        default=(), description="bounds and words, rising: a word holds below its bound, the last one without bound"
    )

    @classmethod
    def of(cls, number: Described, collapsed: Literal["down", "up", "neither"]) -> MetricFacts:
        """The facts of a metric's number."""
        title = number.title or number.name.replace("_", " ")
        return cls(title=title, meaning=number.meaning, collapsed=collapsed, scale=number.scale)

    def word(self, value: float | None) -> str:
        """The scale's word for a value; empty where there is none.

        Example:
            >>> MetricFacts(title="NC1", scale=((0.1, "strongly collapsed"), (None, "less"))).word(0.05)
            'strongly collapsed'
        """
        if value is None:
            return ""
        return next((word for bound, word in self.scale if bound is None or value < bound), "")


class LayerRow(Record):
    """Collapse of one layer's features on the training images, before tuning or after pre-training."""

    name: Text = Field(description="as in `named_modules()`; 'penultimate' is what the classifier sees")
    dim: Whole = Field(description="width of the pooled features")
    nc1: Number = Field(description="within-class variability, 0 or more; smaller is more collapsed")
    nc1_null_mean: Number = Field(default=None, description="NC1 under permuted labels, mean")
    nc1_null_std: Number = Field(default=None, description="NC1 under permuted labels, standard deviation")
    nc1_calibrated: Number = Field(default=None, description="estimate of the population's NC1")
    cdnv: Number = Field(description="class-distance normalised variance; smaller is more collapsed")
    numerical_rank: Number = Field(default=None, description="mean numerical rank of the classes")
    class_separation: Number = Field(
        default=None, description="R² of unit-length features, 0 to 1; larger is more collapsed"
    )
    notes: dict[Text, Text] = Field(default={}, description="by field: why it is None, or a remark on it")
    penultimate: bool = Field(default=False, description="whether these are the penultimate features")
    probe_val_accuracy: Number = Field(
        default=None,
        description="held-out accuracy of a linear probe of this layer: cross-validated on few images, else on validation",
    )
    nc1_test: Number = Field(default=None, description="NC1 of the test images (pre-training)")
    cdnv_test: Number = Field(default=None, description="CDNV of the test images (pre-training)")
    more: dict[Text, Number] = Field(default={}, description="numbers of metrics that were registered from outside")

    def value(self, name: str) -> float | None:
        """A number by its name, registered from outside or not.

        Example:
            >>> LayerRow(name="fc", dim=2, nc1=0.5, cdnv=0.1, more={"size": 3.0}).value("size")
            3.0
        """
        return self.more[name] if name in self.more else getattr(self, name, None)

    @classmethod
    def of(cls, name: str, dim: int, measured: Measured, *, penultimate: bool) -> LayerRow:
        """The row of a layer whose collapse was measured."""
        notes = {field: note for field, note in measured.notes.items() if not note.startswith("not asked for")}
        more = {field: value for field, value in measured.others.items() if value is not None or field in notes}
        row = cls(
            name=name,
            dim=dim,
            nc1=measured.nc1,
            nc1_null_mean=measured.nc1_null_mean,
            nc1_null_std=measured.nc1_null_std,
            nc1_calibrated=measured.nc1_calibrated,
            cdnv=measured.cdnv,
            numerical_rank=measured.numerical_rank,
            class_separation=measured.class_separation,
            notes=notes,
            penultimate=penultimate,
        )
        return row.model_copy(update={"more": more}) if more else row


class LayerAfter(Record):
    """A layer after tuning."""

    name: Text = Field(description="the layer")
    nc1: Number = Field(description="NC1 of the training images")
    note: Text | None = Field(default=None, description="why NC1 is None, or a remark on it")


class TuningEpoch(Record):
    """An epoch of tuning; epoch 0 is before the first step."""

    epoch: Whole = Field(description="from 0")
    train_loss: Number = Field(description="mean over the epoch; None for epoch 0")
    val_accuracy: Number = Field(description="on the validation images, after the epoch")


class Mark(Record):
    """How a method is drawn: the same in every plot of a page."""

    marker: Text = Field(default="o", description="as matplotlib names it")
    colour: Text = Field(default="ink", description="accent, ink or muted: a colour of the page's theme")
    dash: Text = Field(default="-", description="the line, as matplotlib names it")


class ReliabilityBin(Record):
    """A point of a reliability diagram: test images about which the model is about equally sure."""

    images: Whole | None = Field(description="how many")
    confidence: Number = Field(description="their largest probability, mean")
    accuracy: Number = Field(description="fraction of them that it gets right")


class Calibration(Record):
    """Temperature scaling of a method's logits; the errors are those of the test images."""

    temperature: Number = Field(
        description="logits are divided by it; fitted on held-out images, see `images`; None: see `note`"
    )
    images: Whole | None = Field(default=None, description="held-out images that it was fitted on")
    note: Text | None = Field(default=None, description="why there is no temperature")
    ece_before: Number = Field(default=None, description="expected calibration error, 0 to 1")
    ece_after: Number = Field(default=None, description="the same with the temperature")
    ece_by_chance: Number = Field(
        default=None, description="what perfectly calibrated probabilities would show on as many images, on average"
    )
    brier_before: Number = Field(default=None, description="Brier score, 0 to 2")
    brier_after: Number = Field(default=None, description="the same with the temperature")
    bins_before: tuple[ReliabilityBin, ...] = Field(default=(), description="reliability diagram, raw")
    bins_after: tuple[ReliabilityBin, ...] = Field(default=(), description="the same with the temperature")


class FrontierPoint(Record):
    """The accuracy that an amount of time bought."""

    what: Text = Field(description="what was done until then")
    seconds: Number = Field(description="seconds spent until then")
    accuracy: Number = Field(description="validation accuracy reached until then")
    kind: Text = Field(default="method", description="'method' for an entry of `methods`, 'layer' for a layer's probe")


class Member(Record):
    """One member of an ensemble."""

    name: Text = Field(description="an entry of `methods`, or a layer")
    weight: Number = Field(default=None, description="of its log-probabilities")
    val_accuracy: Number = Field(default=None, description="its own validation accuracy")


class MethodSummary(Record):
    """A tuning method's result, as the summary of several runs keeps it."""

    title: Text = Field(description="the method in words, at the start of a sentence or in a table")
    phrase: Text = Field(description="the method in the middle of a sentence")
    mark: Mark = Field(description="how it is drawn")
    unit: Text | None = Field(description="the tuned block or layer, for methods that tune one")
    test_accuracy: Number = Field(description="fraction of the test images that it gets right")
    test_accuracy_interval: Interval | None = Field(description="95 % interval of the test accuracy")
    balanced_accuracy: Number = Field(description="test accuracy averaged over classes")
    balanced_accuracy_interval: Interval | None = Field(
        default=None, description="95 % interval of the balanced accuracy"
    )
    macro_f1: Number = Field(default=None, description="F1 on the test images averaged over classes")
    val_accuracy: Number = Field(description="validation accuracy of what was kept")
    val_score: Number = Field(
        default=None, description="the run's `metric` on held-out images, larger is better; None where that is accuracy"
    )
    tuned_parameters: Whole | None = Field(description="parameters that learned")
    total_parameters: Whole | None = Field(description="parameters of network, skip connection and classifier")
    seconds: Number = Field(description="wall time of the final training")
    seconds_per_step: Number = Field(default=None, description="a training step in a fresh process, median")
    peak_memory_bytes: Whole | None = Field(default=None, description="largest memory of that process")
    nc1_before: Number = Field(default=None, description="NC1 of the penultimate training features before tuning")
    nc1_after: Number = Field(default=None, description="the same after tuning")
    learning_rate: Number = Field(default=None, description="the rate that was chosen or asked for")
    notes: dict[Text, Text] = Field(default={}, description="by field: why it is None, or a remark on it")
    cost_note: Text | None = Field(default=None, description="why time and memory of a step are missing")

    def reason(self, field: str) -> str:
        """Why ``field`` is missing, where the record says so.

        Example:
            >>> row = MethodSummary.model_construct(notes={"nc1_after": "one image a class"}, cost_note="no memory left")
            >>> row.reason("nc1_after"), row.reason("peak_memory_bytes"), row.reason("seconds")
            ('one image a class', 'no memory left', '')
        """
        cost = (self.cost_note or "") if field in ("seconds_per_step", "peak_memory_bytes", "step_memory_bytes") else ""
        return self.notes.get(field) or cost


class MethodRow(MethodSummary):
    """A tuning method trained to the end: an entry of ``methods``."""

    why: Text = Field(description="why this block and this rate")
    tunes: Text = Field(description="what learns, in words")
    cdnv_after: Number = Field(default=None, description="CDNV of the penultimate training features after tuning")
    numerical_rank_after: Number = Field(default=None, description="their numerical rank")
    epochs: Whole | None = Field(description="epochs of the final training")
    best_epoch: Whole | None = Field(description="the epoch that was kept, by validation; 0 is the starting probe")
    history: tuple[TuningEpoch, ...] = Field(description="one entry an epoch")
    mixture: dict[Text, Number] = Field(
        default={},
        description="by learning rate: what the last epoch counts in the weights that were kept; the rest is the start",
    )
    step_memory_bytes: Whole | None = Field(default=None, description="memory of a step above that of the idle process")
    out_of_fold_accuracy: Number = Field(
        default=None, description="accuracy on images that a training or fit on the rest never saw"
    )
    out_of_fold_interval: Interval | None = Field(default=None, description="95 % interval of the out-of-fold accuracy")
    out_of_fold_images: Whole | None = Field(
        default=None, description="training and validation images that these are; the choice rests on them"
    )
    calibration: Calibration | None = Field(default=None, description="temperature scaling")
    skip_share: Number = Field(
        default=None,
        description="standard deviation of what the skip connections add to the logits, over that of all logits",
    )
    skip_accuracy_on: Number = Field(default=None, description="validation accuracy with the skip connection")
    skip_accuracy_off: Number = Field(default=None, description="the same with the skip connection switched off")
    frontier: tuple[FrontierPoint, ...] = Field(default=(), description="accuracy reached against time spent")
    members: tuple[Member, ...] = Field(default=(), description="members of an ensemble")
    passes: Whole | None = Field(default=None, description="forward passes that an image takes, beside an ensemble")
    milliseconds: Number = Field(
        default=None, description="time of an image, in a batch of up to 32, beside an ensemble"
    )

    def summary(self) -> MethodSummary:
        """The part that a summary of several runs keeps."""
        kept = [name for name in MethodSummary.model_fields if name in self.model_fields_set]
        return MethodSummary.model_construct(
            set(kept), **{name: getattr(self, name) for name in MethodSummary.model_fields}
        )


class TrialRow(Record):
    """A short training that chose a block or a learning rate."""

    purpose: Text = Field(description="'unit' (a block) or 'learning_rate'")
    method: Text = Field(description="an entry of `methods`")
    unit: Text | None = Field(description="the block that was tuned")
    learning_rate: Number = Field(description="the rate")
    chosen: bool = Field(description="whether it was chosen")
    epochs: Whole = Field(description="epochs of the trial")
    val_accuracy: Number = Field(description="validation accuracy at its end")
    val_score: Number = Field(
        default=None,
        description="the run's `metric` on validation images, larger is better; None where that is accuracy",
    )
    val_error: Number = Field(default=None, description="standard error of `val_score`")
    nc1: Number = Field(description="NC1 of the penultimate training features at its end")
    seconds: Number = Field(default=None, description="wall time of the trial")
    note: Text | None = Field(default=None, description="why a number is missing")


class Decision(Record):
    """Whether the budget had room for a step."""

    what: Text = Field(description="the step")
    needs: Number = Field(description="seconds that it was estimated to take, with a margin")
    spent: Number = Field(description="seconds spent until then")
    done: bool = Field(description="whether it was taken")


class Mistake(Record):
    """A test image that the chosen model gets wrong."""

    identity: Text = Field(description="path or row")
    true: Text = Field(description="its class")
    predicted: Text = Field(description="what the model says")
    probability: Number = Field(description="how sure the model is")
    thumbnail: Text = Field(description="path of a picture inside the run folder")
