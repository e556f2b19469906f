"""``nctransfer measure``: the collapse of features in a file, as a table with a word on each number."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer

from ..errors import DataError

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the verb to the command line."""
    app.command("measure")(measure_file)


def measure_file(
    file: Path = typer.Argument(
        ..., help="Features: .npz or .safetensors with keys features, labels (weight, bias), or a .npy matrix."
    ),
    labels: Path | None = typer.Option(None, "--labels", help="Labels of a .npy matrix, itself a .npy file."),
    weighting: str = typer.Option("sample", help="How NC1 weighs classes of unequal size: sample or class."),
    permutations: int = typer.Option(20, help="Permutations of the noise floor; 0 leaves it out."),
    seed: int = typer.Option(0, help="Seed of the permutations."),
    as_json: bool = typer.Option(False, "--json", help="Print JSON instead of a table."),
    plot: Path | None = typer.Option(None, "--plot", help="Write a picture of the features' collapse to this file."),
) -> None:
    """Measure how collapsed features are: NC1 to NC4, CDNV, ranks, noise floor and calibration."""
    from ..metrics import measure
    from ..metrics.files import open_features

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
        from ..metrics.picture import draw_collapse

        draw_collapse(opened.features, opened.labels, plot)
    show({file.name: collapse.to_dict()}, as_json)


def show(layers: dict[str, dict[str, Any]], as_json: bool) -> None:
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
        table = Table(title=f"{len(numbers['counts'])} classes, {sum(numbers['counts'])} samples", title_justify="left")
        table.caption = f"NC1 and VCI weigh by {numbers['weighting']}"
        for column in ("metric", "value", "what it says"):
            table.add_column(column, overflow="fold")
        for metric, meaning in WORDS.items():
            value = numbers[metric]
            reason = numbers["notes"].get(metric)
            said = f"{meaning}: {verdict(metric, numbers)}" if value is not None else reason or ""
            if value is not None and reason:
                said += f" ({reason})"
            table.add_row(metric, "none" if value is None else f"{value:.4g}", said)
        if "counts" in numbers["notes"]:
            table.add_row("counts", "", numbers["notes"]["counts"])
        if len(layers) > 1:
            console.print(name, markup=False)
        console.print(table, markup=False)
