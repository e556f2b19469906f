"""``nctransfer measure``: the collapse of features in a file, as a table with a word on each number."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer

from ..errors import DataError, UsageError

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the verb to the command line."""
    app.command("measure")(measure_file)


def measure_file(
    file: Path | None = typer.Argument(
        None,
        metavar="[FILE]",
        help="Features: .npz or .safetensors with keys features, labels (weight, bias), or a .npy matrix.",
    ),
    labels: Path | None = typer.Option(None, "--labels", help="Labels of a .npy matrix, itself a .npy file."),
    weighting: str = typer.Option("sample", help="How NC1 weighs classes of unequal size: sample or class."),
    permutations: int = typer.Option(20, help="Permutations of the noise floor; 0 leaves it out."),
    seed: int = typer.Option(0, help="Seed of the permutations."),
    as_json: bool = typer.Option(False, "--json", help="Print JSON instead of a table."),
    plot: Path | None = typer.Option(None, "--plot", help="Write a picture of the features' collapse to this file."),
    model: str | None = typer.Option(None, "--model", help="Instead of a file: a network, with --data."),
    data: str | None = typer.Option(None, "--data", help="Data set whose training images the network sees."),
    layers: str | None = typer.Option(None, "--layers", help="Layers of the network: 'all', or names with commas."),
    weights: str | None = typer.Option(None, help="File with weights for --model, or 'random'."),
    image_size: int | None = typer.Option(None, help="Side of the network's input in pixels."),
    limit: int | None = typer.Option(None, help="Use at most this many training + validation images."),
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
            {"model": model, "data": data, "weights": weights, "image_size": image_size, "limit": limit, "seed": seed},
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
    from ..transfer.layer_collapse import layer_collapse
    from ..transfer.settings import settings_from
    from .progress import TerminalWatch

    named = () if layers is None else None if layers == "all" else tuple(name.strip() for name in layers.split(","))
    taken, found = layer_collapse(settings_from(settings, where="measure"), named, watch=TerminalWatch(), **options)
    if plot is not None:
        from ..metrics import collapse_plane
        from ..report import draw_collapse

        draw_collapse(collapse_plane(taken.penultimate, taken.labels), plot)
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

    from ..metrics.words import WORDS, verdict

    console = Console()
    for name, numbers in layers.items():
        table = Table(title=f"{len(numbers['counts'])} classes, {sum(numbers['counts'])} {what}", title_justify="left")
        table.caption = f"NC1 and VCI weigh by {numbers['weighting']}"
        for column in ("metric", "value", "what it says"):
            table.add_column(column, overflow="fold")
        for metric, meaning in WORDS.items():
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
