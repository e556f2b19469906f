"""The record of a ranking: candidates in order, every column's value, what was dropped, and what tuning said of it."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from .record import Cost, Dataset, Hardware, Interval, ModelFacts, Number, Record, SplitSizes, Text, Whole

__all__ = [
    "DroppedRow",
    "ForetoldRow",
    "RankColumn",
    "RankRecord",
    "RankRound",
    "RankRow",
    "RankValidation",
    "RankValue",
    "ValidatedRow",
]


class RankValue(Record):
    """One column's value for one candidate."""

    value: Number = Field(description="the value; None where it is undefined or was not computed")
    low: Number = Field(default=None, description="lower end of its 95 % interval")
    high: Number = Field(default=None, description="upper end")
    null: Number = Field(default=None, description="the same under permuted labels")
    flag: Literal["at noise", "at ceiling"] | None = Field(default=None, description="why the value says nothing")
    note: Text = Field(default="", description="why it is None, or a remark")


class RankColumn(Record):
    """A column of the ranking's table."""

    title: Text = Field(description="words at its head")
    words: Text = Field(default="", description="a sentence")
    larger: bool = Field(default=True, description="whether larger promises better transfer")
    accuracy: bool = Field(default=False, description="whether it is a fraction of images")


class RankRow(Record):
    """A candidate in its place."""

    name: Text = Field(description="the candidate")
    position: Whole = Field(description="place, from 1")
    first: Whole = Field(description="best place that it may have: those before cannot be told from it")
    last: Whole = Field(description="worst place that it may have")
    model: ModelFacts = Field(description="the network")
    images: Whole = Field(description="images that it was judged on")
    columns: dict[Text, RankValue] = Field(description="by name: every column")
    seconds: Number = Field(default=None, description="of loading, features and columns")
    seconds_per_image: Number = Field(default=None, description="of the forward pass, all layers; None where warm")
    features: Text | None = Field(default=None, description="whether features were computed (cold) or found (warm)")
    notes: tuple[Text, ...] = Field(default=(), description="remarks on the network")


class DroppedRow(Record):
    """A candidate that could not be ranked."""

    name: Text = Field(description="the candidate")
    reason: Text = Field(description="why")
    kind: Text = Field(default="", description="type of the error")


class RankRound(Record):
    """One round of successive halving."""

    images: Whole = Field(description="images a candidate")
    candidates: tuple[Text, ...] = Field(description="who took part")
    seconds: Number = Field(default=None, description="how long it took")


class ValidatedRow(Record):
    """A candidate that was really tuned."""

    name: Text = Field(description="the candidate")
    control: bool = Field(default=False, description="whether it was drawn from the others as a control")
    method: Text = Field(description="the method that validation chose")
    test_accuracy: Number = Field(description="on the test images")
    interval: Interval | None = Field(default=None, description="its 95 % interval")
    folder: Text = Field(default="", description="its run inside the ranking's folder")


class ForetoldRow(Record):
    """How well a column foretold the tuned accuracies."""

    tau: Number = Field(description="weighted τ; None where it is undefined")
    regret: Number = Field(description="accuracy that is lost by taking the column's first")


class RankValidation(Record):
    """The columns judged by tuning the best few and a control."""

    rows: tuple[ValidatedRow, ...] = Field(description="the tuned candidates")
    foretold: dict[Text, ForetoldRow] = Field(description="by column")


class RankRecord(Record):
    """The record of a ``rank`` run."""

    schema_version: Literal[2] = Field(description="version of this schema")
    kind: Literal["rank"] = Field(description="the verb")
    dataset: Dataset = Field(description="the data")
    splits: SplitSizes = Field(description="images of each split")
    rule: Text = Field(description="how the order was made")
    columns: dict[Text, RankColumn] = Field(description="by name: what each column says")
    rows: tuple[RankRow, ...] = Field(description="the candidates in order")
    dropped: tuple[DroppedRow, ...] = Field(default=(), description="candidates that could not be ranked")
    rounds: tuple[RankRound, ...] = Field(default=(), description="of successive halving")
    validation: RankValidation | None = Field(default=None, description="what tuning said")
    seed: Whole | None = Field(description="of splits, folds and permutations")
    versions: dict[Text, Text] = Field(description="packages and their versions")
    hardware: Hardware = Field(description="what it was computed on")
    warnings: tuple[Text, ...] = Field(description="what must not be missed")
    cost: Cost | None = Field(default=None, description="what the run cost")

    @property
    def best(self) -> str | None:
        """The first candidate."""
        return self.rows[0].name if self.rows else None
