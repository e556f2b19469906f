"""The record of the paper's studies: claims with verdicts, tables and plots as data."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from .record import Cost, Number, Record, Text, Whole

__all__ = ["AxisRow", "ClaimRow", "FailureRow", "OverSeeds", "PlotPanel", "SeriesRow", "StudiesCost", "StudyResult"]
__all__ += ["StudyRow", "TablePanel"]

Word = Literal["holds", "does not hold", "no difference", "undecided"]


class ClaimRow(Record):
    """A claim of the paper and what became of it."""

    statement: Text = Field(description="the claim in a sentence")
    verdict: Word = Field(description="holds, does not hold, no difference (larger than the margin) or undecided")
    statistic: Text = Field(default="", description="what was computed, for every seed")
    effects: tuple[float, ...] = Field(default=(), description="one a seed; above 0 speaks for the claim")
    leaning: Word | None = Field(default=None, description="what the mean effect points to, where undecided")
    mean: float | None = Field(default=None, description="of the effects")
    interval: tuple[float, float] | None = Field(
        default=None, description="95 % interval of the mean effect over seeds"
    )
    margin: float | None = Field(default=None, description="X: smaller effects are none; in the unit of the effects")
    part_of: Text | None = Field(default=None, description="the claim that this is a part of; only wholes are counted")
    rule: Literal["difference", "at least", "alike", "no worse", "both"] = Field(
        default="difference", description="kind of claim: an effect, a bound, no effect, none below -X, several at once"
    )
    noise: float | None = Field(default=None, description="fraction of simulations without an effect that decide it")
    cause: Text = Field(default="", description="why it does not hold, where known")


class OverSeeds(Record):
    """A number of a table for each seed; the page shows mean ± standard deviation."""

    values: tuple[Number, ...] = Field(description="one a seed")
    percent: bool = Field(default=False, description="whether they are shown in per cent")


class TablePanel(Record):
    """A table of a study."""

    kind: Literal["table"] = Field(description="a table")
    caption: Text = Field(default="", description="what it says")
    columns: tuple[Text, ...] = Field(default=(), description="titles")
    rows: tuple[tuple[OverSeeds | Text | Number, ...], ...] = Field(
        default=(), description="the first cell names its row"
    )
    notes: tuple[Text, ...] = Field(default=(), description="lines under the table")


class AxisRow(Record):
    """An axis of a plot."""

    label: Text = Field(default="", description="the quantity and its unit")
    log: bool = Field(default=False, description="whether its scale is logarithmic")
    percent: bool = Field(default=False, description="whether fractions are shown in per cent")
    names: tuple[Text, ...] = Field(default=(), description="names of the positions 1, 2, …, where they are names")


class SeriesRow(Record):
    """Points of a plot."""

    name: Text = Field(default="", description="for the legend")
    x: tuple[Number, ...] = Field(default=(), description="one a point")
    y: tuple[Number, ...] = Field(default=(), description="one a point: the mean over seeds")
    spread: tuple[Number, ...] = Field(default=(), description="standard deviation over seeds")
    line: bool = Field(default=True, description="whether the points are joined")
    labels: tuple[Text, ...] = Field(default=(), description="a word at each point")


class PlotPanel(Record):
    """A plot of a study."""

    kind: Literal["plot"] = Field(description="a plot")
    caption: Text = Field(default="", description="what it shows")
    alt: Text = Field(default="", description="the same for who cannot see it")
    x: AxisRow = Field(default=AxisRow(), description="the horizontal axis")
    y: AxisRow = Field(default=AxisRow(), description="the vertical axis")
    series: tuple[SeriesRow, ...] = Field(default=(), description="what is drawn")
    fit: tuple[float, float, float] | None = Field(default=None, description="a line: slope, intercept, R²")


class StudyRow(Record):
    """One study: the claims of a table or figure of the paper."""

    name: Text = Field(description="its name on the command line")
    title: Text = Field(default="", description="its title")
    claim: Text = Field(default="", description="what the paper claims")
    artefacts: tuple[Text, ...] = Field(default=(), description="the tables and figures that it covers")
    seeds: tuple[Whole, ...] = Field(default=(), description="seeds of which it has results")
    claims: tuple[ClaimRow, ...] = Field(default=(), description="claims with verdicts")
    panels: tuple[Annotated[TablePanel | PlotPanel, Field(discriminator="kind")], ...] = Field(
        default=(), description="tables and plots"
    )
    notes: tuple[Text, ...] = Field(default=(), description="remarks")
    seconds: Number = Field(default=None, description="computing time of its cells")
    seconds_a_seed: Number = Field(default=None, description="the same for one seed")
    missing: Whole = Field(default=0, description="cells that are not there")
    other_code: Whole = Field(default=0, description="cells that follow another version of their recipe")
    estimated_minutes: Number = Field(default=None, description="what was expected of one seed")


class FailureRow(Record):
    """A cell that failed."""

    cell: Text = Field(description="the cell")
    error: Text = Field(description="what went wrong")
    trace: Text = Field(default="", description="the traceback")


class StudiesCost(Cost):
    """The cost of the cells."""

    cells: Whole | None = Field(default=None, description="cells in the folder")


class StudyResult(Record):
    """The record of ``paper run`` and ``paper report``."""

    schema_version: Literal[2] = Field(description="version of this schema")
    kind: Literal["paper"] = Field(description="studies of the paper")
    scale: Text = Field(description="smoke, mini or paper")
    about: Text = Field(default="", description="what the scale is")
    seeds: tuple[Whole, ...] = Field(default=(), description="all seeds")
    studies: tuple[StudyRow, ...] = Field(description="every study")
    failures: tuple[FailureRow, ...] = Field(default=(), description="cells that failed")
    cost: StudiesCost | None = Field(default=None, description="what the cells cost")
    hardware: tuple[Text, ...] = Field(default=(), description="what they were computed on")
    versions: dict[Text, Text] = Field(default={}, description="packages and their versions")
