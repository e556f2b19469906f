"""``nctransfer data``: what a data set holds, before anything is computed on it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import DataError
from ..settings import TableSettings
from ..transfer import TransferSettings, settings_from
from .generate import with_settings
from .options import Data

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["register"]

_MOST_ROWS = 60
_FIELDS = ("limit", "seed", "download", "pixel_limit", "image_range")


def register(app: typer.Typer) -> None:
    """Add the verb to the command line."""
    app.command("data")(with_settings(TransferSettings, only={*_FIELDS, *TableSettings.model_fields})(show_data))


def show_data(
    data: Data,
    *,
    settings: dict[str, Any],
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> None:
    """Say what was found: classes, counts, sizes, unreadable files, duplicates."""
    asked = settings_from({"data": data}, settings, where="the command line")
    from ..data import open_dataset, progress_shown_by
    from .progress import TerminalWatch

    watch = TerminalWatch()
    with watch.detail(f"opening {data}"), progress_shown_by(watch.detail):
        bundle = open_dataset(
            data, download=asked.download, **{**asked.opening(), "on_bad_image": "skip", "skip_limit": 1.0}
        )
    if as_json:
        typer.echo(json.dumps(bundle.report, indent=1))
    else:
        _print(bundle.report)
    if bundle.report["bad"]:
        raise DataError(
            f"{len(bundle.report['bad'])} images cannot be read",
            where="listed above",
            remedy="fix or remove them, or pass --on-bad-image skip to the run",
        )


def _print(report: dict[str, Any]) -> None:
    from rich.console import Console

    console = Console()
    source, splits = report["source"], report["splits"]
    console.print(f"{source['name']}: {source['kind']} at {source['place']}", markup=False, highlight=False)
    _print_counts(console, report)
    sizes = report["sizes"]
    if sizes:
        (low, middle, high), (short, between, tall) = sizes["width"], sizes["height"]
        common = " x ".join(map(str, sizes["most_frequent"]))
        console.print(
            f"sizes: width {low} to {high} (median {middle:g}), height {short} to {tall} (median {between:g}); "
            f"{sizes['most_frequent_share']:.0%} are {common}",
            highlight=False,
        )
    duplicates = report["duplicates"]
    console.print("duplicates: " + _duplicates_line(duplicates), highlight=False)
    for name in splits:
        for entry in (entry for entry in report["bad"] if entry["split"] == name):
            console.print(f"bad: {entry['identity']}: {entry['reason']}", markup=False, highlight=False, style="red")
    for note in report["notes"]:
        style = "yellow" if note.startswith("warning") else None
        console.print(note if style else f"note: {note}", markup=False, highlight=False, style=style)


def _print_counts(console: Console, report: dict[str, Any]) -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table(title=f"{len(report['class_names'])} classes", title_justify="left")
    table.add_column("class", overflow="fold")
    for split in report["splits"]:
        drawn = " (drawn)" if split in report["source"]["drawn"] else ""
        table.add_column(split + drawn, justify="right")
    table.add_column("together", justify="right")
    for name in report["class_names"][:_MOST_ROWS]:
        counts = [report["counts"][split][name] for split in report["splits"]]
        table.add_row(Text(name), *map(str, counts), str(sum(counts)))
    hidden = len(report["class_names"]) - _MOST_ROWS
    if hidden > 0:
        table.add_row(f"... {hidden} more, see --json")
    table.add_section()
    totals = list(report["splits"].values())
    table.add_row("all", *map(str, totals), str(sum(totals)))
    console.print(table)


def _duplicates_line(duplicates: dict[str, Any]) -> str:
    pairs = {"train_test": "train and test", "validation_test": "validation and test"}
    pairs["train_validation"] = "train and validation"
    said = [
        f"{duplicates[key]['pixels']} in both {words} ({duplicates[key]['files']} of them the same file)"
        for key, words in pairs.items()
        if duplicates[key]["pixels"]
    ]
    if duplicates["within_train"]:
        said.append(f"{duplicates['within_train']} within train")
    if duplicates["conflicting_labels"]:
        said.append(f"{duplicates['conflicting_labels']} images whose twin carries another label")
    return "; ".join(said) or "none"
