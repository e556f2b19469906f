"""What a run is asked to do: one frozen model for `auto`, `probe` and `tune`, from options, YAML and Python alike."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from ..errors import UsageError, near_names
from .methods import METHODS, method_names

__all__ = ["METHOD_NAMES", "TransferSettings", "settings_from"]

METHOD_NAMES: tuple[str, ...] = method_names()


class TransferSettings(BaseModel):
    """Settings of a run. Rates, layers and stopping points left as None are chosen on the validation split."""

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())

    data: str = Field(description="folder, Parquet folder, or name of a data set")
    model: str = Field("tf_efficientnet_lite0", description="timm name, built-in name, or folder of a run")
    weights: str | None = Field(None, description="file with a state dict, or 'random'; default: pretrained")
    arch: str | None = Field(None, description="architecture of the weights file")
    layers: tuple[str, ...] | None = Field(
        None, description="layers to measure and to consider for tuning; default: all"
    )
    methods: tuple[str, ...] = Field(METHOD_NAMES, description="tuning methods to compare")
    epochs: int | None = Field(None, ge=1, description="passes over the training images; default: by their number")
    image_size: int | None = Field(
        None, ge=8, le=4096, description="side of the input in pixels; default: the network's"
    )
    limit: int | None = Field(None, ge=2, description="use at most this many training + validation images")
    batch_size: int = Field(64, ge=2, description="images in one step, over all processes")
    augment: Literal["auto", "1", "2", "3", "4", "5"] = Field("auto", description="augmentation level while tuning")
    lr: float | None = Field(None, gt=0, description="learning rate; default: picked on validation")
    weight_decay: float = Field(0.01, ge=0, description="decoupled weight decay (AdamW)")
    num_workers: int = Field(0, ge=0, description="processes that decode images, where they do not fit in memory")
    cache: bool = Field(True, description="compute the frozen prefix once where no augmentation is asked for")
    seed: int = Field(0, ge=0, description="of splits, order, augmentation and initialisation")
    device: str = Field("auto", description="auto, cpu, cuda, cuda:1, mps")
    precision: Literal["fp32", "bf16", "fp16"] = Field("fp32", description="of the forward and backward pass")
    validation_fraction: float = Field(0.2, gt=0, lt=1, description="share of training images held out, if not given")
    test_fraction: float = Field(0.2, gt=0, lt=1, description="share of all images held out for the test, if not given")
    on_bad_image: Literal["stop", "skip"] = Field("stop", description="what to do about unreadable images")
    skip_limit: float = Field(
        0.05, ge=0, le=1, description="largest share of unreadable images that skipping puts up with"
    )
    download: bool = Field(True, description="whether named data sets may be downloaded")

    @field_validator("layers", "methods", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        if isinstance(value, str):
            value = [part.strip() for part in value.split(",") if part.strip()]
        return None if value == ["all"] else value

    @field_validator("methods")
    @classmethod
    def _known(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for name in value:
            if name not in METHODS:
                raise ValueError(f"unknown method {name!r}; known: {', '.join(METHODS)}")
        return value

    @field_validator("augment", mode="before")
    @classmethod
    def _word(cls, value: Any) -> Any:
        return str(value)

    @field_validator("data", "model", "weights", mode="before")
    @classmethod
    def _path(cls, value: Any) -> Any:
        return str(value) if isinstance(value, Path) else value


def settings_from(*sources: dict[str, Any], where: str = "settings") -> TransferSettings:
    """Settings from several mappings, later ones winning; values of None count as not given.

    Raises:
        UsageError: an unknown key or a value that cannot be meant; the near names or the allowed range are given.

    Example:
        >>> settings_from({"data": "digits", "epochs": 3}, {"epochs": "5"}).epochs
        5
    """
    merged: dict[str, Any] = {}
    for source in sources:
        merged.update({key.replace("-", "_"): value for key, value in source.items() if value is not None})
    known = list(TransferSettings.model_fields)
    for key in merged:
        if key not in known:
            raise UsageError(f"unknown setting {key!r}", where=where, remedy=near_names(key, known))
    try:
        return TransferSettings(**merged)
    except ValidationError as error:
        first = error.errors()[0]
        key = str(first["loc"][0]) if first["loc"] else "settings"
        value = merged.get(key)
        if key == "methods":
            raise UsageError(
                f"unknown method in {value!r}", where="--methods", remedy=f"known: {', '.join(METHODS)}"
            ) from None
        option = "--" + key.replace("_", "-")
        raise UsageError(f"{option} = {value!r}: {first['msg'].lower()}", where=where, remedy="see --help") from None
