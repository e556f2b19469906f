"""Settings as the one place of a value: its type, its check, its default, and the sentence that explains it.

A verb's settings are one frozen pydantic model. Python takes them as keywords, a YAML file as keys, and the command line
makes an option of each field: the field's description is the option's help. :func:`option` says the little more that an
option may need: the panel of the help page, another spelling, a unit, or the parts of a nested value.
"""

from __future__ import annotations

import dataclasses
import re
import typing
from collections.abc import Callable, Mapping
from pathlib import Path
from types import UnionType
from typing import Any, ClassVar, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator

from .errors import UsageError, near_names

__all__ = [
    "GIB",
    "DataSettings",
    "OptionFacts",
    "Settings",
    "TableSettings",
    "build",
    "choices",
    "facts_of",
    "option",
    "seconds_of",
]

GIB = 1 << 30

_UNITS = {"": 1.0, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0}


@dataclasses.dataclass(frozen=True)
class OptionFacts:
    """How a field appears on the command line, beyond its type, default and description.

    Args:
        panel: Panel of the help page.
        flag: The option's name where it is not the field's.
        aliases: Further names, of the option and of the key.
        repeat: Whether the option is given once for each value; else values are separated by commas.
        gib: Whether the option takes GiB where the field holds bytes.
        text: Whether the option takes text of which the field's validator makes a number, such as 10m.
        parts: Options of single entries of a nested value: name to type and description. For a nested dataclass, None
            takes both from its field.
        allowed: The values that the help page lists, where the type does not list them.
        hidden: Whether the field is no option at all.
    """

    panel: str = "Run"
    flag: str | None = None
    aliases: tuple[str, ...] = ()
    repeat: bool = False
    gib: bool = False
    text: bool = False
    parts: Mapping[str, tuple[type, str] | None] = dataclasses.field(default_factory=dict)
    allowed: Callable[[], tuple[str, ...]] | None = None
    hidden: bool = False


def option(panel: str, **more: Any) -> dict[str, Any]:
    """A field's ``json_schema_extra``; the arguments are those of :class:`OptionFacts`."""
    return {"option": OptionFacts(panel, **more)}


class Settings(BaseModel):
    """Base of every verb's settings: frozen, without unknown keys, without NaN."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, protected_namespaces=())

    verb: ClassVar[str] = ""
    """The verb whose help page explains these settings."""

    @field_validator("*", mode="before")
    @classmethod
    def _plain_value(cls, value: Any, info: ValidationInfo) -> Any:
        """A path becomes text; text becomes a tuple at its commas where the field holds one."""
        if isinstance(value, Path):
            value = str(value)
        if isinstance(value, str) and _holds_a_tuple(cls.model_fields[str(info.field_name)].annotation):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return value


class TableSettings(Settings):
    """The settings of every verb that opens DATA: columns of a table, and groups."""

    image_column: str | None = Field(
        None,
        description="Column of a table that holds the paths of the images; guessed if left out.",
        json_schema_extra=option("Data"),
    )
    label_column: str | None = Field(
        None,
        description="Column of a table that holds the labels; guessed if left out.",
        json_schema_extra=option("Data"),
    )
    split_column: str | None = Field(
        None,
        description="Column of a table that holds train, validation or test; guessed if left out, 'none' for none.",
        json_schema_extra=option("Data"),
    )
    group_column: str | None = Field(
        None,
        description="Column of a table that says which images belong together, such as the patient; guessed if left out, "
        "'none' for none.",
        json_schema_extra=option("Data"),
    )
    group_pattern: str | None = Field(
        None,
        description="Regular expression on the path of an image, whose match says which images belong together.",
        json_schema_extra=option("Data"),
    )

    def columns(self) -> dict[str, Any]:
        """The arguments of :func:`nctransfer.data.open_dataset` that these settings hold, where they are given."""
        return {name: value for name in TableSettings.model_fields if (value := getattr(self, name)) is not None}


class DataSettings(TableSettings):
    """The settings of every verb that reads images through a pretrained network: how they are opened, split and fitted."""

    OPENING: ClassVar[tuple[str, ...]] = (
        "seed",
        "limit",
        "validation_fraction",
        "test_fraction",
        "on_bad_image",
        "skip_limit",
        "pixel_limit",
        "image_range",
        *TableSettings.model_fields,
    )
    """The arguments of :func:`nctransfer.data.open_dataset` that are settings of such a verb, by the same names."""

    image_size: int | None = Field(
        None,
        ge=8,
        le=4096,
        description="Side of the input in pixels; the network's own if left out.",
        json_schema_extra=option("Network"),
    )
    validation_fraction: float = Field(
        0.2,
        gt=0,
        lt=1,
        description="Fraction of the training images held out for validation where the data has no such split.",
        json_schema_extra=option("Data"),
    )
    test_fraction: float = Field(
        0.2,
        gt=0,
        lt=1,
        description="Fraction of all images held out for testing where the data has no such split.",
        json_schema_extra=option("Data"),
    )
    on_bad_image: Literal["stop", "skip"] = Field(
        "stop", description="Whether unreadable images stop the run or are skipped.", json_schema_extra=option("Data")
    )
    skip_limit: float = Field(
        0.05,
        ge=0,
        le=1,
        description="Largest fraction of unreadable images that may be skipped.",
        json_schema_extra=option("Data"),
    )
    pixel_limit: int | None = Field(
        None,
        ge=1,
        description="Most pixels of an image; Pillow's limit, 89,478,485, if left out.",
        json_schema_extra=option("Data"),
    )
    image_range: str = Field(
        "auto",
        description="Values of 16-bit, 32-bit and floating-point images that become 0 and 255: auto, or LOW,HIGH.",
        json_schema_extra=option("Data"),
    )
    fit: Literal["crop", "squish", "pad"] = Field(
        "crop",
        description="Images that are not square: crop the ends of the longer side, squish it, or pad the shorter one.",
        json_schema_extra=option("Data"),
    )
    download: bool = Field(
        True, description="Download named data sets that are not on this machine.", json_schema_extra=option("Data")
    )
    num_workers: int = Field(
        0,
        ge=0,
        description="Processes that decode images that do not fit into memory.",
        json_schema_extra=option("Machine"),
    )
    feature_cache: bool = Field(
        True,
        description="Keep features on disk and reuse those already there (NCTRANSFER_CACHE says where).",
        json_schema_extra=option("Machine"),
    )
    device: str = Field(
        "auto", description="Device: auto, cpu, cuda, cuda:N or mps.", json_schema_extra=option("Machine")
    )

    def opening(self) -> dict[str, Any]:
        """The arguments of :func:`nctransfer.data.open_dataset` that these settings hold, where they are given."""
        return {name: value for name in self.OPENING if (value := getattr(self, name)) is not None}

    @field_validator("image_range", mode="before")
    @classmethod
    def _range(cls, value: Any) -> Any:
        return ",".join(map(str, value)) if isinstance(value, list | tuple) else value


Model = TypeVar("Model", bound=Settings)


def facts_of(model: type[Settings]) -> dict[str, OptionFacts]:
    """Each field's facts; a field that says nothing has the defaults."""
    found = {}
    for name, field in model.model_fields.items():
        extra = field.json_schema_extra if isinstance(field.json_schema_extra, dict) else {}
        facts = extra.get("option", OptionFacts())
        assert isinstance(facts, OptionFacts)
        found[name] = facts
    return found


def build(model: type[Model], *sources: Mapping[str, Any], where: str) -> Model:
    """Settings from several mappings, later ones winning; values of None count as not given.

    Keys may be written with dashes, and the parts of a nested value by their own name or with a dot
    (``augment_settings.flip``).

    Raises:
        UsageError: an unknown key, with the near names, or a value that is not allowed, with what is.
    """
    merged: dict[str, Any] = {}
    homes = {part: name for name, facts in facts_of(model).items() for part in facts.parts}
    renamed = {
        other: name for name, facts in facts_of(model).items() for other in (facts.flag, *facts.aliases) if other
    }
    for source in sources:
        for written, value in source.items():
            key, _, part = str(written).replace("-", "_").partition(".")
            key = renamed.get(key, key)
            if key in homes:
                key, part = homes[key], key
            if key not in model.model_fields or (part and "." in part):
                raise UsageError(
                    f"unknown setting {str(written)!r}",
                    where=where,
                    remedy=near_names(key, [*model.model_fields, *homes, *renamed]),
                )
            if value is None:
                continue
            merged[key] = {**_plain(merged.get(key)), part: value} if part else value
    try:
        return model(**merged)
    except ValidationError as error:
        raise _usage_error(model, error, where) from None


def _plain(value: Any) -> dict[str, Any]:
    if value is None:
        return {}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    return dict(value) if isinstance(value, Mapping) else {}


def _usage_error(model: type[Settings], error: ValidationError, where: str) -> UsageError:
    """The first of pydantic's findings in our own words, with the option and what it takes."""
    first = error.errors()[0]
    said = first.get("ctx", {}).get("error")
    if isinstance(said, UsageError):
        return said
    key = str(first["loc"][0]) if first["loc"] else ""
    if not key:
        return UsageError(first["msg"], where=where)
    facts = facts_of(model)[key]
    name = facts.flag or (str(first["loc"][1]) if facts.parts and len(first["loc"]) > 1 else key)
    place = f"--{name.replace('_', '-')}"
    allowed = choices(model.model_fields[key].annotation)
    if allowed and first["type"] == "literal_error":
        given = str(first["input"])
        near = near_names(given, [str(choice) for choice in allowed])
        remedy = near if near.startswith("did") else f"known: {', '.join(map(str, allowed))}"
        several = _holds_a_tuple(model.model_fields[key].annotation)
        kind = "value" if "_" in name else name.removesuffix("s") if several else name
        return UsageError(f"unknown {kind} {given!r}", where=place, remedy=remedy)
    must = first["msg"].replace("Input should be", "must be", 1)
    remedy = f"see nctransfer {model.verb} --help" if model.verb else ""
    return UsageError(f"{name} {must}, got {first['input']!r}", where=place, remedy=remedy)


def _holds_a_tuple(annotation: Any) -> bool:
    parts = typing.get_args(annotation) if typing.get_origin(annotation) in (UnionType, typing.Union) else (annotation,)
    return any(typing.get_origin(part) is tuple for part in parts)


def choices(annotation: Any) -> tuple[Any, ...]:
    """The values that a type allows, where it lists them: a Literal, alone or in an optional or a tuple.

    Example:
        >>> choices(tuple[Literal["a", "b"], ...] | None), choices(int)
        (('a', 'b'), ())
    """
    if typing.get_origin(annotation) is Literal:
        return typing.get_args(annotation)
    if typing.get_origin(annotation) in (UnionType, typing.Union, tuple, list):
        return tuple(value for part in typing.get_args(annotation) for value in choices(part))
    return ()


def seconds_of(text: str) -> float:
    """A time span in seconds.

    Raises:
        UsageError: it is none.

    Example:
        >>> seconds_of("90s"), seconds_of("10m"), seconds_of("1.5h"), seconds_of("45")
        (90.0, 600.0, 5400.0, 45.0)
    """
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([a-z]*)\s*", text.lower())
    if found is None or found.group(2) not in _UNITS:
        raise UsageError(f"{text!r} is not a time span", where="--budget", remedy="write 90s, 10m or 1h")
    return float(found.group(1)) * _UNITS[found.group(2)]
