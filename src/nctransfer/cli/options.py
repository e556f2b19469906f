"""Arguments that verbs share beside the settings, and how YAML files and ``--set`` become settings."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml
from rich.markup import escape

from ..errors import DataError, UsageError
from ..settings import Settings, facts_of
from ..transfer import TransferSettings
from .generate import from_gib

__all__ = [
    "Config",
    "Data",
    "DryRun",
    "Layer",
    "Models",
    "Overwrite",
    "Resume",
    "Seeds",
    "Set",
    "collect",
    "out_option",
]


def _run(text: str, *names: str, **more: Any) -> Any:
    return typer.Option(*names, help=text, rich_help_panel="Run", **more)


_FIELDS = TransferSettings.model_fields
Data = Annotated[str, typer.Argument(metavar="DATA", help=_FIELDS["data"].description)]
Models = Annotated[
    list[str] | None,
    typer.Option(
        "--model",
        help=f"{_FIELDS['model'].description} " + escape(f"[default: {_FIELDS['model'].default}]"),
        rich_help_panel="Network",
    ),
]
Layer = Annotated[
    str | None,
    typer.Option(
        help="The block that layer and scl tune; several with commas; NAME+ for NAME and all blocks after it; one is chosen "
        "by trials if left out.",
        rich_help_panel="Tuning",
    ),
]
Seeds = Annotated[int, _run("Number of seeds to run, from --seed on.", min=1)]
Resume = Annotated[bool, _run("Continue the run in --out.", "--resume")]
Overwrite = Annotated[bool, _run("Replace the run in --out.", "--overwrite")]
DryRun = Annotated[bool, _run("Say what would be done and what it would cost; do nothing.", "--dry-run")]
Config = Annotated[Path | None, _run("YAML file with settings; options win over it.")]
Set = Annotated[list[str] | None, _run("Any setting; wins over all.", "--set", metavar="KEY=VALUE")]


def out_option(default: str, what: str = "The run folder") -> Any:
    """The option that says where to write, with the place that is taken where it is left out."""
    return _run(f"{what}; {default} if left out.")


def collect(
    model: type[Settings], given: Mapping[str, Any], config: Path | None, assignments: list[str] | None
) -> list[dict[str, Any]]:
    """The mappings from which settings are made, weakest first: YAML file, options, ``--set``.

    Raises:
        DataError: the YAML file is missing.
        UsageError: it is not a mapping, or an assignment has no ``=``.
    """
    sources: list[dict[str, Any]] = []
    if config is not None:
        sources.append(_in_bytes(model, _read(config), str(config)))
    sources.append(dict(given))
    sources.append(_in_bytes(model, dict(map(_assignment, assignments or [])), "--set"))
    return sources


def _read(config: Path) -> dict[str, Any]:
    if not config.is_file():
        raise DataError("settings file not found", where=str(config), remedy="check the path given to --config")
    try:
        loaded = yaml.safe_load(config.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UsageError(f"not YAML: {str(error).splitlines()[0]}", where=str(config)) from error
    if not isinstance(loaded, dict):
        raise UsageError("the file is not a mapping", where=str(config), remedy="write lines such as `epochs: 8`")
    return loaded


def _assignment(words: str) -> tuple[str, Any]:
    key, separator, value = words.partition("=")
    if not separator:
        raise UsageError(f"{words!r} is not an assignment", where="--set", remedy="write --set key=value")
    try:
        return key.strip(), yaml.safe_load(value)
    except yaml.YAMLError as error:
        raise UsageError(f"{value!r} is not a YAML value", where=f"--set {key.strip()}", remedy="quote it") from error


def _in_bytes(model: type[Settings], source: dict[str, Any], where: str) -> dict[str, Any]:
    """Sizes of memory are given in GiB everywhere on the command line."""
    sizes = {name for name, facts in facts_of(model).items() if facts.gib}
    return {
        key: from_gib(value, f"{key} in {where}")
        if str(key).replace("-", "_") in sizes and value is not None
        else value
        for key, value in source.items()
    }
