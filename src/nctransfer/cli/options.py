"""The options that `auto`, `probe` and `tune` share, and how they become settings."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from ..errors import DataError, UsageError

__all__ = ["Options", "collect"]


class Options:
    """One annotated type for each option, so that the verbs declare them alike."""

    Data = Annotated[
        str, typer.Argument(metavar="DATA", help="A folder, a name such as digits or cifar10, or hf:NAME.")
    ]
    Model = Annotated[
        list[str] | None, typer.Option("--model", help="timm name, built-in name or run folder; repeatable.")
    ]
    Weights = Annotated[str | None, typer.Option(help="File with your own weights (with --arch), or 'random'.")]
    Arch = Annotated[str | None, typer.Option(help="Architecture of the weights file.")]
    Out = Annotated[Path | None, typer.Option(help="The run folder. [default: runs/DATA-MODEL]")]
    Layers = Annotated[str | None, typer.Option(help="Layers to measure and consider, comma-separated, or 'all'.")]
    Methods = Annotated[str | None, typer.Option(help="Of linear,layer,scl,full.")]
    Epochs = Annotated[int | None, typer.Option(help="Passes over the training images. [default: by their number]")]
    ImageSize = Annotated[int | None, typer.Option(help="Side of the input in pixels. [default: the network's]")]
    Limit = Annotated[int | None, typer.Option(help="Use at most this many training + validation images.")]
    BatchSize = Annotated[int | None, typer.Option(help="Images in one step. [default: 64]")]
    Augment = Annotated[str | None, typer.Option(help="Level 1 (none) to 5, or auto. [default: auto]")]
    Lr = Annotated[float | None, typer.Option(help="Learning rate. [default: picked on validation]")]
    WeightDecay = Annotated[float | None, typer.Option(help="Weight decay. [default: 0.01]")]
    NumWorkers = Annotated[int | None, typer.Option(help="Processes that decode images. [default: 0]")]
    Cache = Annotated[
        bool | None, typer.Option("--cache/--no-cache", help="Compute the frozen part once where possible.")
    ]
    Seed = Annotated[int | None, typer.Option(help="Of splits, order, augmentation. [default: 0]")]
    Device = Annotated[str | None, typer.Option(help="auto, cpu, cuda, cuda:1, mps. [default: auto]")]
    Precision = Annotated[str | None, typer.Option(help="fp32, bf16 or fp16. [default: fp32]")]
    OnBadImage = Annotated[str | None, typer.Option(help="stop or skip. [default: stop]")]
    Download = Annotated[
        bool | None, typer.Option("--download/--no-download", help="Whether named data may be downloaded.")
    ]
    Resume = Annotated[bool, typer.Option("--resume", help="Go on with the run in --out.")]
    Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace the run in --out.")]
    Config = Annotated[Path | None, typer.Option(help="YAML file with settings; options win over it.")]
    Set = Annotated[list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Any setting; wins over all.")]


def collect(given: dict[str, Any], config: Path | None, assignments: list[str] | None) -> list[dict[str, Any]]:
    """The mappings from which settings are made, weakest first: YAML file, options, ``--set``.

    Raises:
        DataError: the YAML file is missing.
        UsageError: it is not a mapping, or an assignment has no ``=``.
    """
    import yaml

    sources: list[dict[str, Any]] = []
    if config is not None:
        if not config.is_file():
            raise DataError("settings file not found", where=str(config), remedy="check the path given to --config")
        try:
            loaded = yaml.safe_load(config.read_text(encoding="utf-8"))
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise UsageError(f"not YAML: {str(error).splitlines()[0]}", where=str(config)) from error
        if not isinstance(loaded, dict):
            raise UsageError("the file holds no mapping", where=str(config), remedy="write lines such as `epochs: 8`")
        sources.append(loaded)
    sources.append(given)
    extra: dict[str, Any] = {}
    for assignment in assignments or []:
        key, separator, value = assignment.partition("=")
        if not separator:
            raise UsageError(f"{assignment!r} is no assignment", where="--set", remedy="write --set key=value")
        extra[key.strip()] = yaml.safe_load(value)
    sources.append(extra)
    return sources
