"""``nctransfer measure``: the collapse of features in a file, as a table with a word on each number."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from ..errors import DataError, UsageError
from ..transfer import TransferSettings
from .generate import with_settings

__all__ = ["register"]

_FIELDS = ("weights", "arch", "image_size", "limit")


def _network(text: str, name: str) -> Any:
    return typer.Option(name, help=text, rich_help_panel="Network")


def register(app: typer.Typer) -> None:
    """Add the verb to the command line."""
    app.command("measure")(with_settings(TransferSettings, only=_FIELDS)(measure_file))


def measure_file(
    file: Annotated[
        Path | None,
        typer.Argument(
            metavar="[FILE]",
            help="Features: .npz or .safetensors with keys features, labels (weight, bias), or a .npy matrix.",
        ),
    ] = None,
    *,
    labels: Annotated[Path | None, typer.Option(help="Labels of a .npy matrix, itself a .npy file.")] = None,
    weighting: Annotated[
        str, typer.Option(help="How NC1 weighs classes of unequal size.", metavar="[sample|class]")
    ] = "sample",
    permutations: Annotated[int, typer.Option(help="Permutations of the noise floor; 0 leaves it out.")] = 20,
    seed: Annotated[int, typer.Option(help="Seed of the permutations and of the splits of --data.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
    plot: Annotated[Path | None, typer.Option(help="Write a picture of the features' collapse to this file.")] = None,
    data: Annotated[
        str | None, _network("Data set whose training images the network of --model sees.", "--data")
    ] = None,
    model: Annotated[str | None, _network("A network to measure on --data, instead of a file.", "--model")] = None,
    layers: Annotated[
        str | None, _network("Layers of the network, separated by commas, or 'all'; the last if left out.", "--layers")
    ] = None,
    settings: dict[str, Any],
) -> None:
    """Measure how collapsed features are: NC1 to NC4, CDNV, ranks, noise floor and calibration."""
    if (file is None) == (model is None and data is None):
        said = "a FILE was named as well as --model or --data" if file else "nothing to measure was named"
        raise UsageError(said, where="measure", remedy="name a FILE, or --model and --data")
    if plot is not None and not plot.absolute().parent.is_dir():
        raise UsageError("the folder is not there", where=f"--plot {plot}", remedy=f"make it first: {plot.parent}")
    if file is None:
        if model is None or data is None:
            raise UsageError("--model and --data go together", where="measure", remedy="name both")
        _measure_network(
            {"model": model, "data": data, "seed": seed, **settings},
            layers,
            {"weighting": weighting, "permutations": permutations},
            as_json,
            plot,
        )
        return
    from ..data import open_features
    from ..metrics import measure

    opened = open_features(file, labels)
    try:
        collapse = measure(
            opened.features,
            opened.labels,
            weight=opened.weight,
            bias=opened.bias,
            weighting=weighting,
            permutations=permutations,
            seed=seed,
        )
    except TypeError as error:
        raise DataError(str(error), where=str(file)) from error
    if plot is not None:
        from ..metrics import collapse_plane
        from ..report import draw_collapse

        draw_collapse(collapse_plane(opened.features, opened.labels), plot)
    show({file.name: collapse.to_dict()}, as_json)


def _measure_network(
    settings: dict[str, Any], layers: str | None, options: dict[str, Any], as_json: bool, plot: Path | None
) -> None:
    from ..transfer import layer_collapse, settings_from
    from .progress import TerminalWatch

    named = () if layers is None else None if layers == "all" else tuple(name.strip() for name in layers.split(","))
    taken, found, names = layer_collapse(
        settings_from(settings, where="measure"), named, watch=TerminalWatch(), **options
    )
    if plot is not None:
        from ..metrics import collapse_plane
        from ..report import draw_collapse

        draw_collapse(collapse_plane(taken.penultimate, taken.labels), plot, names=names)
    # Validation and test images are left out, so that the numbers are those of `auto`, `probe` and `tune`.
    show(
        {name: collapse.to_dict() for name, collapse in found.items()},
        as_json,
        f"training images of {settings['data']}",
    )


def show(layers: dict[str, dict[str, Any]], as_json: bool, what: str = "samples") -> None:
    """Print ``Collapse.to_dict()`` of one or several layers, as JSON (one layer: its numbers alone) or as tables."""
    if as_json:
        import json

        numbers = next(iter(layers.values())) if len(layers) == 1 else layers
        typer.echo(json.dumps(numbers, indent=1, allow_nan=False))
        return
    from rich.console import Console
    from rich.table import Table

    from ..metrics import meanings, verdict

    console = Console()
    for name, numbers in layers.items():
        table = Table(title=f"{len(numbers['counts'])} classes, {sum(numbers['counts'])} {what}", title_justify="left")
        table.caption = f"NC1 and VCI weigh by {numbers['weighting']}"
        for column in ("metric", "value", "what it says"):
            table.add_column(column, overflow="fold")
        for metric, meaning in meanings().items():
            value = numbers[metric]
            reason = numbers["notes"].get(metric)
            said = f"{meaning}: {verdict(metric, numbers)}" if value is not None else _in_a_file(reason or "")
            if value is not None and reason:
                said += f" ({reason})"
            table.add_row(metric, "none" if value is None else f"{value:.4g}", said)
        if "counts" in numbers["notes"]:
            table.add_row("counts", "", numbers["notes"]["counts"])
        if len(layers) > 1:
            console.print(name, markup=False)
        console.print(table, markup=False)


def _in_a_file(reason: str) -> str:
    """Why a number is missing, in the words of the command line, where only a file can bring a weight.

    Example:
        >>> _in_a_file("not asked for: pass weight")
        "needs a file that holds the classifier's weight (and bias) too"
    """
    return (
        "needs a file that holds the classifier's weight (and bias) too" if reason.endswith("pass weight") else reason
    )
