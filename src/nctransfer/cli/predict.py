"""``nctransfer predict RUN IMAGE_OR_FOLDER…``: class and probability, as table, JSON or CSV."""

from __future__ import annotations

import csv
import dataclasses
import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from ..transfer import TransferSettings
from .generate import with_settings

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the verb to the command line."""
    app.command("predict")(with_settings(TransferSettings, only={"device", "on_bad_image", "pixel_limit"})(predict))


def predict(
    run: Annotated[
        Path,
        typer.Argument(
            metavar="RUN", help="Folder of a finished run, a .safetensors file of one, or an exported ONNX model."
        ),
    ],
    images: Annotated[list[Path], typer.Argument(metavar="IMAGE_OR_FOLDER...", help="Images, or folders of them.")],
    *,
    top: Annotated[int, typer.Option(min=1, help="How many classes to show in JSON.")] = 3,
    raw: Annotated[
        bool, typer.Option("--raw", help="Without the run's temperature; JSON and CSV then hold the logits, too.")
    ] = False,
    settings: dict[str, Any],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV.")] = False,
) -> None:
    """Predict the class of images with the model that a run chose, with calibrated probabilities."""
    from ..errors import UsageError
    from ..export import find_exported, predict_exported
    from .progress import TerminalWatch

    if as_json and as_csv:
        raise UsageError("--json and --csv exclude each other", remedy="choose one")
    device = settings.pop("device", "auto")
    if find_exported(run) is not None:
        found = predict_exported(run, images, top=top, raw=raw, watch=TerminalWatch(), **settings)  # needs no torch
    else:
        from ..transfer import predict as predict_images

        found = predict_images(run, images, top=top, raw=raw, device=device, watch=TerminalWatch(), **settings)
    if as_json:
        plain = [dataclasses.asdict(prediction) for prediction in found]
        typer.echo(json.dumps([{k: v for k, v in entry.items() if v is not None} for entry in plain], indent=1))
    elif as_csv:
        writer = csv.writer(sys.stdout)
        classes = list(found[0].logits or {}) if found else []
        writer.writerow(["path", "label", "probability", *(f"logit {name}" for name in classes)])
        for one in found:
            path = one.path.encode("utf-8", "backslashreplace").decode()
            logits = [f"{value:.6g}" for value in (one.logits or {}).values()]
            writer.writerow([path, one.label, f"{one.probability:.6f}", *logits])
    else:
        _table([(p.path, p.label, p.probability) for p in found])


def _table(rows: list[tuple[str, str, float]]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table("image", "class", "probability")
    for path, label, probability in rows:
        shown = path.encode("utf-8", "backslashreplace").decode()
        table.add_row(Text(shown), Text(label), f"{probability:.1%}")
    Console().print(table)
