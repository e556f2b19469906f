"""Settings of a ranking: one frozen model for the command line, YAML and Python."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from pydantic import Field, field_validator

from ..errors import UsageError
from ..settings import DataSettings, build, option, seconds_of
from ..transfer import METHOD_NAMES, TransferSettings, find_method, settings_from

__all__ = ["SHARED", "RankSettings", "rank_settings", "seconds_of"]

NETWORK, DATA, RANKING, MACHINE = (option(panel) for panel in ("Network", "Data", "Ranking", "Machine"))
SHARED = ("data", "limit", "epochs", "methods", "seed", "precision", *DataSettings.model_fields)
"""Fields that mean the same in the settings of `auto`."""


class RankSettings(DataSettings):
    """Settings of `rank`."""

    verb: ClassVar[str] = "rank"

    data: str = Field(
        description="A folder, a table of images (CSV, TSV, Parquet), a name such as digits or cifar10, or hf:NAME.",
        json_schema_extra=option("Network", hidden=True),
    )
    models: tuple[str, ...] = Field(
        ("offline",),
        description="Candidates, separated by commas: names, patterns such as 'mobilenetv2*', run folders, weights files, "
        "or 'offline' for what is installed.",
        json_schema_extra=NETWORK,
    )
    arch: str | None = Field(
        None, description="Architecture of weights files without a manifest.", json_schema_extra=NETWORK
    )
    weights: Literal["random"] | None = Field(
        None, description="'random' for untrained networks, as a control.", json_schema_extra=NETWORK
    )
    known: str | None = Field(
        None,
        description="CSV file with columns model and accuracy, such as ImageNet top-1: breaks ties and is shown.",
        json_schema_extra=RANKING,
    )
    limit: int = Field(
        2000, ge=8, description="Most training and validation images to rank on.", json_schema_extra=DATA
    )
    budget: float | None = Field(
        None,
        gt=0,
        description="Time for the ranking, such as 90s, 10m or 1h: few images for all candidates, more for the better ones.",
        json_schema_extra=option("Ranking", text=True),
    )
    deep: int = Field(
        3, ge=0, description="How many of the best get a probe of all layers together.", json_schema_extra=RANKING
    )
    slow_scores: bool = Field(
        False, description="Compute NLEEP and PARC however long they take.", json_schema_extra=RANKING
    )
    top: int = Field(
        0,
        ge=0,
        description="Tune this many of the best and one control, and say how well each column predicted their accuracy.",
        json_schema_extra=option("Ranking", flag="validate"),
    )
    methods: tuple[str, ...] = Field(
        ("full",),
        description="Tuning methods of --validate, separated by commas; the best by validation counts.",
        json_schema_extra=option("Ranking", allowed=lambda: METHOD_NAMES),
    )
    epochs: int | None = Field(
        None, ge=1, description="Passes of --validate over the training images.", json_schema_extra=RANKING
    )
    seed: int = Field(0, ge=0, description="Seed of splits, folds and permutations.", json_schema_extra=MACHINE)
    precision: Literal["fp32", "bf16", "fp16"] = Field(
        "fp32", description="Precision of the forward pass.", json_schema_extra=MACHINE
    )

    def as_transfer(self, model: str | None = None, **more: Any) -> TransferSettings:
        """The settings of a tuning run on the same data, of one of the candidates."""
        shared = {name: getattr(self, name) for name in SHARED}
        return settings_from(shared, {"model": model, **more}, where="nctransfer.rank")

    @field_validator("budget", mode="before")
    @classmethod
    def _seconds(cls, value: Any) -> Any:
        return seconds_of(value) if isinstance(value, str) else value

    @field_validator("models", mode="after")
    @classmethod
    def _some(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not value:
            raise UsageError("no candidate is named", where="--models", remedy="name networks, separated by commas")
        return value

    @field_validator("methods", mode="after")
    @classmethod
    def _known(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for name in value:
            find_method(name)
        return value


def rank_settings(*sources: Mapping[str, Any], where: str = "settings") -> RankSettings:
    """Settings from several mappings, later ones winning; values of None count as not given.

    Raises:
        UsageError: an unknown key or an invalid value; the near names or the allowed range are given.

    Example:
        >>> rank_settings({"data": "digits", "models": "resnet18, resnet34"}).models
        ('resnet18', 'resnet34')
    """
    return build(RankSettings, *sources, where=where)
